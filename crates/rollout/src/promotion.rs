//! The way into a step, and from the last one into the promotion.

use crate::{
    policy::Strategy,
    state::{Effect, PauseReason, Phase, Rollout},
    transition::{Transition, Verdict},
};
use chrono::{DateTime, Utc};

/// The words at the begin of the reason of a shadow run that ended by its plan.
pub(crate) const SHADOW_RUN_IS_OVER: &str = "the shadow run is over: ";

/// The words at the begin of the reason of a rollout that a person ended.
pub(crate) const ABORTED: &str = "aborted: ";

/// Takes step `index`. After the last step comes the promotion; a blue-green plan has no steps.
pub(crate) fn take_step(
    next: Rollout,
    index: usize,
    reason: String,
    verdict: Verdict,
    now: DateTime<Utc>,
) -> Transition {
    if index < next.policy.steps().len() {
        return Transition::decided(
            next,
            (Phase::step(index, now), Effect::Route),
            verdict,
            reason,
            now,
        );
    }
    promotion(next, reason, verdict, now)
}

/// Begins the promotion, or waits for the approvals that it needs. A shadow plan ends: its challenger answered nobody.
pub(crate) fn promotion(
    next: Rollout,
    mut reason: String,
    verdict: Verdict,
    now: DateTime<Utc>,
) -> Transition {
    if next.policy.strategy() == Strategy::Shadow {
        let reason = format!("{SHADOW_RUN_IS_OVER}{reason}");
        let units = match next.phase {
            Phase::Shadow { units, .. } | Phase::Paused { units, .. } => units,
            _ => 0,
        };
        // A message that is still mirrored counts for no later rollout, so there is nothing to wait for.
        let to = (Phase::Finished { reason: reason.clone(), units }, Effect::Finish);
        return Transition::decided(next, to, verdict, reason, now);
    }
    let Some(quorum) = next.policy.approval().map(|approval| approval.quorum) else {
        return Transition::decided(
            next,
            (Phase::Promoting, Effect::Promote),
            verdict,
            reason,
            now,
        );
    };
    let (step, units) = match next.phase {
        Phase::Ramping { step, units, .. } => (Some(step), units),
        // A plan without steps has no step to return to.
        Phase::Paused { step, units, .. } => {
            (step.filter(|&step| step < next.policy.steps().len()), units)
        }
        _ => (None, 0),
    };
    let noun = if quorum == 1 { "approval" } else { "approvals" };
    reason.push_str(&format!("; waiting for {quorum} {noun}"));
    let weight = next.weight();
    let phase = Phase::AwaitingApproval { step, weight, since: now, units };
    Transition::decided(next, (phase, Effect::Route), verdict, reason, now)
}

/// Returns the pause of a rollout that is held: in its current step, or before the first one if it has not begun.
pub(crate) fn held_pause(next: &Rollout, now: DateTime<Utc>) -> Phase {
    let (step, units) = match next.phase {
        Phase::Ramping { step, units, .. } => (Some(step), units),
        Phase::Shadow { units, .. } => (None, units),
        _ => (Some(0), 0),
    };
    let weight = next.weight_in_pause();
    Phase::Paused { reason: PauseReason::Held, step, weight, since: now, units }
}

/// Continues after a pause: the stage or the step that was paused, with its conversations, and its times start over.
pub(crate) fn continue_after_pause(
    next: Rollout,
    step: Option<usize>,
    units: u64,
    reason: String,
    now: DateTime<Utc>,
) -> Transition {
    let phase = match step {
        None => Phase::Shadow { since: now, units },
        Some(step) if step < next.policy.steps().len() => {
            Phase::Ramping { step, since: now, units, manual_percent: None }
        }
        Some(_) => return promotion(next, reason, Verdict::Hold, now),
    };
    Transition::decided(next, (phase, Effect::Route), Verdict::Hold, reason, now)
}
