//! The settings of a server by which it protects its public listener.

use crate::{cors::Origin, sizes::Sizes};
use botops_access::{OnSharedFailure, RateSpec, TrustedProxies};
use botops_workspace::Secret;
use std::time::Duration;

/// How a server protects its public listener.
#[derive(Debug, Clone)]
pub struct PublicSettings {
    /// The rates. Without any, nothing is limited.
    pub rates: RateSpec,
    /// The store in which the servers of an environment count together; without one, each counts alone.
    pub shared: Option<SharedSettings>,
    /// The proxies whose word about the address of a client counts.
    pub trusted_proxies: TrustedProxies,
    /// The sizes of a request.
    pub sizes: Sizes,
    /// How long requests may wait for a processor before new ones are refused.
    pub max_queue_delay: Duration,
    /// The other web sites whose pages may call the server.
    pub cors_origins: Vec<Origin>,
}

/// The default of [`PublicSettings::max_queue_delay`]: a person does not notice it, and a burst fits in.
pub const MAX_QUEUE_DELAY: Duration = Duration::from_millis(250);

impl Default for PublicSettings {
    fn default() -> Self {
        Self {
            rates: RateSpec::default(),
            shared: None,
            trusted_proxies: TrustedProxies::default(),
            sizes: Sizes::default(),
            max_queue_delay: MAX_QUEUE_DELAY,
            cors_origins: Vec::new(),
        }
    }
}

/// The store in which the servers of an environment count together.
#[derive(Debug, Clone)]
pub struct SharedSettings {
    /// The location, such as `redis://127.0.0.1:6379`. It may hold a password.
    pub location: Secret,
    /// The behavior while it cannot be reached.
    pub on_failure: OnSharedFailure,
}
