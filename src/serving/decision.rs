//! A rollout in words and numbers: phase names, and the decision record.

use crate::rollout::{Decision, PauseReason, Phase, Rollout, RolloutSpec, TransitionRecord};

/// Returns the name of a phase, as it is stored and shown.
pub(super) fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Loading => "loading",
        Phase::Shadow { .. } => "shadow",
        Phase::Ramping { .. } => "ramping",
        Phase::Paused { .. } => "paused",
        Phase::Promoting => "promoting",
        Phase::RollingBack { .. } => "rolling_back",
        Phase::Promoted => "promoted",
        Phase::RolledBack { .. } => "rolled_back",
        Phase::Failed { .. } => "failed",
        Phase::Refused { .. } => "refused",
    }
}

/// Returns the number of a phase, for a graph.
pub(super) fn phase_number(phase: &Phase) -> i64 {
    match phase {
        Phase::Pending => 1,
        Phase::Loading => 2,
        Phase::Shadow { .. } => 3,
        Phase::Ramping { .. } => 4,
        Phase::Paused { .. } => 5,
        Phase::Promoting => 7,
        Phase::RollingBack { .. } => 9,
        Phase::Promoted => 10,
        Phase::RolledBack { .. } => 11,
        Phase::Failed { .. } => 12,
        Phase::Refused { .. } => 13,
    }
}

/// Returns whether two states stand at the same place of the plan.
pub(super) fn same_place(a: &Phase, b: &Phase) -> bool {
    match (a, b) {
        (Phase::Ramping { step: a, .. }, Phase::Ramping { step: b, .. }) => a == b,
        (
            Phase::Paused { reason: a, weight: v, .. },
            Phase::Paused { reason: b, weight: w, .. },
        ) => a == b && v == w,
        _ => phase_name(a) == phase_name(b),
    }
}

/// Builds the decision of `rollout` as it stands. Its verdict is `in_progress` while nothing is decided.
pub(super) fn decision(
    rollout: &Rollout,
    transitions: &[TransitionRecord],
    units: [u64; 2],
    rehearsal: bool,
) -> Decision {
    let latest = || {
        transitions
            .iter()
            .rev()
            .find(|transition| !transition.reason.is_empty())
            .map_or_else(String::new, |transition| transition.reason.clone())
    };
    let (verdict, reason) = match &rollout.phase {
        Phase::Promoted => ("promoted", promoted_because(transitions)),
        Phase::RolledBack { reason } | Phase::RollingBack { reason } => {
            ("rolled_back", reason.clone())
        }
        Phase::Failed { reason } => ("failed", reason.clone()),
        Phase::Refused { reason } => ("refused", reason.clone()),
        Phase::Paused { reason: PauseReason::Requested, .. } => ("in_progress", latest()),
        Phase::Paused { .. } => ("insufficient", latest()),
        _ => ("in_progress", latest()),
    };
    Decision {
        schema: "botops.decision/1".to_owned(),
        verdict: verdict.to_owned(),
        reason,
        model: rollout.model.clone(),
        champion: rollout.champion,
        challenger: rollout.challenger,
        rehearsal,
        transitions: transitions.to_vec(),
        evidence: rollout.evidence(),
        units,
    }
}

/// The reason of a promotion is the one that led to it, not the confirmation that followed.
fn promoted_because(transitions: &[TransitionRecord]) -> String {
    transitions
        .iter()
        .rev()
        .find(|transition| transition.phase == "promoting")
        .map_or_else(String::new, |transition| transition.reason.clone())
}

/// Says what a rollout that ran out of traffic still lacked.
pub(super) fn missing(rollout: &Rollout, spec: &RolloutSpec) -> String {
    let mut lacks = Vec::new();
    let step = match &rollout.phase {
        Phase::Ramping { step, since, units } => Some((*step, Some(*since), *units)),
        Phase::Paused { step: Some(step), units, .. } => Some((*step, None, *units)),
        Phase::Shadow { units, .. } => {
            if let Some(shadow) = &spec.shadow {
                lacks.push(format!("{units} of {} conversations mirrored", shadow.min_units));
            }
            None
        }
        _ => None,
    };
    let Some((index, since, units)) = step else { return lacks.join(", ") };
    let Some(step) = spec.steps.get(index) else { return String::new() };
    if let Some(wanted) = step.min_units
        && units < wanted
    {
        lacks.push(format!("{units} of {wanted} conversations on the challenger"));
    }
    if let (Some(since), Some(wanted)) = (since, step.min_time.as_deref())
        && let Ok(wanted) = humantime::parse_duration(wanted)
    {
        let seen = (rollout.updated_at - since).to_std().unwrap_or_default();
        if seen < wanted {
            lacks.push(format!(
                "{} of {}",
                humantime::format_duration(std::time::Duration::from_secs(seen.as_secs())),
                humantime::format_duration(wanted),
            ));
        }
    }
    if step.require.is_some() {
        let short: Vec<String> = rollout
            .evidence()
            .into_iter()
            .filter(|one| {
                one.policy == crate::rollout::GatePolicy::Gate
                    && one.log_e_promote < one.log_threshold
            })
            .map(|one| {
                format!(
                    "`{}` {:.2} of {:.2}",
                    super::metrics::kind_name(one.kind),
                    one.log_e_promote,
                    one.log_threshold
                )
            })
            .collect();
        if !short.is_empty() {
            lacks.push(format!("promote evidence (log e): {}", short.join(", ")));
        }
    }
    let place = format!("step {} of {} ({} %)", index + 1, spec.steps.len(), step.weight);
    if lacks.is_empty() { place } else { format!("{place}: {}", lacks.join("; ")) }
}
