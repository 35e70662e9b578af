//! `botops knowledge import`.

use super::fetching::{self, Fetched, PrivateAddresses};
use crate::cli::{
    Outcome,
    arguments::{out_path::OutPath, output_args::ForceArg},
    session::{context::Context, outputs, pdf_reader},
    terminal::{progress, tables},
};
use botops_documents::{Declared, Limits};
use botops_files::{Output, OutputKind};
use botops_findings::{Finding, Result};
use botops_knowledge::store::{
    Change, EncoderChoice, Gathered, ImportAct, ImportMode, ImportRequest, Imported, PutFile,
    SettingsChange, Unreadable, check_name,
};
use botops_text::{self as text, shell_line};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The value of `--encoder` for an index without one.
const NO_ENCODER: &str = "none";
/// The most hidden files that the answer names; the others are counted.
const MOST_HIDDEN: usize = 10;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true))]
pub(super) struct Args {
    /// Folders and files: Markdown, HTML, plain text, PDF, DOCX, or a table of questions and answers in CSV or JSONL
    #[arg(group = "source", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File with addresses to fetch, one a line
    #[arg(long, value_name = "FILE", group = "source")]
    urls: Option<PathBuf>,
    /// Name of the knowledge base
    #[arg(long, value_name = "NAME")]
    into: String,
    /// Keep the documents that are not imported now; the default, unless every PATH is a folder
    #[arg(long, conflicts_with = "replace")]
    merge: bool,
    /// Remove the documents that are not imported now; the default if every PATH is a folder
    #[arg(long)]
    replace: bool,
    /// Remove the document of this name; repeatable
    #[arg(long, value_name = "ID", group = "source", conflicts_with = "replace")]
    remove: Vec<String>,
    /// Encoder for dense search: a folder in the Hugging Face layout, hf://owner/name, or none; default: that of the version
    /// before
    #[arg(long, value_name = "SOURCE")]
    encoder: Option<String>,
    /// Most tokens of a passage; default: as in the version before, at first 200
    #[arg(long, value_name = "N")]
    chunk_tokens: Option<u32>,
    /// Tokens that a passage repeats of the one before; default: as in the version before, at first 40
    #[arg(long, value_name = "N")]
    overlap: Option<u32>,
    /// Language of the documents, such as en; default: as each document says, or guessed
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// Access tag of the documents: only callers with one of their tags see them; repeatable
    #[arg(long, value_name = "TAG")]
    access: Vec<String>,
    /// Metadata of the documents, for filters; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    metadata: Vec<(String, String)>,
    /// Leave out files that cannot be read, and list them
    #[arg(long)]
    skip_unreadable: bool,
    /// Allow addresses of private networks in the list of addresses
    #[arg(long, requires = "urls")]
    allow_private: bool,
    /// Also write the index to this file, such as help.knowledge
    #[arg(long, short, value_name = "FILE")]
    out: Option<OutPath>,
    #[command(flatten)]
    force: ForceArg,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Read and index the documents and show the version, but store and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    registry: &'a str,
    name: &'a str,
    reference: String,
    dry_run: bool,
    #[serde(flatten)]
    imported: &'a Imported,
    /// Hidden files and folders, which were skipped.
    hidden: &'a [String],
    /// The file that the index was written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
}

fn key_value(argument: &str) -> std::result::Result<(String, String), String> {
    match argument.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("expected KEY=VALUE, such as product=router".to_owned()),
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    check_name(&args.into)?;
    let inputs: Vec<Option<&Path>> =
        args.paths.iter().chain(&args.urls).map(|path| Some(path.as_path())).collect();
    outputs::distinct(args.out.as_deref(), &inputs)?;
    if let Some(out) = &args.out {
        output(out, args).check()?;
    }
    let limits = Limits::default();
    let addresses = args.urls.as_deref().map(fetching::addresses).transpose()?;
    let gathered = Gathered::of(&args.paths)?;
    let store = context.knowledge()?;
    let act = context.act(args.reason.clone())?;
    let bar = progress::bar(&context.printer, "reading", gathered.files.len() as u64);
    let mut changes = gathered.changes(&declared(args, None), &limits, &|| bar.inc(1))?;
    bar.finish_and_clear();
    if let Some(urls) = addresses {
        let bar = progress::bar(&context.printer, "fetching", urls.len() as u64);
        let private = match args.allow_private {
            true => PrivateAddresses::Allowed,
            false => PrivateAddresses::Refused,
        };
        let advance = || bar.inc(1);
        let fetched = context.wait(fetching::fetch(&urls, private, &limits, &advance))?;
        bar.finish_and_clear();
        changes.extend(fetched?.into_iter().map(|page| put_page(page, args)));
    }
    changes.extend(args.remove.iter().cloned().map(Change::Remove));
    let request = ImportRequest {
        name: args.into.clone(),
        changes,
        mode: mode(args),
        settings: SettingsChange {
            chunk_tokens: args.chunk_tokens,
            overlap: args.overlap,
            encoder: encoder(args, context)?,
        },
        unreadable: match args.skip_unreadable {
            true => Unreadable::Skip,
            false => Unreadable::Stop,
        },
        limits,
        pdf: pdf_reader::of_this_program(),
        act: ImportAct { at: act.at, actor: act.actor, reason: act.reason },
        dry_run: args.dry_run,
    };
    let bar = progress::bar(&context.printer, "indexing", 0);
    let imported = context.wait(store.import(&request))?;
    bar.finish_and_clear();
    let imported = imported?;
    let reference = imported.reference(&args.into);
    let out = match &args.out {
        Some(out) if !args.dry_run => {
            let wanted = reference.parse()?;
            let index = context.wait(async {
                let version = store.resolve(&wanted).await?;
                store.index(&version).await
            })??;
            output(out, args).write(&index)?;
            Some(out.shown())
        }
        _ => None,
    };
    let answer = Answer {
        registry: store.store().url(),
        name: &args.into,
        reference,
        dry_run: args.dry_run,
        imported: &imported,
        hidden: &gathered.hidden,
        out,
    };
    Ok(outcome(&answer, imported.findings.clone()))
}

fn output<'a>(out: &'a OutPath, args: &Args) -> Output<'a> {
    Output::new(out, OutputKind::Knowledge, args.force.force)
}

/// Returns whether the import replaces all documents: if every source is a folder, unless a flag says otherwise.
fn mode(args: &Args) -> ImportMode {
    let are_folders = args.urls.is_none()
        && args.remove.is_empty()
        && args.paths.iter().all(|path| path.is_dir());
    match args.replace || (are_folders && !args.merge) {
        true => ImportMode::Replace,
        false => ImportMode::Merge,
    }
}

/// Reads the encoder that `--encoder` names.
fn encoder(args: &Args, context: &Context) -> Result<EncoderChoice> {
    match args.encoder.as_deref() {
        None => Ok(EncoderChoice::Kept),
        Some(NO_ENCODER) => Ok(EncoderChoice::None),
        Some(source) => {
            let (source, encoder) = context.passage_encoder(source)?;
            Ok(EncoderChoice::Used { source, encoder })
        }
    }
}

fn declared(args: &Args, url: Option<String>) -> Declared {
    Declared {
        url,
        language: args.language.clone(),
        charset: None,
        updated_at: None,
        access: args.access.iter().cloned().collect(),
        metadata: args.metadata.iter().cloned().collect(),
    }
}

fn put_page(page: Fetched, args: &Args) -> Change {
    let declared = Declared { charset: page.charset, ..declared(args, Some(page.url.clone())) };
    Change::Put(PutFile { id: page.url, bytes: page.bytes, declared })
}

fn outcome(answer: &Answer<'_>, findings: Vec<Finding>) -> Outcome {
    let outcome = Outcome::done(answer, show(answer, &findings)).findings(findings);
    if answer.dry_run {
        return outcome;
    }
    let Answer { name, reference, imported: Imported { number, is_new, .. }, .. } = answer;
    outcome.next(match *number {
        number if *is_new && number > 1 => shell_line([
            "botops",
            "knowledge",
            "diff",
            &format!("{name}@{}", number - 1),
            reference,
        ]),
        _ => shell_line(["botops", "knowledge", "log", name]),
    })
}

fn show(answer: &Answer<'_>, findings: &[Finding]) -> String {
    let Imported { digest, is_new, added, changed, removed, unchanged, .. } = answer.imported;
    let n_documents = added.len() as u64 + changed.len() as u64 + unchanged;
    let documents = tables::counted(n_documents, "document", "documents");
    let (reference, short) = (&answer.reference, digest.short());
    let index = tables::bytes(answer.imported.index_bytes);
    let changes = format!(
        "{} added, {} changed, {} removed, {} unchanged",
        added.len(),
        changed.len(),
        removed.len(),
        unchanged
    );
    let mut out = match (is_new, answer.dry_run) {
        (false, _) => {
            format!(
                "{reference} has this content already ({short}): {documents}; nothing was stored\n"
            )
        }
        (true, true) => format!(
            "{reference} would be {documents}, an index of {index} ({short}); nothing was stored (dry run)\n  {changes}\n"
        ),
        (true, false) => format!(
            "{reference} is in {} ({short}): {documents}, an index of {index}; stored {}\n  {changes}\n",
            answer.registry,
            tables::bytes(answer.imported.stored_bytes)
        ),
    };
    if let Some(file) = &answer.out {
        out.push_str(&format!("wrote {file}\n"));
    }
    if !answer.hidden.is_empty() {
        let names: Vec<String> =
            answer.hidden.iter().take(MOST_HIDDEN).map(|name| text::display(name, 80)).collect();
        let more = match answer.hidden.len().saturating_sub(MOST_HIDDEN) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        out.push_str(&format!("hidden files skipped: {}{more}\n", names.join(", ")));
    }
    out.push_str(&tables::findings(findings, 20));
    out
}
