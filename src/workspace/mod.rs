//! `botops.yaml`, profile and environment become checked settings, each with its origin.

use crate::findings::Result;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where a setting came from; later ones win.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Built in.
    Default,
    /// `botops.yaml`, with the line.
    File(String),
    /// `profiles.<name>` of `botops.yaml`.
    Profile(String),
    /// An environment variable, by name.
    Environment(String),
    /// A flag.
    Flag(String),
}

/// A value and where it came from.
#[derive(Debug, Clone, Serialize)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize)]
pub struct Workspace {
    /// The folder of `botops.yaml`, or the current folder without one; relative paths start here.
    pub root: PathBuf,
    /// The model's name in the registry (`model`, `BOTOPS_MODEL`, `--model`).
    pub model: Setting<Option<String>>,
    /// The registry's location (`registry`, `BOTOPS_REGISTRY`; default `registry`), resolved against `root` when a path.
    pub registry: Setting<String>,
    /// The experiments' location (`experiments`, `BOTOPS_EXPERIMENTS`; default `experiments`).
    pub experiments: Setting<String>,
    /// The server to promote through (`server.admin_url`, `BOTOPS_ADMIN_URL`); none: promotions are rehearsed.
    pub admin_url: Setting<Option<String>>,
    /// The public address of that server (`server.url`, `BOTOPS_SERVER_URL`), wanted to replay recorded traffic at it.
    pub server_url: Setting<Option<String>>,
    /// The bearer token, by reference only (`server.admin_token: ${env:NAME}` or `${file:PATH}`; `BOTOPS_ADMIN_TOKEN`).
    #[serde(skip)]
    pub admin_token: Setting<Option<Secret>>,
    /// Who acts (`actor`, `BOTOPS_ACTOR`, else `GITHUB_ACTOR`, else `USER`, else `unknown`).
    pub actor: Setting<String>,
}

/// A secret: never printed, `Debug` and `Display` show `[redacted]`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
    /// Returns the secret, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What the command line and the environment say, gathered by `cli`.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--profile`, or `BOTOPS_PROFILE`.
    pub profile: Option<String>,
    /// Flags by setting name: `model`, `registry`, `experiments`, `server.admin_url`, `server.url`, `actor`.
    pub flags: Vec<(&'static str, String)>,
    /// The environment (all of it; only known names are read).
    pub environment: std::collections::BTreeMap<String, String>,
}

impl Workspace {
    /// Finds `botops.yaml` in `start` or a folder above it, and resolves every setting.
    ///
    /// # Errors
    /// As [`crate::spec::read`]; `BOT-1020` for a profile that is not declared (nearest named);
    /// `BOT-1021` for a secret written in the file instead of a reference, or a reference that cannot be resolved.
    pub fn discover(start: &Path, overrides: &Overrides) -> Result<Self> {
        let _ = (start, overrides);
        todo!()
    }
}
