//! `botops freeze` and `botops unfreeze`.

use super::Outcome;
use crate::cli::{arguments::output_args::ReasonArg, session::context::Context, terminal::tables};
use botops_findings::{Fault, Result};
use botops_registry::{check_reasoned, freeze_change, unfreeze_change};
use botops_serving::{AdminClient, FreezeRequest};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::time::Duration;

/// Freeze the environment: nothing advances, and a rollback is still possible
#[derive(Debug, clap::Args)]
pub(crate) struct FreezeArgs {
    /// End of the freeze, such as 2026-12-27T08:00:00Z; default: until `botops unfreeze`
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    until: Option<DateTime<Utc>>,
    /// Duration of the freeze, such as 12h
    #[arg(long = "for", id = "duration", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

/// End the freeze of the environment
#[derive(Debug, clap::Args)]
pub(crate) struct UnfreezeArgs {
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    environment: &'a str,
    frozen: bool,
    /// The end of the freeze; `None` if it has none, or if it was ended.
    until: Option<DateTime<Utc>>,
    dry_run: bool,
}

impl FreezeArgs {
    /// Returns the end of a freeze that begins at `now`.
    fn end(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let Some(duration) = self.duration else { return Ok(self.until) };
        let end = TimeDelta::from_std(duration).ok().and_then(|it| now.checked_add_signed(it));
        end.map(Some).ok_or_else(|| {
            let shown = humantime::format_duration(duration);
            Fault::usage("BOT-6053", format!("`--for {shown}` is more than 366 days"))
                .hint("leave it out to freeze until `botops unfreeze`")
        })
    }
}

/// Returns the server that changes the freeze: the one at `server.admin_url`; without one, the store is written.
fn server(context: &Context) -> Result<Option<AdminClient>> {
    let url = &context.workspace()?.admin_url.value;
    url.as_ref().map(|url| context.admin_client(url)).transpose()
}

pub(crate) fn freeze(args: &FreezeArgs, context: &Context) -> Result<Outcome> {
    let act = context.act(args.reason.reason.trim())?;
    check_reasoned("a freeze", &act.actor, &act.reason)?;
    let until = args.end(act.at)?;
    freeze_change(until, act.at)?;
    let registry = context.registry()?;
    match server(context)? {
        Some(server) => {
            let request = FreezeRequest::Freeze(until);
            context.wait(server.freeze(request, &act.actor, &act.reason, args.dry_run))??;
        }
        None if args.dry_run => {}
        None => context.wait(registry.freeze(until, &act))??,
    }
    let environment = registry.environment_name();
    let end = match until {
        Some(until) => format!("until {} UTC", tables::time(&until)),
        None => "until `botops unfreeze`".to_owned(),
    };
    let text = match args.dry_run {
        true => format!("{environment} would be frozen {end}: nothing was written (dry run)\n"),
        false => format!(
            "{environment} is frozen {end}: nothing advances, and a rollback is still possible\n"
        ),
    };
    let answer = Answer { environment, frozen: !args.dry_run, until, dry_run: args.dry_run };
    let outcome = Outcome::done(&answer, text);
    Ok(if args.dry_run { outcome } else { outcome.next("botops unfreeze --reason \"…\"") })
}

pub(crate) fn unfreeze(args: &UnfreezeArgs, context: &Context) -> Result<Outcome> {
    let act = context.act(args.reason.reason.trim())?;
    check_reasoned("the end of a freeze", &act.actor, &act.reason)?;
    let registry = context.registry()?;
    let environment = registry.environment_name();
    match server(context)? {
        Some(server) => {
            let request = FreezeRequest::Unfreeze;
            context.wait(server.freeze(request, &act.actor, &act.reason, args.dry_run))??;
        }
        None if args.dry_run => {
            let state = context.wait(registry.environment())??;
            unfreeze_change((environment, &state), act.at)?;
        }
        None => context.wait(registry.unfreeze(&act))??,
    }
    let text = match args.dry_run {
        true => format!("the freeze of {environment} would end: nothing was written (dry run)\n"),
        false => format!("{environment} is no longer frozen\n"),
    };
    let answer = Answer { environment, frozen: args.dry_run, until: None, dry_run: args.dry_run };
    Ok(Outcome::done(&answer, text))
}
