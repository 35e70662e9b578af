//! The kinds of failure of a conversation, and whether a kind can stop a rollout.

use serde::{Deserialize, Serialize};

/// The ways a conversation can fail.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The server answered with an error.
    Error,
    /// The bot did not understand.
    Fallback,
    /// Feedback reported a wrong intent.
    Wrong,
    /// The answer took longer than a limit that was set before the canary began.
    Slow,
    /// The mirrored challenger predicted another intent than the champion.
    Disagreement,
}

/// The role of a failure kind in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatePolicy {
    /// Evidence that it is worse rolls back, and `promote-evidence` waits for it.
    Gate,
    /// As `Gate`, but `promote-evidence` does not wait for it while it is unmeasured.
    Optional,
    /// Counted and reported only.
    Observe,
}

impl GatePolicy {
    /// Returns whether evidence on the kind can decide.
    #[must_use]
    pub fn gates(self) -> bool {
        matches!(self, Self::Gate | Self::Optional)
    }
}

impl FailureKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 5] =
        [Self::Error, Self::Fallback, Self::Wrong, Self::Slow, Self::Disagreement];

    /// Returns whether only some conversations measure the kind: those with feedback, or with a latency bound.
    pub(crate) fn is_measured_in_part(self) -> bool {
        matches!(self, Self::Wrong | Self::Slow)
    }

    /// Returns the name, as in YAML, JSON and metrics: `wrong`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Fallback => "fallback",
            Self::Wrong => "wrong",
            Self::Slow => "slow",
            Self::Disagreement => "disagreement",
        }
    }
}
