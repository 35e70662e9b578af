//! `botops data snapshot`.

use crate::cli::{
    Outcome,
    session::context::Context,
    terminal::{progress, tables},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_snapshots::{SnapshotRequest, Taken};
use botops_text::shell_line;
use chrono::Utc;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files and folders of the data set
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Name of the data set; default: the name of the file or folder
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Read the data and show the snapshot, but store nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    registry: &'a str,
    name: &'a str,
    reference: String,
    snapshot: Digest,
    manifest_digest: Digest,
    /// Whether this call made the snapshot, or would have.
    is_new: bool,
    dry_run: bool,
    files: u64,
    size_bytes: u64,
    stored_bytes: u64,
    /// Missing blobs of the latest snapshot that were written again, or would be.
    restored: u64,
    /// Missing blobs of the latest snapshot that the files no longer hold.
    lost: u64,
    files_read: u64,
    hidden: u64,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => own_name(args)?,
    };
    let snapshots = context.snapshots()?;
    let workspace = context.workspace()?;
    let act = context.act(args.reason.clone())?;
    let taking = SnapshotRequest {
        // An invalid name is refused before this path is used.
        stamps: Some(workspace.root.join(".botops").join("snapshots").join(format!("{name}.json"))),
        name,
        paths: args.paths.clone(),
        actor: act.actor,
        reason: act.reason,
        at: act.at,
        clock: Utc::now(),
        dry_run: args.dry_run,
    };
    let bar = progress::bar(&context.printer, "storing", 0);
    let progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let taken = context.wait(snapshots.take(&taking, &progress))?;
    bar.finish_and_clear();
    let Taken { snapshot, is_new, stored_bytes, restored, lost, files_read, hidden, forgot } =
        taken?;
    if let Some(fault) = forgot {
        context.printer.say(&format!("warning: the next snapshot reads every file again: {fault}"));
    }
    let answer = Answer {
        registry: snapshots.store().url(),
        name: &snapshot.name,
        reference: snapshot.reference(),
        snapshot: snapshot.digest,
        manifest_digest: snapshot.manifest_digest,
        is_new,
        dry_run: args.dry_run,
        files: snapshot.manifest.files.len() as u64,
        size_bytes: snapshot.manifest.size_bytes(),
        stored_bytes,
        restored,
        lost,
        files_read,
        hidden,
    };
    let outcome = Outcome::done(&answer, text(&answer));
    if args.dry_run {
        return Ok(outcome);
    }
    Ok(match snapshot.number {
        number if is_new && number > 1 => outcome.next(shell_line([
            "botops",
            "data",
            "diff",
            &format!("{}@{}", snapshot.name, number - 1),
            &answer.reference,
        ])),
        _ => outcome.next(shell_line(["botops", "data", "log", &snapshot.name])),
    })
}

/// Returns the name of the only path, without its ending.
fn own_name(args: &Args) -> Result<String> {
    let unnamed = |message: String| {
        Fault::usage("BOT-5061", message).hint("name the data set: `--name support`")
    };
    let [path] = &args.paths[..] else {
        return Err(unnamed("a data set of several paths needs a name".to_owned()));
    };
    // The path `.` has no name of its own.
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    let name = if real.is_dir() { real.file_name() } else { path.file_stem() };
    let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // `train.csv.gz` has the name `train`.
    let name = name.split('.').next().unwrap_or_default().to_lowercase();
    let name = name.replace(' ', "-");
    if name.is_empty() {
        return Err(unnamed(format!("a data set at `{}` needs a name", path.display())));
    }
    Ok(name)
}

fn text(answer: &Answer<'_>) -> String {
    let files = tables::counted(answer.files, "file", "files");
    let size = tables::bytes(answer.size_bytes);
    let short = answer.snapshot.short();
    let mut out = match (answer.is_new, answer.dry_run) {
        (false, _) if answer.restored == 0 => format!(
            "{} has this content already ({short}): {files}, {size}; nothing was stored\n",
            answer.reference
        ),
        (false, _) => {
            format!("{} has this content already ({short}): {files}, {size}\n", answer.reference)
        }
        (true, true) => format!(
            "{} would be {files}, {size} ({short}), {} of them new; nothing was stored (dry run)\n",
            answer.reference,
            tables::bytes(answer.stored_bytes)
        ),
        (true, false) => format!(
            "{} is in {} ({short}): {files}, {size}; stored {}\n",
            answer.reference,
            answer.registry,
            tables::bytes(answer.stored_bytes)
        ),
    };
    if answer.restored > 0 {
        let blobs = tables::counted(answer.restored, "missing blob", "missing blobs");
        let (done, dry) =
            if answer.dry_run { ("would be written", " (dry run)") } else { ("written", "") };
        out.push_str(&format!("{blobs} of the snapshot before {done} again{dry}\n"));
    }
    if answer.lost > 0 {
        out.push_str(&format!(
            "{} of an earlier snapshot are still missing, and these files do not hold their content: `botops data verify {}`\n",
            tables::counted(answer.lost, "blob", "blobs"),
            answer.name
        ));
    }
    if answer.hidden > 0 {
        out.push_str(&format!("hidden files skipped: {}\n", tables::count(answer.hidden)));
    }
    out
}
