//! `botops rollout replay`.

use super::target::named;
use crate::cli::{
    Exit, Outcome,
    session::{
        context::Context,
        rollouts::{self, Recorded},
    },
};
use botops_findings::{Fault, FaultKind, Place, Result};
use botops_registry::Deployment;
use botops_rollout::{Phase, Rollout, replay_step};
use botops_spec::bytes_within;
use botops_store::{Entry, newer_payload};
use botops_text::{counted, display};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model; default: the workspace's model
    model: Option<String>,
    /// Rollout; default: the latest
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Entries of a deployment log as JSON documents one after the other; default: the log in the store
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    rollout: String,
    model: String,
    first_entry: u64,
    last_entry: u64,
    /// The steps that were decided again, those that only counted included.
    steps: u64,
    /// Those that decided something.
    decisions: u64,
    /// The first entry that this program decides differently.
    difference: Option<Difference>,
}

/// An entry that this program would not have written.
#[derive(Serialize)]
struct Difference {
    /// The number of the entry.
    entry: u64,
    recorded: State,
    /// The reason of the recorded decision; empty if it only counted.
    recorded_reason: String,
    /// The decision of this program.
    now: String,
}

/// A state of a rollout, as an entry holds it.
#[derive(Serialize)]
struct State {
    phase: &'static str,
    weight_percent: f64,
    revision: u64,
}

impl From<&Rollout> for State {
    fn from(rollout: &Rollout) -> Self {
        Self {
            phase: rollout.phase.name(),
            weight_percent: rollout.weight_percent(),
            revision: rollout.revision,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let model = named(args.model.as_deref(), context)?;
    let id = args.id.as_deref();
    let recorded = match &args.log {
        Some(path) => {
            let found = rollouts::rollouts_in(read(path)?, &model);
            rollouts::choose(found, (&model, id), &format!("`{}`", path.display()))?
        }
        None => context.wait(rollouts::named(&context.registry()?, &model, id))??,
    };
    let answer = decide_again(&recorded);
    let text = text(&answer);
    let outcome = Outcome::done(&answer, text);
    Ok(if answer.difference.is_some() { outcome.exit(Exit::Gate) } else { outcome })
}

/// The largest log that is read: some ten thousand entries.
const MOST_LOG_BYTES: u64 = 256 << 20;

/// Reads the entries of a log, which are JSON documents one after the other.
///
/// # Errors
/// `BOT-1001` (exit 2) the file cannot be read; `BOT-6082` (exit 3) it does not hold the entries of a log, one after the
/// other; `BOT-5007` (exit 6) they are of a newer version.
fn read(path: &Path) -> Result<Vec<Entry<Deployment>>> {
    let bytes = bytes_within(path, MOST_LOG_BYTES)?;
    let mut entries: Vec<Entry<Deployment>> = Vec::new();
    let damaged = |message: String| {
        Fault::data("BOT-6082", message)
            .hint("one way to make the file: `cat deployments/production/log/*.json` in the folder of the registry")
    };
    for entry in serde_json::Deserializer::from_slice(&bytes).into_iter::<Entry<Deployment>>() {
        let entry = entry.map_err(|error| {
            let place = Place {
                file: Some(path.display().to_string()),
                line: Some(error.line() as u64),
                column: Some(error.column() as u64),
                ..Place::default()
            };
            let why = error.to_string();
            let fault = match why.contains(newer_payload("").trim_end_matches('`')) {
                true => Fault::new(FaultKind::Policy, "BOT-5007", display(&why, 300)),
                false => damaged(format!(
                    "entry {} is not one of a deployment log: {}",
                    entries.last().map_or(1, |last| last.seq + 1),
                    display(&why, 300)
                )),
            };
            fault.at(place)
        })?;
        if let Some(last) = entries.last()
            && entry.seq != last.seq + 1
        {
            let message = format!(
                "entry {} follows entry {}: {} was expected",
                entry.seq,
                last.seq,
                last.seq + 1
            );
            return Err(damaged(message).file(path));
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(damaged("the file holds no entry".to_owned()).file(path));
    }
    Ok(entries)
}

/// Decides every step of `recorded` again, until one differs.
fn decide_again(recorded: &Recorded) -> Answer {
    let rollout = recorded.rollout();
    let seq = |entry: Option<&Entry<Deployment>>| entry.map_or(0, |entry| entry.seq);
    let mut answer = Answer {
        rollout: rollout.id.clone(),
        model: rollout.model.clone(),
        first_entry: seq(recorded.entries.first()),
        last_entry: seq(recorded.entries.last()),
        steps: 0,
        decisions: 0,
        difference: None,
    };
    let mut before: Option<&Rollout> = None;
    for entry in &recorded.entries {
        let Some(step) = entry.payload.step() else { continue };
        let after = &step.rollout;
        let now = match before {
            // A rollout begins as it was requested: nothing is decided about it yet.
            None if after.phase == Phase::Pending && after.revision == 0 => None,
            None => Some("no rollout begins there".to_owned()),
            Some(before) => {
                replay_step(before, after).err().map(|fault| fault.message().to_owned())
            }
        };
        if let Some(now) = now {
            answer.difference = Some(Difference {
                entry: entry.seq,
                recorded: after.into(),
                recorded_reason: entry.payload.reason.clone(),
                now,
            });
            break;
        }
        answer.steps += u64::from(before.is_some());
        answer.decisions += u64::from(before.is_some_and(|it| it.revision < after.revision));
        before = Some(after);
    }
    answer
}

fn text(answer: &Answer) -> String {
    let Answer { rollout, model, first_entry, last_entry, steps, decisions, difference } = answer;
    let steps = counted(*steps, "step", "steps");
    let decisions = counted(*decisions, "decision", "decisions");
    let Some(Difference { entry, recorded, recorded_reason, now }) = difference else {
        return format!(
            "rollout {rollout} of {model}: {steps} with {decisions} decided again, entries {first_entry} to {last_entry}: all the same\n"
        );
    };
    let reason = match recorded_reason.as_str() {
        "" => String::new(),
        reason => format!(": {}", display(reason, 300)),
    };
    format!(
        "rollout {rollout} of {model}: {steps} with {decisions} are the same, and entry {entry} is not\n  \
         recorded  {} at {} %, revision {}{reason}\n  now       {}\n",
        recorded.phase.replace('_', " "),
        recorded.weight_percent,
        recorded.revision,
        display(now, 400)
    )
}
