//! HTTP: predict and chat, the admin API and its client, hot swap, metrics; ticks `rollout`.

use crate::{
    digest::Digest,
    findings::Result,
    models::IntentModel,
    registry::Registry,
    rollout::{Decision, RolloutSpec},
    workspace::Secret,
};
use chrono::{DateTime, Utc};
use std::{net::SocketAddr, sync::Arc};

/// How a server runs.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The public listener.
    pub listen: SocketAddr,
    /// The admin listener; without a token there is none.
    pub admin_listen: SocketAddr,
    /// The bearer token of the admin API.
    pub admin_token: Option<Secret>,
    /// The environment whose deployment log it writes.
    pub environment: String,
    /// How structured request logs are written.
    pub request_log: RequestLog,
}

/// Where request logs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestLog {
    /// One JSON line a request, on standard error, buffered off the request path.
    Stderr,
    /// Nowhere.
    Off,
}

/// What a server serves.
pub enum Source {
    /// One model; no rollouts.
    File {
        /// The model.
        model: Box<IntentModel>,
        /// Digest of its file.
        digest: Digest,
        /// What answers call it: the file's name.
        name: String,
    },
    /// The champion of a model in a registry; rollouts through the admin API.
    Registry {
        /// The registry.
        registry: Registry,
        /// The model's name.
        model: String,
        /// Another version than the champion, when asked for (a reference); then no rollouts.
        pinned: Option<String>,
    },
}

/// A running server. Dropping it stops it; [`Running::shutdown`] drains first.
pub struct Running {
    _todo: (),
}

/// Starts a server: returns when it listens and its model passed the golden self-test.
///
/// # Errors
/// `BOT-6010` a port in use (exit 1), `BOT-6011` the golden self-test failed (exit 3), those of the registry.
pub async fn start(settings: ServerSettings, source: Source) -> Result<Running> {
    let _ = (settings, source);
    todo!()
}

impl Running {
    /// Returns the public address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        todo!()
    }
    /// Returns the admin address, if that listener runs.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        todo!()
    }
    /// Stops accepting, finishes what is in flight (at most 30 s), flushes logs.
    pub async fn shutdown(self) {
        todo!()
    }
}

/// A message of recorded traffic.
#[derive(Debug, Clone)]
pub struct Message {
    /// When it was received.
    pub at: DateTime<Utc>,
    /// Its conversation.
    pub conversation_id: String,
    /// What was said.
    pub text: String,
    /// What it turned out to mean; sent as feedback.
    pub truth: Option<String>,
}

/// One side of a rehearsal.
pub struct Side {
    /// The model.
    pub model: Arc<IntentModel>,
    /// Digest of its file: what answers name.
    pub digest: Digest,
    /// Digest of its manifest: what the decision names.
    pub manifest: Digest,
}

/// Rehearses a promotion: the real server on a free loopback port, recorded traffic over real HTTP,
/// on the traffic's own clock, feedback included, the real judge. Reproducible: latency is shown but never gates.
/// The same inputs give the same decision, byte for byte.
///
/// `progress` is told how many messages of how many were replayed.
///
/// # Errors
/// `BOT-6020` (exit 4) no traffic; `BOT-6001`; I/O on loopback.
pub async fn rehearse(
    model: &str,
    champion: Side,
    challenger: Side,
    spec: &RolloutSpec,
    messages: &[Message],
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Decision> {
    let _ = (model, champion, challenger, spec, messages, progress);
    todo!()
}

/// Speaks the admin API of a server.
pub struct AdminClient {
    _todo: (),
}

impl AdminClient {
    /// Prepares a client for `url` (the admin listener).
    ///
    /// # Errors
    /// `BOT-6030` (exit 2) for a URL that is none, or no token.
    pub fn new(url: &str, token: Option<&Secret>) -> Result<Self> {
        let _ = (url, token);
        todo!()
    }
    /// Starts a rollout of version `challenger` (a registry reference) or joins the one under way for the same version; returns its id.
    ///
    /// # Errors
    /// `BOT-6031` unreachable (exit 7), `BOT-6032` another rollout is under way (exit 5), `BOT-6033` token refused (exit 6), and what the server answers.
    pub async fn start(
        &self,
        model: &str,
        challenger: &str,
        spec: &RolloutSpec,
        actor: &str,
        reason: &str,
    ) -> Result<String> {
        let _ = (model, challenger, spec, actor, reason);
        todo!()
    }
    /// Returns the state of a rollout (`None`: the current or latest one).
    ///
    /// # Errors
    /// As [`Self::start`]; `BOT-6034` no rollout (exit 2).
    pub async fn rollout(&self, model: &str, id: Option<&str>) -> Result<RolloutStatus> {
        let _ = (model, id);
        todo!()
    }
    /// Sends a command: `pause`, `resume`, `promote`, `rollback`.
    ///
    /// # Errors
    /// As [`Self::rollout`]; `BOT-6002` (exit 5) when the phase does not allow it.
    pub async fn command(
        &self,
        model: &str,
        command: &str,
        actor: &str,
        reason: &str,
    ) -> Result<RolloutStatus> {
        let _ = (model, command, actor, reason);
        todo!()
    }
}

/// What the admin API says of a rollout.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RolloutStatus {
    /// Its state.
    pub rollout: crate::rollout::Rollout,
    /// The challenger's share in percent.
    pub weight_percent: f64,
    /// Numbers so far, as a decision would cite them.
    pub decision: Decision,
}

/// Replays recorded traffic at a server, feedback included, as fast as it answers (for trying a canary out on a server that has no traffic).
///
/// # Errors
/// `BOT-6031`.
pub async fn replay(
    url: &str,
    messages: &[Message],
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<()> {
    let _ = (url, messages, progress);
    todo!()
}
