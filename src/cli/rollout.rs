//! `botops rollout`.

mod plan;

use super::{
    Outcome,
    promote::{evidence, transitions, verdict_exit},
};
use crate::cli::{
    arguments::{model_arg::workspace_model, output_args::ReasonArg},
    session::context::Context,
    terminal::tables,
};
use botops_findings::{Fault, Result};
use botops_rollout::Phase;
use botops_serving::RolloutStatus;
use botops_text::display;
use clap::Subcommand;

/// Follow and control a rollout on a server
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Forecast how long each step of a plan takes, and what it can show
    Plan(plan::Args),
    #[command(flatten)]
    OnServer(ServerVerb),
}

#[derive(Debug, Subcommand)]
enum ServerVerb {
    /// Show the phase of the rollout, with the evidence so far
    Status(Target),
    /// Pause at the current weight
    Pause(Order),
    /// Continue after a pause
    Resume(Order),
    /// Approve the promotion, as another person than the requester
    Approve(Order),
    /// Reject the promotion, and return to the champion
    Reject(Order),
    /// Promote now, from the last step or with all approvals
    Promote(Order),
    /// Abort the rollout, and return to the champion
    Abort(Order),
}

#[derive(Debug, clap::Args)]
struct Target {
    /// Model; default: the workspace's model
    model: Option<String>,
    /// Rollout; default: the latest
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Order {
    /// Model; default: the workspace's model
    model: Option<String>,
    #[command(flatten)]
    reason: ReasonArg,
    /// Show the transition, but make none
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Plan(args) => plan::run(args, context),
        Verb::OnServer(verb) => on_server(verb, context),
    }
}

fn on_server(verb: &ServerVerb, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let url = workspace.admin_url.value.clone().ok_or_else(|| {
        Fault::usage("BOT-6038", "no server is configured")
            .hint("set `server.admin_url` in botops.yaml, or BOTOPS_ADMIN_URL")
    })?;
    let client = context.admin_client(&url)?;
    let named = |model: &Option<String>| match model {
        Some(model) => Ok(model.clone()),
        None => workspace_model(context),
    };
    let (command, order) = match verb {
        ServerVerb::Status(target) => {
            let model = named(&target.model)?;
            let status = context.wait(client.rollout(&model, target.id.as_deref()))??;
            return Ok(outcome(&status));
        }
        ServerVerb::Pause(order) => ("pause", order),
        ServerVerb::Resume(order) => ("resume", order),
        ServerVerb::Approve(order) => ("approve", order),
        ServerVerb::Reject(order) => ("reject", order),
        ServerVerb::Promote(order) => ("promote", order),
        ServerVerb::Abort(order) => ("rollback", order),
    };
    let model = named(&order.model)?;
    if order.dry_run {
        let would = context.wait(client.would(
            &model,
            command,
            &workspace.actor.value,
            &order.reason.reason,
        ))??;
        let text = format!(
            "rollout {} would enter {} at {} %: {} (dry run)\n",
            would.next.id,
            would.next.phase.name().replace('_', " "),
            would.next.weight_percent(),
            would.reason
        );
        return Ok(Outcome::done(&would, text));
    }
    let status = context.wait(client.command(
        &model,
        command,
        &workspace.actor.value,
        &order.reason.reason,
    ))??;
    Ok(outcome(&status))
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

fn outcome(status: &RolloutStatus) -> Outcome {
    let rollout = &status.rollout;
    let phase = rollout.phase.name().replace('_', " ");
    // A promoted rollout routes nothing any more: its challenger is the champion.
    let weight = match rollout.phase {
        Phase::Promoted => 100.0,
        _ => status.weight_percent,
    };
    let mut text = format!(
        "rollout {} of {}: {phase}, {weight} % on the challenger, revision {}\n",
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
        text.push_str("  another server controls this rollout; this one serves the champion\n");
    }
    text.push_str(&transitions(&status.decision));
    text.push_str(&evidence(&status.decision));
    let outcome = Outcome::done(status, text);
    if rollout.is_over() { outcome.exit(verdict_exit(&status.decision.verdict)) } else { outcome }
}
