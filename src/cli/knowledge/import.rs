//! `botops knowledge import`.

use super::{
    fetching::{PrivateAddresses, addresses, fetch},
    gathering::Gathered,
};
use crate::cli::{
    Outcome,
    session::context::Context,
    terminal::{
        progress::{self, Training},
        tables,
    },
};
use botops_documents::{ChildPdfReader, Declared, Limits};
use botops_features::EncoderSpec;
use botops_findings::{Fault, Result};
use botops_knowledge::store::{
    Change, EncoderChoice, ImportAct, ImportMode, ImportRequest, Imported, PutFile, SettingsChange,
    Unreadable,
};
use botops_spec::bytes_within;
use botops_text::{self as text, shell_line};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// The longest time for the text of one PDF file.
const PDF_PATIENCE: Duration = Duration::from_secs(60);
/// The most word pieces of a passage that an encoder reads; the rest is cut off.
const MOST_PIECES: usize = 256;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files and folders with documents: Markdown, HTML, text, PDF, DOCX, questions as CSV or JSON lines
    #[arg(value_name = "PATH", required_unless_present_any = ["urls", "remove"])]
    paths: Vec<PathBuf>,
    /// Name of the knowledge base
    #[arg(long, value_name = "NAME")]
    into: String,
    /// File with addresses to fetch, one a line
    #[arg(long, value_name = "FILE")]
    urls: Option<PathBuf>,
    /// Fetch addresses of private networks, too
    #[arg(long, requires = "urls")]
    allow_private: bool,
    /// Keep the documents of the version before that are not named; default for single files and addresses
    #[arg(long, conflicts_with = "replace")]
    merge: bool,
    /// Hold these documents only; default for a folder
    #[arg(long)]
    replace: bool,
    /// Remove the document of this name; repeatable
    #[arg(long, value_name = "ID", conflicts_with = "replace")]
    remove: Vec<String>,
    /// Folder of an encoder or `hf://owner/name`, for search by meaning; `none` for words only; default: as before
    #[arg(long, value_name = "SOURCE")]
    encoder: Option<String>,
    /// Most tokens of a passage; default: 200
    #[arg(long, value_name = "N")]
    chunk_tokens: Option<u32>,
    /// Tokens that a passage repeats of the one before; default: 40
    #[arg(long, value_name = "N")]
    overlap: Option<u32>,
    /// Language of the documents, such as en; default: guessed for each
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// Access tag: only callers with one of its tags see a document; repeatable
    #[arg(long, value_name = "TAG")]
    access: Vec<String>,
    /// Metadata of the documents, for filters; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Leave out files that cannot be read, and list them
    #[arg(long)]
    skip_unreadable: bool,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Read and index the documents, but store nothing
    #[arg(long)]
    dry_run: bool,
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    let found = text.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
    let (key, value) = found.ok_or("write KEY=VALUE, such as `team=care`")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[derive(Serialize)]
struct Answer<'a> {
    registry: &'a str,
    name: &'a str,
    reference: String,
    dry_run: bool,
    #[serde(flatten)]
    imported: &'a Imported,
    hidden: &'a [String],
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let limits = Limits::default();
    let gathered = Gathered::of(&args.paths)?;
    let declared = Declared {
        language: args.language.clone(),
        access: args.access.iter().cloned().collect::<BTreeSet<_>>(),
        metadata: args.metadata.iter().cloned().collect::<BTreeMap<_, _>>(),
        ..Declared::default()
    };
    let mut changes = Vec::with_capacity(gathered.files.len());
    for (id, path) in &gathered.files {
        let bytes = bytes_within(path, limits.file_bytes as u64)?.into();
        changes.push(Change::Put(PutFile { id: id.clone(), bytes, declared: declared.clone() }));
    }
    changes.extend(fetched(args, context, &limits, &declared)?);
    changes.extend(args.remove.iter().cloned().map(Change::Remove));
    let has_folder = args.paths.iter().any(|path| path.is_dir());
    let mode = match (args.merge, args.replace) {
        (true, _) => ImportMode::Merge,
        (false, true) => ImportMode::Replace,
        (false, false) if has_folder && args.remove.is_empty() => ImportMode::Replace,
        (false, false) => ImportMode::Merge,
    };
    let act = context.act(args.reason.clone())?;
    let program = std::env::current_exe().map_err(|error| {
        Fault::internal("BOT-7107", "the path of this program is not known").caused_by(error)
    })?;
    let request = ImportRequest {
        name: args.into.clone(),
        changes,
        mode,
        settings: SettingsChange {
            chunk_tokens: args.chunk_tokens,
            overlap: args.overlap,
            encoder: encoder(args, context)?,
        },
        unreadable: if args.skip_unreadable { Unreadable::Skip } else { Unreadable::Stop },
        limits,
        pdf: Arc::new(ChildPdfReader {
            program,
            patience: PDF_PATIENCE,
            text_bytes: limits.text_bytes,
        }),
        act: ImportAct { at: act.at, actor: act.actor, reason: act.reason },
        dry_run: args.dry_run,
    };
    let store = context.knowledge()?;
    let imported = context.wait(store.import(&request))??;
    let answer = Answer {
        registry: store.store().url(),
        name: &args.into,
        reference: imported.reference(&args.into),
        dry_run: args.dry_run,
        imported: &imported,
        hidden: &gathered.hidden,
    };
    let mut out = tables::findings(&imported.findings, 20);
    out.push_str(&show(&answer));
    let outcome = Outcome::done(&answer, out).findings(imported.findings.clone());
    Ok(match args.dry_run {
        true => outcome,
        false => outcome.next(shell_line([
            "botops",
            "knowledge",
            "evaluate",
            answer.reference.as_str(),
            "QUESTIONS",
        ])),
    })
}

/// Returns the documents of `--urls`.
fn fetched(
    args: &Args,
    context: &Context,
    limits: &Limits,
    declared: &Declared,
) -> Result<Vec<Change>> {
    let Some(file) = &args.urls else { return Ok(Vec::new()) };
    let urls = addresses(file)?;
    let private = match args.allow_private {
        true => PrivateAddresses::Allowed,
        false => PrivateAddresses::Refused,
    };
    let bar = progress::bar(&context.printer, "fetching", urls.len() as u64);
    let fetched = context.wait(fetch(&urls, private, limits, &|| bar.inc(1)))?;
    bar.finish_and_clear();
    let put = |page: super::fetching::Fetched| {
        let declared = Declared { url: Some(page.url.clone()), ..declared.clone() };
        Change::Put(PutFile { id: page.url, bytes: page.bytes, declared })
    };
    Ok(fetched?.into_iter().map(put).collect())
}

fn encoder(args: &Args, context: &Context) -> Result<EncoderChoice> {
    let Some(source) = &args.encoder else { return Ok(EncoderChoice::Kept) };
    if source == "none" {
        return Ok(EncoderChoice::None);
    }
    let spec = EncoderSpec { max_tokens: MOST_PIECES, ..EncoderSpec::new(source.clone()) };
    let encoders = context.encoders()?;
    let encoder = context.wait(encoders.encoder(&spec, &Training::new(&context.printer)))??;
    Ok(EncoderChoice::Used { source: source.clone(), encoder: Arc::new(encoder) })
}

fn show(answer: &Answer<'_>) -> String {
    let Answer { reference, imported, dry_run, hidden, .. } = answer;
    let files = |names: &[String]| tables::counted(names.len() as u64, "file", "files");
    let state = match (imported.is_new, dry_run) {
        (false, _) => "nothing changed".to_owned(),
        (true, true) => "would be new".to_owned(),
        (true, false) => format!("{} stored", tables::bytes(imported.stored_bytes)),
    };
    let mut out = format!(
        "{reference}: {} added, {} changed, {} removed, {} unchanged; {state}\n",
        files(&imported.added),
        imported.changed.len(),
        imported.removed.len(),
        tables::count(imported.unchanged),
    );
    if !hidden.is_empty() {
        let first = text::display(&hidden[0], 80);
        let n = tables::counted(hidden.len() as u64, "hidden file", "hidden files");
        out.push_str(&format!("{n} skipped, such as `{first}`\n"));
    }
    out
}
