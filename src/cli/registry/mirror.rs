//! `botops registry mirror`.

use crate::cli::{Exit, Outcome, session::context::Context, terminal::tables};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_registry::Mirrored;
use botops_text::shell_line;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Store to copy, such as s3://bucket/registry
    from: String,
    /// Store that holds the copy
    to: String,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Compare, and show what would be copied, but write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    from: &'a str,
    to: &'a str,
    dry_run: bool,
    #[serde(flatten)]
    mirrored: &'a Mirrored,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let act = context.act(args.reason.clone())?;
    let (from, to) = (context.store(&args.from)?, context.store(&args.to)?);
    if is_within(from.url(), to.url()) || is_within(to.url(), from.url()) {
        let message = format!("`{}` and `{}` are in each other", args.from, args.to);
        return Err(Fault::usage("BOT-5147", message)
            .hint("name a place for the copy outside the store, best on another disk or in another account"));
    }
    if context.wait(from.folders(""))??.is_empty() {
        let message = format!("there is nothing to copy in `{}`", from.url());
        return Err(Fault::usage("BOT-5147", message)
            .hint("check the location, and whether its disk is mounted"));
    }
    let mirrored = context.wait(Mirrored::copy(&from, &to, &act, args.dry_run))??;
    let answer =
        Answer { from: from.url(), to: to.url(), dry_run: args.dry_run, mirrored: &mirrored };
    let findings: Vec<Finding> = mirrored
        .conflicts
        .iter()
        .map(|conflict| {
            let message = format!("`{}` {}: it was not copied", conflict.object, conflict.problem);
            let help = "a copy that others write to is no mirror: find out who does, and mirror into an empty store";
            let file = Some(to.object_url(&conflict.object));
            Finding::new("BOT-5146", Severity::Error, message, help)
                .at(Place { file, ..Place::default() })
        })
        .collect();
    let exit = if findings.is_empty() { Exit::Done } else { Exit::Conflict };
    let text = format!("{}{}", tables::findings(&findings, 20), text(&answer));
    let outcome = Outcome::done(&answer, text).exit(exit);
    let next = match findings.is_empty() {
        true => shell_line(["botops", "registry", "verify", "--registry", to.url()]),
        false => shell_line(["botops", "explain", "BOT-5146"]),
    };
    Ok(outcome.findings(findings).next(next))
}

/// Returns whether the store `inner` is in `outer`, and not the same.
fn is_within(inner: &str, outer: &str) -> bool {
    let place = |url: &str| match url.contains("://") {
        true => PathBuf::from(url),
        false => {
            let path = std::path::absolute(url).unwrap_or_else(|_| PathBuf::from(url));
            path.canonicalize().unwrap_or(path)
        }
    };
    let (inner, outer) = (place(inner), place(outer));
    inner != outer && inner.starts_with(outer)
}

fn text(answer: &Answer<'_>) -> String {
    let Mirrored { blobs, entries, others, bytes, erased, blobs_there, conflicts } =
        answer.mirrored;
    let verb = if answer.dry_run { "to copy" } else { "copied" };
    let mut out = format!(
        "{verb} from {} to {}: {}, {}, {}; {} bytes; {} there already\n",
        answer.from,
        answer.to,
        tables::counted(*blobs, "blob", "blobs"),
        tables::counted(*entries, "log entry", "log entries"),
        tables::counted(*others, "other object", "other objects"),
        tables::count(*bytes),
        tables::counted(*blobs_there, "blob", "blobs")
    );
    if *erased > 0 {
        out.push_str(&format!(
            "erased in the copy: {}\n",
            tables::counted(*erased, "blob", "blobs")
        ));
    }
    if !conflicts.is_empty() {
        let n = tables::counted(conflicts.len() as u64, "object differs", "objects differ");
        out.push_str(&format!("{n}; everything else was copied\n"));
    }
    out
}
