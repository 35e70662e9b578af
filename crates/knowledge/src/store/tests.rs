//! The contract of the store, on a store in memory and on a folder.

use super::{
    Change, EncoderChoice, ImportAct, ImportMode, ImportRequest, Imported, IndexFile, IndexRequest,
    Indexer, KnowledgeIndexer, KnowledgeReference, KnowledgeStore, KnowledgeVersion,
    OutlinedDocument, PutFile, SettingsChange, Unreadable,
};
use botops_documents::{Declared, Limits, PdfReader};
use botops_findings::{Fault, FaultKind, Result};
use botops_store::Store;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

struct NoPdf;

impl PdfReader for NoPdf {
    fn pages(&self, _: &[u8]) -> Result<Vec<String>> {
        Err(Fault::data("BOT-7106", "the PDF cannot be read"))
    }
}

type Interruption = Box<dyn FnOnce() + Send>;

/// The real indexer. It counts the files that it indexed and kept, and runs something in the middle of one import.
#[derive(Default)]
struct Watched {
    read: Mutex<Vec<u64>>,
    kept: Mutex<Vec<u64>>,
    during: Mutex<Option<Interruption>>,
}

impl Indexer for Watched {
    fn build(&self, request: &IndexRequest<'_>) -> Result<Bytes> {
        let is_kept = |file: &&IndexFile| matches!(file, IndexFile::Kept { .. });
        let kept = request.files.iter().filter(is_kept).count() as u64;
        self.kept.lock().unwrap().push(kept);
        self.read.lock().unwrap().push(request.files.len() as u64 - kept);
        let during = self.during.lock().unwrap().take();
        if let Some(during) = during {
            during();
        }
        KnowledgeIndexer.build(request)
    }

    fn outline(&self, index: &[u8]) -> Result<Vec<OutlinedDocument>> {
        KnowledgeIndexer.outline(index)
    }
}

fn put(id: &str, text: &str) -> Change {
    let bytes = Bytes::from(text.to_owned());
    Change::Put(PutFile { id: id.to_owned(), bytes, declared: Declared::default() })
}

fn request(changes: Vec<Change>, mode: ImportMode) -> ImportRequest {
    ImportRequest {
        name: "help".to_owned(),
        changes,
        mode,
        settings: SettingsChange::default(),
        unreadable: Unreadable::Stop,
        limits: Limits::default(),
        pdf: Arc::new(NoPdf),
        act: ImportAct {
            at: "2026-11-20T10:15:00Z".parse().unwrap(),
            actor: "ada".to_owned(),
            reason: "weekly".to_owned(),
        },
        dry_run: false,
    }
}

fn two() -> Vec<Change> {
    vec![
        put(
            "returns.md",
            "# Returns\n\nYou can return an item within 30 days.\n\n## Gifts\n\nUntil 31 January.\n",
        ),
        put("delivery.md", "# Delivery\n\nStandard delivery takes 3 to 5 working days.\n"),
    ]
}

/// Runs a test on each implementation.
async fn on_each<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    test(Store::in_memory()).await;
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    test(Store::open(location, &BTreeMap::new()).unwrap()).await;
}

async fn resolve(knowledge: &KnowledgeStore, reference: &str) -> Result<KnowledgeVersion> {
    let reference: KnowledgeReference = reference.parse().unwrap();
    knowledge.resolve(&reference).await
}

fn changes(imported: &Imported) -> (u64, usize, usize, usize, u64) {
    let Imported { number, added, changed, removed, unchanged, .. } = imported;
    (*number, added.len(), changed.len(), removed.len(), *unchanged)
}

#[tokio::test]
async fn versions_are_imported_found_compared_and_returned_byte_for_byte() {
    on_each(async |store| {
        let knowledge = KnowledgeStore::open(store);
        let replace = |changes| request(changes, ImportMode::Replace);
        let first = knowledge.import(&replace(two())).await.unwrap();
        assert_eq!((changes(&first), first.is_new, first.files_read), ((1, 2, 0, 0, 0), true, 2));
        let again = knowledge.import(&replace(two())).await.unwrap();
        assert_eq!((changes(&again), again.is_new), ((1, 0, 0, 0, 2), false));
        assert_eq!((again.files_read, again.stored_bytes), (0, 0));
        assert_eq!(knowledge.versions("help").await.unwrap().len(), 1);

        let edited = "# Returns\n\nYou can return an item within 60 days.\n\n## Gifts\n\nUntil 31 January.\n";
        let merge = request(vec![put("returns.md", edited)], ImportMode::Merge);
        let second = knowledge.import(&merge).await.unwrap();
        assert_eq!((changes(&second), second.files_read), ((2, 0, 1, 0, 1), 1));
        let removal = request(vec![Change::Remove("delivery.md".to_owned())], ImportMode::Merge);
        let third = knowledge.import(&removal).await.unwrap();
        assert_eq!((changes(&third), third.removed[0].as_str()), ((3, 0, 0, 1, 1), "delivery.md"));
        let nothing = knowledge.import(&removal).await.unwrap();
        assert!(!nothing.is_new, "a removal that is repeated changes nothing");

        let versions = [
            resolve(&knowledge, "help@1").await.unwrap(),
            resolve(&knowledge, "help@2").await.unwrap(),
            resolve(&knowledge, "help").await.unwrap(),
        ];
        assert_eq!(versions[2].number, 3);
        let by_digest = format!("help@{}", versions[0].digest);
        assert_eq!(resolve(&knowledge, &by_digest).await.unwrap(), versions[0]);
        let by_index = format!("help@{}", versions[1].manifest.index);
        assert_eq!(resolve(&knowledge, &by_index).await.unwrap(), versions[1]);
        let file = versions[1].manifest.file("returns.md").unwrap();
        assert_eq!(knowledge.original(file).await.unwrap(), edited);
        let diff = knowledge.diff(&versions[0], &versions[1]).await.unwrap();
        let changed = &diff.changed[0];
        assert_eq!((changed.passages_added.len(), changed.passages_removed.len()), (1, 1));
        assert_eq!((changed.passages_kept, diff.unchanged), (1, 1), "the section of gifts stays");
        let verified = knowledge.verify(None).await.unwrap();
        assert_eq!((verified.entries, verified.problems), (3, Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn an_edit_reads_one_file_and_gives_the_index_of_a_new_import() {
    let watched = Arc::new(Watched::default());
    let knowledge = KnowledgeStore::indexed_by(Store::in_memory(), watched.clone());
    knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
    let mut edited = two();
    edited[1] = put("delivery.md", "# Delivery\n\nExpress delivery takes one day.\n");
    let second = knowledge.import(&request(edited.clone(), ImportMode::Replace)).await.unwrap();
    assert_eq!(*watched.read.lock().unwrap(), [2, 1]);
    assert_eq!(*watched.kept.lock().unwrap(), [0, 1]);
    let fresh = KnowledgeStore::open(Store::in_memory());
    let whole = fresh.import(&request(edited, ImportMode::Replace)).await.unwrap();
    assert_eq!((second.digest, second.index), (whole.digest, whole.index));
}

#[tokio::test]
async fn other_sizes_of_passages_read_every_original_again() {
    on_each(async |store| {
        let knowledge = KnowledgeStore::open(store);
        knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
        let mut resized = request(Vec::new(), ImportMode::Merge);
        resized.settings.chunk_tokens = Some(100);
        let second = knowledge.import(&resized).await.unwrap();
        assert_eq!((changes(&second), second.files_read), ((2, 0, 0, 0, 2), 2));
        let kept = knowledge.import(&request(Vec::new(), ImportMode::Merge)).await.unwrap();
        assert!(!kept.is_new, "settings that are not named stay");
        resized.settings.overlap = Some(51);
        let fault = knowledge.import(&resized).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7207", FaultKind::Usage));
    })
    .await;
}

/// Imports `mine` while another import of `theirs` is committed.
async fn contended(
    mine: ImportRequest,
    theirs: ImportRequest,
) -> (KnowledgeStore, Result<Imported>) {
    let store = Store::in_memory();
    let watched = Arc::new(Watched::default());
    let knowledge = KnowledgeStore::indexed_by(store.clone(), watched.clone());
    knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
    let other = KnowledgeStore::open(store);
    let handle = tokio::runtime::Handle::current();
    *watched.during.lock().unwrap() = Some(Box::new(move || {
        handle.block_on(other.import(&theirs)).unwrap();
    }));
    let imported = knowledge.import(&mine).await;
    (knowledge, imported)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_imports_the_later_one_merges_into_the_newer_version_or_is_refused() {
    let theirs = || request(vec![put("theirs.md", "Theirs is a text.\n")], ImportMode::Merge);
    let mine = |mode| request(vec![put("mine.md", "Mine is a text.\n")], mode);
    let (knowledge, merged) = contended(mine(ImportMode::Merge), theirs()).await;
    assert_eq!(changes(&merged.unwrap()), (3, 1, 0, 0, 3));
    let newest = resolve(&knowledge, "help").await.unwrap();
    let names: Vec<&str> = newest.manifest.files.iter().map(|file| file.id.as_str()).collect();
    assert_eq!(names, ["delivery.md", "mine.md", "returns.md", "theirs.md"]);

    let (knowledge, refused) = contended(mine(ImportMode::Replace), theirs()).await;
    let fault = refused.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7236", FaultKind::Conflict));
    assert_eq!(knowledge.versions("help").await.unwrap().len(), 2);

    // Both wanted the same files.
    let same = mine(ImportMode::Replace);
    let (knowledge, done) = contended(same.clone(), same).await;
    assert_eq!((done.as_ref().unwrap().number, done.unwrap().is_new), (2, false));
    assert_eq!(knowledge.versions("help").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_stops_the_import_or_is_left_out() {
    on_each(async |store| {
        let knowledge = KnowledgeStore::open(store.clone());
        let mut files = two();
        files.push(put("scan.pdf", "%PDF-1.4 nothing"));
        files.push(put("photo.md", "\0\0\0"));
        let mut import = request(files, ImportMode::Replace);
        let fault = knowledge.import(&import).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7234", FaultKind::Gate));
        let mut codes: Vec<&str> = fault.findings().iter().map(|it| it.code.as_ref()).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["BOT-7100", "BOT-7106"]);
        assert!(store.blobs().await.unwrap().is_empty(), "nothing is stored");
        import.unreadable = Unreadable::Skip;
        let imported = knowledge.import(&import).await.unwrap();
        assert_eq!((changes(&imported), imported.findings.len()), ((1, 2, 0, 0, 0), 2));
        let none = request(vec![put("empty.md", " ")], ImportMode::Replace);
        let none = ImportRequest { unreadable: Unreadable::Skip, ..none };
        assert_eq!(knowledge.import(&none).await.unwrap_err().code(), "BOT-7237");
        assert_eq!(knowledge.versions("help").await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn unsafe_and_repeated_names_are_refused() {
    let knowledge = KnowledgeStore::open(Store::in_memory());
    let table = "question,answer\nHow?,So.\n";
    for (files, code) in [
        (vec![put("../a.md", "Text.")], "BOT-7235"),
        (vec![put("/a.md", "Text.")], "BOT-7235"),
        (vec![put("a.md", "Text."), put("a.md", "Other.")], "BOT-7235"),
        (vec![put("faq.csv", table), put("faq.csv#1", "Text.")], "BOT-7235"),
    ] {
        let fault = knowledge.import(&request(files, ImportMode::Replace)).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), (code, FaultKind::Usage), "{fault}");
    }
    let named = ImportRequest { name: "a/b".to_owned(), ..request(two(), ImportMode::Replace) };
    assert_eq!(knowledge.import(&named).await.unwrap_err().code(), "BOT-7231");
    assert_eq!(resolve(&knowledge, "help").await.unwrap_err().code(), "BOT-7232");
    knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
    assert_eq!(resolve(&knowledge, "help@2").await.unwrap_err().code(), "BOT-7233");
    assert_eq!(resolve(&knowledge, "hepl").await.unwrap_err().hints()[0], "did you mean `help`?");
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    on_each(async |store| {
        let knowledge = KnowledgeStore::open(store.clone());
        let dry = ImportRequest { dry_run: true, ..request(two(), ImportMode::Replace) };
        let would_be = knowledge.import(&dry).await.unwrap();
        assert!(store.blobs().await.unwrap().is_empty());
        assert!(knowledge.names().await.unwrap().is_empty());
        let done = knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
        assert_eq!(would_be, done);
    })
    .await;
}

#[tokio::test]
async fn an_erased_document_is_left_out_and_its_index_is_found() {
    on_each(async |store| {
        let knowledge = KnowledgeStore::open(store.clone());
        let first = knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("within 30 days");
        let found = knowledge.blobs_where(&holds, &BTreeSet::new()).await.unwrap();
        let version = resolve(&knowledge, "help@1").await.unwrap();
        let original = version.manifest.file("returns.md").unwrap().digest;
        let digests: BTreeSet<_> = found.keys().copied().collect();
        assert_eq!(digests, BTreeSet::from([original, first.index]));
        assert_eq!(found[&original], BTreeSet::from(["help@1".to_owned()]));
        for digest in digests {
            store.erase_blob(&digest, "erasure", chrono::Utc::now()).await.unwrap();
        }
        let verified = knowledge.verify(Some("help")).await.unwrap();
        assert_eq!((verified.problems.len(), verified.erased.len()), (0, 2));
        let again = knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
        assert_eq!((changes(&again), again.findings.len()), ((2, 0, 0, 1, 1), 1));
        assert_eq!(again.findings[0].code, "BOT-7238");
        assert!(knowledge.blobs_where(&holds, &BTreeSet::new()).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_lost_index_is_made_again_and_a_lost_original_is_reported() {
    let store = Store::in_memory();
    let knowledge = KnowledgeStore::open(store.clone());
    let first = knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
    store.remove(&botops_store::blob_path(&first.index)).await.unwrap();
    let verified = knowledge.verify(None).await.unwrap();
    assert_eq!(verified.problems[0].code, "BOT-5004");
    let merge = request(Vec::new(), ImportMode::Merge);
    let again = knowledge.import(&merge).await.unwrap();
    assert_eq!(again.index, first.index);
    assert!(knowledge.verify(None).await.unwrap().problems.is_empty());
    let version = resolve(&knowledge, "help").await.unwrap();
    let original = version.manifest.files[0].digest;
    store.remove(&botops_store::blob_path(&original)).await.unwrap();
    let mut resized = merge;
    resized.settings.chunk_tokens = Some(100);
    assert_eq!(knowledge.import(&resized).await.unwrap_err().code(), "BOT-5004");
    let replaced = ImportRequest { changes: two(), mode: ImportMode::Replace, ..resized };
    knowledge.import(&replaced).await.unwrap();
    assert!(store.has_blob(&original).await.unwrap(), "the folder still has the file");
}

#[tokio::test]
async fn declared_metadata_makes_a_file_another_one() {
    let knowledge = KnowledgeStore::open(Store::in_memory());
    knowledge.import(&request(two(), ImportMode::Replace)).await.unwrap();
    let mut files = two();
    if let Change::Put(file) = &mut files[0] {
        file.declared.access.insert("staff".to_owned());
    }
    let second = knowledge.import(&request(files, ImportMode::Replace)).await.unwrap();
    assert_eq!(changes(&second), (2, 0, 1, 0, 1));
    let without = SettingsChange { encoder: EncoderChoice::None, ..SettingsChange::default() };
    let same = ImportRequest { settings: without, ..request(Vec::new(), ImportMode::Merge) };
    assert!(!knowledge.import(&same).await.unwrap().is_new, "there was no encoder before");
}
