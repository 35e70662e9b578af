//! Canary decisions, pure: `advance(&Rollout, &Observation, now) -> Transition`.
//!
//! No store, no tokio, no clock: the caller observes, asks, writes the transition down, and acts.
//!
//! ```text
//! Pending -> Loading -> Shadow -> Ramping(step) <-> Paused(reason)
//!    |          |          |         |   |              |
//! Refused    Failed        +---------+---|--------------+-> RollingBack -> RolledBack
//!                                        +-> Promoting -> Promoted
//! ```
//!
//! - the challenger's share is above zero only in `Ramping`, `Paused` and `Promoting`
//! - it never exceeds the step's; a step is left only by a verdict or a command
//! - rolling back is possible until the end, and a terminal phase is never left
//! - the revision rises by one with every decision; a tick without one only adds to counts and evidence
//! - everything that decides is in [`Rollout`], which survives JSON bit for bit: after a crash, read
//!   it back, do [`Rollout::pending_effect`] again, and go on ticking
//!
//! A [`RolloutSpec`] is what a person wrote; [`RolloutSpec::check`] makes the [`RolloutPolicy`] that
//! alone reaches [`advance`]. `judge.rs` says how evidence is weighed.

use botops_digest::Digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

mod advance;
mod assignment;
mod command;
mod decision;
mod judge;
mod policy;
mod wording;

pub use advance::advance;
pub use assignment::{Arm, assign};
pub use command::command;
pub use decision::{Decision, TransitionRecord};
pub use judge::{Evidence, JudgeState, SRM_ALPHA, SRM_CONCENTRATION};
pub use policy::{
    FailureKind, GatePolicy, JudgeSpec, LONGEST_DURATION, Requirement, RolloutPolicy, RolloutSpec,
    ShadowPolicy, ShadowSpec, StepPolicy, StepSpec,
};

/// Failed conversations of one kind that began at one weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FailureCount {
    /// What failed.
    pub kind: FailureKind,
    /// The challenger's share, in (0, 1), when those conversations began.
    pub weight: f64,
    /// Failed on the challenger.
    pub canary: u64,
    /// Failed on the primary.
    pub primary: u64,
}

/// What was seen since the previous tick. One unit is one conversation, counted when it begins; it fails at most once a kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Conversations that began on the challenger.
    pub canary_units: u64,
    /// Conversations that began on the primary.
    pub primary_units: u64,
    /// Conversations mirrored, in shadow.
    pub shadow_units: u64,
    /// New failures.
    pub failures: Vec<FailureCount>,
    /// When the observer last looked, whether or not there was traffic; `None`: it has not since the
    /// previous tick. No traffic makes a step late ([`PauseReason::NoTraffic`]); no observer makes it blind
    /// ([`PauseReason::Stale`]).
    pub observed_at: Option<DateTime<Utc>>,
}

/// Phase of a rollout; each carries only its own data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Asked for, not yet checked.
    Pending,
    /// The challenger is loaded beside the primary and self-tested.
    Loading,
    /// Mirrored, weight 0.
    Shadow {
        /// Since when.
        since: DateTime<Utc>,
        /// Conversations mirrored.
        units: u64,
    },
    /// Answers its share.
    Ramping {
        /// Index of the step.
        step: usize,
        /// Since when.
        since: DateTime<Utc>,
        /// Conversations on the challenger in this step.
        units: u64,
    },
    /// Stopped by a person or by doubt; its weight is kept or zero.
    Paused {
        /// Why.
        reason: PauseReason,
        /// Where it goes on; `None`: in shadow.
        step: Option<usize>,
        /// The share it keeps, in [0, 1].
        weight: f64,
        /// Since when.
        since: DateTime<Utc>,
        /// Conversations on the challenger in the step it left.
        units: u64,
    },
    /// Decided for: the alias is being moved.
    Promoting,
    /// Decided against: weight zero already.
    RollingBack {
        /// Why.
        reason: String,
    },
    /// Done: it serves.
    Promoted,
    /// Done: the primary serves.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// It could not be loaded or failed its self-test.
    Failed {
        /// Why.
        reason: String,
    },
    /// Not allowed to begin.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Why a rollout is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A person asked.
    Requested,
    /// The deadline came with too few conversations.
    NoTraffic,
    /// The deadline came with conversations enough, but no evidence.
    Inconclusive,
    /// The router did not split as configured.
    SampleRatioMismatch,
    /// Observations went stale: weight zero.
    Stale,
}

/// A rollout as persisted after every transition: the whole state, judge included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// `botops.rollout/1`.
    pub schema: String,
    /// Its id.
    pub id: String,
    /// The model's name.
    pub model: String,
    /// Manifest digest of the version that serves.
    pub champion: Digest,
    /// Manifest digest of the version on trial.
    pub challenger: Digest,
    /// Salt of the traffic split; the rollout's id, so that each rollout draws other conversations first.
    pub salt: String,
    /// The checked plan.
    pub policy: RolloutPolicy,
    /// Where it stands.
    pub phase: Phase,
    /// Evidence so far.
    pub judge: JudgeState,
    /// Rises by one with every decision; a tick that decided nothing leaves it.
    pub revision: u64,
    /// When it was asked for.
    pub started_at: DateTime<Utc>,
    /// When the latest transition was made.
    pub updated_at: DateTime<Utc>,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What the judge says at a tick (`reference`: fail, pass, hold, insufficient, inconclusive, invalid).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A gating metric is worse on the challenger.
    Fail,
    /// The step is done.
    Pass,
    /// Neither yet.
    Hold,
    /// Too few conversations by the deadline.
    Insufficient,
    /// Enough conversations, no evidence by the deadline.
    Inconclusive,
    /// The split is not as configured, or observations are stale.
    Invalid,
}

/// What the caller has to do after writing the transition down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    None,
    /// Load and self-test the challenger, then report [`Command::Loaded`] or [`Command::LoadFailed`].
    Load,
    /// Route by [`Rollout::weight`] and [`Rollout::mirrors`].
    Route,
    /// Move the alias, serve the challenger, read it back, then report [`Command::Confirmed`].
    Promote,
    /// Weight zero at once (before writing anything down), then report [`Command::Drained`].
    RollBack,
    /// Forget the challenger: the rollout is over.
    Finish,
}

/// One decision: the state after it, what to do, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The state after it. Equal in phase to the state before when nothing was decided (counts and evidence may have grown).
    pub next: Rollout,
    /// What to do.
    pub effect: Effect,
    /// What the judge said.
    pub verdict: Verdict,
    /// Why, with the numbers that decided it; empty when nothing was decided.
    pub reason: String,
}

/// What a person, or the caller after an effect, asks of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// The challenger is loaded and passed its self-test.
    Loaded,
    /// It could not be loaded, or failed its self-test.
    LoadFailed {
        /// Why.
        reason: String,
    },
    /// The alias moved and the server was seen to serve the challenger.
    Confirmed,
    /// No request is left on the challenger.
    Drained,
    /// Stop, keep the weight.
    Pause,
    /// Go on.
    Resume,
    /// Promote now (refused when the judge says fail or invalid).
    Promote,
    /// Roll back now; always allowed before the end.
    Abort {
        /// Why.
        reason: String,
    },
}

impl Phase {
    /// Returns its name, as in JSON, metrics and messages: `ramping`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Loading => "loading",
            Self::Shadow { .. } => "shadow",
            Self::Ramping { .. } => "ramping",
            Self::Paused { .. } => "paused",
            Self::Promoting => "promoting",
            Self::RollingBack { .. } => "rolling_back",
            Self::Promoted => "promoted",
            Self::RolledBack { .. } => "rolled_back",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
        }
    }

    /// Returns its number, for a gauge. 6, 8 and 14 are left for approval, settling and supersession.
    #[must_use]
    pub fn number(&self) -> u8 {
        match self {
            Self::Pending => 1,
            Self::Loading => 2,
            Self::Shadow { .. } => 3,
            Self::Ramping { .. } => 4,
            Self::Paused { .. } => 5,
            Self::Promoting => 7,
            Self::RollingBack { .. } => 9,
            Self::Promoted => 10,
            Self::RolledBack { .. } => 11,
            Self::Failed { .. } => 12,
            Self::Refused { .. } => 13,
        }
    }

    /// Returns whether it is never left.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Promoted | Self::RolledBack { .. } | Self::Failed { .. } | Self::Refused { .. }
        )
    }
}

impl Rollout {
    /// Asks for a rollout: phase `Pending`.
    #[expect(clippy::too_many_arguments, reason = "each is one field of the record it makes")]
    #[must_use]
    pub fn request(
        id: String,
        model: String,
        champion: Digest,
        challenger: Digest,
        policy: RolloutPolicy,
        actor: String,
        reason: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            schema: "botops.rollout/1".to_owned(),
            salt: id.clone(),
            id,
            model,
            champion,
            challenger,
            policy,
            phase: Phase::Pending,
            judge: JudgeState::default(),
            revision: 0,
            started_at: now,
            updated_at: now,
            actor,
            reason,
        }
    }

    /// Returns the challenger's share of conversations, in [0, 1].
    ///
    /// 1 while promoting. 0 before, while rolling back, and in every terminal phase: a rollout that is
    /// over routes nothing (promoted, the challenger is the champion).
    #[must_use]
    pub fn weight(&self) -> f64 {
        judge::kept(self.weight_percent() / 100.0)
    }

    /// Returns [`Self::weight`] in percent, as the plan has it.
    #[must_use]
    pub fn weight_percent(&self) -> f64 {
        match self.phase {
            Phase::Ramping { step, .. } => {
                self.policy.steps().get(step).map_or(0.0, |step| step.weight_percent)
            }
            // Nine decimals of a share are seven of a percentage.
            Phase::Paused { weight, .. } => judge::kept(weight * 100.0),
            Phase::Promoting => 100.0,
            _ => 0.0,
        }
    }

    /// Returns whether messages are mirrored to the challenger.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        matches!(self.phase, Phase::Shadow { .. })
    }

    /// Returns whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase.is_terminal()
    }

    /// Returns the evidence so far, by kind: those of the plan, and any other that was seen.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence> {
        self.judge.evidence(self.policy.judge())
    }

    /// Returns conversations by arm: `[primary, canary]`.
    #[must_use]
    pub fn units(&self) -> [u64; 2] {
        self.judge.units()
    }

    /// Returns what keeps it where it is at `now`, an item each: `312 more conversations`, `6h more`,
    /// ``evidence on `wrong` (log e 1.200 of 2.996)``. Empty when it is over.
    #[must_use]
    pub fn waiting_for(&self, now: DateTime<Utc>) -> Vec<String> {
        wording::waiting_for(self, now)
    }

    /// Returns what its phase asks of the caller: after a restart, do this again (load the challenger first).
    #[must_use]
    pub fn pending_effect(&self) -> Effect {
        match self.phase {
            Phase::Loading => Effect::Load,
            Phase::Shadow { .. } | Phase::Ramping { .. } | Phase::Paused { .. } => Effect::Route,
            Phase::Promoting => Effect::Promote,
            Phase::RollingBack { .. } => Effect::RollBack,
            _ => Effect::None,
        }
    }
}

impl Transition {
    /// Returns whether something was decided: the revision rose.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        !self.reason.is_empty()
    }

    /// Returns its line of the history.
    #[must_use]
    pub fn record(&self) -> TransitionRecord {
        TransitionRecord::new(&self.next, &self.reason)
    }

    /// Nothing was decided; counts and evidence may have grown.
    fn undecided(next: Rollout, verdict: Verdict) -> Self {
        Self { next, effect: Effect::None, verdict, reason: String::new() }
    }

    /// `phase` was decided on.
    fn decided(
        mut next: Rollout,
        (phase, effect): (Phase, Effect),
        verdict: Verdict,
        reason: String,
        now: DateTime<Utc>,
    ) -> Self {
        next.phase = phase;
        next.revision += 1;
        next.updated_at = now.max(next.updated_at);
        Self { next, effect, verdict, reason }
    }
}

#[cfg(test)]
mod tests;
