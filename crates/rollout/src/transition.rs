//! One decision, the commands that cause one, and its line in the history.

use crate::state::{Effect, Phase, Rollout};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The judge's verdict at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A gating kind is worse on the challenger.
    Fail,
    /// The step is complete.
    Pass,
    /// Neither failed nor complete.
    Hold,
    /// Too few conversations by the deadline.
    Insufficient,
    /// Enough conversations, but no evidence by the deadline.
    Inconclusive,
    /// The split is not as configured, observations are stale, or the clock jumped.
    Invalid,
}

/// One decision: the state after it, the effect and the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Transition {
    /// The state after it. Without a decision the phase is unchanged; counts and evidence may have grown.
    pub next: Rollout,
    /// The effect to carry out.
    pub effect: Effect,
    /// The judge's verdict.
    pub verdict: Verdict,
    /// The reason, with the numbers that decided; empty without a decision.
    pub reason: String,
}

/// A request of a person, or a report of the caller after an effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// The challenger is loaded and passed its self-test.
    Loaded,
    /// The challenger could not be loaded, or failed its self-test.
    LoadFailed {
        /// The reason.
        reason: String,
    },
    /// The rollout was not allowed to begin.
    Refuse {
        /// The reason.
        reason: String,
    },
    /// The evidence of the challenger was checked once more: make it the champion.
    Confirmed,
    /// The challenger has no open requests.
    Drained,
    /// Stop and keep the weight.
    Pause,
    /// Continue after a pause.
    Resume,
    /// Take the next step now; refused when the verdict is fail or invalid.
    Advance,
    /// Give the challenger another share, in percent, up to the weight of the step.
    SetWeight {
        /// The share in percent, above 0.
        percent: f64,
    },
    /// Promote now; refused when the verdict is fail or invalid, and never around a required approval.
    Promote,
    /// Approve the promotion.
    Approve {
        /// The authenticated name of the approver.
        by: String,
        /// The comment.
        #[serde(default)]
        comment: String,
    },
    /// Reject the promotion, and roll back.
    Reject {
        /// The authenticated name of the person.
        by: String,
        /// The comment.
        #[serde(default)]
        comment: String,
    },
    /// Roll back now; allowed in every phase that is not terminal.
    Abort {
        /// The reason.
        reason: String,
    },
    /// Roll back because another rollout takes its place; refused while settling.
    Supersede {
        /// The id or version of the other rollout.
        by: String,
    },
}

/// One line of a rollout's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TransitionRecord {
    /// The time of the transition.
    pub at: DateTime<Utc>,
    /// The phase entered, such as `ramping`.
    pub phase: String,
    /// The challenger's share in percent.
    pub weight_percent: f64,
    /// The reason.
    pub reason: String,
    /// The person or program that caused it; `None` in a rehearsal and in what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl Transition {
    /// Returns whether a decision was made: the revision rose.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        !self.reason.is_empty()
    }

    /// Returns the line of the history for this transition.
    #[must_use]
    pub fn record(&self) -> TransitionRecord {
        TransitionRecord::new(&self.next, &self.reason)
    }

    /// Returns the transition with the reason that a person gave before its own; an empty one changes nothing.
    #[must_use]
    pub fn because(mut self, given: &str) -> Self {
        let given = given.trim();
        if self.is_decided() && !given.is_empty() {
            self.reason = format!("{given} ({})", self.reason);
        }
        self
    }

    /// Returns a transition without a decision.
    pub(crate) fn undecided(next: Rollout, verdict: Verdict) -> Self {
        Self { next, effect: Effect::None, verdict, reason: String::new() }
    }

    /// Returns a transition that enters `phase` at `now`, with its effect.
    pub(crate) fn decided(
        mut next: Rollout,
        (phase, effect): (Phase, Effect),
        verdict: Verdict,
        reason: String,
        now: DateTime<Utc>,
    ) -> Self {
        if matches!(phase, Phase::Ramping { .. } | Phase::Paused { .. }) {
            // The approvals were given on evidence that is no longer the latest.
            next.approvals.clear();
        }
        if phase.is_terminal() {
            next.held = None;
        }
        next.phase = phase;
        next.revision += 1;
        next.updated_at = now.max(next.updated_at);
        Self { next, effect, verdict, reason }
    }
}

impl TransitionRecord {
    /// Records that `rollout` entered its phase for `reason`.
    ///
    /// The weight of a promoted rollout is recorded as 100: its challenger serves everyone.
    #[must_use]
    pub fn new(rollout: &Rollout, reason: &str) -> Self {
        Self {
            at: rollout.updated_at,
            phase: rollout.phase.name().to_owned(),
            weight_percent: match rollout.phase {
                Phase::Promoted => 100.0,
                _ => rollout.weight_percent(),
            },
            reason: reason.to_owned(),
            actor: None,
        }
    }

    /// Names the person or program that caused the transition.
    #[must_use]
    pub fn by(self, actor: &str) -> Self {
        Self { actor: Some(actor.to_owned()), ..self }
    }
}
