//! The HTTP server: predictions, chat, feedback, the admin API and its client, metrics, rollouts.
//!
//! In: a model file or a model of a registry, and requests. Out: answers, entries of the deployment
//! log, the request log and metrics.
//!
//! - a request loads the [`routing`] once and keeps it, so a swap does not change it
//! - [`botops_observation`] counts conversations and their failures for the judge, and [`shadow`] adds those of
//!   a mirrored challenger
//! - [`canary`] ticks the rollout, records each transition, and carries it out
//! - [`rehearse`] runs the same server on recorded traffic and its clock

use botops_access::{Identity, IssuerSpec, Role};
use botops_digest::Digest;
use botops_findings::Result;
use botops_models::IntentModel;
use botops_registry::Registry;
use botops_rollout::Decision;
use botops_workspace::Secret;
use chrono::{DateTime, Utc};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

#[cfg(test)]
mod access_tests;
mod admin;
mod admin_answers;
mod admin_changes;
mod admin_events;
mod admin_follow;
mod admin_gate;
mod admin_jobs;
mod admin_knowledge;
mod admin_listeners;
mod admin_openapi;
mod admin_plan;
mod admin_reload;
mod admin_request;
mod admin_shadow;
mod admin_shared;
mod admin_socket;
mod admission;
mod app;
mod attempt;
mod authorization;
mod backup_metrics;
mod body_length;
mod canary;
#[cfg(test)]
mod champion_tests;
mod channel_metrics;
mod channel_turns;
mod channels;
mod chat;
mod chat_client;
mod chat_message;
mod chat_page;
mod chat_stream;
mod client;
mod client_jobs;
mod client_orders;
mod clock;
mod content_encoding;
mod control_threads;
mod conversation_settings;
#[cfg(test)]
mod conversation_tests;
mod cors;
mod deployment_rules;
mod disagreements;
mod exchange;
mod feedback;
mod feedback_caps;
mod handoffs;
mod histogram;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod interface_tests;
mod job_command;
mod job_metrics;
mod job_service;
mod job_worker;
mod keeper;
mod kept_turns;
mod key_ring;
mod knowledge_answer;
#[cfg(test)]
mod knowledge_cost_tests;
mod knowledge_filter;
mod knowledge_history;
mod knowledge_metrics;
mod knowledge_settings;
#[cfg(test)]
mod knowledge_stream_tests;
#[cfg(test)]
mod knowledge_tests;
mod knowledge_turn;
mod knowledge_work;
mod knowledge_writing;
mod limit_metrics;
mod listener_settings;
mod local_knowledge;
mod log_event;
mod login;
mod machine_metrics;
mod media_type;
mod metrics;
mod monitoring;
mod monitoring_metrics;
mod new_app;
mod open_inference;
mod open_inference_tensors;
mod open_turns;
mod openapi;
#[cfg(test)]
mod openapi_check;
mod outgoing;
mod page_policy;
mod pointer;
mod predict;
mod predict_lines;
mod prediction_log;
mod prediction_metrics;
mod prediction_shipping;
mod problem;
#[cfg(test)]
mod protection_tests;
#[cfg(test)]
mod public_access_tests;
mod public_api;
mod public_endpoints;
mod public_gate;
mod public_openapi;
mod public_settings;
mod rasa;
mod rate_limit;
mod readiness;
mod redis_limits;
mod rehearsal;
mod reload;
#[cfg(test)]
mod reload_tests;
mod repeated_turn;
mod replay;
mod request_guard;
mod request_id;
mod request_log;
mod request_traces;
mod response_headers;
mod routing;
mod search;
mod served_knowledge;
mod server;
mod settings_checks;
mod shadow;
mod shedding;
mod sizes;
mod speed;
mod telemetry_settings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
mod turn_answer;
mod turn_cost;
mod turn_engine;
#[cfg(test)]
mod turn_language_tests;
mod turn_metrics;
mod turn_order;
#[cfg(test)]
mod turn_tests;
mod upload_settings;
#[cfg(test)]
mod upload_tests;
mod uploads;
mod webhook_metrics;
mod webhooks;
mod websocket;
mod websocket_metrics;
#[cfg(test)]
mod websocket_tests;
#[cfg(test)]
mod wire_tests;
mod work;
mod written_answer;

pub use admin_openapi::admin_openapi;
pub use admin_plan::PlanAnswer;
pub use botops_connections::{ConnectionLimits, TlsSettings, TlsVersion, check_certificate};
pub use botops_observation::ServerTraffic;
pub use botops_telemetry::{LogFileSettings, Sampler, TraceSettings};
pub use canary::{EndedRollout, Restored, knowledge_files};
pub use chat_client::{ChatClient, ChatMessage};
pub use client::{AdminClient, FreezeRequest, StartOptions};
pub use client_orders::ShadowOrder;
pub use conversation_settings::{ConversationSettings, OnStoreFailure};
pub use cors::Origin;
pub use deployment_rules::verify_deployments;
pub use disagreements::{Disagreement, Disagreements, ShadowPrediction};
pub use knowledge_settings::KnowledgeSettings;
pub use listener_settings::{ListenerSettings, MetricsAccess};
pub use local_knowledge::{LocalAnswer, LocalKnowledge};
pub use monitoring::MonitoringSettings;
pub use outgoing::{ActionSettings, check_actions};
pub use prediction_log::PredictionSettings;
pub use public_openapi::public_openapi;
pub use public_settings::{
    BatchSettings, MAX_QUEUE_DELAY, PublicSettings, SharedSettings, WebSocketSettings,
};
pub use rehearsal::rehearse;
pub use replay::{ReplayTarget, replay};
pub use served_knowledge::KnowledgeFile;
pub use server::{Running, check_access, start};
pub use settings_checks::{check_admin_token, check_webhooks};
pub use sizes::Sizes;
pub use telemetry_settings::TelemetrySettings;
pub use upload_settings::UploadSettings;

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The address of the public listener.
    pub listen: SocketAddr,
    /// The address of the admin listener, which runs only if there is a token, an issuer, or a key of the environment.
    pub admin_listen: SocketAddr,
    /// The bearer token of the admin API, of at least 32 characters.
    pub admin_token: Option<Secret>,
    /// The names with a dot by which clients may call the server. Without any, a listener on a loopback address accepts
    /// none, and a listener on another address accepts every name.
    pub allowed_hosts: Vec<String>,
    /// The environment whose deployment log the server writes.
    pub environment: String,
    /// The output of the request log.
    pub request_log: RequestLog,
    /// Who may call the public API, and the admin API besides the holders of the token and of keys.
    pub access: AccessSettings,
    /// How the server works together with the other servers of its environment.
    pub replication: Replication,
    /// How the server protects its public listener.
    pub public: PublicSettings,
    /// The receivers of webhooks: they get every change of the environment. A server of a file, or of one version, has no
    /// environment and sends nothing.
    pub webhooks: Vec<WebhookSpec>,
    /// The limits and the TLS of the listeners.
    pub listeners: ListenerSettings,
    /// The conversations of `/v1/chat`: their turns are stored before they are answered. `None` keeps none.
    pub conversations: Option<ConversationSettings>,
    /// The calls that dialogues may ask for. `None` makes no calls, and serves models that ask for some, as a rehearsal does.
    pub actions: Option<ActionSettings>,
    /// The answers from documents.
    pub knowledge: KnowledgeSettings,
    /// The prediction log. `None` keeps none.
    pub predictions: Option<PredictionSettings>,
    /// How the server monitors its environment; a server of a file, or of one version, does not. `None` is not at all.
    pub monitoring: Option<MonitoringSettings>,
    /// The folders whose disks are measured, by the name that metrics show: `store`, `predictions` or `conversations`.
    pub disks: BTreeMap<&'static str, PathBuf>,
    /// The traces and the log file.
    pub telemetry: TelemetrySettings,
    /// The limits of uploaded documents, and the reader of PDF files.
    pub uploads: UploadSettings,
    /// The messaging channels, on the public listener of a server with a registry.
    pub channels: botops_channels::ChannelSettings,
}

/// The source of settings that a running server reads again.
#[async_trait::async_trait]
pub trait Configuration: Send + Sync {
    /// Reads the settings, with the checks of a start. Changes nothing.
    ///
    /// # Errors
    /// Those of a start.
    fn read(&self) -> Result<Reread>;

    /// Makes the policy of the settings that were read last the policy of the environment; `by` is the author. Returns
    /// whether it is another one. A dry run writes nothing.
    ///
    /// # Errors
    /// Those of the policy and of the store.
    async fn apply_policy(&self, by: &Identity, reason: &str, dry_run: bool) -> Result<bool>;
}

/// Settings that were read again.
#[derive(Debug)]
pub struct Reread {
    /// The settings.
    pub settings: ServerSettings,
    /// The names of settings that differ, need a restart, and are not in `settings`.
    pub restart: Vec<String>,
}

/// The result of reading the settings again.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Reloaded {
    /// The settings that changed, such as `server.webhooks`; in a dry run, those that would.
    pub changed: Vec<String>,
    /// The settings that differ and need a restart.
    pub restart: Vec<String>,
    /// Whether nothing was changed, because only the checks were asked for.
    pub dry_run: bool,
}

/// A receiver of webhooks.
#[derive(Debug, Clone)]
pub struct WebhookSpec {
    /// Its address: an `http://` or `https://` URL.
    pub url: String,
    /// The one or two secrets that sign, each of at least 24 bytes: while a receiver changes from one to the other, both
    /// sign.
    pub secrets: Vec<Secret>,
    /// The events that it gets, by kind (`decision`, `champion`, `freeze`, `unfreeze`, `policy`) or by phase of a rollout
    /// (such as `promoted`); empty for all.
    pub events: Vec<String>,
}

/// Who may call the public API of a server, and its admin API besides the holders of the token and of keys.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// The issuers whose OIDC tokens are accepted.
    pub issuers: Vec<IssuerSpec>,
    /// The folder at which relative paths of public keys start.
    pub root: PathBuf,
    /// The path of a Unix socket for the admin API.
    pub socket: Option<PathBuf>,
    /// The roles of users on the socket, by name or as `uid:1000`, besides the user of the server and root.
    pub socket_users: BTreeMap<String, Role>,
    /// Who may call the public API.
    pub clients: ClientAccess,
}

/// Who may call the public API of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ClientAccess {
    /// Nobody decided: everyone on this machine. A server that listens beyond it does not start.
    #[default]
    Undecided,
    /// Everyone.
    Open,
    /// The holders of keys of the environment, and of tokens of these issuers.
    Restricted {
        /// Whether keys are accepted.
        keys: bool,
        /// The issuers of tokens.
        issuers: Vec<IssuerSpec>,
    },
}

/// How a server works together with the other servers of its environment.
#[derive(Debug, Clone)]
pub struct Replication {
    /// The key under which conversations are named in observations, the same for all servers of an environment. Without
    /// one, the server counts alone.
    pub identity_key: Option<Secret>,
    /// How long a server that cannot read the store sends requests to a challenger.
    pub stale_after: Duration,
    /// By what number every wait for other servers is divided. A test that lets hours pass in minutes sets it.
    pub times: u32,
    /// The key, or the two keys, of feedback tokens, the same for all servers of an environment (see
    /// [`botops_access::TokenKeys::parse`]). Without one, only this process judges feedback on its answers.
    pub token_key: Option<Secret>,
    /// How long feedback on an answer counts.
    pub feedback_lifetime: Duration,
}

impl Default for Replication {
    fn default() -> Self {
        Self {
            identity_key: None,
            stale_after: STALE_AFTER,
            times: 1,
            token_key: None,
            feedback_lifetime: FEEDBACK_LIFETIME,
        }
    }
}

/// The default of [`Replication::feedback_lifetime`]: 30 days.
pub const FEEDBACK_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The default of [`Replication::stale_after`].
pub const STALE_AFTER: Duration = Duration::from_secs(15);

/// The output of the request log.
#[derive(Debug, Clone, Copy)]
pub enum RequestLog {
    /// One JSON line per request, to the stream that this function opens. Requests do not wait for it.
    To(fn() -> Box<dyn std::io::Write + Send>),
    /// Warnings and errors only, such as failed logins, to the stream that this function opens.
    Warnings(fn() -> Box<dyn std::io::Write + Send>),
    /// No log.
    Off,
}

/// The model that a server serves.
pub enum Source {
    /// A model file, without rollouts.
    File {
        /// The model.
        model: Box<IntentModel>,
        /// Digest of the file.
        digest: Digest,
        /// Its name in answers: that of the file.
        name: String,
    },
    /// The champion of a model in a registry, with rollouts through the admin API.
    Registry {
        /// The registry.
        registry: Registry,
        /// The name of the model.
        model: String,
        /// The reference of a version to serve instead of the champion, without rollouts.
        pinned: Option<String>,
    },
}

/// One message of recorded traffic.
#[derive(Debug, Clone)]
pub struct Message {
    /// The time when it was received.
    pub at: DateTime<Utc>,
    /// The id of its conversation.
    pub conversation_id: String,
    /// The text of the user.
    pub text: String,
    /// Its true intent, if known; sent as feedback.
    pub truth: Option<String>,
}

/// One side of a rehearsal.
pub struct Side {
    /// The model.
    pub model: Arc<IntentModel>,
    /// Digest of the model file, which answers name.
    pub digest: Digest,
    /// Digest of the manifest, which the decision names.
    pub manifest: Digest,
    /// The knowledge of the version, which answers beside the model.
    pub knowledge: Vec<KnowledgeFile>,
}

/// The status of a rollout in the admin API.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct RolloutStatus {
    /// The state of the rollout.
    pub rollout: botops_rollout::Rollout,
    /// The share of the challenger in percent.
    pub weight_percent: f64,
    /// The decision so far, with its numbers.
    pub decision: Decision,
    /// Whether the deployment log records all of it; if not, the server keeps trying.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether this server ticks the rollout; if not, another one does.
    #[serde(default = "yes")]
    pub driven: bool,
    /// The conversations that were open at servers which are gone, by server. Only the server that ticks knows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<String, u64>,
}

/// The servers of version 0.1 answered after the record, and drove every rollout that they showed.
fn yes() -> bool {
    true
}
