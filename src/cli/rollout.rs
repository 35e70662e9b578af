//! `botops rollout`.

mod drill;
mod history;
mod list;
mod plan;
mod replay;
mod review;
mod shadow;
mod status;
mod target;
mod watch;

use self::target::{Target, named, server_url};
use super::Outcome;
use crate::cli::{
    arguments::{output_args::ReasonArg, share::percentage},
    session::context::Context,
};
use botops_findings::Result;
use clap::Subcommand;

/// Follow and control a rollout
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Forecast how long each step of a plan takes, and what it can show
    Plan(plan::Args),
    /// Show the phase of the rollout, the evidence so far, and what is missing
    Status(status::Args),
    /// Show every decision about a rollout, with its author
    History(Target),
    /// List the rollouts of the environment
    List(list::Args),
    /// Follow a rollout until it is over, or pauses in doubt
    Watch(watch::Args),
    /// Decide a recorded rollout again: exit code 3 if this program decides anything differently
    Replay(replay::Args),
    /// Roll out the champion's own version and abort it, to prove that a rollback works and how long it takes
    Drill(drill::Args),
    /// Let a version classify a share of the conversations without answering anybody, to compare it with the champion
    Shadow(shadow::Args),
    /// Pause at the current weight
    Pause(Order),
    /// Continue after a pause
    Resume(Order),
    /// Give the challenger another share within its step
    Weight(Weight),
    /// Take the next step now; refused while the evidence is against it
    Advance(Order),
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
struct Order {
    /// Model; default: the workspace's model
    model: Option<String>,
    #[command(flatten)]
    reason: ReasonArg,
    /// Show the transition, but make none
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Weight {
    #[command(flatten)]
    order: Order,
    /// Share of conversations, above 0 and at most the weight of the step, such as 2.5
    #[arg(long, value_name = "PERCENT", value_parser = percentage)]
    percent: f64,
}

/// A command, or another share of the challenger.
#[derive(Clone, Copy)]
enum Told<'a> {
    /// A command, by its name in the admin API.
    Command(&'a str),
    /// Another share of the challenger, in percent.
    Weight(f64),
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let (command, order) = match &args.verb {
        Verb::Plan(args) => return plan::run(args, context),
        Verb::Status(args) => return status::run(args, context),
        Verb::History(target) => return history::run(target, context),
        Verb::List(args) => return list::run(args, context),
        Verb::Watch(args) => return watch::run(args, context),
        Verb::Replay(args) => return replay::run(args, context),
        Verb::Drill(args) => return drill::run(args, context),
        Verb::Shadow(args) => return shadow::run(args, context),
        Verb::Weight(weight) => {
            return give(Told::Weight(weight.percent), &weight.order, context);
        }
        Verb::Pause(order) => ("pause", order),
        Verb::Resume(order) => ("resume", order),
        Verb::Advance(order) => ("advance", order),
        Verb::Approve(order) => ("approve", order),
        Verb::Reject(order) => ("reject", order),
        Verb::Promote(order) => ("promote", order),
        Verb::Abort(order) => ("rollback", order),
    };
    give(Told::Command(command), order, context)
}

/// Gives the rollout a command, at the server.
fn give(told: Told<'_>, order: &Order, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let client = context.admin_client(&server_url(context)?)?;
    let (model, actor) = (named(order.model.as_deref(), context)?, &workspace.actor.value);
    let reason = &order.reason.reason;
    if order.dry_run {
        let would = context.wait(async {
            match told {
                Told::Command(command) => client.would(&model, command, actor, reason).await,
                Told::Weight(percent) => client.would_weigh(&model, percent, (actor, reason)).await,
            }
        })??;
        let text = format!(
            "rollout {} would enter {} at {} %: {} (dry run)\n",
            would.next.id,
            would.next.phase.name().replace('_', " "),
            would.next.weight_percent(),
            would.reason
        );
        return Ok(Outcome::done(&would, text));
    }
    let status = context.wait(async {
        match told {
            Told::Command(command) => client.command(&model, command, actor, reason).await,
            Told::Weight(percent) => client.weight(&model, percent, (actor, reason)).await,
        }
    })??;
    Ok(status::outcome(&status, status::text(&status, "")))
}
