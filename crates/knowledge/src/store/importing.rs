//! Imports files: stores originals and index, then the manifest, then the log entry.

use super::{
    change::{EncoderChoice, ImportMode, ImportRequest, Imported, Unreadable},
    indexer::{IndexFile, IndexRequest, Indexer, RequestedEncoder},
    log::{KnowledgeAction, KnowledgeEvent, KnowledgeStore, KnowledgeVersion, is_gone, log_path},
    manifest::{KnowledgeManifest, KnowledgeSettings, SCHEMA, UsedEncoder},
    planning::{self, Differences, PlannedFile},
    reference,
};
use botops_digest::{Digest, canonical_json};
use botops_documents::{ChunkSpec, FEWEST_TOKENS, FileSource, MOST_TOKENS, ReadFile, read};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_store::{Appended, Entry, SWEEP_PATIENCE};
use botops_text as text;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZero,
    panic::resume_unwind,
    sync::Arc,
    thread,
};

/// Blobs read or written at a time.
const AT_ONCE: usize = 8;
/// The most attempts to append an entry; each failed one means that another writer succeeded.
const MOST_CONFLICTS: u32 = 100;
/// The most attempts to store again the blobs that a sweep removed.
const MOST_SWEEPS: u32 = 3;

/// The version before, as far as the store has it.
struct Before {
    version: KnowledgeVersion,
    /// Its index; `None` if it is lost, or was erased.
    index: Option<Bytes>,
}

/// A version that is made, and not stored yet.
struct Draft {
    manifest: KnowledgeManifest,
    bytes: Bytes,
    differences: Differences,
    findings: Vec<Finding>,
    files_read: u64,
    /// The blobs that the version before does not name.
    blobs: Vec<Bytes>,
    /// Files of the version before whose bytes are at hand: the store may have lost them.
    known: Vec<Bytes>,
}

impl KnowledgeStore {
    /// Applies the changes to the newest version of a knowledge base, and logs the result. If nothing changed, returns the newest
    /// version and logs nothing.
    ///
    /// Files that did not change are neither read nor embedded again, unless the settings changed or the index is lost. Nothing
    /// is stored before every file was read.
    ///
    /// # Errors
    /// `BOT-7231`, `BOT-7235`, `BOT-7207`, `BOT-7239` (exit 2) a name or a setting is invalid; `BOT-7234` (exit 3) a file cannot be read;
    /// `BOT-7237` (exit 3) there are too many files, or none; `BOT-7236` (exit 5) somebody else imported in the meantime, and the
    /// mode is [`ImportMode::Replace`]; those of the index and of the store.
    pub async fn import(&self, request: &ImportRequest) -> Result<Imported> {
        reference::check_name(&request.name)?;
        planning::check(request)?;
        let path = log_path(&request.name);
        let mut retries = self.store.retries().begin_against(MOST_CONFLICTS);
        loop {
            let entries = self.logs.entries(&path).await?;
            let before = self.before(&request.name, &entries).await?;
            let draft = self.draft(request, before.as_ref()).await?;
            if let Some(same) = unchanged(before.as_ref(), &draft) {
                if !request.dry_run {
                    // Nothing, unless the store has lost the index.
                    self.put(&draft.blobs).await?;
                }
                return Ok(same);
            }
            let number = entries.len() as u64 + 1;
            if request.dry_run {
                return Ok(imported(draft, number, true));
            }
            self.put(&draft.known).await?;
            self.put(&draft.blobs).await?;
            let event = event(request, &draft);
            match self.logs.append(&path, entries.last(), event).await? {
                Appended::Written(entry) => {
                    self.restore_swept(&draft.blobs).await?;
                    return Ok(imported(draft, entry.seq, true));
                }
                Appended::Conflict if request.mode == ImportMode::Replace => {
                    let newer = self.logs.entries(&path).await?;
                    // The other import had the same files: there is nothing left to do.
                    if let Some(newest) = newer.last().filter(|it| names(it, &draft)) {
                        let number = newest.seq;
                        return Ok(Imported { stored_bytes: 0, ..imported(draft, number, false) });
                    }
                    return Err(conflict(&request.name));
                }
                Appended::Conflict if !retries.pause().await => {
                    let message =
                        format!("other imports keep writing to the log of `{}`", request.name);
                    return Err(Fault::conflict("BOT-7236", message).hint("try again in a moment"));
                }
                Appended::Conflict => {}
            }
        }
    }

    /// Reads the newest version that was not erased, with its index.
    async fn before(
        &self,
        name: &str,
        entries: &[Entry<KnowledgeEvent>],
    ) -> Result<Option<Before>> {
        for entry in entries.iter().rev() {
            let version = match self.load(name, entry).await {
                Err(fault) if is_gone(&fault) => continue,
                version => version?,
            };
            let index = match self.index(&version).await {
                Err(fault) if is_gone(&fault) => None,
                index => Some(index?),
            };
            return Ok(Some(Before { version, index }));
        }
        Ok(None)
    }

    /// Reads the files that changed, and makes the index and the manifest. Stores nothing.
    async fn draft(&self, request: &ImportRequest, before: Option<&Before>) -> Result<Draft> {
        let erased = self.store.erased_blobs().await?;
        let version = before.map(|before| &before.version);
        let (mut files, mut findings) = planning::plan(request, version, &erased)?;
        let (settings, encoder) = settings(request, before)?;
        let known: BTreeSet<Digest> = match before {
            Some(Before { version, index: Some(_) }) if version.manifest.settings == settings => {
                version.manifest.files.iter().map(|file| file.source()).collect()
            }
            _ => BTreeSet::new(),
        };
        let old = version.map_or(&[][..], |version| &version.manifest.files[..]);
        if let Some(same) = version.filter(|_| !known.is_empty())
            && Differences::of(old, &files).is_empty()
        {
            let bytes: Bytes = canonical_json(&same.manifest).into();
            let differences = Differences::of(old, &files);
            let manifest = same.manifest.clone();
            return Ok(Draft {
                manifest,
                bytes,
                differences,
                findings,
                files_read: 0,
                blobs: Vec::new(),
                known: Vec::new(),
            });
        }
        self.fetch(&mut files, &known).await?;
        let previous = before.and_then(|before| before.index.clone());
        let (indexer, task) = (Arc::clone(&self.indexer), request.clone());
        let applied = settings.clone();
        let built = tokio::task::spawn_blocking(move || {
            build(&*indexer, &task, files, &known, (&applied, encoder), previous)
        });
        let Built { index, findings: found, files, files_read } =
            built.await.map_err(|error| {
                Fault::internal("BOT-9001", "the files were not indexed to the end")
                    .caused_by(error)
            })??;
        findings.extend(found);
        let manifest = KnowledgeManifest {
            schema: SCHEMA.to_owned(),
            name: request.name.clone(),
            settings,
            files: files.iter().map(|planned| planned.file.clone()).collect(),
            index: Digest::of(&index),
            index_bytes: index.len() as u64,
        };
        let bytes: Bytes = canonical_json(&manifest).into();
        let stored: BTreeSet<Digest> = old.iter().map(|file| file.digest).collect();
        let differences = Differences::of(old, &files);
        let is_new = |planned: &PlannedFile| !stored.contains(&planned.file.digest);
        let (new, old): (Vec<PlannedFile>, Vec<PlannedFile>) = files.into_iter().partition(is_new);
        let bytes_of = |files: Vec<PlannedFile>| files.into_iter().filter_map(|it| it.bytes);
        let mut blobs: Vec<Bytes> = bytes_of(new).collect();
        blobs.extend([index, bytes.clone()]);
        let known = bytes_of(old).collect();
        Ok(Draft { manifest, bytes, differences, findings, files_read, blobs, known })
    }

    /// Reads the originals that must be read again and that no change has.
    async fn fetch(&self, files: &mut [PlannedFile], known: &BTreeSet<Digest>) -> Result<()> {
        let missing: Vec<(usize, Digest)> = files
            .iter()
            .enumerate()
            .filter(|(_, it)| it.bytes.is_none() && !known.contains(&it.file.source()))
            .map(|(at, it)| (at, it.file.digest))
            .collect();
        let fetched: Vec<(usize, Bytes)> = futures::stream::iter(missing)
            .map(
                |(at, digest)| async move { Ok::<_, Fault>((at, self.store.blob(&digest).await?)) },
            )
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        for (at, bytes) in fetched {
            files[at].bytes = Some(bytes);
        }
        Ok(())
    }

    async fn put(&self, blobs: &[Bytes]) -> Result<()> {
        // Owned, so that the future can be sent to another thread.
        futures::stream::iter(blobs.to_vec())
            .map(|blob| async move { self.store.put_blob(blob).await.map(|_| ()) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Stores again the blobs that a concurrent sweep removed before the log entry was written. A sweep that begins after the
    /// entry keeps them.
    async fn restore_swept(&self, blobs: &[Bytes]) -> Result<()> {
        for _ in 0..MOST_SWEEPS {
            self.store.outlast_sweeps(SWEEP_PATIENCE).await?;
            let mut missing = Vec::new();
            for blob in blobs {
                if !self.store.has_blob(&Digest::of(blob)).await? {
                    missing.push(blob.clone());
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            self.put(&missing).await?;
        }
        Err(Fault::conflict("BOT-5014", "a sweep keeps removing the blobs of this import")
            .hint("run again when `botops runs gc` has ended"))
    }
}

/// Returns whether `entry` logs the drafted version.
fn names(entry: &Entry<KnowledgeEvent>, draft: &Draft) -> bool {
    let KnowledgeAction::Imported { manifest, .. } = entry.payload.action;
    manifest == Digest::of(&draft.bytes)
}

/// Returns the settings of the next version, and the encoder to index with.
///
/// # Errors
/// `BOT-7207` (exit 2) the sizes of passages do not fit; `BOT-7239` (exit 2) the encoder of the version before is lost with its
/// index.
fn settings(
    request: &ImportRequest,
    before: Option<&Before>,
) -> Result<(KnowledgeSettings, RequestedEncoder)> {
    let old = before.map(|before| before.version.manifest.settings.clone()).unwrap_or_default();
    let change = &request.settings;
    let chunks = ChunkSpec {
        tokens: change.chunk_tokens.unwrap_or(old.chunks.tokens),
        overlap: change.overlap.unwrap_or(old.chunks.overlap),
    };
    let refused = |message: String| Fault::usage("BOT-7207", message);
    if !(FEWEST_TOKENS..=MOST_TOKENS).contains(&chunks.tokens) {
        let message = format!(
            "passages of {} tokens: expected {FEWEST_TOKENS} to {MOST_TOKENS}",
            chunks.tokens
        );
        return Err(refused(message).hint("leave `--chunk-tokens` out for the default of 200"));
    }
    if chunks.overlap * 2 > chunks.tokens {
        let message = format!(
            "passages of {} tokens cannot share {} of them: at most half",
            chunks.tokens, chunks.overlap
        );
        return Err(refused(message).hint("set a smaller `--overlap`, such as 0"));
    }
    let (encoder, requested) = match &change.encoder {
        EncoderChoice::None => (None, RequestedEncoder::None),
        EncoderChoice::Used { source, encoder } => {
            let used = UsedEncoder { source: source.clone(), digest: encoder.digest() };
            (Some(used), RequestedEncoder::Given(Arc::clone(encoder)))
        }
        EncoderChoice::Kept => match (&old.encoder, before) {
            (None, _) => (None, RequestedEncoder::None),
            (Some(used), Some(Before { index: Some(_), .. })) => {
                (Some(used.clone()), RequestedEncoder::OfPrevious)
            }
            (Some(used), _) => {
                let message = format!(
                    "the index of the newest version of `{}` is gone, and its encoder with it",
                    request.name
                );
                return Err(Fault::usage("BOT-7239", message).hint(format!(
                    "name the encoder again: `--encoder {}`; or leave it out: `--encoder none`",
                    used.source
                )));
            }
        },
    };
    Ok((KnowledgeSettings { chunks, encoder }, requested))
}

/// The result of [`build`].
struct Built {
    index: Bytes,
    findings: Vec<Finding>,
    /// The files without those that cannot be read.
    files: Vec<PlannedFile>,
    files_read: u64,
}

/// Returns the results of `work` in the order of `items`, computed on threads of its own.
///
/// A file may wait for the process that reads it, and would keep a thread of rayon from its work.
fn on_threads<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let n_threads = thread::available_parallelism().map_or(1, NonZero::get);
    let size = items.len().div_ceil(n_threads).max(1);
    let work = &work;
    thread::scope(|scope| {
        let parts: Vec<_> = items
            .chunks(size)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        let joined =
            parts.into_iter().map(|part| part.join().unwrap_or_else(|it| resume_unwind(it)));
        joined.flatten().collect()
    })
}

/// Reads the files that are not `known`, and makes the index.
fn build(
    indexer: &dyn Indexer,
    request: &ImportRequest,
    files: Vec<PlannedFile>,
    known: &BTreeSet<Digest>,
    (settings, encoder): (&KnowledgeSettings, RequestedEncoder),
    previous: Option<Bytes>,
) -> Result<Built> {
    let read_one = |planned: &PlannedFile| -> Option<Result<ReadFile>> {
        if known.contains(&planned.file.source()) {
            return None;
        }
        let bytes = planned.bytes.as_ref().expect("the bytes of files to read were fetched");
        let file = &planned.file;
        let source = FileSource { name: &file.id, bytes, declared: &file.declared };
        Some(read(&source, &request.limits, &*request.pdf))
    };
    let results: Vec<Option<Result<ReadFile>>> = on_threads(&files, read_one);
    let (mut findings, mut unread) = (Vec::new(), Vec::new());
    let (mut kept, mut index_files) = (Vec::new(), Vec::new());
    let mut files_read = 0;
    for (planned, result) in files.into_iter().zip(results) {
        let source = planned.file.source();
        match result {
            None => index_files.push(IndexFile::Kept { source }),
            Some(Ok(ReadFile { documents, findings: found })) => {
                files_read += 1;
                findings.extend(found);
                index_files.push(IndexFile::Read { source, documents });
            }
            Some(Err(fault)) => {
                if fault.kind().exit_code() != 3 {
                    // Not a problem of the file, but for example of the process that reads PDF files.
                    return Err(fault);
                }
                unread.push(fault.as_finding());
                continue;
            }
        }
        kept.push(planned);
    }
    if !unread.is_empty() && request.unreadable == Unreadable::Stop {
        return Err(unreadable(unread, kept.len()));
    }
    for finding in &mut unread {
        finding.severity = Severity::Warning;
    }
    findings.splice(0..0, unread);
    if kept.is_empty() {
        let message = format!("`{}` would have no documents", request.name);
        let fault = Fault::data("BOT-7237", message).hint("import at least one file with text");
        return Err(fault.with_findings(findings));
    }
    check_names(&index_files)?;
    let index = indexer.build(&IndexRequest {
        name: &request.name,
        files: &index_files,
        chunks: settings.chunks,
        encoder,
        encoder_source: settings.encoder.as_ref().map(|used| used.source.as_str()),
        previous: previous.as_deref(),
    })?;
    Ok(Built { index, findings, files: kept, files_read })
}

fn unreadable(unread: Vec<Finding>, others: usize) -> Fault {
    let total = unread.len() + others;
    let message = match &unread[..] {
        [one] if total == 1 => format!("nothing was imported: {}", one.message),
        [one] => {
            format!("1 of {total} files cannot be read, so nothing was imported: {}", one.message)
        }
        _ => format!("{} of {total} files cannot be read, so nothing was imported", unread.len()),
    };
    let fault = Fault::data("BOT-7234", message);
    let fault = match unread.first().map(|finding| finding.help.clone()) {
        Some(help) if !help.is_empty() => fault.hint(help),
        _ => fault,
    };
    let fault = match others {
        0 => fault,
        _ => fault.hint("or leave such files out: add `--skip-unreadable`"),
    };
    fault.with_findings(unread)
}

/// Refuses two documents of one name, such as a row of `faq.csv` and a file `faq.csv#1`.
fn check_names(files: &[IndexFile]) -> Result<()> {
    let mut seen: HashMap<&str, ()> = HashMap::new();
    for file in files {
        let IndexFile::Read { documents, .. } = file else { continue };
        for document in documents {
            if seen.insert(&document.id, ()).is_some() {
                let message =
                    format!("two documents have the name `{}`", text::display(&document.id, 120));
                return Err(Fault::usage("BOT-7235", message)
                    .hint("rename one of the files: rows of a table are named `FILE#NUMBER`"));
            }
        }
    }
    Ok(())
}

/// Returns the newest version if the draft has the same content.
fn unchanged(before: Option<&Before>, draft: &Draft) -> Option<Imported> {
    let Before { version, .. } = before?;
    let is_same = version.digest == Digest::of(&draft.bytes);
    is_same.then(|| Imported {
        number: version.number,
        digest: version.digest,
        is_new: false,
        added: Vec::new(),
        changed: Vec::new(),
        removed: Vec::new(),
        unchanged: version.manifest.files.len() as u64,
        files_read: draft.files_read,
        index: version.manifest.index,
        index_bytes: version.manifest.index_bytes,
        stored_bytes: draft.blobs.iter().map(|blob| blob.len() as u64).sum(),
        findings: draft.findings.clone(),
    })
}

fn event(request: &ImportRequest, draft: &Draft) -> KnowledgeEvent {
    let Draft { manifest, differences, .. } = draft;
    KnowledgeEvent {
        at: request.act.at,
        actor: request.act.actor.clone(),
        reason: request.act.reason.clone(),
        action: KnowledgeAction::Imported {
            manifest: Digest::of(&draft.bytes),
            index: manifest.index,
            index_bytes: manifest.index_bytes,
            files: manifest.files.len() as u64,
            size_bytes: manifest.size_bytes(),
            added: differences.added.len() as u64,
            changed: differences.changed.len() as u64,
            removed: differences.removed.len() as u64,
        },
    }
}

fn imported(draft: Draft, number: u64, is_new: bool) -> Imported {
    let sizes: BTreeMap<Digest, u64> =
        draft.blobs.iter().map(|blob| (Digest::of(blob), blob.len() as u64)).collect();
    let Draft { manifest, bytes, differences, findings, files_read, .. } = draft;
    let Differences { added, changed, removed, unchanged } = differences;
    Imported {
        number,
        digest: Digest::of(&bytes),
        is_new,
        added,
        changed,
        removed,
        unchanged,
        files_read,
        index: manifest.index,
        index_bytes: manifest.index_bytes,
        stored_bytes: sizes.values().sum(),
        findings,
    }
}

fn conflict(name: &str) -> Fault {
    let message = format!("somebody else imported into `{name}` in the meantime");
    Fault::conflict("BOT-7236", message)
        .hint(format!("see what changed: `botops knowledge log {name}`"))
        .hint("then import again; or add to the newer version with `--merge`")
}
