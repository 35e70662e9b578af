//! HTTP: predict and chat, the admin API and its client, hot swap, metrics; ticks `rollout`.
//!
//! A request reads who answers once, from [`slot`], and keeps it: a swap never disturbs it.
//! What the judge sees is gathered in [`observe`]; [`canary`] ticks the rollout, writes each
//! transition down, and acts. A [`rehearse`]d promotion is the same server on a clock set by hand.

pub(crate) mod routing;
pub(crate) mod version_source;

use botops_digest::Digest;
use botops_models::IntentModel;
use botops_registry::Registry;
use botops_rollout::Decision;
use botops_workspace::Secret;
use chrono::{DateTime, Utc};
use std::{net::SocketAddr, sync::Arc};

mod admin;
mod attempt;
mod canary;
mod chat;
mod client;
mod clock;
mod exchange;
mod feedback;
mod metrics;
mod observe;
mod predict;
mod problem;
mod rehearsal;
mod replay;
mod request_log;
mod server;
mod shadow;
#[cfg(test)]
mod tests;

pub use canary::Restored;
pub use rehearsal::rehearse;
pub use replay::replay;
pub use server::start;
pub use version_source::{Deployment, deployment_log};

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
#[derive(Debug, Clone, Copy)]
pub enum RequestLog {
    /// One JSON line a request, buffered off the request path, to what this opens: the caller owns the streams.
    To(fn() -> Box<dyn std::io::Write + Send>),
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
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    stop: tokio::sync::watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    app: Arc<exchange::App>,
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

/// Speaks the admin API of a server. Never shows the token.
#[derive(Debug, Clone)]
pub struct AdminClient {
    http: botops_http::Client,
    base: botops_http::Url,
    token: Secret,
}

/// What the admin API says of a rollout.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RolloutStatus {
    /// Its state.
    pub rollout: botops_rollout::Rollout,
    /// The challenger's share in percent.
    pub weight_percent: f64,
    /// Numbers so far, as a decision would cite them.
    pub decision: Decision,
}
