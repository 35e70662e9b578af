//! The files of the next version: those of the version before with the changes applied.

use super::{
    change::{Change, ImportMode, ImportRequest},
    log::KnowledgeVersion,
    manifest::{self, KnowledgeFile},
};
use botops_digest::Digest;
use botops_documents::DocumentFormat;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_text as text;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// The most files of a knowledge base.
const MOST_FILES: usize = 100_000;
/// The most bytes of the files of one import, which are held in memory.
const MOST_BYTES: usize = 2 << 30;

/// A file of the next version.
#[derive(Debug, Clone)]
pub(super) struct PlannedFile {
    pub(super) file: KnowledgeFile,
    /// Its bytes, if a change has them.
    pub(super) bytes: Option<Bytes>,
}

/// The differences to the version before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Differences {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) unchanged: u64,
}

impl Differences {
    pub(super) fn of(before: &[KnowledgeFile], files: &[PlannedFile]) -> Self {
        let mut differences = Self::default();
        let known: BTreeMap<&str, Digest> =
            before.iter().map(|file| (file.id.as_str(), file.source())).collect();
        for PlannedFile { file, .. } in files {
            match known.get(file.id.as_str()) {
                None => differences.added.push(file.id.clone()),
                Some(source) if *source != file.source() => {
                    differences.changed.push(file.id.clone());
                }
                Some(_) => differences.unchanged += 1,
            }
        }
        let now: BTreeSet<&str> = files.iter().map(|planned| planned.file.id.as_str()).collect();
        let gone = known.keys().filter(|id| !now.contains(**id));
        differences.removed = gone.map(|id| (*id).to_owned()).collect();
        differences
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Checks the changes of a request, without the version before.
///
/// # Errors
/// `BOT-7235` (exit 2) a name is unsafe or occurs twice; `BOT-7237` (exit 3) there are too many files or bytes.
pub(super) fn check(request: &ImportRequest) -> Result<()> {
    let mut names = BTreeSet::new();
    let mut size = 0_usize;
    for change in &request.changes {
        let id = match change {
            Change::Put(put) => {
                size = size.saturating_add(put.bytes.len());
                &put.id
            }
            Change::Remove(id) => id,
        };
        let shown = text::display(id, 120);
        if !manifest::is_id(id) {
            let message = format!("`{shown}` cannot be the name of a document");
            return Err(Fault::usage("BOT-7235", message)
                .hint("rename it: names are UTF-8, without `\\`, `..` or control characters"));
        }
        if !names.insert(id) {
            let message = format!("two files have the name `{shown}`");
            return Err(Fault::usage("BOT-7235", message)
                .hint("name the folder that contains both, or rename one of them"));
        }
    }
    check_number(request.changes.len())?;
    if size > MOST_BYTES {
        let message = format!("the files have {size} bytes, and an import {MOST_BYTES} at most");
        return Err(Fault::data("BOT-7237", message)
            .hint("import them in parts: `botops knowledge import PART --into NAME --merge`"));
    }
    Ok(())
}

fn check_number(n: usize) -> Result<()> {
    if n <= MOST_FILES {
        return Ok(());
    }
    let message = format!("a knowledge base of {n} files has more than {MOST_FILES}");
    Err(Fault::data("BOT-7237", message)
        .hint("split it into several knowledge bases, or join short files"))
}

/// Returns the files of the next version by name, without those that were erased, which are reported.
///
/// # Errors
/// `BOT-7237` (exit 3) there are too many.
pub(super) fn plan(
    request: &ImportRequest,
    before: Option<&KnowledgeVersion>,
    erased: &BTreeSet<Digest>,
) -> Result<(Vec<PlannedFile>, Vec<Finding>)> {
    let kept = match request.mode {
        ImportMode::Replace => &[],
        ImportMode::Merge => before.map_or(&[][..], |before| &before.manifest.files[..]),
    };
    let keep =
        |file: &KnowledgeFile| (file.id.clone(), PlannedFile { file: file.clone(), bytes: None });
    let mut files: BTreeMap<String, PlannedFile> = kept.iter().map(keep).collect();
    for change in &request.changes {
        match change {
            Change::Remove(id) => {
                files.remove(id);
            }
            Change::Put(put) => {
                let file = KnowledgeFile {
                    id: put.id.clone(),
                    digest: Digest::of(&put.bytes),
                    size_bytes: put.bytes.len() as u64,
                    media_type: media_type(&put.id, &put.bytes).to_owned(),
                    declared: put.declared.clone(),
                };
                let bytes = Some(put.bytes.clone());
                files.insert(put.id.clone(), PlannedFile { file, bytes });
            }
        }
    }
    check_number(files.len())?;
    let (gone, files): (Vec<_>, Vec<_>) =
        files.into_values().partition(|planned| erased.contains(&planned.file.digest));
    Ok((files, gone.iter().map(|planned| erased_file(&planned.file.id)).collect()))
}

/// Returns the finding about a file that was erased.
fn erased_file(id: &str) -> Finding {
    let message = format!("`{}` was erased, so it is left out", text::display(id, 120));
    let help = "remove the erased words from the file, and import it again";
    let place = Place { file: Some(text::display(id, 400)), ..Place::default() };
    Finding::new("BOT-7238", Severity::Warning, message, help).at(place)
}

/// Returns the media type of a file by its content.
fn media_type(name: &str, bytes: &[u8]) -> &'static str {
    match DocumentFormat::of(name, bytes) {
        Some(DocumentFormat::Markdown) => "text/markdown",
        Some(DocumentFormat::Html) => "text/html",
        Some(DocumentFormat::Text) => "text/plain",
        Some(DocumentFormat::Pdf) => "application/pdf",
        Some(DocumentFormat::Docx) => {
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        }
        Some(DocumentFormat::Questions) => match bytes.trim_ascii_start().first() {
            Some(b'{') => "application/jsonl",
            _ => "text/csv",
        },
        None => "application/octet-stream",
    }
}
