//! The identity of a store as this process knows it.

use std::path::PathBuf;
use tokio::sync::Mutex;

/// The identity of a store as this process knows it.
pub(super) struct Guard {
    /// The folder of a local store, and whether it existed when the store was opened.
    pub(super) folder: Option<(PathBuf, bool)>,
    /// The identity, once it was read or written.
    pub(super) id: Mutex<Option<String>>,
}

impl Guard {
    /// Makes the guard of a store; `folder` is that of a local one.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let folder = folder.map(|folder| {
            let exists = folder.exists();
            (folder, exists)
        });
        Self { folder, id: Mutex::new(None) }
    }
}
