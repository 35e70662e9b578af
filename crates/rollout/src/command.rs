//! Rollout commands: the phases that allow them, and their effects.

use crate::{
    advance::first_step,
    numbers::{list, percent},
    state::{Effect, PauseReason, Phase, Rollout},
    transition::{Command, Transition, Verdict},
    wording,
};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};

/// Applies a command.
///
/// | command | in | to |
/// |---|---|---|
/// | `Loaded` | loading | shadow if planned, else the first step |
/// | `LoadFailed` | pending | refused |
/// | | loading | failed |
/// | | shadow, ramping, paused (after a restart) | rolling back |
/// | `Pause` | shadow, ramping | paused, its weight kept |
/// | `Resume` | paused | the step it was in; its times start over |
/// | `Promote` | the last step: ramping, or paused unless invalid | promoting |
/// | `Confirmed` | promoting | promoted |
/// | `Abort` | any but the terminal phases | rolling back; if already there, the effect is repeated |
/// | `Drained` | rolling back | rolled back |
///
/// Resuming after a sample-ratio mismatch clears the split counts and all evidence, because they come
/// from a broken split. `Promote` is refused when a gating kind is worse or the pause is invalid
/// (sample-ratio mismatch, stale, a jump of the clock).
///
/// # Errors
/// `BOT-6002` (exit 5) when the phase does not allow the command; the message names the phase and the
/// commands it allows.
pub fn command(rollout: &Rollout, command: &Command, now: DateTime<Utc>) -> Result<Transition> {
    let now = now.max(rollout.updated_at);
    let next = rollout.clone();
    let to = |next: Rollout, to: (Phase, Effect), reason: &str| {
        Ok(Transition::decided(next, to, Verdict::Hold, reason.to_owned(), now))
    };
    let roll_back = |next: Rollout, reason: String| {
        let to = (Phase::rolling_back(&reason), Effect::RollBack);
        Ok(Transition::decided(next, to, Verdict::Hold, reason, now))
    };
    match (command, &rollout.phase) {
        (Command::Loaded, Phase::Loading) => {
            let reason = "the challenger is loaded and passed its self-test";
            if rollout.policy.shadow().is_some() {
                to(next, (Phase::Shadow { since: now, units: 0 }, Effect::Route), reason)
            } else {
                Ok(first_step(next, reason.to_owned(), Verdict::Hold, now))
            }
        }
        (Command::LoadFailed { reason } | Command::Refuse { reason }, Phase::Pending) => to(
            next,
            (Phase::Refused { reason: non_empty(reason) }, Effect::Finish),
            &non_empty(reason),
        ),
        (Command::LoadFailed { reason }, Phase::Loading) => to(
            next,
            (Phase::Failed { reason: non_empty(reason) }, Effect::Finish),
            &non_empty(reason),
        ),
        (
            Command::LoadFailed { reason },
            Phase::Shadow { .. } | Phase::Ramping { .. } | Phase::Paused { .. },
        ) => roll_back(
            next,
            format!("the challenger could not be loaded again: {}", non_empty(reason)),
        ),
        (Command::Pause, &Phase::Shadow { units, .. }) => {
            to(next, (paused(None, 0.0, now, units), Effect::Route), "pause requested")
        }
        (Command::Pause, &Phase::Ramping { step, units, .. }) => {
            let weight = rollout.weight();
            to(next, (paused(Some(step), weight, now, units), Effect::Route), "pause requested")
        }
        (Command::Resume, &Phase::Paused { reason, step, units, .. }) => {
            Ok(resume(next, reason, step, units, now))
        }
        (Command::Promote, Phase::Ramping { .. } | Phase::Paused { step: Some(_), .. }) => {
            promote(next, now)
        }
        (Command::Confirmed, Phase::Promoting) => to(
            next,
            (Phase::Promoted, Effect::Finish),
            "the alias moved and the server serves the challenger",
        ),
        (Command::Drained, Phase::RollingBack { reason, superseded_by }) => {
            let phase = match superseded_by {
                Some(by) => Phase::Superseded { by: by.clone() },
                None => Phase::RolledBack { reason: reason.clone() },
            };
            to(next, (phase, Effect::Finish), "the challenger has no open requests")
        }
        (Command::Abort { .. }, Phase::RollingBack { .. }) => {
            let effect = Effect::RollBack;
            Ok(Transition { effect, ..Transition::undecided(next, Verdict::Hold) })
        }
        (Command::Abort { reason }, phase) if !phase.is_terminal() => {
            roll_back(next, format!("aborted: {}", non_empty(reason)))
        }
        (command, phase) => Err(refusal(command, phase)),
    }
}

/// Returns `reason`, or a substitute if it is empty: an empty reason means "no decision".
fn non_empty(reason: &str) -> String {
    let reason = reason.trim();
    if reason.is_empty() { "no reason given".to_owned() } else { reason.to_owned() }
}

fn paused(step: Option<usize>, weight: f64, now: DateTime<Utc>, units: u64) -> Phase {
    Phase::Paused { reason: PauseReason::Requested, step, weight, since: now, units }
}

fn resume(
    mut next: Rollout,
    pause_reason: PauseReason,
    step: Option<usize>,
    units: u64,
    now: DateTime<Utc>,
) -> Transition {
    let mut reason = "resume requested".to_owned();
    let mut units = units;
    if pause_reason == PauseReason::SampleRatioMismatch {
        next.judge.reset_evidence();
        units = 0;
        reason.push_str("; the split counts and the evidence start over");
    }
    let phase = match step {
        None => Phase::Shadow { since: now, units },
        Some(step) => Phase::Ramping { step, since: now, units, manual_percent: None },
    };
    Transition::decided(next, (phase, Effect::Route), Verdict::Hold, reason, now)
}

fn promote(next: Rollout, now: DateTime<Utc>) -> Result<Transition> {
    let steps = next.policy.steps().len();
    if let Phase::Ramping { step, .. } | Phase::Paused { step: Some(step), .. } = next.phase
        && step + 1 < steps
    {
        let message = format!(
            "`promote` is refused: it is allowed at the last step, and this is step {} of {steps}",
            step + 1
        );
        return Err(Fault::conflict("BOT-6002", message).hint(
            "wait for the last step; continue a paused rollout with `botops rollout resume --reason TEXT`",
        ));
    }
    if let Some(evidence) = next.judge.worse(next.policy.judge()) {
        let reason = wording::worse(&evidence, next.judge.units()[1]);
        return Err(Fault::conflict("BOT-6002", format!("`promote` is refused: {reason}")).hint(
            "the next tick rolls back; to roll back now: `botops rollout abort --reason TEXT`",
        ));
    }
    let broken = next.judge.broken_split();
    let reason = match (&next.phase, broken) {
        (_, Some(numbers)) => Some(wording::broken_split(&next.judge, numbers)),
        (Phase::Paused { reason: PauseReason::Stale, .. }, _) => {
            Some("observations are stale".to_owned())
        }
        (Phase::Paused { reason: PauseReason::SampleRatioMismatch, .. }, _) => {
            Some("the split was not as configured".to_owned())
        }
        (Phase::Paused { reason: PauseReason::ClockJump, .. }, _) => {
            Some("the clock jumped".to_owned())
        }
        _ => None,
    };
    if let Some(reason) = reason {
        return Err(Fault::conflict("BOT-6002", format!("`promote` is refused: {reason}"))
            .hint("fix the cause, then continue with `botops rollout resume --reason TEXT`"));
    }
    let min_units = next.policy.steps().last().map_or(1, |step| step.min_units);
    let numbers =
        wording::promote_evidence(&next.judge.promote_evidence(next.policy.judge(), min_units));
    let reason = format!("promotion requested at {}: {numbers}", percent(next.weight_percent()));
    let to = (Phase::Promoting, Effect::Promote);
    Ok(Transition::decided(next, to, Verdict::Hold, reason, now))
}

fn refusal(command: &Command, phase: &Phase) -> Fault {
    let name = match command {
        Command::Loaded => "loaded",
        Command::LoadFailed { .. } => "load_failed",
        Command::Confirmed => "confirmed",
        Command::Drained => "drained",
        Command::Pause => "pause",
        Command::Resume => "resume",
        Command::Promote => "promote",
        Command::Abort { .. } => "abort",
        Command::Refuse { .. } => "refuse",
        Command::Advance => "advance",
        Command::SetWeight { .. } => "weight",
        Command::Approve { .. } => "approve",
        Command::Reject { .. } => "reject",
        Command::Supersede { .. } => "supersede",
    };
    let phase_name = phase.name();
    let allowed = allowed(phase);
    if allowed.is_empty() {
        return Fault::conflict(
            "BOT-6002",
            format!("the rollout is over (`{phase_name}`): `{name}` is no longer possible"),
        )
        .hint("start a new rollout: `botops promote`");
    }
    let allowed: Vec<String> = allowed.iter().map(|verb| format!("`{verb}`")).collect();
    Fault::conflict(
        "BOT-6002",
        format!("the rollout is `{phase_name}`: `{name}` is not possible, only {}", list(&allowed)),
    )
    .hint("see its state: `botops rollout status`")
}

/// Returns the commands of a person that `phase` allows.
fn allowed(phase: &Phase) -> &'static [&'static str] {
    match phase {
        Phase::Shadow { .. } => &["pause", "abort"],
        Phase::Ramping { .. } => &["pause", "promote", "abort"],
        Phase::Paused {
            reason: PauseReason::SampleRatioMismatch | PauseReason::Stale | PauseReason::ClockJump,
            ..
        }
        | Phase::Paused { step: None, .. } => &["resume", "abort"],
        Phase::Paused { .. } => &["resume", "promote", "abort"],
        Phase::Pending | Phase::Loading | Phase::Promoting | Phase::RollingBack { .. } => {
            &["abort"]
        }
        _ => &[],
    }
}
