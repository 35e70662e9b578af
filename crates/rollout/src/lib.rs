//! Canary decisions: `advance(&Rollout, &Observation, now) -> Transition`.
//!
//! Input: a [`Rollout`] (the whole state), an [`Observation`] (the traffic since the previous tick) or
//! a [`Command`], and the time. Output: a [`Transition`]: the next state, one effect and the reason.
//! The crate is pure: it uses no store, no async code and no clock. The caller observes, asks, stores
//! the transition and carries out the effect.
//!
//! ```text
//! Pending -> Loading -> Shadow -> Ramping(step) <-> Paused(reason)
//!    |          |          |         |                  |
//! Refused    Failed        |         +-> AwaitingApproval -> Promoting -> Settling -> Promoted
//!                          |         |           |              |           |
//!                          +---------+-----------+--------------+-----------+-> RollingBack -> RolledBack
//!                                                                                          -> Superseded
//! ```
//!
//! - the challenger's share is above zero only in `Ramping`, `Paused`, `AwaitingApproval`, `Promoting` and `Settling`; in
//!   the last it is the primary ([`Rollout::primary`])
//! - the share never exceeds the weight of the step; only a verdict or a command leaves a step
//! - a rollback is possible in every phase that is not terminal; a terminal phase is never left
//! - nothing advances while a freeze or a closed window holds the rollout ([`Observation::held`])
//! - a promotion that needs approvals never begins without them, and never with that of the requester
//! - a plan with the strategy `shadow` goes from `Shadow` to `Finished`, and promotes nothing
//! - the revision rises by one with every decision; a tick without one only adds to counts and evidence
//! - [`Rollout`] holds everything that a decision depends on, and JSON keeps it bit for bit: after a
//!   crash, read it back, repeat [`Rollout::pending_effect`] and continue to tick
//!
//! With several servers, each publishes a [`ReplicaObservation`] every two seconds; [`Merged`] is their union, and gives
//! out an [`Observation`] for each tick.
//!
//! A [`RolloutSpec`] is the plan as written; [`RolloutSpec::check`] turns it into a [`RolloutPolicy`],
//! the only form that [`advance`] accepts. `judge.rs` explains how evidence is weighed.

mod advance;
mod approval;
mod approving;
mod assignment;
mod clock_jump;
mod command;
mod decision;
mod failure;
mod feedback_evidence;
mod judge;
mod judge_difference;
mod limits;
mod merged;
mod numbers;
mod observation;
mod plan_forecast;
mod policy;
mod promotion;
mod reach;
mod replay;
mod replica_observation;
mod replica_splits;
mod rollout_time;
mod rounding;
mod settling;
mod slot;
mod spec;
mod state;
mod transition;
mod union_checkpoint;
mod union_unit;
mod unit_set;
mod verdict;
mod waiting_verdicts;
mod wording;

pub use advance::advance;
pub use approval::Approval;
pub use assignment::{Arm, assign};
pub use clock_jump::{ClockJump, clock_difference, clock_jumped};
pub use command::{command, command_held};
pub use decision::Decision;
pub use failure::{FailureKind, GatePolicy, RESOLUTION_WINDOW};
pub use feedback_evidence::SourceEvidence;
pub use judge::{Evidence, JudgeState};
pub use limits::{LimitEvidence, LimitState};
pub use merged::{Merge, Merged, REMEMBERED_UNITS};
pub use observation::{FailureCount, FeedbackCount, MeasuredCount, Observation, UnitCount};
pub use plan_forecast::{
    FailureRate, PlanForecast, RollbackForecast, StepForecast, TrafficRates, forecast,
};
pub use policy::{
    ApprovalPolicy, JudgeSpec, OnInsufficient, OnPause, Requirement, RolloutPolicy, SettlePolicy,
    ShadowPolicy, StepPolicy, Strategy, UNTIL_DEADLINE,
};
pub use replay::{RecordedInput, RecordedTick, replay, replay_step};
pub use replica_observation::{
    LARGEST_OBSERVATION, MOST_KEYS, MOST_VERDICTS, Marked, OBSERVATION_SCHEMA, ReplicaObservation,
    Seen, unit_key,
};
pub use rollout_time::RolloutTime;
pub use slot::Slot;
pub use spec::{ApprovalSpec, LimitsSpec, RolloutSpec, SettleSpec, ShadowSpec, StepSpec};
pub use state::{Effect, PauseReason, Phase, Rollout, RolloutRequest, Versions};
pub use transition::{Command, Transition, TransitionRecord, Verdict};
pub use union_checkpoint::{EVIDENCE_SCHEMA, LARGEST_EVIDENCE};
pub use unit_set::UnitSet;
pub use verdict::{Judged, VerdictSet, VerdictSource};

#[cfg(test)]
mod tests;
