//! The contents of `botops.yaml`.

use crate::access::AccessSpec;
use crate::actions::ActionsSpec;
use crate::channels::ChannelSpec;
use crate::knowledge::KnowledgeSpec;
use crate::limits_spec::{CorsSpec, RequestLimitsSpec};
use crate::monitoring::MonitoringSpec;
use crate::telemetry::{LogSpec, TracesSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The newest supported `version:` of `botops.yaml`.
pub(super) const NEWEST: u32 = 1;

fn first_version() -> u32 {
    1
}

/// The contents of `botops.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceSpec {
    /// The version of the format: 1.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The name of the model in the registry.
    #[serde(default)]
    pub model: Option<String>,
    /// The registry: a path relative to this file, or a URL.
    #[serde(default)]
    pub registry: Option<String>,
    /// The experiments: a path relative to this file, or a URL.
    #[serde(default)]
    pub experiments: Option<String>,
    /// The environment: whose champion a reference means, and in which a promotion takes effect.
    #[serde(default)]
    pub environment: Option<String>,
    /// The policy of the environment: the path of its file, relative to this file. It takes effect when it is recorded: by
    /// `botops policy apply`, or by `botops serve`.
    #[serde(default)]
    pub policy: Option<String>,
    /// The person or job that acts.
    #[serde(default)]
    pub actor: Option<String>,
    /// The server to promote through.
    #[serde(default)]
    pub server: ServerSpec,
    /// The keys of this installation.
    #[serde(default)]
    pub secrets: SecretsSpec,
    /// The conversations of the server.
    #[serde(default)]
    pub conversations: ConversationsSpec,
    /// The settings that replace those above, by profile name.
    #[serde(default)]
    pub profiles: BTreeMap<String, ProfileSpec>,
    /// Who may call the public API of a server: `open`, `keys`, or a block. Without it, a server answers everyone, and listens
    /// on a loopback address only.
    #[serde(default)]
    pub access: Option<AccessSpec>,
    /// How much a server answers.
    #[serde(default)]
    pub limits: RequestLimitsSpec,
    /// The prediction log of servers.
    #[serde(default)]
    pub predictions: PredictionsSpec,
    /// How servers monitor the environment.
    #[serde(default)]
    pub monitoring: MonitoringSpec,
    /// How servers answer from documents.
    #[serde(default)]
    pub knowledge: KnowledgeSpec,
    /// The messaging channels of servers, by name.
    #[serde(default)]
    pub channels: BTreeMap<String, ChannelSpec>,
    /// Where servers send traces.
    #[serde(default)]
    pub traces: TracesSpec,
    /// The log file of servers.
    #[serde(default)]
    pub log: LogSpec,
}

/// The block `server:` of `botops.yaml` or of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSpec {
    /// The address of the admin API.
    pub admin_url: Option<String>,
    /// The public address.
    pub url: Option<String>,
    /// The bearer token of the admin API, by reference: `${env:NAME}` or `${file:PATH}`.
    pub admin_token: Option<String>,
    /// The issuers whose OIDC tokens the admin API accepts.
    pub admin_oidc: Vec<OidcSpec>,
    /// The Unix socket of the admin API: a path relative to this file.
    pub admin_socket: Option<String>,
    /// The roles of users on the socket, by name or as `uid:1000`, besides the user of the server and root.
    pub admin_socket_users: BTreeMap<String, String>,
    /// The addresses and networks of proxies, such as `10.0.0.0/8`: only their word about the address of a client, in
    /// `X-Forwarded-For` or `Forwarded`, counts. A proxy among them must set or extend the header.
    pub trusted_proxies: Vec<String>,
    /// The names with a dot by which clients may call the server, besides those of `--allow-host`.
    pub allowed_hosts: Vec<String>,
    /// The pages of other web sites.
    pub cors: CorsSpec,
    /// The receivers of webhooks: each gets every change of the environment, signed.
    pub webhooks: Vec<WebhookSpec>,
    /// The limits of connections and requests.
    pub limits: LimitsSpec,
    /// The certificate of the public listener; without one, it speaks plain HTTP.
    pub tls: Option<TlsSpec>,
    /// The certificate of the admin listener; without one, it speaks plain HTTP.
    pub admin_tls: Option<TlsSpec>,
    /// Who may read `/metrics`: `admin` (default) whoever has the scope `read`, on the admin listener; `open` everyone, on
    /// both listeners.
    pub metrics: Option<String>,
    /// The key of a client with which recorded traffic is replayed, by reference: `${env:NAME}` or `${file:PATH}`. It has the
    /// scopes `chat` and `feedback`.
    pub client_key: Option<String>,
    /// Whether the public listener serves a chat page at `/` (default `false`).
    pub chat_page: Option<bool>,
    /// The calls that a dialogue may ask for: its actions and hand-offs.
    pub actions: ActionsSpec,
}

/// The limits of connections and requests: the block `server.limits`. Durations are written as `10s`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSpec {
    /// The most connections at a time (default 10,000, and no more than the descriptors of the process allow).
    pub connections: Option<u32>,
    /// The most connections at a time from one address, or from one /64 network of IPv6 (default 256). Those from the machine
    /// of the server count only in total.
    pub per_address: Option<u32>,
    /// The longest handshake of TLS (default 10s).
    pub handshake_timeout: Option<String>,
    /// The longest time from the first byte of a request to the end of its head (default 10s).
    pub headers_timeout: Option<String>,
    /// The longest time from the head of a request to its answer (default 30s).
    pub request_timeout: Option<String>,
    /// The longest time without a request on an open connection (default 75s).
    pub idle_timeout: Option<String>,
    /// The longest time for which a client may take nothing of its answer, or less than 512 bytes per second (default 20s).
    pub write_timeout: Option<String>,
    /// The most header lines of a request (default 64).
    pub headers: Option<u32>,
    /// The largest head of a request, in bytes (default 16,384).
    pub header_bytes: Option<u32>,
    /// The longest URI of a request, in bytes (default 4,096).
    pub uri_bytes: Option<u32>,
    /// The most requests at a time on a connection with HTTP/2 (default 100).
    pub streams: Option<u32>,
    /// The time after which a WebSocket that sends nothing gets a ping; after twice that time it is closed (default 30s).
    pub websocket_ping: Option<String>,
    /// The longest time without a message on a WebSocket; longer than `websocket_ping` (default 1h).
    pub websocket_idle: Option<String>,
    /// The most bytes of a batch of lines (`application/x-ndjson`) to `/v1/predict`, unpacked (default 1,073,741,824).
    pub batch_bytes: Option<u32>,
    /// The most lines of such a batch (default 1,000,000).
    pub batch_lines: Option<u32>,
    /// The longest time between two parts of such a batch (default 30s).
    pub batch_wait: Option<String>,
}

/// The certificate of a listener: the block `server.tls` or `server.admin_tls`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSpec {
    /// The PEM file with the certificate of the server, and then those of the authorities in between: a path relative to this
    /// file.
    pub certificate: String,
    /// The PEM file with its private key: a path relative to this file.
    pub key: String,
    /// The oldest version of TLS that is accepted: `"1.2"` (default) or `"1.3"`.
    #[serde(default)]
    pub min_version: Option<String>,
}

/// A receiver of webhooks: an entry of `server.webhooks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Its address: an `http://` or `https://` URL.
    pub url: String,
    /// The secret that signs, of at least 24 bytes, by reference: `${env:NAME}` or `${file:PATH}`.
    pub secret: String,
    /// A second secret that signs too, by reference: the one before or the next one, while the receiver changes.
    #[serde(default)]
    pub second_secret: Option<String>,
    /// The events that it gets, such as `promoted` or `rolled_back`; all if left out.
    #[serde(default)]
    pub events: Vec<String>,
}

/// An issuer of OIDC tokens: an entry of `server.admin_oidc`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSpec {
    /// The issuer: the exact value of `iss`, such as `https://login.example.com`.
    pub issuer: String,
    /// The audience that tokens for this server name in `aud`.
    pub audience: String,
    /// The public keys of the issuer: an `https://` URL, or the path of a file.
    pub jwks: String,
    /// The claim that names the roles, such as `groups`.
    #[serde(default = "groups")]
    pub claim: String,
    /// The role of each value of the claim, such as `release-managers: operator`.
    pub roles: BTreeMap<String, String>,
}

fn groups() -> String {
    "groups".to_owned()
}

/// The block `secrets:` of `botops.yaml` or of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsSpec {
    /// The key under which the servers of an environment name conversations, by reference: `${env:NAME}` or
    /// `${file:PATH}`. All of them need the same one.
    pub identity_key: Option<String>,
    /// The key of the feedback tokens of answers, by reference: `${env:NAME}` or `${file:PATH}`. Every server of an
    /// environment needs the same one. It may hold two keys with white space between them: the first makes tokens.
    pub token_key: Option<String>,
    /// The identity key before, by reference: what was stored under it is still found and can be erased.
    pub old_identity_key: Option<String>,
    /// The key that wraps the keys of persons, under which stored texts are encrypted, by reference: `ID:BASE64` with 32
    /// bytes, or two with a comma between, the one in force first. Without it, texts are stored as they are.
    pub data_key: Option<String>,
}

/// The block `conversations:` of `botops.yaml` or of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationsSpec {
    /// Where turns are stored: the path of a folder relative to this file, or a `postgres://` or `redis://` URL; one with a
    /// password by reference: `${env:NAME}` or `${file:PATH}`.
    pub store: Option<String>,
    /// How long a turn is kept, such as `30d`.
    pub retention: Option<String>,
    /// Whether a message is answered when its turn cannot be stored: `refuse` or `answer`.
    pub on_store_failure: Option<String>,
}

/// The block `predictions:` of `botops.yaml` or of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PredictionsSpec {
    /// Whether a server of a registry logs its predictions: `on` or `off`.
    pub log: Option<String>,
    /// The part of texts that is kept: `redacted`, `hash` or `none`.
    pub text: Option<String>,
    /// How long records are kept, such as `90d`.
    pub retention: Option<String>,
    /// The local folder of a server, relative to this file, in which records wait for the store.
    pub folder: Option<String>,
}

/// A profile under `profiles:`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileSpec {
    /// See [`WorkspaceSpec::model`].
    pub model: Option<String>,
    /// See [`WorkspaceSpec::registry`].
    pub registry: Option<String>,
    /// See [`WorkspaceSpec::experiments`].
    pub experiments: Option<String>,
    /// See [`WorkspaceSpec::environment`].
    pub environment: Option<String>,
    /// See [`WorkspaceSpec::policy`].
    pub policy: Option<String>,
    /// See [`WorkspaceSpec::actor`].
    pub actor: Option<String>,
    /// See [`WorkspaceSpec::server`].
    pub server: ServerSpec,
    /// See [`WorkspaceSpec::secrets`].
    pub secrets: SecretsSpec,
    /// See [`WorkspaceSpec::access`].
    pub access: Option<AccessSpec>,
    /// See [`WorkspaceSpec::limits`].
    pub limits: RequestLimitsSpec,
    /// See [`WorkspaceSpec::conversations`].
    pub conversations: ConversationsSpec,
    /// See [`WorkspaceSpec::predictions`].
    pub predictions: PredictionsSpec,
    /// See [`WorkspaceSpec::monitoring`].
    pub monitoring: MonitoringSpec,
    /// See [`WorkspaceSpec::knowledge`].
    pub knowledge: KnowledgeSpec,
    /// See [`WorkspaceSpec::channels`].
    pub channels: BTreeMap<String, ChannelSpec>,
    /// See [`WorkspaceSpec::traces`].
    pub traces: TracesSpec,
    /// See [`WorkspaceSpec::log`].
    pub log: LogSpec,
}
