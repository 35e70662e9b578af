//! The calls that dialogues may ask a server for: the block `server.actions`.

use crate::secret::SecretSource;
use serde::{Deserialize, Serialize};

/// The block `server.actions` of `botops.yaml` or of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActionsSpec {
    /// The hosts that actions and hand-offs may call, such as `orders.example.com` or `http://orders.internal:8080`; none
    /// without it.
    pub allow: Vec<String>,
    /// The networks besides the public internet that they may call, such as `10.20.0.0/16`; none without it.
    pub allow_private: Vec<String>,
    /// The secret that signs the calls, of at least 24 bytes, by reference: `${env:NAME}` or `${file:PATH}`. Without it they
    /// are not signed.
    pub secret: Option<String>,
    /// A second secret that signs too, by reference: the one before or the next one, while the other side changes.
    pub second_secret: Option<String>,
}

/// The calls that dialogues may ask for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Actions {
    /// The hosts.
    pub allow: Vec<String>,
    /// The networks besides the public internet.
    pub allow_private: Vec<String>,
    /// The secrets that sign.
    #[serde(skip)]
    pub secrets: Vec<SecretSource>,
}
