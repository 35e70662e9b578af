//! `botops registry yank` and `botops registry deprecate`.

use crate::cli::{Outcome, arguments::output_args::ReasonArg, session::context::Context};
use botops_findings::{Fault, Result};
use botops_registry::{Reference, Version, Withdrawal};
use botops_text::shell_line;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Version, such as support@2
    reference: String,
    /// Take the withdrawal back
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

/// An open rollout of the version.
#[derive(Serialize)]
struct OpenRollout {
    environment: String,
    rollout: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    version: String,
    state: &'a str,
    /// Whether the version is in that state afterwards.
    in_force: bool,
    /// Whether something was written.
    changed: bool,
    dry_run: bool,
    /// The rollouts of the version, which their servers abort.
    rollouts: Vec<OpenRollout>,
}

pub(super) fn run(args: &Args, context: &Context, withdrawal: Withdrawal) -> Result<Outcome> {
    let reference: Reference = args.reference.parse()?;
    let act = context.act(args.reason.reason.clone())?;
    let registry = context.registry()?;
    let (version, changed, rollouts) = context.wait(async {
        let version = registry.resolve(&reference).await?;
        let changed = match (args.dry_run, args.undo) {
            (true, false) => registry.check_withdrawal(&version, withdrawal).await?,
            (true, true) => version.withdrawn(withdrawal).is_some(),
            (false, false) => registry.withdraw(&version, withdrawal, &act).await?,
            (false, true) => registry.take_back(&version, withdrawal, &act).await?,
        };
        let rollouts = match (withdrawal, args.undo) {
            (Withdrawal::Yanked, false) => registry.rollouts_of(&version).await?,
            _ => Vec::new(),
        };
        Ok::<_, Fault>((version, changed, rollouts))
    })??;
    let text = text(args, withdrawal, &version, changed, &rollouts);
    let model = version.model.clone();
    let open = |(environment, rollout)| OpenRollout { environment, rollout };
    let answer = Answer {
        version: version.reference(),
        state: withdrawal.name(),
        in_force: if args.dry_run { version.withdrawn(withdrawal).is_some() } else { !args.undo },
        changed: changed && !args.dry_run,
        dry_run: args.dry_run,
        rollouts: rollouts.into_iter().map(open).collect(),
    };
    Ok(Outcome::done(&answer, text).next(shell_line(["botops", "registry", "log", &model])))
}

fn text(
    args: &Args,
    withdrawal: Withdrawal,
    version: &Version,
    changed: bool,
    rollouts: &[(String, String)],
) -> String {
    let (name, state) = (version.reference(), withdrawal.name());
    let dry = if args.dry_run { " (dry run: nothing was changed)" } else { "" };
    let mut out = match (args.undo, changed) {
        (false, true) => format!("{name}: {state}{dry}\n"),
        (true, true) => format!("{name}: no longer {state}{dry}\n"),
        (false, false) => format!("{name} is {state} already: nothing was changed\n"),
        (true, false) => format!("{name} is not {state}: nothing was changed\n"),
    };
    for (environment, rollout) in rollouts {
        out.push_str(&format!(
            "rollout {rollout} of {name} is open in {environment}: its server aborts it\n"
        ));
    }
    out
}
