//! `botops data verify`.

use crate::cli::{Exit, Outcome, session::context::Context, terminal::tables};
use botops_findings::Result;
use botops_text::shell_line;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data set; without one, all are checked
    name: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let snapshots = context.snapshots()?;
    let verification = context.wait(snapshots.verify(args.name.as_deref()))??;
    let problems = verification.problems.len();
    let mut text = tables::findings(&verification.problems, 20);
    if !verification.damaged.is_empty() {
        text.push_str(&format!(
            "damaged: {}\n",
            botops_text::display(&verification.damaged.join(", "), 1_000)
        ));
    }
    text.push_str(&format!(
        "{}: {} log entries and {} chunks in {} blobs ({}) checked in {}, {}\n",
        if problems == 0 { "verified" } else { "failed" },
        tables::count(verification.entries),
        tables::count(verification.chunks),
        tables::count(verification.packs),
        tables::bytes(verification.stored_bytes),
        snapshots.store().url(),
        match problems {
            0 => "no problems".to_owned(),
            n => tables::counted(n as u64, "problem", "problems"),
        }
    ));
    if !verification.erased.is_empty() {
        let n = tables::counted(verification.erased.len() as u64, "blob", "blobs");
        text.push_str(&format!("erased on purpose, and not missing: {n}\n"));
    }
    let exit = if problems == 0 { Exit::Done } else { Exit::Gate };
    let mut outcome = Outcome::done(&verification, text).exit(exit);
    if let Some(problem) = verification.problems.first() {
        outcome = outcome.next(shell_line(["botops", "explain", &problem.code]));
    }
    let findings = verification.problems.into_iter().chain(verification.erased);
    Ok(outcome.findings(findings.collect()))
}
