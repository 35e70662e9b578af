//! `botops rollout list`.

use super::target::named;
use crate::cli::{
    Outcome,
    session::{
        context::Context,
        rollouts::{Recorded, rollouts},
    },
    terminal::tables,
};
use botops_findings::Result;
use botops_rollout::{Decision, Versions};
use botops_text::{display, shell_line};
use chrono::{DateTime, Utc};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model; default: the workspace's model
    model: Option<String>,
    /// List at most N rollouts, the newest first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
}

#[derive(Serialize)]
struct Answer<'a> {
    environment: &'a str,
    model: &'a str,
    total: usize,
    rollouts: &'a [Listed],
}

/// One rollout of the log.
#[derive(Serialize)]
struct Listed {
    id: String,
    champion: String,
    challenger: String,
    phase: &'static str,
    weight_percent: f64,
    began_at: DateTime<Utc>,
    /// `None` while it is open.
    ended_at: Option<DateTime<Utc>>,
    actor: String,
    reason: String,
    /// `None` while it is open.
    verdict: Option<String>,
    /// The reason of the verdict; what it waits for while it is open.
    why: String,
    first_entry: u64,
    last_entry: u64,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let model = named(args.model.as_deref(), context)?;
    let registry = context.registry()?;
    let rollouts = context.wait(rollouts(&registry, &model))??;
    let total = rollouts.len();
    let listed: Vec<Listed> = rollouts.iter().rev().take(args.limit).map(listed).collect();
    let environment = registry.environment_name();
    let answer = Answer { environment, model: &model, total, rollouts: &listed };
    if total == 0 {
        let text = format!("{model} had no rollout in {environment}\n");
        return Ok(Outcome::done(&answer, text).next(shell_line(["botops", "promote", &model])));
    }
    let mut text = table(&listed);
    if listed.len() < total {
        text.push_str(&format!("{} of {} rollouts\n", listed.len(), tables::count(total as u64)));
    }
    let outcome = Outcome::done(&answer, text);
    Ok(match listed.first() {
        Some(newest) => {
            outcome.next(shell_line(["botops", "rollout", "history", &model, "--id", &newest.id]))
        }
        None => outcome,
    })
}

fn listed(recorded: &Recorded) -> Listed {
    let rollout = recorded.rollout();
    let decision = Decision::new(rollout, recorded.decisions(), false);
    let names = rollout.versions.clone().unwrap_or_else(|| Versions {
        champion: rollout.champion.short(),
        challenger: rollout.challenger.short(),
    });
    let is_over = rollout.is_over();
    let seq = |entry: Option<&botops_store::Entry<_>>| entry.map_or(0, |entry| entry.seq);
    Listed {
        id: rollout.id.clone(),
        champion: names.champion,
        challenger: names.challenger,
        phase: rollout.phase.name(),
        weight_percent: rollout.weight_percent(),
        began_at: rollout.started_at,
        ended_at: is_over.then_some(rollout.updated_at),
        actor: rollout.actor.clone(),
        reason: rollout.reason.clone(),
        verdict: is_over.then_some(decision.verdict),
        why: decision.reason,
        first_entry: seq(recorded.entries.first()),
        last_entry: seq(recorded.entries.last()),
    }
}

fn table(listed: &[Listed]) -> String {
    let rows = listed.iter().map(|rollout| {
        vec![
            rollout.id.clone(),
            format!("{} -> {}", rollout.champion, rollout.challenger),
            rollout.phase.replace('_', " "),
            tables::time(&rollout.began_at),
            rollout.ended_at.as_ref().map_or("-".to_owned(), tables::time),
            display(&rollout.actor, 40),
            rollout.verdict.as_ref().map_or("-".to_owned(), |it| it.replace('_', " ")),
            display(&rollout.why, 100),
        ]
    });
    tables::table(
        &["rollout", "versions", "phase", "began (UTC)", "ended (UTC)", "who", "verdict", "why"],
        rows,
        &[],
    )
}
