//! The reasons of decisions, in words and numbers for a release manager.

use crate::{
    failure::FailureKind,
    judge::{Evidence, JudgeState, PromoteEvidence},
    numbers::{duration, elapsed, list},
    state::{Phase, Rollout},
};
use botops_text::count;
use chrono::{DateTime, Utc};

/// Returns `31 of 402 conversations against 18 of 1,633`: the challenger first.
///
/// The numbers are those of the conversations on which the kind was measured.
pub(crate) fn comparison(evidence: &Evidence) -> String {
    let measured = evidence.measured_of([0, 0]);
    let share = |arm: usize, noun: &str| match measured[arm] {
        0 => format!("no{noun}"),
        units => format!("{} of {}{noun}", count(evidence.failures[arm]), count(units)),
    };
    let noun = match evidence.kind {
        FailureKind::Wrong => " conversations with feedback",
        FailureKind::Disagreement => " mirrored conversations",
        FailureKind::Error | FailureKind::Fallback | FailureKind::Slow => " conversations",
    };
    let primary = if measured[0] == 0 { "none".to_owned() } else { share(0, "") };
    format!("{} against {primary}", share(1, noun))
}

/// Returns the reason of a rollback after `units` conversations on the challenger.
pub(crate) fn worse(evidence: &Evidence, units: u64) -> String {
    format!(
        "`{}` is worse on the challenger: {}; log e {:.3} >= {:.3} after {} conversations",
        evidence.kind.name(),
        comparison(evidence),
        evidence.log_e_rollback,
        evidence.log_threshold,
        count(units)
    )
}

/// Returns `nothing worse`, and the kinds that could not be judged: ``nothing measured is worse (`wrong` is unmeasured)``.
pub(crate) fn nothing_worse(kinds: &[(Evidence, PromoteEvidence)]) -> String {
    let unmeasured: Vec<String> = kinds
        .iter()
        .filter(|(_, status)| matches!(status, PromoteEvidence::Unmeasured([0, _] | [_, 0])))
        .map(|(evidence, _)| format!("`{}`", evidence.kind.name()))
        .collect();
    match unmeasured.len() {
        0 => "nothing worse".to_owned(),
        1 => format!("nothing measured is worse ({} is unmeasured)", unmeasured[0]),
        _ => format!("nothing measured is worse ({} are unmeasured)", list(&unmeasured)),
    }
}

/// Returns the measurement that a kind lacks, measured on `[primary, canary]` of the `required` conversations.
fn unmeasured(kind: FailureKind, [primary, canary]: [u64; 2], required: u64) -> String {
    let (name, measure) = match kind {
        FailureKind::Wrong => ("wrong", "feedback"),
        FailureKind::Slow => ("slow", "a latency bound from earlier traffic"),
        other => (other.name(), "comparable traffic"),
    };
    if canary < required {
        let missing = count(required - canary);
        format!("{measure} that measures `{name}` on {missing} more conversations")
    } else if primary == 0 {
        format!("{measure} that measures `{name}` on the champion")
    } else {
        format!("{measure} that measures `{name}`")
    }
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
pub(crate) fn promote_evidence(kinds: &[(Evidence, PromoteEvidence)]) -> String {
    let mut parts = Vec::new();
    for (evidence, status) in kinds {
        let (name, threshold) = (evidence.kind.name(), evidence.log_threshold_promote);
        let numbers = comparison(evidence);
        parts.push(match status {
            PromoteEvidence::Sufficient(log_e) => {
                format!("`{name}` {numbers}, log e {log_e:.3} >= {threshold:.3}")
            }
            PromoteEvidence::Missing(log_e) => {
                format!("`{name}` {numbers}, log e {log_e:.3} of {threshold:.3}")
            }
            PromoteEvidence::TooRare => format!("`{name}` too rare to compare: {numbers}"),
            PromoteEvidence::Unmeasured([primary, canary]) => format!(
                "`{name}` unmeasured: counted on {} conversations of the challenger and {} of the champion",
                count(*canary),
                count(*primary)
            ),
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
            Phase::Ramping { step, since, units, .. } => {
                let Some(step) = self.policy.steps().get(step) else { return Vec::new() };
                let mut items: Vec<String> =
                    conversations(units, step.min_units).into_iter().collect();
                let left = step.min_time.saturating_sub(elapsed(since, now));
                if !left.is_zero() {
                    items.push(format!("{} more", duration(left)));
                }
                if step.require.is_some() {
                    items.extend(self.missing_evidence(step.min_units));
                }
                items
            }
            Phase::Paused { .. } => vec!["a person to resume, promote or abort".to_owned()],
            Phase::Promoting => vec!["the server to serve the challenger".to_owned()],
            Phase::RollingBack { .. } => vec!["requests on the challenger to end".to_owned()],
            _ => Vec::new(),
        }
    }

    /// Returns the evidence that a step of `min_units` conversations waits for, one item for each kind.
    fn missing_evidence(&self, min_units: u64) -> Vec<String> {
        let kinds = self.judge.promote_evidence(self.policy.judge(), min_units);
        let waited_for = kinds.into_iter().filter(|(e, status)| status.is_waited_for(e.policy));
        waited_for
            .filter_map(|(evidence, status)| match status {
                PromoteEvidence::Missing(log_e) => Some(format!(
                    "evidence on `{}` (log e {log_e:.3} of {:.3})",
                    evidence.kind.name(),
                    evidence.log_threshold_promote
                )),
                PromoteEvidence::Unmeasured(measured) => Some(format!(
                    "{} (or `{}: optional` in the plan)",
                    unmeasured(evidence.kind, measured, min_units),
                    evidence.kind.name()
                )),
                PromoteEvidence::Sufficient(_) | PromoteEvidence::TooRare => None,
            })
            .collect()
    }
}
