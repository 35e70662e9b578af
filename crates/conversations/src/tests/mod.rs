//! Tests of the stores by one contract, and of conversations in them.

mod contract;
mod copying;
mod databases;
mod erasure;
mod forgetting;
mod racing;
mod schema;
mod sealed;
mod servers;
mod shared_limits;

use crate::{Conversations, DataKeys, Location, MemoryStore, Names, store::ConversationStore};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{path::Path, sync::Arc};

/// Opens the SQLite store in `folder`.
pub(super) async fn sqlite(folder: &Path) -> Arc<dyn ConversationStore> {
    Location::parse("store", folder).unwrap().open(true).await.unwrap()
}

/// Makes conversations in `store`, under the data keys in `keys`.
pub(super) fn conversations(
    store: Arc<dyn ConversationStore>,
    keys: Option<&str>,
) -> Conversations {
    let keys = keys.map(|keys| DataKeys::parse(keys).unwrap());
    Conversations::new(store, Names::new(b"an identity key", None), keys)
}

/// Makes conversations in memory.
pub(super) fn in_memory() -> Conversations {
    conversations(Arc::new(MemoryStore::default()), None)
}

/// Makes a data key.
pub(super) fn data_key(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

/// Returns the files in `folder` that contain `text`.
pub(super) fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}
