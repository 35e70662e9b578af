//! One tick while settling: the challenger is the champion, and the version before is still loaded.

use crate::{
    limits::LimitEvidence,
    numbers::{duration, elapsed},
    policy::{OnInsufficient, SettlePolicy},
    state::{Effect, Phase, Rollout},
    transition::{Transition, Verdict},
    wording,
};
use botops_text::count;
use chrono::{DateTime, Utc};

/// Decides in the window that began at `since` and has seen `units` conversations.
///
/// The first of these rules that applies decides:
///
/// 1. a limit is exceeded, or failures that arrive late show that the challenger was worse while it ramped: roll back
/// 2. the window is not over, or the rollout is held: the version before stays loaded
/// 3. every limit was measured: promoted
/// 4. a limit is unmeasured: roll back if the plan says so, else wait until it is measured or a person decides. The
///    version before stays loaded for so long
pub(crate) fn settle(
    next: Rollout,
    (since, units): (DateTime<Utc>, u64),
    now: DateTime<Utc>,
) -> Transition {
    if let Some(reason) = failure(&next) {
        let to = (Phase::rolling_back(&reason), Effect::RollBack);
        return Transition::decided(next, to, Verdict::Fail, reason, now);
    }
    // Only a state edited by hand settles without a plan for it: end the phase.
    let settle = next.policy.settle().cloned();
    let settle = settle.unwrap_or(SettlePolicy { window: std::time::Duration::ZERO, min_units: 1 });
    let time = elapsed(since, now);
    if time < settle.window || next.held.is_some() {
        return Transition::undecided(next, Verdict::Hold);
    }
    let unmeasured = next.limits.unmeasured(&next.policy);
    if unmeasured.is_empty() {
        let reason = format!(
            "settled for {}: {} conversations{}",
            duration(time),
            count(units),
            wording::limits(&next.limit_evidence())
        );
        return Transition::decided(
            next,
            (Phase::Promoted, Effect::Finish),
            Verdict::Pass,
            reason,
            now,
        );
    }
    if next.policy.on_insufficient != OnInsufficient::Rollback {
        return Transition::undecided(next, Verdict::Insufficient);
    }
    let reason = format!(
        "the window of {} is over, and {}",
        duration(settle.window),
        wording::unmeasured_limits(&unmeasured, settle.min_units)
    );
    let to = (Phase::rolling_back(&reason), Effect::RollBack);
    Transition::decided(next, to, Verdict::Insufficient, reason, now)
}

/// Returns the reason why the challenger fails while it has all traffic, if it does.
pub(crate) fn failure(next: &Rollout) -> Option<String> {
    if let Some(limit) = next.limit_evidence().into_iter().find(LimitEvidence::is_exceeded) {
        return Some(wording::exceeded(&limit));
    }
    let worse = next.judge.worse(next.policy.judge())?;
    Some(wording::worse(&worse, next.judge.units()[1]))
}
