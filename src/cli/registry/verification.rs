//! `botops registry verify`.

use crate::cli::{Exit, Outcome, session::context::Context, terminal::tables};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Result};
use botops_registry::{Registry, RepairSources, Repaired, Verification};
use botops_text::shell_line;
use serde::Serialize;
use std::{collections::BTreeMap, fs::File, path::PathBuf};

/// The most rounds of repair: a repaired manifest may show that its files are missing, too.
const MOST_ROUNDS: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model; without one, all are checked
    model: Option<String>,
    /// Repair lost and damaged objects as far as other stores or files have them
    #[arg(long)]
    repair: bool,
    /// Store to take lost objects from, such as a mirror or a restored backup; can be repeated
    #[arg(long, value_name = "LOCATION", requires = "repair")]
    from: Vec<String>,
    /// File to take a lost blob from, such as a pulled model; can be repeated
    #[arg(long, value_name = "FILE", requires = "repair")]
    file: Vec<PathBuf>,
    /// Reason, for the audit trail
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        requires = "repair"
    )]
    reason: String,
    /// With `--repair`: check, and show what would be repaired, but write nothing
    #[arg(long, requires = "repair")]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    verification: &'a Verification,
    dry_run: bool,
    /// The objects that were repaired, or that would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<&'a [Repaired]>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let registry = context.registry()?;
    let act = context.act(args.reason.clone())?;
    let sources = sources(args, context)?;
    let model = args.model.as_deref();
    let (verification, repaired) = context.wait(async {
        let mut verification = verified(&registry, model, args.repair, context).await?;
        let mut repaired: Vec<Repaired> = Vec::new();
        let rounds = if args.repair { MOST_ROUNDS } else { 0 };
        for _ in 0..rounds {
            let done = registry.repair(&verification.problems, &sources, args.dry_run).await?;
            let is_done = done.is_empty();
            repaired.extend(done);
            if is_done || args.dry_run {
                break;
            }
            verification = verified(&fresh(&registry)?, model, true, context).await?;
        }
        if !args.dry_run && !repaired.is_empty() {
            registry.record_repairs(repaired.clone(), &act).await?;
        }
        Ok::<_, Fault>((verification, repaired))
    })??;
    let answer = Answer {
        verification: &verification,
        dry_run: args.dry_run,
        repaired: args.repair.then_some(&repaired[..]),
    };
    let problems = verification.problems.len();
    let exit = if problems == 0 { Exit::Done } else { Exit::Gate };
    let mut outcome = Outcome::done(&answer, text(args, &answer, &registry)).exit(exit);
    if let Some(problem) = verification.problems.first() {
        outcome = outcome.next(shell_line(["botops", "explain", &problem.code]));
    }
    let Verification { problems, erased, .. } = verification;
    Ok(outcome.findings(problems.into_iter().chain(erased).collect()))
}

/// Returns the registry without what this process has read of it before the repair.
fn fresh(registry: &Registry) -> Result<Registry> {
    Registry::open(registry.store().clone()).in_environment(registry.environment_name())
}

/// Verifies the models, the deployment logs, the knowledge bases, and for a repair the data sets, too.
async fn verified(
    registry: &Registry,
    model: Option<&str>,
    repairs: bool,
    context: &Context,
) -> Result<Verification> {
    let mut verification = registry.verify(model).await?;
    verification.problems.extend(botops_serving::verify_deployments(registry).await?);
    if model.is_none() {
        let found = context.knowledge()?.verify(None).await?;
        // The entries of the logs were checked with those of other kinds.
        let known = |finding: &Finding| verification.problems.contains(finding);
        let new: Vec<Finding> =
            found.problems.into_iter().filter(|finding| !known(finding)).collect();
        verification.problems.extend(new);
        verification.erased.extend(found.erased);
        verification.blobs += found.blobs;
    }
    if repairs && model.is_none() {
        let found = context.snapshots()?.verify(None).await?.problems;
        let known = |finding: &Finding| verification.problems.contains(finding);
        let new: Vec<Finding> = found.into_iter().filter(|finding| !known(finding)).collect();
        verification.problems.extend(new);
    }
    verification.separate_erased();
    Ok(verification)
}

fn sources(args: &Args, context: &Context) -> Result<RepairSources> {
    let stores = args.from.iter().map(|location| context.store(location));
    let mut files = BTreeMap::new();
    for path in &args.file {
        let digest = File::open(path).and_then(Digest::of_reader).map_err(|error| {
            Fault::internal("BOT-5145", format!("`{}` cannot be read: {error}", path.display()))
                .file(path)
        })?;
        files.insert(digest, path.clone());
    }
    Ok(RepairSources { stores: stores.collect::<Result<_>>()?, files })
}

fn text(args: &Args, answer: &Answer<'_>, registry: &Registry) -> String {
    let Verification { entries, blobs, problems, erased } = answer.verification;
    let mut text = tables::findings(problems, 20);
    for Repaired { object, from, aside } in answer.repaired.unwrap_or_default() {
        let verb = if args.dry_run { "would be " } else { "" };
        text.push_str(&match from {
            Some(from) => format!("{object}: {verb}restored from {from}\n"),
            None => format!("{object}: {verb}removed; it is made again from its log\n"),
        });
        if let Some(aside) = aside {
            text.push_str(&format!("  its damaged bytes are kept: {aside}\n"));
        }
    }
    text.push_str(&format!(
        "{}: {} log entries and {} blobs checked in {}, {}\n",
        if problems.is_empty() { "verified" } else { "failed" },
        tables::count(*entries),
        tables::count(*blobs),
        registry.store().url(),
        match problems.len() {
            0 => "no problems".to_owned(),
            n if args.repair && !args.dry_run => {
                format!(
                    "{} left that cannot be repaired",
                    tables::counted(n as u64, "problem", "problems")
                )
            }
            n => tables::counted(n as u64, "problem", "problems"),
        }
    ));
    if !erased.is_empty() {
        let files = tables::counted(erased.len() as u64, "file", "files");
        text.push_str(&format!("erased on purpose, and not missing: {files}\n"));
    }
    text
}
