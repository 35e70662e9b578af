//! `botops.yaml` as it is written.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The newest `version:` of `botops.yaml` this program knows.
pub(super) const NEWEST: u32 = 1;

fn first_version() -> u32 {
    1
}

/// `botops.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceSpec {
    /// 1.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The model's name in the registry.
    #[serde(default)]
    pub model: Option<String>,
    /// The registry: a path from this file, or a URL.
    #[serde(default)]
    pub registry: Option<String>,
    /// The experiments: a path from this file, or a URL.
    #[serde(default)]
    pub experiments: Option<String>,
    /// Who acts.
    #[serde(default)]
    pub actor: Option<String>,
    /// The server to promote through.
    #[serde(default)]
    pub server: ServerSpec,
    /// Settings that replace those above, by the name of a profile.
    #[serde(default)]
    pub profiles: BTreeMap<String, ProfileSpec>,
}

/// `server:` of `botops.yaml` or of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSpec {
    /// The address of its admin API.
    pub admin_url: Option<String>,
    /// Its public address.
    pub url: Option<String>,
    /// The bearer token of its admin API, by reference: `${env:NAME}` or `${file:PATH}`.
    pub admin_token: Option<String>,
}

/// One of `profiles:`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileSpec {
    /// See [`WorkspaceSpec::model`].
    pub model: Option<String>,
    /// See [`WorkspaceSpec::registry`].
    pub registry: Option<String>,
    /// See [`WorkspaceSpec::experiments`].
    pub experiments: Option<String>,
    /// See [`WorkspaceSpec::actor`].
    pub actor: Option<String>,
    /// See [`WorkspaceSpec::server`].
    pub server: ServerSpec,
}
