//! `botops knowledge pull`.

use super::writing;
use crate::cli::{
    Outcome,
    arguments::{
        out_path::{OutPath, named_path},
        output_args::ForceArg,
    },
    session::context::Context,
    terminal::{progress, tables},
};
use botops_digest::Digest;
use botops_files::{Output, OutputKind};
use botops_findings::Result;
use botops_knowledge::store::{KnowledgeReference, KnowledgeVersion};
use botops_text::shell_line;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Version, such as help, help@3 or help@latest
    reference: String,
    /// Write the index to this file; default: such as help.knowledge
    #[arg(long, short, value_name = "FILE")]
    out: Option<OutPath>,
    /// Also write the documents into this folder, as they were imported
    #[arg(long, value_name = "FOLDER", value_parser = named_path())]
    documents: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
    /// Check, and show what would be written, but write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    reference: String,
    version: Digest,
    index: Digest,
    index_bytes: u64,
    out: String,
    /// The folder of the documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<String>,
    files: u64,
    size_bytes: u64,
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let reference: KnowledgeReference = args.reference.parse()?;
    let force = args.force.force;
    let default = || OutPath::new(format!("{}.knowledge", reference.name));
    let out = args.out.clone().unwrap_or_else(default);
    let output = Output::new(&out, OutputKind::Knowledge, force);
    output.check()?;
    let store = context.knowledge()?;
    let version = context.wait(store.resolve(&reference))??;
    let files = &version.manifest.files;
    let paths = match &args.documents {
        Some(_) => writing::paths(files)?,
        None => Vec::new(),
    };
    // Everything is read and checked before the first file is written.
    let index = context.wait(store.index(&version))??;
    if let Some(folder) = &args.documents {
        let bar = progress::bar(&context.printer, "checking", files.len() as u64);
        for (file, path) in files.iter().zip(&paths) {
            let bytes = context.wait(store.original(file))??;
            writing::check(folder, path, &bytes, force)?;
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
    if !args.dry_run {
        if let Some(folder) = &args.documents {
            let bar = progress::bar(&context.printer, "pulling", files.len() as u64);
            for (file, path) in files.iter().zip(&paths) {
                let bytes = context.wait(store.original(file))??;
                writing::write(folder, path, &bytes, force)?;
                bar.inc(1);
            }
            bar.finish_and_clear();
        }
        output.write(&index)?;
    }
    let answer = answer(args, &out, &version);
    let text = show(&answer);
    let outcome = Outcome::done(&answer, text);
    Ok(match args.dry_run {
        true => outcome,
        false => outcome.next(shell_line(["botops", "serve", "MODEL", "--knowledge", &answer.out])),
    })
}

fn answer(args: &Args, out: &OutPath, version: &KnowledgeVersion) -> Answer {
    let manifest = &version.manifest;
    Answer {
        reference: version.reference(),
        version: version.digest,
        index: manifest.index,
        index_bytes: manifest.index_bytes,
        out: out.shown(),
        documents: args.documents.as_ref().map(|folder| folder.display().to_string()),
        files: manifest.files.len() as u64,
        size_bytes: manifest.size_bytes(),
        dry_run: args.dry_run,
    }
}

fn show(answer: &Answer) -> String {
    let (is, dry) = match answer.dry_run {
        true => ("would be", "; nothing was written (dry run)"),
        false => ("is", ", verified"),
    };
    let mut out = format!(
        "{} {is} the index of {} ({}): {}{dry}\n",
        answer.out,
        answer.reference,
        answer.version.short(),
        tables::bytes(answer.index_bytes)
    );
    if let Some(folder) = &answer.documents {
        let files = tables::counted(answer.files, "document", "documents");
        let (have, dry) = match answer.dry_run {
            true => ("would have", ""),
            false => ("has", ", verified"),
        };
        out.push_str(&format!(
            "{folder} {have} its {files}, {}{dry}\n",
            tables::bytes(answer.size_bytes)
        ));
    }
    out
}
