//! Recorded rollouts decided again: the same input gives the same decisions.
//!
//! [`replay`] takes the inputs. A deployment log holds the states instead, and [`replay_step`] finds the input between two
//! of them: the difference of the judge's counts is the observation, and the difference of the states gives the command.
//! So a log is checked without any other record. It holds at most one tick with traffic an entry.

use crate::{
    advance::advance,
    clock_jump::{ClockJump, clock_jumped, clock_jumped_before},
    command::command_held,
    observation::Observation,
    promotion::{ABORTED, SHADOW_RUN_IS_OVER},
    state::{Effect, Phase, Rollout},
    transition::{Command, Transition},
};
use botops_findings::{Fault, FaultKind, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One input of a rollout, with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedTick {
    /// The time of the tick or command.
    pub at: DateTime<Utc>,
    /// The input.
    pub input: RecordedInput,
}

/// The input of one transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum RecordedInput {
    /// A tick with what it observed.
    Tick {
        /// The traffic since the tick before.
        observation: Observation,
    },
    /// A command.
    Command {
        /// The command.
        request: Command,
        /// The hold at that time, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<String>,
    },
    /// A jump of the wall clock to the time of this input, as older versions took it: they moved the times of the rollout.
    ClockJump {
        /// The time before the jump.
        from: DateTime<Utc>,
    },
    /// A jump of the wall clock of the server that ticked.
    WallClock {
        /// The id of the server; empty if the log does not name it.
        server: String,
        /// The time that its clock would have shown.
        from: DateTime<Utc>,
        /// The time that its clock showed.
        to: DateTime<Utc>,
    },
}

/// Decides every recorded input again, from the state `start`, and returns the transitions.
///
/// # Errors
/// Those of [`command_held`]: a log holds no command that was refused.
pub fn replay(
    start: &Rollout,
    inputs: impl IntoIterator<Item = RecordedTick>,
) -> Result<Vec<Transition>> {
    let mut rollout = start.clone();
    let mut transitions = Vec::new();
    for recorded in inputs {
        let transition = decide(&rollout, &recorded)?;
        rollout.clone_from(&transition.next);
        transitions.push(transition);
    }
    Ok(transitions)
}

fn decide(rollout: &Rollout, recorded: &RecordedTick) -> Result<Transition> {
    match &recorded.input {
        RecordedInput::Tick { observation } => Ok(advance(rollout, observation, recorded.at)),
        RecordedInput::Command { request, held } => {
            command_held(rollout, request, held.as_deref(), recorded.at)
        }
        RecordedInput::ClockJump { from } => Ok(clock_jumped_before(rollout, *from, recorded.at)),
        RecordedInput::WallClock { server, from, to } => {
            let jump = ClockJump { from: *from, to: *to };
            Ok(clock_jumped(rollout, server, &jump, recorded.at))
        }
    }
}

/// Finds the input that leads from `before` to `after`, two states of one rollout that follow each other in a log, and
/// decides it again.
///
/// The transition has the reason that this program gives, without the words of a person that a command adds.
/// A tick that found nothing has no entry in a log, so its time counts as part of the next input.
///
/// # Errors
/// `BOT-6008` (exit 3) no tick, command or jump of the clock leads there: the message names the phase that this program
/// decides for instead.
pub fn replay_step(before: &Rollout, after: &Rollout) -> Result<(RecordedTick, Transition)> {
    let mut decided_instead = None;
    for recorded in candidates(before, after) {
        let Ok(transition) = decide(&base(before, after, &recorded), &recorded) else { continue };
        let transition = as_written_before(transition, after);
        if transition.next == *after {
            return Ok((recorded, transition));
        }
        if matches!(recorded.input, RecordedInput::Tick { .. }) {
            decided_instead = Some(transition.next);
        }
    }
    // A person acted while the clock had just jumped, and an older version moved the times.
    for recorded in commands(after) {
        if let Ok(transition) = decide(&before.rebased(after.updated_at), &recorded)
            && transition.next == *after
        {
            return Ok((recorded, transition));
        }
    }
    Err(mismatch(before, after, decided_instead.as_ref()))
}

/// Returns the end of a shadow run as older versions wrote it, if `after` is such an end: they rolled it back.
fn as_written_before(mut transition: Transition, after: &Rollout) -> Transition {
    if let (Phase::Finished { .. }, Phase::RollingBack { reason, superseded_by: None }) =
        (&transition.next.phase, &after.phase)
        && [SHADOW_RUN_IS_OVER, ABORTED].iter().any(|words| reason.starts_with(words))
    {
        transition.next.held.clone_from(&after.held);
        transition.next.phase.clone_from(&after.phase);
        transition.effect = Effect::RollBack;
    }
    transition
}

/// Returns the state that `recorded` was applied to: `before`, and the observer may have looked since.
fn base(before: &Rollout, after: &Rollout, recorded: &RecordedTick) -> Rollout {
    let mut base = before.clone();
    if matches!(recorded.input, RecordedInput::Command { .. }) {
        base.judge.looked_at(after.judge.observed_at());
    }
    base
}

/// Returns the inputs that may lead from `before` to `after`, the likely ones first.
fn candidates(before: &Rollout, after: &Rollout) -> Vec<RecordedTick> {
    let full_weight = |kind| after.limits.failures(kind).checked_sub(before.limits.failures(kind));
    let times = if after.revision > before.revision {
        vec![after.updated_at]
    } else {
        // A state without a decision does not hold its time: that of the last look, or an earlier one if the clock went
        // back since.
        let looked = after.judge.observed_at().unwrap_or(before.updated_at);
        vec![looked.max(before.updated_at), before.updated_at]
    };
    let observation = before.judge.difference(&after.judge, full_weight);
    let ticks = observation.into_iter().flat_map(|observation| {
        let observation = Observation { held: after.held.clone(), ..observation };
        let input = RecordedInput::Tick { observation };
        times.iter().map(move |&at| RecordedTick { at, input: input.clone() })
    });
    // The two states do not tell from and to which time the wall clock jumped.
    let (server, from) = (String::new(), before.updated_at);
    let jumps = [
        RecordedInput::WallClock { server, from, to: after.updated_at },
        RecordedInput::ClockJump { from },
    ];
    let jumps = jumps.map(|input| RecordedTick { at: after.updated_at, input });
    ticks.chain(commands(after)).chain(jumps).collect()
}

/// Returns the commands that may lead from `before` to `after`.
fn commands(after: &Rollout) -> Vec<RecordedTick> {
    let mut commands = Vec::new();
    let after_prefix = |text: &str, prefix: &str| text.strip_prefix(prefix).map(str::to_owned);
    match &after.phase {
        Phase::RollingBack { superseded_by: Some(by), .. } => {
            commands.push(Command::Supersede { by: by.clone() });
        }
        Phase::RollingBack { reason, .. } => {
            let given = after_prefix(reason, ABORTED);
            commands.extend(given.map(|reason| Command::Abort { reason }));
            let given = after_prefix(reason, "the challenger could not be loaded again: ");
            commands.extend(given.map(|reason| Command::LoadFailed { reason }));
            if let Some(rest) = after_prefix(reason, "rejected by `")
                && let Some((by, comment)) = rest.split_once('`')
            {
                let comment = comment.strip_prefix(": ").unwrap_or("").to_owned();
                commands.push(Command::Reject { by: by.to_owned(), comment });
            }
        }
        Phase::Finished { reason, .. } => {
            let given = after_prefix(reason, ABORTED);
            commands.extend(given.map(|reason| Command::Abort { reason }));
        }
        Phase::Failed { reason } | Phase::Refused { reason } => {
            commands.push(Command::LoadFailed { reason: reason.clone() });
        }
        Phase::Ramping { .. } => {
            commands.push(Command::SetWeight { percent: after.weight_percent() });
        }
        _ => {}
    }
    // The newest approval, or one that was given again: that changes nothing but the hold.
    if let Some(approval) = after.approvals.last() {
        let (by, comment) = (approval.by.clone(), approval.comment.clone());
        commands.push(Command::Approve { by, comment });
    }
    commands.extend([
        Command::Loaded,
        Command::Confirmed,
        Command::Drained,
        Command::Pause,
        Command::Resume,
        Command::Advance,
        Command::Promote,
    ]);
    let recorded = |request| RecordedTick {
        at: after.updated_at,
        input: RecordedInput::Command { request, held: after.held.clone() },
    };
    commands.into_iter().map(recorded).collect()
}

/// The fault of a log that this program would not write.
fn mismatch(before: &Rollout, after: &Rollout, instead: Option<&Rollout>) -> Fault {
    let at = |rollout: &Rollout| {
        format!(
            "`{}` at {} %, revision {}",
            rollout.phase.name(),
            rollout.weight_percent(),
            rollout.revision
        )
    };
    let decision = match instead {
        Some(instead) if at(instead) != at(after) => {
            format!("this program decides for {}", at(instead))
        }
        Some(_) => "this program counts the evidence differently".to_owned(),
        None => "no tick and no command leads there".to_owned(),
    };
    Fault::new(
        FaultKind::Gate,
        "BOT-6008",
        format!(
            "rollout `{}` goes from {} to {} in the log, but {decision}",
            before.id,
            at(before),
            at(after)
        ),
    )
    .hint("the log was written by another version of botops, or changed by another program")
}
