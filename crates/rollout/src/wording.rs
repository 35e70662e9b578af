//! The reasons of decisions, in words and numbers for a release manager.

use crate::{
    failure::FailureKind,
    feedback_evidence::OneArmed,
    judge::{Evidence, PromoteEvidence},
    limits::LimitEvidence,
    numbers::{duration, elapsed, list, percent},
    replica_splits::BrokenSplit,
    state::{PauseReason, Phase, Rollout},
};
use botops_text::count;
use chrono::{DateTime, Utc};
use std::time::Duration;

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
        FailureKind::HandedOff | FailureKind::Unresolved => " conversations after their 30 minutes",
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
        FailureKind::HandedOff => ("handed_off", "the end of 30 minutes"),
        FailureKind::Unresolved => ("unresolved", "the end of 30 minutes"),
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

/// Returns the reason of a pause for a broken split; it names the replica that does not split as configured.
pub(crate) fn broken_split(broken: &BrokenSplit) -> String {
    let place = broken.replica.as_ref().map_or(String::new(), |id| format!(" at replica `{id}`"));
    format!(
        "the split{place} is not as configured: {} of {} conversations began on the challenger, {} were expected; log e {:.3} >= {:.3}",
        count(broken.canary),
        count(broken.all),
        count(broken.expected),
        broken.log_e,
        broken.threshold
    )
}

/// Returns the reason why the verdicts of end users stop `rollout`; `None` if they do not, or if `wrong` does not gate.
pub(crate) fn feedback_alarm(rollout: &Rollout) -> Option<String> {
    let spec = rollout.policy.judge();
    let feedback = rollout.judge.feedback.as_ref()?;
    if !spec.role(FailureKind::Wrong).gates() {
        return None;
    }
    let alarm = if let Some(one) = feedback.standing_one_armed() {
        one_armed(&one)
    } else if let Some(burst) = feedback.burst() {
        format!(
            "end users judged {} conversations within two hours, in which {} began: more than the {} that are usual",
            count(burst.judged),
            count(burst.units),
            count(burst.limit)
        )
    } else {
        let evidence = rollout.judge.worse_by_end_users(spec)?;
        let threshold = evidence.log_threshold;
        match feedback.one_armed(threshold) {
            Some(one) => one_armed(&one),
            None => format!(
                "`wrong` is worse on the challenger by the verdicts of end users: {}; reviewers have shown log e {:.3} of the {:.3} that a decision needs from them",
                comparison(&evidence),
                feedback.max_log_e_trusted(),
                (1.0 - spec.end_user_share) * threshold
            ),
        }
    };
    Some(format!(
        "{alarm}. The verdicts of end users do not decide: the challenger gets no traffic until reviewers confirm, or a person resumes"
    ))
}

fn one_armed(one: &OneArmed) -> String {
    format!(
        "end users judged one arm: {} of {} judged conversations were on the challenger, {} were expected; log e {:.3} >= {:.3}",
        count(one.canary),
        count(one.all),
        count(one.expected),
        one.log_e,
        one.threshold
    )
}

/// Returns the verdicts of reviewers that `wrong` lacks.
fn unsupported([primary, canary]: [u64; 2], needed: u64) -> String {
    if canary < needed {
        format!(
            "verdicts of reviewers on {} more conversations of the challenger",
            count(needed - canary)
        )
    } else if primary == 0 {
        "verdicts of reviewers on the champion".to_owned()
    } else {
        "verdicts of reviewers that do not find more wrong on the challenger".to_owned()
    }
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
            PromoteEvidence::Unsupported(judged, needed) => {
                format!("`{name}` {numbers}, by end users alone: it needs {}", unsupported(*judged, *needed))
            }
        });
    }
    parts.join("; ")
}

/// Returns the numbers of promote evidence at the last step of `rollout`; an empty string if nothing was ever split.
pub(crate) fn promote_numbers(rollout: &Rollout) -> String {
    let Some(last) = rollout.policy.steps().last() else { return String::new() };
    promote_evidence(&rollout.judge.promote_evidence(rollout.policy.judge(), last.min_units))
}

/// Returns a freeze or a closed window in words: `held: frozen until 2026-12-01 09:00 UTC (audit)`.
pub(crate) fn hold(held: &str) -> String {
    format!("held: {held}")
}

/// Returns the hold of `rollout` as the end of a sentence; an empty string if nothing holds it.
pub(crate) fn and_held(rollout: &Rollout) -> String {
    rollout.held.as_ref().map_or(String::new(), |held| format!("; {}", hold(held)))
}

/// Returns the reason of a rollback because a limit is exceeded.
pub(crate) fn exceeded(limit: &LimitEvidence) -> String {
    format!(
        "`{}` is above its limit of {}: {} of {} conversations; log e {:.3} >= {:.3}",
        limit.kind.name(),
        percent(limit.limit_percent),
        count(limit.failures),
        count(limit.units),
        limit.log_e_above,
        limit.log_threshold
    )
}

/// Returns the limits that were kept, as the end of a sentence: ``; `error` 3 of 1,200 (limit 1 %)``.
pub(crate) fn limits(limits: &[LimitEvidence]) -> String {
    let one = |limit: &LimitEvidence| {
        format!(
            "; `{}` {} of {} (limit {})",
            limit.kind.name(),
            count(limit.failures),
            count(limit.units),
            percent(limit.limit_percent)
        )
    };
    limits.iter().map(one).collect()
}

/// Returns the limits that were measured on too few conversations: `` `slow` unmeasured: counted on 0 of 100 conversations``.
pub(crate) fn unmeasured_limits(limits: &[LimitEvidence], min_units: u64) -> String {
    let one = |limit: &LimitEvidence| {
        format!(
            "`{}` unmeasured: counted on {} of {} conversations",
            limit.kind.name(),
            count(limit.units),
            count(min_units)
        )
    };
    list(&limits.iter().map(one).collect::<Vec<_>>())
}

impl Rollout {
    /// Returns the conditions that the rollout waits for at `now`, one item each; empty when it is over.
    ///
    /// Examples: `312 more conversations`, `6h more`, ``evidence on `wrong` (log e 1.200 of 2.996)``.
    #[must_use]
    pub fn waiting_for(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut items = self.own_conditions(now);
        if let (Some(held), false) = (&self.held, self.is_over()) {
            items.push(format!("the end of the hold ({held})"));
        }
        items
    }

    /// Returns the conditions without the hold.
    fn own_conditions(&self, now: DateTime<Utc>) -> Vec<String> {
        let conversations = |observed: u64, required: u64| {
            (observed < required)
                .then(|| format!("{} more conversations", count(required - observed)))
        };
        match self.phase {
            Phase::Pending | Phase::Loading => vec!["the challenger to load".to_owned()],
            Phase::Shadow { since, units } => {
                let Some(plan) = self.policy.shadow() else { return Vec::new() };
                match plan.least_units() {
                    Some(least) => conversations(units, least).into_iter().collect(),
                    None => vec![format!(
                        "{} more",
                        duration(plan.deadline.saturating_sub(elapsed(since, now)))
                    )],
                }
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
            Phase::Paused { reason: PauseReason::Held, .. } if self.held.is_some() => Vec::new(),
            Phase::Paused { reason: PauseReason::Held, .. } => vec!["the next tick".to_owned()],
            Phase::Paused { .. } => vec!["a person to resume, promote or abort".to_owned()],
            Phase::AwaitingApproval { .. } => match self.missing_approvals() {
                0 => Vec::new(),
                1 => vec!["1 more approval".to_owned()],
                missing => vec![format!("{missing} more approvals")],
            },
            Phase::Settling { since, .. } => self.settling_conditions(elapsed(since, now)),
            Phase::Promoting => vec!["the server to make the challenger champion".to_owned()],
            Phase::RollingBack { .. } => vec!["requests on the challenger to end".to_owned()],
            _ => Vec::new(),
        }
    }

    /// Returns the conditions of a settling window that began `time` ago.
    fn settling_conditions(&self, time: Duration) -> Vec<String> {
        let Some(settle) = self.policy.settle() else { return Vec::new() };
        let left = settle.window.saturating_sub(time);
        let mut items = Vec::new();
        if !left.is_zero() {
            items.push(format!("{} more", duration(left)));
        }
        items.extend(self.limits.unmeasured(&self.policy).iter().map(|limit| {
            format!(
                "{} more conversations that measure `{}`",
                count(settle.min_units - limit.units),
                limit.kind.name()
            )
        }));
        items
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
                PromoteEvidence::Unsupported(judged, needed) => Some(unsupported(judged, needed)),
                PromoteEvidence::Sufficient(_) | PromoteEvidence::TooRare => None,
            })
            .collect()
    }
}
