//! Rollout commands: the phases that allow them, and their effects.

use crate::{
    approving,
    numbers::{list, percent},
    policy::Strategy,
    promotion::{ABORTED, continue_after_pause, held_pause, promotion, take_step},
    state::{Effect, PauseReason, Phase, Rollout},
    transition::{Command, Transition, Verdict},
    wording,
};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};

/// Applies a command to a rollout that nothing holds; see [`command_held`].
///
/// # Errors
/// As [`command_held`], except `BOT-6004`.
pub fn command(rollout: &Rollout, command: &Command, now: DateTime<Utc>) -> Result<Transition> {
    command_held(rollout, command, None, now)
}

/// Applies a command; `held` names the freeze or the closed promotion window that holds the rollout, if one does.
///
/// | command | in | to |
/// |---|---|---|
/// | `Refuse` | pending | refused |
/// | `Loaded` | loading | shadow if planned, else the first step (paused before it while held) |
/// | `LoadFailed` | pending | refused |
/// | | loading | failed |
/// | | any later phase that is not terminal (after a restart) | rolling back |
/// | `Pause` | shadow, ramping, paused for a hold | paused, its weight kept unless the plan says `on_pause: zero` |
/// | `Resume` | paused | the step it was in; its times start over |
/// | `Advance` | shadow, ramping, paused unless invalid or held | the next step; after the last one, as `Promote` |
/// | `SetWeight` | ramping | the same step with another share, at most that of the step |
/// | `Promote` | the last step: ramping, or paused unless invalid | promoting, or awaiting approval |
/// | | awaiting approval with all approvals | promoting |
/// | | settling | promoted: the window ends now |
/// | `Approve` | awaiting approval | the same; with the last approval promoting |
/// | `Reject` | awaiting approval | rolling back |
/// | `Confirmed` | promoting | settling if planned, else promoted |
/// | `Abort` | any but the terminal phases | rolling back; if already there, the effect is repeated |
/// | `Supersede` | any but settling and the terminal phases | rolling back, then superseded |
/// | `Drained` | rolling back | rolled back, or superseded |
///
/// - Resuming after a sample-ratio mismatch clears the split counts and all evidence, because they come from a broken
///   split.
/// - `Promote`, `Advance` and `Approve` are refused when a gating kind is worse or the split is broken; the first two also
///   in a pause that is invalid (sample-ratio mismatch, stale, a jump of the clock).
/// - While held, `Promote`, `Advance`, `Resume` and a higher weight are refused; an approval is recorded, and promotes
///   when the hold ends. Pause, abort, reject, a lower weight and the reports of the caller (a promotion that was begun
///   is finished) work as ever.
/// - `Supersede` is refused while settling: the challenger is the champion already, and it would be taken back without
///   anybody saying so. Abort it, or promote it to end its window; then start the other rollout.
///
/// # Errors
/// - `BOT-6002` (exit 5) when the phase or the evidence does not allow the command; the message names the phase and the
///   commands it allows
/// - `BOT-6004` (exit 6) the rollout is held; `BOT-6005` (exit 6) approvals are missing or expired; `BOT-6006` (exit 6)
///   this person cannot approve
/// - `BOT-6089` (exit 5) a shadow plan does not advance
/// - `BOT-6007` (exit 5) a settling rollout cannot be superseded; `BOT-6009` (exit 2) the share is beyond the step
pub fn command_held(
    rollout: &Rollout,
    command: &Command,
    held: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Transition> {
    let is_forward = matches!(
        command,
        Command::Promote
            | Command::Advance
            | Command::SetWeight { .. }
            | Command::Approve { .. }
            | Command::Reject { .. }
    );
    if is_forward && rollout.policy.strategy() == Strategy::Shadow && !rollout.is_over() {
        return Err(shadow_only(command));
    }
    let now = now.max(rollout.updated_at);
    let mut next = rollout.clone();
    next.held = held.map(str::to_owned);
    let transition = match command {
        Command::Loaded
        | Command::LoadFailed { .. }
        | Command::Refuse { .. }
        | Command::Confirmed
        | Command::Drained => report(next, command, now)?,
        _ => request(next, command, now)?,
    };
    match held {
        Some(held) if advances(rollout, command, &transition) => Err(is_held(command, held)),
        _ => Ok(transition),
    }
}

/// Returns whether a request of a person moves the rollout towards the promotion.
fn advances(rollout: &Rollout, command: &Command, transition: &Transition) -> bool {
    match command {
        Command::Promote | Command::Advance | Command::Resume => true,
        Command::SetWeight { .. } => transition.next.weight() > rollout.weight(),
        _ => false,
    }
}

fn shadow_only(command: &Command) -> Fault {
    let name = name(command);
    Fault::conflict(
        "BOT-6089",
        format!("`{name}` is refused: the challenger is in shadow only, and gets no conversation"),
    )
    .hint("end it with `botops rollout abort --reason TEXT`, then start a rollout that promotes")
}

fn is_held(command: &Command, held: &str) -> Fault {
    let name = name(command);
    Fault::policy(
        "BOT-6004",
        format!("`{name}` is refused: the rollout is {}", wording::hold(held)),
    )
    .hint("wait until the hold ends; `botops rollout abort --reason TEXT` works at any time")
}

/// Applies a report of the caller after an effect.
fn report(next: Rollout, command: &Command, now: DateTime<Utc>) -> Result<Transition> {
    let finish = |next: Rollout, phase: Phase, reason: &str| {
        let reason = reason.to_owned();
        Ok(Transition::decided(next, (phase, Effect::Finish), Verdict::Hold, reason, now))
    };
    match (command, &next.phase) {
        (Command::Loaded, Phase::Loading) => Ok(loaded(next, now)),
        (Command::LoadFailed { reason } | Command::Refuse { reason }, Phase::Pending) => {
            let reason = non_empty(reason);
            finish(next, Phase::Refused { reason: reason.clone() }, &reason)
        }
        (Command::LoadFailed { reason }, Phase::Loading) => {
            let reason = non_empty(reason);
            finish(next, Phase::Failed { reason: reason.clone() }, &reason)
        }
        (
            Command::LoadFailed { reason },
            Phase::Shadow { .. }
            | Phase::Ramping { .. }
            | Phase::Paused { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Promoting
            | Phase::Settling { .. },
        ) => Ok(roll_back(
            next,
            format!("the challenger could not be loaded again: {}", non_empty(reason)),
            now,
        )),
        (Command::Confirmed, Phase::Promoting) => {
            let Some(settle) = next.policy.settle() else {
                return finish(
                    next,
                    Phase::Promoted,
                    "the challenger is the champion, and the server serves it",
                );
            };
            let window = crate::numbers::duration(settle.window);
            let reason = format!(
                "the challenger is the champion; the version before stays loaded for {window}"
            );
            let to = (Phase::Settling { since: now, units: 0 }, Effect::Route);
            Ok(Transition::decided(next, to, Verdict::Hold, reason, now))
        }
        (Command::Drained, Phase::RollingBack { reason, superseded_by }) => {
            let phase = match superseded_by {
                Some(by) => Phase::Superseded { by: by.clone() },
                None => Phase::RolledBack { reason: reason.clone() },
            };
            finish(next, phase, "the challenger has no open requests")
        }
        (command, _) => Err(refusal(command, &next)),
    }
}

/// Enters the shadow stage or the first step with a challenger that is loaded.
fn loaded(next: Rollout, now: DateTime<Utc>) -> Transition {
    let reason = "the challenger is loaded and passed its self-test".to_owned();
    if next.policy.shadow().is_some() {
        let to = (Phase::Shadow { since: now, units: 0 }, Effect::Route);
        return Transition::decided(next, to, Verdict::Hold, reason, now);
    }
    if next.held.is_some() {
        let reason = format!("{reason}{}", wording::and_held(&next));
        let to = (held_pause(&next, now), Effect::Route);
        return Transition::decided(next, to, Verdict::Hold, reason, now);
    }
    take_step(next, 0, reason, Verdict::Hold, now)
}

/// Applies a request of a person.
fn request(next: Rollout, command: &Command, now: DateTime<Utc>) -> Result<Transition> {
    match (command, &next.phase) {
        (Command::Pause, &Phase::Shadow { units, .. }) => Ok(pause(next, None, units, now)),
        (Command::Pause, &Phase::Ramping { step, units, .. }) => {
            Ok(pause(next, Some(step), units, now))
        }
        (Command::Pause, &Phase::Paused { reason: PauseReason::Held, step, units, .. }) => {
            Ok(pause(next, step, units, now))
        }
        (Command::Resume, &Phase::Paused { reason, step, units, .. }) => {
            Ok(resume(next, reason, step, units, now))
        }
        (Command::Advance, Phase::Shadow { .. } | Phase::Ramping { .. }) => {
            advance_now(next, command, now)
        }
        (Command::Advance, Phase::Paused { reason, .. }) if *reason != PauseReason::Held => {
            advance_now(next, command, now)
        }
        (Command::SetWeight { percent }, Phase::Ramping { .. }) => set_weight(next, *percent, now),
        (Command::Promote, Phase::Ramping { .. }) => promote(next, now),
        (Command::Promote, Phase::Paused { step: Some(_), reason, .. })
            if *reason != PauseReason::Held =>
        {
            promote(next, now)
        }
        (Command::Promote, &Phase::AwaitingApproval { since, .. }) => {
            check_evidence(&next, command)?;
            approving::promote_approved(next, since, now)
        }
        (Command::Promote, Phase::Settling { .. }) => end_settling(next, now),
        (Command::Approve { by, comment }, &Phase::AwaitingApproval { since, .. }) => {
            check_evidence(&next, command)?;
            approving::approve(next, since, (by, comment), now)
        }
        (Command::Reject { by, comment }, Phase::AwaitingApproval { .. }) => {
            approving::reject(next, (by, comment), now)
        }
        (Command::Abort { .. } | Command::Supersede { .. }, Phase::RollingBack { .. }) => {
            let effect = Effect::RollBack;
            Ok(Transition { effect, ..Transition::undecided(next, Verdict::Hold) })
        }
        // Nothing is taken back: the primary answered everybody all along.
        (
            Command::Abort { reason },
            &(Phase::Shadow { units, .. } | Phase::Paused { units, .. }),
        ) if next.policy.strategy() == Strategy::Shadow => {
            let reason = format!("{ABORTED}{}", non_empty(reason));
            let to = (Phase::Finished { reason: reason.clone(), units }, Effect::Finish);
            Ok(Transition::decided(next, to, Verdict::Hold, reason, now))
        }
        (Command::Abort { reason }, phase) if !phase.is_terminal() => {
            Ok(roll_back(next, format!("{ABORTED}{}", non_empty(reason)), now))
        }
        (Command::Supersede { .. }, Phase::Settling { .. }) => Err(is_settling(&next)),
        (Command::Supersede { by }, phase) if !phase.is_terminal() => {
            let by = non_empty(by);
            let reason = format!("superseded by {by}");
            let phase = Phase::RollingBack { reason: reason.clone(), superseded_by: Some(by) };
            Ok(Transition::decided(next, (phase, Effect::RollBack), Verdict::Hold, reason, now))
        }
        (command, _) => Err(refusal(command, &next)),
    }
}

/// Returns `reason`, or a substitute if it is empty: an empty reason means "no decision".
fn non_empty(reason: &str) -> String {
    let reason = reason.trim();
    if reason.is_empty() { "no reason given".to_owned() } else { reason.to_owned() }
}

fn roll_back(next: Rollout, reason: String, now: DateTime<Utc>) -> Transition {
    let to = (Phase::rolling_back(&reason), Effect::RollBack);
    Transition::decided(next, to, Verdict::Hold, reason, now)
}

fn pause(next: Rollout, step: Option<usize>, units: u64, now: DateTime<Utc>) -> Transition {
    let weight = next.weight_in_pause();
    let phase = Phase::Paused { reason: PauseReason::Requested, step, weight, since: now, units };
    let reason = "pause requested".to_owned();
    Transition::decided(next, (phase, Effect::Route), Verdict::Hold, reason, now)
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
    if pause_reason == PauseReason::Feedback {
        next.judge.reset_end_users();
        reason.push_str("; the verdicts of end users start over");
    }
    continue_after_pause(next, step, units, reason, now)
}

/// Takes the next step without waiting for its conditions.
fn advance_now(next: Rollout, command: &Command, now: DateTime<Utc>) -> Result<Transition> {
    check_evidence(&next, command)?;
    let (index, at) = match next.phase {
        Phase::Ramping { step, units, .. } | Phase::Paused { step: Some(step), units, .. } => {
            let share = percent(next.weight_percent());
            let conversations = botops_text::count(units);
            (step + 1, format!("{share} with {conversations} conversations on the challenger"))
        }
        _ => (0, "shadow".to_owned()),
    };
    if index > 0 && index >= next.policy.steps().len() {
        return promote(next, now);
    }
    let reason = format!("next step requested at {at}");
    Ok(take_step(next, index, reason, Verdict::Hold, now))
}

/// Gives the challenger another share within its step.
fn set_weight(mut next: Rollout, given: f64, now: DateTime<Utc>) -> Result<Transition> {
    let Phase::Ramping { step, since, units, .. } = next.phase else {
        return Err(refusal(&Command::SetWeight { percent: given }, &next));
    };
    let planned = next.policy.steps().get(step).map_or(0.0, |step| step.weight_percent);
    // JSON keeps four decimals of a percentage exactly.
    let share = (given * 1e4).round() / 1e4;
    if !(share > 0.0 && share <= planned) {
        return Err(Fault::usage(
            "BOT-6009",
            format!("the weight is `{given}`: expected a percentage above 0 and at most {planned}, the weight of the step"),
        )
        .hint("for more, take the next step: `botops rollout advance --reason TEXT`; for none: `botops rollout pause --reason TEXT`"));
    }
    let before = next.weight_percent();
    let manual_percent = (share < planned).then_some(share);
    next.phase = Phase::Ramping { step, since, units, manual_percent };
    let phase = next.phase.clone();
    let reason = format!("weight set from {} to {}", percent(before), percent(share));
    Ok(Transition::decided(next, (phase, Effect::Route), Verdict::Hold, reason, now))
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
    check_evidence(&next, &Command::Promote)?;
    let mut reason = format!("promotion requested at {}", percent(next.weight_percent()));
    let numbers = wording::promote_numbers(&next);
    if !numbers.is_empty() {
        reason.push_str(&format!(": {numbers}"));
    }
    Ok(promotion(next, reason, Verdict::Hold, now))
}

/// Ends the settling window now; the reason names the limits that were not measured.
fn end_settling(next: Rollout, now: DateTime<Utc>) -> Result<Transition> {
    check_evidence(&next, &Command::Promote)?;
    let mut reason =
        format!("end of settling requested{}", wording::limits(&next.limit_evidence()));
    let min_units = next.policy.settle().map_or(1, |settle| settle.min_units);
    let unmeasured = next.limits.unmeasured(&next.policy);
    if !unmeasured.is_empty() {
        reason.push_str(&format!("; {}", wording::unmeasured_limits(&unmeasured, min_units)));
    }
    let to = (Phase::Promoted, Effect::Finish);
    Ok(Transition::decided(next, to, Verdict::Hold, reason, now))
}

/// Refuses `command` while the verdict is fail or invalid.
fn check_evidence(next: &Rollout, command: &Command) -> Result<()> {
    let name = name(command);
    let refused =
        |reason: &str| Fault::conflict("BOT-6002", format!("`{name}` is refused: {reason}"));
    if let Some(reason) = crate::settling::failure(next) {
        return Err(refused(&reason).hint(
            "the next tick rolls back; to roll back now: `botops rollout abort --reason TEXT`",
        ));
    }
    // While settling nothing is split any more.
    let broken = match next.phase {
        Phase::Settling { .. } => None,
        _ => next.judge.broken_split(),
    };
    let reason = match (&next.phase, broken) {
        (_, Some(broken)) => wording::broken_split(&broken),
        (Phase::Paused { reason: PauseReason::Stale, .. }, _) => {
            "observations are stale".to_owned()
        }
        (Phase::Paused { reason: PauseReason::SampleRatioMismatch, .. }, _) => {
            "the split was not as configured".to_owned()
        }
        (Phase::Paused { reason: PauseReason::ClockJump, .. }, _) => "the clock jumped".to_owned(),
        (Phase::Paused { reason: PauseReason::Feedback, .. }, _) => {
            "the verdicts of end users stopped the rollout".to_owned()
        }
        (Phase::Settling { .. }, _) => return Ok(()),
        _ => match wording::feedback_alarm(next) {
            Some(alarm) => alarm,
            None => return Ok(()),
        },
    };
    Err(refused(&reason)
        .hint("fix the cause, then continue with `botops rollout resume --reason TEXT`"))
}

fn is_settling(rollout: &Rollout) -> Fault {
    let challenger =
        rollout.versions.as_ref().map_or("its challenger", |versions| versions.challenger.as_str());
    Fault::conflict(
        "BOT-6007",
        format!("rollout `{}` is settling: {challenger} is the champion already, and no other rollout can take its place", rollout.id),
    )
    .hint("keep it and end the window: `botops rollout promote --reason TEXT`")
    .hint("take it back: `botops rollout abort --reason TEXT`; then start the other rollout")
}

/// Returns the name of a command, as in the admin API and in messages.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Loaded => "loaded",
        Command::LoadFailed { .. } => "load_failed",
        Command::Refuse { .. } => "refuse",
        Command::Confirmed => "confirmed",
        Command::Drained => "drained",
        Command::Pause => "pause",
        Command::Resume => "resume",
        Command::Advance => "advance",
        Command::SetWeight { .. } => "weight",
        Command::Promote => "promote",
        Command::Approve { .. } => "approve",
        Command::Reject { .. } => "reject",
        Command::Abort { .. } => "abort",
        Command::Supersede { .. } => "supersede",
    }
}

fn refusal(command: &Command, rollout: &Rollout) -> Fault {
    let name = name(command);
    let phase_name = rollout.phase.name();
    let allowed = allowed(rollout);
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

/// Returns the commands of a person that the phase of `rollout` allows.
fn allowed(rollout: &Rollout) -> &'static [&'static str] {
    match rollout.phase {
        Phase::Shadow { .. } => &["pause", "advance", "abort"],
        Phase::Ramping { .. } => &["pause", "advance", "weight", "promote", "abort"],
        Phase::Paused {
            reason: PauseReason::SampleRatioMismatch | PauseReason::Stale | PauseReason::ClockJump,
            ..
        } => &["resume", "abort"],
        Phase::Paused { reason: PauseReason::Held, .. } => &["pause", "resume", "abort"],
        Phase::Paused { step: None, .. } => &["resume", "advance", "abort"],
        Phase::Paused { .. } => &["resume", "advance", "promote", "abort"],
        Phase::AwaitingApproval { .. } => &["approve", "reject", "promote", "abort"],
        Phase::Settling { .. } => &["promote", "abort"],
        Phase::Pending | Phase::Loading | Phase::Promoting | Phase::RollingBack { .. } => {
            &["abort"]
        }
        Phase::Promoted
        | Phase::RolledBack { .. }
        | Phase::Failed { .. }
        | Phase::Refused { .. }
        | Phase::Superseded { .. }
        | Phase::Finished { .. } => &[],
    }
}
