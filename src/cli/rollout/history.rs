//! `botops rollout history`.

use super::target::Target;
use crate::cli::{
    Outcome,
    promote::transitions,
    session::{
        context::Context,
        rollouts::{RolloutSource, named},
    },
    terminal::tables,
};
use botops_findings::Result;
use botops_rollout::TransitionRecord;
use botops_text::display;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// Every decision about one rollout.
#[derive(Serialize)]
struct Answer {
    rollout: String,
    model: String,
    requested_at: DateTime<Utc>,
    actor: String,
    reason: String,
    decisions: Vec<Decided>,
}

/// One decision, with its entry in the log.
#[derive(Serialize)]
struct Decided {
    /// The number of the entry; `None` from a server, which does not tell it.
    entry: Option<u64>,
    /// Whether it went past a freeze, a closed window or a missing approval; `None` from a server.
    break_glass: Option<bool>,
    #[serde(flatten)]
    record: TransitionRecord,
}

pub(super) fn run(target: &Target, context: &Context) -> Result<Outcome> {
    let model = target.model(context)?;
    let id = target.id.as_deref();
    match RolloutSource::of(context)? {
        RolloutSource::Server(client) => {
            let status = context.wait(client.rollout(&model, id))??;
            let plain = |record: &TransitionRecord| Decided {
                entry: None,
                break_glass: None,
                record: record.clone(),
            };
            let decisions = status.decision.transitions.iter().map(plain).collect();
            let text = transitions(&status.decision);
            Ok(outcome(&status.rollout, decisions, &text))
        }
        RolloutSource::Log(registry) => {
            let recorded = context.wait(named(&registry, &model, id))??;
            let decisions: Vec<Decided> = recorded
                .decided()
                .zip(recorded.decisions())
                .map(|((entry, _), record)| Decided {
                    entry: Some(entry.seq),
                    break_glass: Some(entry.payload.break_glass),
                    record,
                })
                .collect();
            let text = table(&decisions);
            Ok(outcome(recorded.rollout(), decisions, &text))
        }
    }
}

fn outcome(rollout: &botops_rollout::Rollout, decisions: Vec<Decided>, table: &str) -> Outcome {
    let answer = Answer {
        rollout: rollout.id.clone(),
        model: rollout.model.clone(),
        requested_at: rollout.started_at,
        actor: rollout.actor.clone(),
        reason: rollout.reason.clone(),
        decisions,
    };
    let why = match answer.reason.as_str() {
        "" => String::new(),
        reason => format!(": {}", display(reason, 200)),
    };
    let text = format!(
        "rollout {} of {}, requested by {} at {} UTC{why}\n{table}",
        answer.rollout,
        answer.model,
        display(&answer.actor, 80),
        tables::time(&answer.requested_at),
    );
    Outcome::done(&answer, text)
}

fn table(decisions: &[Decided]) -> String {
    let rows = decisions.iter().map(|Decided { entry, break_glass, record }| {
        let past = if *break_glass == Some(true) { " (break-glass)" } else { "" };
        vec![
            entry.map_or("-".to_owned(), |entry| entry.to_string()),
            record.at.format("%Y-%m-%d %H:%M:%S").to_string(),
            record.phase.replace('_', " "),
            format!("{} %", record.weight_percent),
            display(record.actor.as_deref().unwrap_or("-"), 80),
            format!("{}{past}", record.reason),
        ]
    });
    tables::table(&["entry", "when (UTC)", "phase", "weight", "who", "why"], rows, &[0, 3])
}
