//! A bound on a number that a policy requires.

use serde::{Deserialize, Serialize};

/// A bound on a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequiredBound {
    /// The evidence must require at least this, and have measured at least this.
    pub min: Option<f64>,
    /// The evidence must allow at most this, and have measured at most this.
    pub max: Option<f64>,
}
