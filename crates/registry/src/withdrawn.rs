//! Who withdrew a version, as the fold of a model's log keeps it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

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

/// The withdrawals of a version that are in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    pub(super) yanked: Option<Withdrawn>,
    pub(super) deprecated: Option<Withdrawn>,
}
