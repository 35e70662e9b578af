//! Where the value of a setting comes from.

use serde::Serialize;
use std::fmt;

/// The origin of a setting, in rising precedence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Built in.
    Default,
    /// `botops.yaml`, with the line, such as `botops.yaml:3`.
    File(String),
    /// `profiles.<name>` of `botops.yaml`.
    Profile(String),
    /// The environment variable with this name.
    Environment(String),
    /// The flag with this name, such as `--registry`.
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
