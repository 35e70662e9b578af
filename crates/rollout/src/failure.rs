//! The kinds of failure of a conversation, and whether a kind can stop a rollout.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The time from the begin of a conversation in which it can be handed off or stay unresolved. Such a failure and the
/// conversation itself count when it is over, on both arms: before, a slow conversation would pass for a good one.
pub const RESOLUTION_WINDOW: Duration = Duration::from_secs(30 * 60);

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
    /// The conversation was handed to a person within 30 minutes of its begin.
    HandedOff,
    /// Within 30 minutes of its begin, the bot did not understand, the user said the same in other words, or the conversation
    /// was handed to a person.
    Unresolved,
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
    pub const ALL: [Self; 7] = [
        Self::Error,
        Self::Fallback,
        Self::Wrong,
        Self::Slow,
        Self::Disagreement,
        Self::HandedOff,
        Self::Unresolved,
    ];

    /// Returns whether only some conversations measure the kind: those with feedback, with a latency bound, or whose 30
    /// minutes are over.
    pub(crate) fn is_measured_in_part(self) -> bool {
        matches!(self, Self::Wrong | Self::Slow) || self.has_window()
    }

    /// Returns whether a conversation measures the kind only once [`RESOLUTION_WINDOW`] is over.
    #[must_use]
    pub fn has_window(self) -> bool {
        matches!(self, Self::HandedOff | Self::Unresolved)
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
            Self::HandedOff => "handed_off",
            Self::Unresolved => "unresolved",
        }
    }
}
