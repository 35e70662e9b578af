//! `botops rollout shadow`.

use super::target::server_url;
use crate::cli::{
    Outcome,
    arguments::{output_args::ReasonArg, share::percentage},
    session::context::Context,
};
use botops_findings::Result;
use botops_registry::{Reference, Selector};
use botops_serving::{RolloutStatus, ShadowOrder};
use botops_text::{display, shell_line};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Version: a reference such as support@3; a bare name is its newest version
    #[arg(value_name = "VERSION")]
    reference: String,
    /// Share of conversations to mirror, such as 20; default: all
    #[arg(long, value_name = "PERCENT", value_parser = percentage)]
    percent: Option<f64>,
    /// Duration of the run; default: 24h
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// End before that, with this many conversations mirrored
    #[arg(long, value_name = "N")]
    min_units: Option<u64>,
    /// Roll back the rollout that is under way on the server
    #[arg(long)]
    supersede: bool,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, but start nothing
    #[arg(long)]
    dry_run: bool,
}

/// Puts a version on mirror only, and returns: the run takes hours.
pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let version: Reference = args.reference.parse()?;
    let version = match args.reference.contains('@') {
        true => version,
        false => Reference { selector: Selector::Latest, ..version },
    };
    let client = context.admin_client(&server_url(context)?)?;
    let actor = &context.workspace()?.actor.value;
    let by = (actor.as_str(), args.reason.reason.as_str());
    let duration = args.duration.map(|duration| humantime::format_duration(duration).to_string());
    let reference = version.to_string();
    let order = ShadowOrder {
        version: &reference,
        percent: args.percent,
        duration: duration.as_deref(),
        min_units: args.min_units,
        supersede: args.supersede,
    };
    let model = version.model.as_str();
    if args.dry_run {
        let would = context.wait(client.would_shadow(model, order, by))??;
        let text = format!("{reference} would go into shadow (dry run)\n");
        return Ok(Outcome::done(&would, text));
    }
    let status = context.wait(client.shadow(model, order, by))??;
    let watch = ["botops", "rollout", "watch", model, "--id", &status.rollout.id];
    Ok(Outcome::done(&status, text(&status)).next(shell_line(watch)))
}

fn text(status: &RolloutStatus) -> String {
    let rollout = &status.rollout;
    let challenger = match &rollout.versions {
        Some(versions) => display(&versions.challenger, 80),
        None => rollout.challenger.short(),
    };
    let Some(plan) = rollout.policy.shadow() else { return String::new() };
    let units = match plan.least_units() {
        Some(units) => format!(" or {} conversations", botops_text::count(units)),
        None => String::new(),
    };
    format!(
        "rollout {}: {challenger} is in shadow for {}{units}; {} % of conversations are mirrored, and it answers nobody\n",
        rollout.id,
        humantime::format_duration(plan.deadline),
        plan.mirror_percent,
    )
}
