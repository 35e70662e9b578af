//! The limits of requests, each with its origin.

use crate::{limits_spec::RouteLimitsSpec, secret::SecretSource, settings::Setting};
use serde::Serialize;
use std::collections::BTreeMap;

/// The settings under `limits:`, as they are written. A server checks them.
#[derive(Debug, Clone, Serialize)]
pub struct RequestLimits {
    /// The rate of the holder of one key or token (`limits.per_key`).
    pub per_key: Setting<Option<String>>,
    /// The rate of one address (`limits.per_address`).
    pub per_address: Setting<Option<String>>,
    /// The rate of one conversation (`limits.per_conversation`).
    pub per_conversation: Setting<Option<String>>,
    /// The limits of single routes (`limits.routes`).
    pub routes: Setting<BTreeMap<String, RouteLimitsSpec>>,
    /// The most texts in one request (`limits.max_texts`).
    pub max_texts: Setting<Option<usize>>,
    /// The longest text, in characters (`limits.max_text_chars`).
    pub max_text_chars: Setting<Option<usize>>,
    /// How long requests may wait for a processor (`limits.max_queue_delay`).
    pub max_queue_delay: Setting<Option<String>>,
    /// The location of the Redis in which several servers count together (`limits.shared`, `BOTOPS_LIMITS_SHARED`); read
    /// when it is needed.
    #[serde(skip)]
    pub shared: Setting<SecretSource>,
    /// The behavior while that Redis does not answer (`limits.on_shared_failure`).
    pub on_shared_failure: Setting<Option<String>>,
}
