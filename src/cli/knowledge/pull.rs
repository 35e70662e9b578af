//! `botops knowledge pull`.

use super::writing;
use crate::cli::{
    Outcome, arguments::out_path::named_path, session::context::Context, terminal::tables,
};
use botops_digest::Digest;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_knowledge::store::KnowledgeReference;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Version, such as help, help@3 or help@latest
    reference: String,
    /// File to write the index to; default: such as help.knowledge
    #[arg(long, short, value_name = "FILE", value_parser = named_path())]
    out: Option<PathBuf>,
    /// Folder to write the documents to, byte for byte
    #[arg(long, value_name = "FOLDER", value_parser = named_path())]
    documents: Option<PathBuf>,
    /// Replace existing files that botops did not write
    #[arg(long)]
    force: bool,
    /// Show the version, but write nothing
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
    /// The number of documents that were written.
    documents: u64,
    documents_bytes: u64,
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let reference: KnowledgeReference = args.reference.parse()?;
    let store = context.knowledge()?;
    let version = context.wait(store.resolve(&reference))??;
    let out =
        args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.knowledge", version.name)));
    let index = context.wait(store.index(&version))??;
    let mut documents = Vec::new();
    if args.documents.is_some() {
        let paths = writing::paths(&version.manifest.files)?;
        for (file, path) in version.manifest.files.iter().zip(paths) {
            documents.push((path, context.wait(store.original(file))??));
        }
    }
    // Every check comes before the first byte.
    let output = Output::new(&out, OutputKind::Other, args.force);
    output.check_content(&index)?;
    let folder = args.documents.as_deref();
    for (path, bytes) in &documents {
        let folder =
            folder.ok_or_else(|| Fault::internal("BOT-9001", "documents without a folder"))?;
        writing::check(folder, path, bytes, args.force)?;
    }
    if !args.dry_run {
        if let Some(folder) = folder {
            for (path, bytes) in &documents {
                writing::write(folder, path, bytes, args.force)?;
            }
        }
        output.write(&index)?;
    }
    let answer = Answer {
        reference: version.reference(),
        version: version.digest,
        index: version.manifest.index,
        index_bytes: index.len() as u64,
        out: out.display().to_string(),
        documents: documents.len() as u64,
        documents_bytes: documents.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
        dry_run: args.dry_run,
    };
    let verb = if args.dry_run { "would be written" } else { "written" };
    let mut text = format!(
        "{}: {} ({}) {verb}\n",
        answer.reference,
        answer.out,
        tables::bytes(answer.index_bytes)
    );
    if let Some(folder) = folder {
        text.push_str(&format!(
            "{} ({}) {verb} to {}\n",
            tables::counted(answer.documents, "document", "documents"),
            tables::bytes(answer.documents_bytes),
            folder.display()
        ));
    }
    Ok(Outcome::done(&answer, text))
}
