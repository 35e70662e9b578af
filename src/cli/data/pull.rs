//! `botops data pull`.

use crate::cli::{
    Outcome,
    arguments::out_path::named_path,
    session::context::Context,
    terminal::{progress, tables},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_snapshots::{Pulled, SnapshotReference};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Snapshot, such as support@3 or support@latest
    reference: String,
    /// Folder to write, which must not exist yet; default: such as support-3
    #[arg(long, short, value_name = "FOLDER", value_parser = named_path())]
    out: Option<PathBuf>,
    /// Show the snapshot, but write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    reference: String,
    snapshot: Digest,
    out: String,
    dry_run: bool,
    #[serde(flatten)]
    pulled: Pulled,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let reference: SnapshotReference = args.reference.parse()?;
    if reference.file.is_some() {
        return Err(Fault::usage("BOT-5064", "a snapshot is restored as a whole")
            .hint("to read one file without restoring it, name it, as in `botops validate name@3:train.csv`")
            .hint(format!("or restore the whole snapshot: `botops data pull {}`", {
                let whole = SnapshotReference { file: None, ..reference };
                whole.to_string()
            })));
    }
    let snapshots = context.snapshots()?;
    let snapshot = context.wait(snapshots.resolve(&reference))??;
    let default = || PathBuf::from(format!("{}-{}", snapshot.name, snapshot.number));
    let out = args.out.clone().unwrap_or_else(default);
    let pulled = if args.dry_run {
        Pulled {
            files: snapshot.manifest.files.len() as u64,
            size_bytes: snapshot.manifest.size_bytes(),
            ..Pulled::default()
        }
    } else {
        let bar = progress::bar(&context.printer, "pulling", 0);
        let progress = |done: u64, total: u64| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let pulled = context.wait(snapshots.pull(&snapshot, &out, &progress))?;
        bar.finish_and_clear();
        pulled?
    };
    let content = format!(
        "{}, {}, {}",
        tables::counted(pulled.files, "file", "files"),
        tables::bytes(pulled.size_bytes),
        snapshot.digest.short()
    );
    let (reference, folder) = (snapshot.reference(), out.display().to_string());
    let text = if args.dry_run {
        format!("{folder} would be {reference}: {content}; nothing was written (dry run)\n")
    } else if pulled.was_there {
        format!("{folder} already is {reference}: {content}, verified\n")
    } else if pulled.kept_bytes > 0 {
        let kept = tables::bytes(pulled.kept_bytes);
        format!(
            "{folder} is {reference}: {content}, verified; {kept} were kept from an interrupted run\n"
        )
    } else {
        format!("{folder} is {reference}: {content}, verified\n")
    };
    let answer =
        Answer { reference, snapshot: snapshot.digest, out: folder, dry_run: args.dry_run, pulled };
    Ok(Outcome::done(&answer, text))
}
