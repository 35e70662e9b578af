//! What a person, or the caller after an effect, asks of a rollout.

use super::{
    Command, Effect, PauseReason, Phase, Rollout, Transition, Verdict, advance::first_step, wording,
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
/// | `Resume` | paused | where it was; its times begin anew |
/// | `Promote` | the last step: ramping; paused unless invalid | promoting |
/// | `Confirmed` | promoting | promoted |
/// | `Abort` | any but the terminal ones | rolling back; already there: the effect again |
/// | `Drained` | rolling back | rolled back |
///
/// Resuming after a sample-ratio mismatch begins the split and all evidence anew: what was gathered
/// rests on a broken split. `Promote` is refused when a gating kind is worse or the pause is invalid
/// (sample-ratio mismatch, stale).
///
/// # Errors
/// `BOT-6002` (exit 5) when the phase does not allow it: the phase and what it allows are named.
pub fn command(rollout: &Rollout, command: &Command, now: DateTime<Utc>) -> Result<Transition> {
    let now = now.max(rollout.updated_at);
    let next = rollout.clone();
    let to = |next: Rollout, to: (Phase, Effect), reason: &str| {
        Ok(Transition::decided(next, to, Verdict::Hold, reason.to_owned(), now))
    };
    let roll_back = |next: Rollout, reason: String| {
        let to = (Phase::RollingBack { reason: reason.clone() }, Effect::RollBack);
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
        (Command::LoadFailed { reason }, Phase::Pending) => {
            to(next, (Phase::Refused { reason: said(reason) }, Effect::Finish), &said(reason))
        }
        (Command::LoadFailed { reason }, Phase::Loading) => {
            to(next, (Phase::Failed { reason: said(reason) }, Effect::Finish), &said(reason))
        }
        (
            Command::LoadFailed { reason },
            Phase::Shadow { .. } | Phase::Ramping { .. } | Phase::Paused { .. },
        ) => roll_back(next, format!("the challenger could not be loaded again: {}", said(reason))),
        (Command::Pause, &Phase::Shadow { units, .. }) => {
            to(next, (paused(None, 0.0, now, units), Effect::Route), "a person asked to pause")
        }
        (Command::Pause, &Phase::Ramping { step, units, .. }) => {
            let weight = rollout.weight();
            to(
                next,
                (paused(Some(step), weight, now, units), Effect::Route),
                "a person asked to pause",
            )
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
            "the alias moved, and the challenger was seen to serve",
        ),
        (Command::Drained, Phase::RollingBack { reason }) => {
            let phase = Phase::RolledBack { reason: reason.clone() };
            to(next, (phase, Effect::Finish), "no request is left on the challenger")
        }
        (Command::Abort { .. }, Phase::RollingBack { .. }) => {
            let effect = Effect::RollBack;
            Ok(Transition { effect, ..Transition::undecided(next, Verdict::Hold) })
        }
        (Command::Abort { reason }, phase) if !phase.is_terminal() => {
            roll_back(next, format!("aborted: {}", said(reason)))
        }
        (command, phase) => Err(refusal(command, phase)),
    }
}

/// A reason is never empty: that would read as "nothing was decided".
fn said(reason: &str) -> String {
    let reason = reason.trim();
    if reason.is_empty() { "no reason given".to_owned() } else { reason.to_owned() }
}

fn paused(step: Option<usize>, weight: f64, now: DateTime<Utc>, units: u64) -> Phase {
    Phase::Paused { reason: PauseReason::Requested, step, weight, since: now, units }
}

fn resume(
    mut next: Rollout,
    why: PauseReason,
    step: Option<usize>,
    units: u64,
    now: DateTime<Utc>,
) -> Transition {
    let is_anew = why == PauseReason::SampleRatioMismatch;
    let mut reason = "a person asked to go on".to_owned();
    let mut units = units;
    if is_anew {
        next.judge.renew();
        units = 0;
        reason.push_str("; the split and the evidence begin anew");
    }
    let phase = match step {
        None => Phase::Shadow { since: now, units },
        Some(step) => Phase::Ramping { step, since: now, units },
    };
    Transition::decided(next, (phase, Effect::Route), Verdict::Hold, reason, now)
}

fn promote(next: Rollout, now: DateTime<Utc>) -> Result<Transition> {
    let steps = next.policy.steps().len();
    if let Phase::Ramping { step, .. } | Phase::Paused { step: Some(step), .. } = next.phase
        && step + 1 < steps
    {
        let message = format!(
            "`promote` is refused: it approves the last step, and this is step {} of {steps}",
            step + 1
        );
        return Err(Fault::conflict("BOT-6002", message).hint(
            "let it ramp to its last step; a paused one goes on with `botops rollout resume`",
        ));
    }
    if let Some(evidence) = next.judge.worse(next.policy.judge()) {
        let reason = wording::worse(&evidence, next.judge.units());
        return Err(Fault::conflict("BOT-6002", format!("`promote` is refused: {reason}"))
            .hint("the next tick rolls it back; `botops rollout abort` does so now"));
    }
    let broken = next.judge.broken_split();
    let reason = match (&next.phase, broken) {
        (_, Some(numbers)) => Some(wording::broken_split(&next.judge, numbers)),
        (Phase::Paused { reason: PauseReason::Stale, .. }, _) => {
            Some("observations are stale: nobody knows how it does".to_owned())
        }
        (Phase::Paused { reason: PauseReason::SampleRatioMismatch, .. }, _) => {
            Some("the split was not as configured".to_owned())
        }
        _ => None,
    };
    if let Some(reason) = reason {
        return Err(Fault::conflict("BOT-6002", format!("`promote` is refused: {reason}"))
            .hint("repair it, then `botops rollout resume`, and let it be judged"));
    }
    let numbers = wording::promise(&next.judge.promises(next.policy.judge()), next.judge.units());
    let reason = format!(
        "a person asked to promote at {}: {numbers}",
        wording::percent(next.weight_percent())
    );
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
    };
    let phase_name = phase.name();
    let allowed = allowed(phase);
    if allowed.is_empty() {
        return Fault::conflict(
            "BOT-6002",
            format!("the rollout is over (`{phase_name}`): `{name}` comes too late"),
        )
        .hint("start another one: `botops promote`");
    }
    let allowed: Vec<String> = allowed.iter().map(|verb| format!("`{verb}`")).collect();
    Fault::conflict(
        "BOT-6002",
        format!(
            "the rollout is `{phase_name}`: it does not take `{name}`, only {}",
            wording::listed(&allowed)
        ),
    )
    .hint("see where it stands: `botops rollout status`")
}

/// What a person may ask in `phase`.
fn allowed(phase: &Phase) -> &'static [&'static str] {
    match phase {
        Phase::Shadow { .. } => &["pause", "abort"],
        Phase::Ramping { .. } => &["pause", "promote", "abort"],
        Phase::Paused { reason: PauseReason::SampleRatioMismatch | PauseReason::Stale, .. }
        | Phase::Paused { step: None, .. } => &["resume", "abort"],
        Phase::Paused { .. } => &["resume", "promote", "abort"],
        Phase::Pending | Phase::Loading | Phase::Promoting | Phase::RollingBack { .. } => {
            &["abort"]
        }
        _ => &[],
    }
}
