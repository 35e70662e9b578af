//! When a rollout can take its next step, if its traffic goes on as it has.

use crate::{
    judge::PromoteEvidence,
    numbers::elapsed,
    state::{Phase, Rollout},
};
use chrono::{DateTime, Utc};
use std::time::Duration;

impl Rollout {
    /// Returns the time from `now` until the conditions of the current phase can be met at the rate so far; `None` if no rate
    /// is known, if a person or a hold has to act first, or if the rollout is over.
    ///
    /// Conversations are assumed to come, and the log e-values that a step waits for to rise, as they did since the phase
    /// (for evidence: the rollout) began. It is an estimate and decides nothing.
    #[must_use]
    pub fn reachable_in(&self, now: DateTime<Utc>) -> Option<Duration> {
        if self.held.is_some() {
            return None;
        }
        match self.phase {
            Phase::Shadow { since, units } => {
                let required = self.policy.shadow().map_or(0, |shadow| shadow.min_units);
                left(units, required, elapsed(since, now))
            }
            Phase::Ramping { step, since, units, .. } => {
                let step = self.policy.steps().get(step)?;
                let time = elapsed(since, now);
                let units = left(units, step.min_units, time)?;
                let mut longest = units.max(step.min_time.saturating_sub(time));
                if step.require.is_some() {
                    longest = longest.max(self.evidence_in(step.min_units, now)?);
                }
                Some(longest)
            }
            Phase::Settling { since, .. } => {
                let time = elapsed(since, now);
                let settle = self.policy.settle()?;
                let mut longest = settle.window.saturating_sub(time);
                for limit in self.limits.unmeasured(&self.policy) {
                    longest = longest.max(left(limit.units, settle.min_units, time)?);
                }
                Some(longest)
            }
            _ => None,
        }
    }

    /// Returns the time until the evidence of every kind that a step of `min_units` conversations waits for is given.
    fn evidence_in(&self, min_units: u64, now: DateTime<Utc>) -> Option<Duration> {
        let time = elapsed(self.started_at, now);
        let mut longest = Duration::ZERO;
        for (evidence, status) in self.judge.promote_evidence(self.policy.judge(), min_units) {
            if !status.is_waited_for(evidence.policy) {
                continue;
            }
            let left = match status {
                PromoteEvidence::Missing(log_e) => {
                    share(log_e, evidence.log_threshold_promote, time)?
                }
                // The kind is measured on the conversations that the champion has, too.
                PromoteEvidence::Unmeasured([primary, canary]) if primary > 0 => {
                    left(canary, min_units, time)?
                }
                _ => return None,
            };
            longest = longest.max(left);
        }
        Some(longest)
    }
}

/// Returns the time until `units`, which came in `time`, are `required`.
fn left(units: u64, required: u64, time: Duration) -> Option<Duration> {
    share(units as f64, required as f64, time)
}

/// Returns the time until `value`, which was reached in `time`, is `required`; `None` if it is not rising.
fn share(value: f64, required: f64, time: Duration) -> Option<Duration> {
    if value >= required {
        return Some(Duration::ZERO);
    }
    if value <= 0.0 || time.is_zero() {
        return None;
    }
    Duration::try_from_secs_f64(time.as_secs_f64() * (required - value) / value).ok()
}
