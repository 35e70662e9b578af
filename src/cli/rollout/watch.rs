//! `botops rollout watch`.

use super::{status::seen_outcome, target::named};
use crate::cli::{
    Outcome,
    promote::verdict_exit,
    session::{
        context::Context,
        following::{Following, Until},
        rollouts::RolloutSource,
    },
};
use botops_findings::Result;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model; default: the workspace's model
    model: Option<String>,
    /// Rollout; default: the latest
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Stop watching after this time; the rollout continues
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let model = named(args.model.as_deref(), context)?;
    let source = RolloutSource::of(context)?;
    let following = Following {
        until: Until::Promoted,
        timeout: args.timeout,
        is_live: true,
        ends_on_signal: true,
    };
    let place = (model.as_str(), args.id.as_deref());
    let seen = context.wait(following.follow(&source, context.printer, place))??;
    Ok(seen_outcome(&seen).exit(verdict_exit(&seen.status.decision.verdict)))
}
