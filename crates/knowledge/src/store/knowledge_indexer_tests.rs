//! Imports with the real indexer: an unchanged file is kept, and the index is the one of a full import.

use super::{
    Change, ImportAct, ImportMode, ImportRequest, KnowledgeStore, PutFile, SettingsChange,
    Unreadable,
};
use crate::KnowledgeIndex;
use botops_documents::{Declared, Limits, PdfReader};
use botops_findings::Result;
use botops_store::Store;
use std::sync::Arc;

struct NoPdf;

impl PdfReader for NoPdf {
    fn pages(&self, _: &[u8]) -> Result<Vec<String>> {
        panic!("there is no PDF file")
    }
}

fn put(id: &str, text: &'static str) -> Change {
    Change::Put(PutFile { id: id.to_owned(), bytes: text.into(), declared: Declared::default() })
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
            at: "2026-11-20T10:00:00Z".parse().unwrap(),
            actor: "ada".to_owned(),
            reason: String::new(),
        },
        dry_run: false,
    }
}

const RETURNS: &str = "# Returns\n\nReturns are free within 30 days.\n";
const HOURS: &str = "# Hours\n\nThe shop is open from 9 to 5.\n";

#[tokio::test]
async fn a_merged_file_makes_the_same_index_as_a_full_import_and_reads_only_itself() {
    let store = KnowledgeStore::open(Store::in_memory());
    let first = request(vec![put("returns.md", RETURNS)], ImportMode::Merge);
    assert_eq!(store.import(&first).await.unwrap().files_read, 1);
    let second = request(vec![put("hours.md", HOURS)], ImportMode::Merge);
    let merged = store.import(&second).await.unwrap();
    assert_eq!((merged.number, merged.files_read, merged.unchanged), (2, 1, 1));
    let again = store.import(&second).await.unwrap();
    assert!(!again.is_new, "a repeated import makes no version");

    let other = KnowledgeStore::open(Store::in_memory());
    let both = vec![put("returns.md", RETURNS), put("hours.md", HOURS)];
    let full = other.import(&request(both, ImportMode::Replace)).await.unwrap();
    assert_eq!(merged.index, full.index);
    let version = store.resolve(&"help@2".parse().unwrap()).await.unwrap();
    let index = KnowledgeIndex::from_bytes(&store.index(&version).await.unwrap()).unwrap();
    assert_eq!((index.n_documents(), index.digest()), (2, full.index));
}
