//! The blocks of `botops.yaml` by which a server protects itself: limits, and the pages and hosts that it accepts.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The block `limits:` of `botops.yaml` or of a profile: how much a server answers. `server.limits` is about connections.
///
/// A rate is written `50/s`, `300/m` or `1000/h`; with `burst 200` behind it, that many may come at once. Without rates of
/// its own, a server that listens beyond loopback, or behind trusted proxies, has those of the keys below; one on loopback
/// has none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestLimitsSpec {
    /// The rate of the holder of one key or token; `off` for none. Beyond loopback, `50/s burst 100` by default.
    pub per_key: Option<String>,
    /// The rate of one address, an IPv6 one by its /64; `off` for none. Beyond loopback, `20/s burst 100` by default.
    pub per_address: Option<String>,
    /// The rate of one conversation; `off` for none. Beyond loopback, `2/s burst 10` by default.
    pub per_conversation: Option<String>,
    /// The limits of single routes: `predict`, `chat` and `feedback`.
    pub routes: BTreeMap<String, RouteLimitsSpec>,
    /// The most texts in one request; 1024 by default.
    pub max_texts: Option<usize>,
    /// The longest text, in characters; 5000 by default.
    pub max_text_chars: Option<usize>,
    /// How long requests may wait for a processor before new ones are refused, such as `250ms`, the default.
    pub max_queue_delay: Option<String>,
    /// The Redis in which the servers of an environment count together, such as `redis://127.0.0.1:6379/0`; with a password,
    /// by reference: `${env:NAME}` or `${file:PATH}`. Without one, each server counts alone.
    pub shared: Option<String>,
    /// The behavior while that Redis does not answer: `local`, the default, to count alone, or `refuse`.
    pub on_shared_failure: Option<String>,
    /// The most objects and lists in each other in a body, from 8 to 120; 32 by default.
    pub max_json_depth: Option<usize>,
}

/// The limits of a route: an entry of `limits.routes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteLimitsSpec {
    /// The rate of one caller, by its key, or else by its address.
    pub per_caller: Option<String>,
    /// The rate of all callers together.
    pub total: Option<String>,
    /// The largest body, such as `256KiB`; 64 KiB by default.
    pub max_body: Option<String>,
}

/// The block `server.cors:` of `botops.yaml` or of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsSpec {
    /// The other web sites whose pages may call the server, such as `https://shop.example`.
    pub origins: Vec<String>,
}
