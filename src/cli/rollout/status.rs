//! `botops rollout status`.

use super::{
    review::Review,
    target::{Target, server_url},
};
use crate::cli::{
    Outcome,
    promote::{evidence, transitions, verdict_exit},
    session::{
        context::Context,
        rollouts::{RolloutSource, Seen},
    },
    terminal::tables,
};
use botops_findings::Result;
use botops_rollout::Phase;
use botops_serving::RolloutStatus;
use botops_text::display;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Also show the last messages on which a challenger in shadow disagreed, redacted, as the server keeps them
    #[arg(long)]
    disagreements: bool,
    /// Admin address of another server, whose disagreements are shown too; may be given several times
    #[arg(long = "replica", value_name = "URL", requires = "disagreements")]
    replicas: Vec<String>,
}

/// A rollout with the disagreements that were asked for.
#[derive(Serialize)]
struct Reviewed<'a> {
    #[serde(flatten)]
    seen: &'a Seen,
    /// The disagreements that the servers keep.
    disagreements: &'a Review,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let target = &args.target;
    let model = target.model(context)?;
    // Only a server has them: they are in no log.
    let servers = match args.disagreements {
        true => Some([&[server_url(context)?], args.replicas.as_slice()].concat()),
        false => None,
    };
    let source = RolloutSource::of(context)?;
    let seen = context.wait(source.look(&model, target.id.as_deref()))??;
    let Some(servers) = servers else { return Ok(seen_outcome(&seen)) };
    let review = Review::ask(context, &servers, &seen.status.rollout.id)?;
    let text = text(&seen.status, &state(&seen)) + &review.text();
    Ok(outcome_of(&Reviewed { seen: &seen, disagreements: &review }, &seen.status, text))
}

/// Returns the answer about a rollout that was seen.
pub(super) fn seen_outcome(seen: &Seen) -> Outcome {
    let text = text(&seen.status, &state(seen));
    outcome_of(seen, &seen.status, text)
}

/// Renders what the rollout waits for, who ticks, and what holds it.
fn state(seen: &Seen) -> String {
    let rollout = &seen.status.rollout;
    if rollout.is_over() {
        return String::new();
    }
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<11} {value}\n"));
    line("waiting for", &seen.waiting_for());
    if let Some(at) = seen.effective_at {
        line("in effect", &format!("from {} UTC on", tables::time(&at)));
    }
    if let Some(approval) = rollout.policy.approval() {
        let by: Vec<String> =
            rollout.approvals.iter().map(|approval| display(&approval.by, 80)).collect();
        let by = if by.is_empty() { String::new() } else { format!(", by {}", by.join(", ")) };
        line("approvals", &format!("{} of {}{by}", rollout.approvals.len(), approval.quorum));
    }
    if let Some(lease) = &seen.lease {
        let at =
            lease.admin.as_ref().map_or(String::new(), |at| format!(" at {}", display(at, 80)));
        let since = tables::time(&lease.at);
        line("ticked by", &format!("{}{at}, since {since} UTC", display(&lease.holder, 80)));
    } else if seen.from_log {
        line("ticked by", "no server has taken the lease yet");
    }
    for (server, units) in &seen.status.lost {
        line("lost", &format!("{units} open conversations of server {}", display(server, 80)));
    }
    if let Some(freeze) = &seen.freeze {
        line("held", &freeze.words());
    }
    text
}

/// Returns the answer about `status`.
pub(super) fn outcome(status: &RolloutStatus, text: String) -> Outcome {
    outcome_of(status, status, text)
}

fn outcome_of<T: Serialize>(answer: &T, status: &RolloutStatus, text: String) -> Outcome {
    let outcome = Outcome::done(answer, text);
    match status.rollout.is_over() {
        true => outcome.exit(verdict_exit(&status.decision.verdict)),
        false => outcome,
    }
}

/// Renders both versions, the latest transition and the request, each with its actor and its time.
fn people_and_times(status: &RolloutStatus) -> String {
    let rollout = &status.rollout;
    let (champion, challenger) = match &rollout.versions {
        Some(versions) => (versions.champion.as_str(), versions.challenger.as_str()),
        None => ("-", "-"),
    };
    let latest = status.decision.transitions.last().and_then(|latest| latest.actor.as_deref());
    let by = |actor: &str| match actor {
        "" => String::new(),
        actor => format!(", by {}", display(actor, 80)),
    };
    let why = match rollout.reason.as_str() {
        "" => String::new(),
        reason => format!(": {}", display(reason, 200)),
    };
    format!(
        "  champion    {champion} ({})\n  challenger  {challenger} ({})\n  since       {} UTC{}\n  \
         requested   {} UTC{}{why}\n",
        rollout.champion.short(),
        rollout.challenger.short(),
        tables::time(&rollout.updated_at),
        by(latest.unwrap_or("")),
        tables::time(&rollout.started_at),
        by(&rollout.actor),
    )
}

/// Renders a rollout, the lines of its `state`, its decisions and its evidence.
pub(super) fn text(status: &RolloutStatus, state: &str) -> String {
    let rollout = &status.rollout;
    let phase = rollout.phase.name().replace('_', " ");
    // A promoted rollout routes nothing any more: its challenger is the champion.
    let weight = match rollout.phase {
        Phase::Promoted => 100.0,
        _ => status.weight_percent,
    };
    let step = match rollout.phase {
        Phase::Ramping { step, .. } => {
            format!(" (step {} of {})", step + 1, rollout.policy.steps().len())
        }
        _ => String::new(),
    };
    let mut text = format!(
        "rollout {} of {}: {phase}{step}, {weight} % on the challenger, revision {}\n",
        rollout.id, rollout.model, rollout.revision
    );
    text.push_str(&people_and_times(status));
    if !status.decision.reason.is_empty() {
        text.push_str(&format!("  {}\n", status.decision.reason));
    }
    if !status.durable {
        text.push_str(
            "  in effect, not yet durable: the server could not record it, and keeps trying\n",
        );
    }
    if !status.driven {
        text.push_str("  another server controls this rollout\n");
    }
    for warning in &rollout.warnings {
        text.push_str(&format!("  warning     {}\n", display(warning, 400)));
    }
    text.push_str(state);
    text.push_str(&transitions(&status.decision));
    text.push_str(&evidence(&status.decision));
    text
}
