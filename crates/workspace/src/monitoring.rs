//! How a server monitors its environment: the block `monitoring`.

use crate::secret::SecretSource;
use serde::{Deserialize, Serialize};

/// The block `monitoring:` of `botops.yaml` or of a profile; the block of a profile replaces that of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitoringSpec {
    /// The time between two evaluations by a server, such as `1h`; without it, servers make none.
    pub every: Option<String>,
    /// The length of a window, such as `7d`.
    pub window: Option<String>,
    /// The length of the earlier window that a model without a reference profile is compared with, such as `28d`.
    pub reference_window: Option<String>,
    /// The fewest records of a window, and verdicts of an accuracy, that are judged.
    pub min_rows: Option<usize>,
    /// The least accuracy of the champion, between 0 and 1.
    pub min_accuracy: Option<f64>,
    /// The receivers of changes of state.
    pub webhooks: Vec<MonitoringWebhookSpec>,
    /// The networks besides the public internet in which receivers may be, such as `10.20.0.0/16`; none without it.
    pub allow_private: Vec<String>,
}

/// A receiver of changes of state: an entry of `monitoring.webhooks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitoringWebhookSpec {
    /// The address, or a reference to it: `${env:NAME}` or `${file:PATH}`.
    pub url: String,
    /// The form of messages: `generic` or `slack`; default: `generic`.
    #[serde(default = "generic")]
    pub kind: String,
    /// The secret that signs messages of the kind `generic`, of at least 24 bytes, by reference.
    #[serde(default)]
    pub secret: Option<String>,
}

fn generic() -> String {
    "generic".to_owned()
}

/// How a server monitors its environment, as it is written.
#[derive(Debug, Clone, Default)]
pub struct Monitoring {
    /// The time between two evaluations by a server.
    pub every: Option<String>,
    /// The length of a window.
    pub window: Option<String>,
    /// The length of the earlier window.
    pub reference_window: Option<String>,
    /// The fewest records and verdicts that are judged.
    pub min_rows: Option<usize>,
    /// The least accuracy.
    pub min_accuracy: Option<f64>,
    /// The receivers.
    pub webhooks: Vec<MonitoringWebhook>,
    /// The networks besides the public internet.
    pub allow_private: Vec<String>,
}

/// A receiver of changes of state.
#[derive(Debug, Clone)]
pub struct MonitoringWebhook {
    /// The address; its path may be a secret.
    pub url: SecretSource,
    /// The form of messages.
    pub kind: String,
    /// The secret that signs.
    pub secret: SecretSource,
}
