//! Drills: rollouts of the champion's own version, which prove that one can be rolled back.

use super::state::{State, under_way};
use botops_findings::{Fault, Result};
use botops_registry::Version;
use botops_rollout::{self as rollout, Rollout, RolloutSpec};

/// Returns the plan of a drill: 1 % until somebody aborts it, for at most 5 minutes. It asks for more conversations than
/// come, so it promotes nothing.
pub(crate) fn drill_plan() -> RolloutSpec {
    RolloutSpec {
        steps: vec![rollout::StepSpec {
            weight: 1.0,
            min_time: None,
            min_units: Some(1_000_000_000),
            deadline: "5m".to_owned(),
            require: None,
        }],
        interval: "2s".to_owned(),
        on_insufficient: rollout::OnInsufficient::Rollback,
        ..RolloutSpec::default()
    }
}

/// Returns whether `rollout` is a drill.
pub(super) fn is_drill(rollout: &Rollout) -> bool {
    rollout.champion == rollout.challenger
}

/// Refuses a drill of another version than the champion, or while a rollout is open.
///
/// # Errors
/// `BOT-6084` (exit 2), `BOT-6032` (exit 5).
pub(super) fn check_drill(state: &State, model: &str, version: &Version) -> Result<()> {
    if let Some(open) = state.open(model) {
        return Err(under_way(&open.rollout.id));
    }
    if state.champions.current() == Some(version.manifest_digest) {
        return Ok(());
    }
    let message = format!("a drill is of the champion, and `{}` is not", version.reference());
    Err(Fault::usage("BOT-6084", message)
        .hint(format!("name `{model}@champion`, or promote the other version")))
}
