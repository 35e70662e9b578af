//! Approvals of a promotion.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The approval of one person. It belongs to one rollout, so it never counts for another version or another plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Approval {
    /// The authenticated name of the approver.
    pub by: String,
    /// The comment; empty if none was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// The time of the approval.
    pub at: DateTime<Utc>,
}
