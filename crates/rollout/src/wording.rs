//! The reasons of decisions, in words and numbers for a release manager.

use crate::{
    judge::{Evidence, JudgeState, PromoteEvidence},
    numbers::{duration, elapsed},
    state::{Phase, Rollout},
};
use botops_text::count;
use chrono::{DateTime, Utc};

/// Returns `31 of 402 conversations against 18 of 1,633`: the challenger first.
pub(crate) fn comparison(evidence: &Evidence, units: [u64; 2]) -> String {
    format!(
        "{} of {} conversations against {} of {}",
        count(evidence.failures[1]),
        count(units[1]),
        count(evidence.failures[0]),
        count(units[0])
    )
}

/// Returns the reason of a rollback.
pub(crate) fn worse(evidence: &Evidence, units: [u64; 2]) -> String {
    format!(
        "`{}` is worse on the challenger: {}; log e {:.3} >= {:.3} after {} conversations",
        evidence.kind.name(),
        comparison(evidence, units),
        evidence.log_e_rollback,
        evidence.log_threshold,
        count(units[1])
    )
}

/// Returns the reason of a pause for a broken split.
pub(crate) fn broken_split(judge: &JudgeState, [log_e, threshold]: [f64; 2]) -> String {
    let [canary, expected, all] = judge.split_numbers();
    format!(
        "the split is not as configured: {} of {} conversations began on the challenger, {} were expected; log e {log_e:.3} >= {threshold:.3}",
        count(canary),
        count(all),
        count(expected)
    )
}

/// Returns the numbers of promote evidence: `` `wrong` log e 3.100 >= 2.996; too rare to compare: ... ``.
pub(crate) fn promote_evidence(kinds: &[(Evidence, PromoteEvidence)], units: [u64; 2]) -> String {
    let mut parts = Vec::new();
    for (evidence, status) in kinds {
        let (name, threshold) = (evidence.kind.name(), evidence.log_threshold_promote);
        let numbers = comparison(evidence, units);
        parts.push(match status {
            PromoteEvidence::Sufficient(log_e) => {
                format!("`{name}` {numbers}, log e {log_e:.3} >= {threshold:.3}")
            }
            PromoteEvidence::Missing(log_e) => {
                format!("`{name}` {numbers}, log e {log_e:.3} of {threshold:.3}")
            }
            PromoteEvidence::TooRare => format!("`{name}` too rare to compare: {numbers}"),
        });
    }
    parts.join("; ")
}

impl Rollout {
    /// Returns the conditions that the rollout waits for at `now`, one item each; empty when it is over.
    ///
    /// Examples: `312 more conversations`, `6h more`, ``evidence on `wrong` (log e 1.200 of 2.996)``.
    #[must_use]
    pub fn waiting_for(&self, now: DateTime<Utc>) -> Vec<String> {
        let conversations = |observed: u64, required: u64| {
            (observed < required)
                .then(|| format!("{} more conversations", count(required - observed)))
        };
        match self.phase {
            Phase::Pending | Phase::Loading => vec!["the challenger to load".to_owned()],
            Phase::Shadow { units, .. } => {
                let required = self.policy.shadow().map_or(0, |shadow| shadow.min_units);
                conversations(units, required).into_iter().collect()
            }
            Phase::Ramping { step, since, units } => {
                let Some(step) = self.policy.steps().get(step) else { return Vec::new() };
                let mut items: Vec<String> =
                    conversations(units, step.min_units).into_iter().collect();
                let left = step.min_time.saturating_sub(elapsed(since, now));
                if !left.is_zero() {
                    items.push(format!("{} more", duration(left)));
                }
                if step.require.is_some() {
                    for (evidence, status) in self.judge.promote_evidence(self.policy.judge()) {
                        if let PromoteEvidence::Missing(log_e) = status {
                            items.push(format!(
                                "evidence on `{}` (log e {log_e:.3} of {:.3})",
                                evidence.kind.name(),
                                evidence.log_threshold_promote
                            ));
                        }
                    }
                }
                items
            }
            Phase::Paused { .. } => vec!["a person to resume, promote or abort".to_owned()],
            Phase::Promoting => vec!["the server to serve the challenger".to_owned()],
            Phase::RollingBack { .. } => vec!["requests on the challenger to end".to_owned()],
            _ => Vec::new(),
        }
    }
}
