//! The settings in force, each with its origin.

use crate::{
    access::PublicAccess,
    actions::Actions,
    channels::ChannelSource,
    knowledge::Knowledge,
    limits_spec::RouteLimitsSpec,
    monitoring::Monitoring,
    origin::Origin,
    places::Places,
    secret::SecretSource,
    spec::OidcSpec,
    telemetry::{Log, Traces},
};
use botops_findings::Place;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// The name of the configuration file of a workspace.
pub const FILE_NAME: &str = "botops.yaml";

/// The environment in force where nobody names one.
pub const DEFAULT_ENVIRONMENT: &str = "production";

/// How long a turn of a conversation is kept where nobody says otherwise.
pub const DEFAULT_RETENTION: &str = "30d";

/// A value and its origin.
#[derive(Debug, Clone, Serialize)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// The origin of the value.
    pub origin: Origin,
}

/// A receiver of webhooks.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its address, as it was written. The path may be a secret.
    pub url: String,
    /// The one or two secrets that sign.
    pub secrets: Vec<SecretSource>,
    /// The events that it gets; empty for all.
    pub events: Vec<String>,
}

/// The limits of connections and requests; `None` for the default of the server.
#[derive(Debug, Clone, Serialize)]
pub struct Limits {
    /// The most connections at a time.
    pub connections: Setting<Option<u32>>,
    /// The most connections at a time from one address.
    pub per_address: Setting<Option<u32>>,
    /// The longest handshake of TLS.
    pub handshake_timeout: Setting<Option<Duration>>,
    /// The longest time to the end of a head.
    pub headers_timeout: Setting<Option<Duration>>,
    /// The longest time from a head to its answer.
    pub request_timeout: Setting<Option<Duration>>,
    /// The longest time without a request.
    pub idle_timeout: Setting<Option<Duration>>,
    /// The longest time for which a client may take nothing.
    pub write_timeout: Setting<Option<Duration>>,
    /// The most header lines.
    pub headers: Setting<Option<u32>>,
    /// The largest head, in bytes.
    pub header_bytes: Setting<Option<u32>>,
    /// The longest URI, in bytes.
    pub uri_bytes: Setting<Option<u32>>,
    /// The most requests at a time on a connection with HTTP/2.
    pub streams: Setting<Option<u32>>,
    /// The time after which a silent WebSocket gets a ping.
    pub websocket_ping: Setting<Option<Duration>>,
    /// The longest time without a message on a WebSocket.
    pub websocket_idle: Setting<Option<Duration>>,
    /// The most bytes of a batch of lines, unpacked.
    pub batch_bytes: Setting<Option<u32>>,
    /// The most lines of a batch.
    pub batch_lines: Setting<Option<u32>>,
    /// The longest time between two parts of a batch.
    pub batch_wait: Setting<Option<Duration>>,
}

/// The TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// The PEM file with the certificates.
    pub certificate: PathBuf,
    /// The PEM file with the private key.
    pub key: PathBuf,
    /// Whether TLS 1.2 is refused.
    pub needs_1_3: bool,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize)]
pub struct Workspace {
    /// The folder of `botops.yaml`, or the start folder without one. Relative paths in the file and defaults start here.
    pub root: PathBuf,
    /// Where the keys are written.
    #[serde(skip)]
    pub(crate) places: Places,
    /// The name of the model in the registry (`model`, `BOTOPS_MODEL`, `--model`).
    pub model: Setting<Option<String>>,
    /// The location of the registry (`registry`, `BOTOPS_REGISTRY`; default `registry`); paths are absolute.
    pub registry: Setting<String>,
    /// The location of the experiments (`experiments`, `BOTOPS_EXPERIMENTS`; default `experiments`); paths are absolute.
    pub experiments: Setting<String>,
    /// The environment: whose champion a reference means, and in which a promotion takes effect (`environment`,
    /// `BOTOPS_ENVIRONMENT`, `--environment`; default [`DEFAULT_ENVIRONMENT`]).
    pub environment: Setting<String>,
    /// The policy file of the environment (`policy`, `BOTOPS_POLICY`); its path is absolute.
    pub policy: Setting<Option<PathBuf>>,
    /// The admin API of the server to promote through (`server.admin_url`, `BOTOPS_ADMIN_URL`); without one, promotions
    /// are rehearsed.
    pub admin_url: Setting<Option<String>>,
    /// The public address of that server (`server.url`, `BOTOPS_SERVER_URL`), at which recorded traffic is replayed.
    pub server_url: Setting<Option<String>>,
    /// The bearer token (`server.admin_token: ${env:NAME}` or `${file:PATH}`; `BOTOPS_ADMIN_TOKEN`); read when it is
    /// needed.
    #[serde(skip)]
    pub admin_token: Setting<SecretSource>,
    /// The key of a client with which recorded traffic is replayed (`server.client_key: ${env:NAME}` or `${file:PATH}`;
    /// `BOTOPS_CLIENT_KEY`); read when it is needed.
    #[serde(skip)]
    pub client_key: Setting<SecretSource>,
    /// The key under which servers name conversations (`secrets.identity_key: ${env:NAME}` or `${file:PATH}`;
    /// `BOTOPS_IDENTITY_KEY`); read when it is needed.
    #[serde(skip)]
    pub identity_key: Setting<SecretSource>,
    /// The key of feedback tokens, or two (`secrets.token_key: ${env:NAME}` or `${file:PATH}`; `BOTOPS_TOKEN_KEY`); read
    /// when it is needed.
    #[serde(skip)]
    pub token_key: Setting<SecretSource>,
    /// The issuers whose OIDC tokens the admin API of a server accepts (`server.admin_oidc`).
    pub admin_oidc: Setting<Vec<OidcSpec>>,
    /// The Unix socket of the admin API (`server.admin_socket`, `BOTOPS_ADMIN_SOCKET`, `--admin-socket`); the path is
    /// absolute.
    pub admin_socket: Setting<Option<String>>,
    /// The roles of users on the socket (`server.admin_socket_users`).
    pub admin_socket_users: Setting<BTreeMap<String, String>>,
    /// The receivers of webhooks (`server.webhooks`); their secrets are read when they are needed.
    #[serde(skip)]
    pub webhooks: Setting<Vec<Webhook>>,
    /// The limits of connections and requests (`server.limits`).
    pub limits: Limits,
    /// The TLS of the public listener (`server.tls`); paths are absolute.
    pub tls: Setting<Option<Tls>>,
    /// The TLS of the admin listener (`server.admin_tls`); paths are absolute.
    pub admin_tls: Setting<Option<Tls>>,
    /// Whether everyone may read the metrics (`server.metrics: open`).
    pub open_metrics: Setting<bool>,
    /// The identity key before (`secrets.old_identity_key`, `BOTOPS_OLD_IDENTITY_KEY`); read when it is needed.
    #[serde(skip)]
    pub old_identity_key: Setting<SecretSource>,
    /// The data keys (`secrets.data_key`, `BOTOPS_DATA_KEY`); read when they are needed.
    #[serde(skip)]
    pub data_key: Setting<SecretSource>,
    /// Where conversations are stored (`conversations.store`, `BOTOPS_CONVERSATIONS`; default `.botops/conversations`); a
    /// URL may hold a password, and is read when it is needed. Paths are absolute.
    #[serde(skip)]
    pub conversations_store: Setting<SecretSource>,
    /// How long a turn is kept (`conversations.retention`; default [`DEFAULT_RETENTION`]).
    pub conversations_retention: Setting<String>,
    /// Whether a message is answered when its turn cannot be stored (`conversations.on_store_failure`; default `refuse`).
    pub on_store_failure: Setting<String>,
    /// The person or job that acts (`actor`, `BOTOPS_ACTOR`, else `GITHUB_ACTOR`, else `USER`, else `unknown`).
    pub actor: Setting<String>,
    /// Who may call the public API of a server (`access`, `BOTOPS_ACCESS`).
    #[serde(skip)]
    pub access: Setting<PublicAccess>,
    /// How much a server answers (`limits`).
    pub request_limits: RequestLimits,
    /// The proxies whose word about the address of a client counts (`server.trusted_proxies`).
    pub trusted_proxies: Setting<Vec<String>>,
    /// The names by which clients may call the server (`server.allowed_hosts`).
    pub allowed_hosts: Setting<Vec<String>>,
    /// The other web sites whose pages may call the server (`server.cors.origins`).
    pub cors_origins: Setting<Vec<String>>,
    /// Whether the public listener serves a chat page (`server.chat_page`).
    pub chat_page: Setting<bool>,
    /// The calls that dialogues may ask for (`server.actions`); their secrets are read when they are needed.
    pub actions: Setting<Actions>,
    /// Whether a server of a registry logs its predictions (`predictions.log`; default `on`).
    pub predictions_log: Setting<String>,
    /// The part of texts that is kept (`predictions.text`; default `redacted`).
    pub predictions_text: Setting<String>,
    /// How long records are kept (`predictions.retention`; default `90d`).
    pub predictions_retention: Setting<String>,
    /// The local folder in which records wait for the store (`predictions.folder`; default `.botops/predictions`); absolute.
    pub predictions_folder: Setting<String>,
    /// How servers monitor the environment (`monitoring`); its secrets are read when they are needed.
    #[serde(skip)]
    pub monitoring: Setting<Monitoring>,
    /// How servers answer from documents (`knowledge`); its key is read when it is needed.
    pub knowledge: Setting<Knowledge>,
    /// The messaging channels of a server (`channels`), by name; their secrets are read when they are needed.
    #[serde(skip)]
    pub channels: Setting<BTreeMap<String, ChannelSource>>,
    /// Where servers send traces (`traces`, `OTEL_EXPORTER_OTLP_ENDPOINT`); its secrets are read when they are needed.
    pub traces: Setting<Traces>,
    /// The log file of servers (`log`, `BOTOPS_LOG_FILE`).
    pub log: Setting<Log>,
}

impl Workspace {
    /// Returns the place of `key`, such as `server.webhooks[1].url`, which is `setting` or a part of it. Of one that is not in
    /// the file, the place is the key alone.
    #[must_use]
    pub fn place<T>(&self, key: &str, setting: &Setting<T>) -> Place {
        self.places.place(key, &setting.origin)
    }
}

/// The flags and the environment, collected by `cli`.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--profile`, or `BOTOPS_PROFILE`.
    pub profile: Option<String>,
    /// Flags by setting name: `model`, `registry`, `experiments`, `environment`, `server.admin_url`,
    /// `server.url`, `actor`.
    pub flags: Vec<(&'static str, String)>,
    /// All environment variables; only known names are read.
    pub environment: std::collections::BTreeMap<String, String>,
}

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
    /// The most objects and lists in each other in a body (`limits.max_json_depth`).
    pub max_json_depth: Setting<Option<usize>>,
}
