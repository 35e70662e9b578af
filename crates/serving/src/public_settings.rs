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
    /// The WebSockets.
    pub websockets: WebSocketSettings,
    /// Batches of lines to `/v1/predict`.
    pub batches: BatchSettings,
}

/// The limits of a batch of lines (`application/x-ndjson`) to `/v1/predict`. A line has the largest body of the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// The most bytes, unpacked.
    pub bytes: u64,
    /// The most lines.
    pub lines: u64,
    /// The longest time between two parts.
    pub wait: Duration,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self { bytes: 1 << 30, lines: 1_000_000, wait: Duration::from_secs(30) }
    }
}

/// The WebSockets of `/v1/ws`. The largest message is the largest body of `/v1/chat`, and a client has the `write_timeout` of
/// its connection to take an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketSettings {
    /// The time after which a client that sends nothing gets a ping; after twice that time it is gone.
    pub ping: Duration,
    /// The longest time without a message.
    pub idle: Duration,
    /// How often the credentials of an open socket are checked again, besides with each message.
    pub check: Duration,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(30),
            idle: Duration::from_secs(60 * 60),
            check: Duration::from_secs(10),
        }
    }
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
            websockets: WebSocketSettings::default(),
            batches: BatchSettings::default(),
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
