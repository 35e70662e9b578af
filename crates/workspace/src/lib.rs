//! The settings in force, from `botops.yaml`, a profile, the environment and flags, each with its origin.
//!
//! In: a folder, flags and the environment. Out: a [`Workspace`] with the value and origin of each setting. The
//! precedence is flag > environment > profile > `botops.yaml` > default.

mod access;
mod actions;
mod channels;
mod knowledge;
mod limits_spec;
mod listeners;
mod monitoring;
mod origin;
mod places;
mod resolve;
mod secret;
mod settings;
mod spec;
mod telemetry;

pub use access::{AccessSpec, JwtSpec, PublicAccess, RestrictedSpec};
pub use actions::{Actions, ActionsSpec};
pub use channels::{
    ChannelHandoffSpec, ChannelSource, ChannelSpec, ChannelWebhookSpec, ChatwootSpec, HoursSpec,
    SlackSpec, TelegramSpec, TemplateSpec, WhatsAppSpec,
};
pub use knowledge::{
    AnswerMode, Generation, GenerationBudget, GenerationKey, GenerationPrice, GenerationSpec,
    Knowledge, KnowledgeSpec,
};
pub use limits_spec::{CorsSpec, RequestLimitsSpec, RouteLimitsSpec};
pub use monitoring::{Monitoring, MonitoringSpec, MonitoringWebhook, MonitoringWebhookSpec};
pub use origin::Origin;
pub use secret::{Secret, SecretSource};
pub use settings::{
    DEFAULT_ENVIRONMENT, DEFAULT_RETENTION, FILE_NAME, Limits, Overrides, RequestLimits, Setting,
    Tls, Webhook, Workspace,
};
pub use spec::{
    ConversationsSpec, LimitsSpec, OidcSpec, ProfileSpec, SecretsSpec, ServerSpec, TlsSpec,
    WebhookSpec, WorkspaceSpec,
};
pub use telemetry::{Log, LogSpec, Traces, TracesSpec};

#[cfg(test)]
mod knowledge_tests;
#[cfg(test)]
mod tests;
