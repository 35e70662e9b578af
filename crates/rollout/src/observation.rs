//! The traffic that the caller reports at each tick.

use crate::failure::FailureKind;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Failed conversations of one kind that began at one weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FailureCount {
    /// The kind of failure.
    pub kind: FailureKind,
    /// The challenger's share, in (0, 1), when these conversations began.
    pub weight: f64,
    /// Failed conversations on the challenger.
    pub canary: u64,
    /// Failed conversations on the primary.
    pub primary: u64,
}

/// Conversations on which one kind of failure was measured for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredCount {
    /// The kind of failure.
    pub kind: FailureKind,
    /// Conversations on the challenger.
    pub canary: u64,
    /// Conversations on the primary.
    pub primary: u64,
}

/// The traffic since the previous tick.
///
/// One unit is one conversation, counted when it begins. A conversation fails at most once per kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Conversations that began on the challenger.
    pub canary_units: u64,
    /// Conversations that began on the primary.
    pub primary_units: u64,
    /// Conversations mirrored in the shadow stage.
    pub shadow_units: u64,
    /// New failures.
    pub failures: Vec<FailureCount>,
    /// Conversations on which `wrong` (by feedback) or `slow` (by a latency bound) was measured, failed or not. Every
    /// conversation measures `error` and `fallback`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<MeasuredCount>,
    /// The time of the observer's latest look, with or without traffic; `None` if it has not looked
    /// since the previous tick.
    ///
    /// Without traffic a step becomes late ([`crate::PauseReason::NoTraffic`]); without an observer the
    /// rollout is blind ([`crate::PauseReason::Stale`]).
    pub observed_at: Option<DateTime<Utc>>,
    /// The freeze or the closed promotion window that holds the rollout now, in words; `None` if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}
