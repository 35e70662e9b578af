//! `botops.yaml`, profile and environment become checked settings, each with its origin.
//!
//! In: the folder to start from, and what the command line and the environment say. Out: a
//! [`Workspace`], where every setting holds the value in force and where it came from:
//! flag > environment > profile > `botops.yaml` > default.

mod resolve;
mod secret;
mod spec;

pub use secret::Secret;
pub use spec::{ProfileSpec, ServerSpec, WorkspaceSpec};

use botops_findings::Result;
use serde::Serialize;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The name of the file that makes a folder a workspace.
pub const FILE_NAME: &str = "botops.yaml";

/// Where a setting came from; later ones win.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Built in.
    Default,
    /// `botops.yaml`, with the line: `botops.yaml:3`.
    File(String),
    /// `profiles.<name>` of `botops.yaml`.
    Profile(String),
    /// An environment variable, by name.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => f.write_str(place),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
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
    /// The folder of `botops.yaml`, or the current folder without one; the relative paths it holds, and the defaults, start here.
    pub root: PathBuf,
    /// The model's name in the registry (`model`, `BOTOPS_MODEL`, `--model`).
    pub model: Setting<Option<String>>,
    /// The registry's location (`registry`, `BOTOPS_REGISTRY`; default `registry`), absolute when a path.
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
    /// A relative `registry` or `experiments` starts at the folder of `botops.yaml` when it is
    /// written there (or built in), and at `start` when a flag or the environment gives it, as a
    /// shell would have it. URLs stay as they are. An environment variable that is empty counts
    /// as not set.
    ///
    /// # Errors
    /// As [`botops_spec::read`]; `BOT-1015` (exit 6) for a newer version of the file; `BOT-1020` for a profile that is not declared (nearest named);
    /// `BOT-1021` for a secret written in the file instead of a reference, or a reference that cannot be resolved;
    /// `BOT-1022` for a server that is not named by an `http://` or `https://` URL.
    pub fn discover(start: &Path, overrides: &Overrides) -> Result<Self> {
        resolve::discover(start, overrides)
    }
}

#[cfg(test)]
mod tests;
