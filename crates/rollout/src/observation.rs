//! The traffic that the caller reports at each tick.

use crate::{failure::FailureKind, verdict::VerdictSource};
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

/// Conversations that one source judged for the first time, of those that began at one weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FeedbackCount {
    /// The source.
    pub source: VerdictSource,
    /// The challenger's share, in (0, 1], when these conversations began.
    pub weight: f64,
    /// Judged conversations: `[primary, canary]`.
    pub judged: [u64; 2],
    /// Conversations that the source found wrong for the first time: `[primary, canary]`.
    pub wrong: [u64; 2],
}

/// Conversations that began at one weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitCount {
    /// The challenger's share, in (0, 1], when they began.
    pub weight: f64,
    /// The replica that saw them, if there are several (of those that saw a conversation, the smallest id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
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
    /// The units by weight and replica; their sums are `canary_units` and `primary_units`. If it is empty, as in what a
    /// single server observes, all units began at the current weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitCount>,
    /// The same verdicts by source: `measured` and `failures` count a conversation once, whoever judged it. If it is empty,
    /// nothing is known of the sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<FeedbackCount>,
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

impl Observation {
    /// Returns the conversations on the challenger that began at `weight`.
    #[must_use]
    pub fn canary_units_at(&self, weight: f64) -> u64 {
        if self.units.is_empty() {
            return self.canary_units;
        }
        let billionths = |weight: f64| (weight * 1e9).round();
        let at = self.units.iter().filter(|count| billionths(count.weight) == billionths(weight));
        at.fold(0, |sum, count| sum.saturating_add(count.canary))
    }

    /// Adds the traffic of a `later` observation and takes over what holds the rollout then; it was made at the same weight unless both count units by weight.
    pub fn add(&mut self, later: Self) {
        self.canary_units = self.canary_units.saturating_add(later.canary_units);
        self.primary_units = self.primary_units.saturating_add(later.primary_units);
        self.shadow_units = self.shadow_units.saturating_add(later.shadow_units);
        self.failures.extend(later.failures);
        self.measured.extend(later.measured);
        self.units.extend(later.units);
        self.feedback.extend(later.feedback);
        self.observed_at = self.observed_at.max(later.observed_at);
        self.held = later.held;
    }
}
