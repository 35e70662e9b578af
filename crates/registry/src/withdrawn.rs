//! Who withdrew a version, as the fold of a model's log keeps it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who withdrew a version, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The time.
    pub at: DateTime<Utc>,
    /// The author.
    pub actor: String,
    /// The reason.
    pub reason: String,
}

/// The files of a version that were erased, and who erased the first of them, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedVersion {
    /// The time.
    pub at: DateTime<Utc>,
    /// The author.
    pub actor: String,
    /// The reason.
    pub reason: String,
    /// The erasure in the log of erasures.
    pub erasure: String,
    /// The files.
    pub files: BTreeSet<String>,
}

/// The withdrawals of a version that are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) yanked: Option<Withdrawn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deprecated: Option<Withdrawn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) erased: Option<ErasedVersion>,
}
