//! The settings of uploads: limits, and the reader of PDF files.

use botops_documents::PdfReader;
use botops_knowledge::store::Indexer;
use std::{fmt, sync::Arc, time::Duration};

/// The limits of uploaded documents, and the reader of PDF files.
#[derive(Clone)]
pub struct UploadSettings {
    /// The largest file, in bytes.
    pub file_bytes: u64,
    /// The largest upload, in bytes.
    pub total_bytes: u64,
    /// The most files of an upload.
    pub files: usize,
    /// The most uploads at a time: each holds one file in memory.
    pub at_once: usize,
    /// The longest time of an upload.
    pub patience: Duration,
    /// The making of indexes; without it, the server takes no documents and works on no jobs.
    pub indexer: Option<Arc<dyn Indexer>>,
    /// The reader of PDF files, in a process of its own; `None` refuses them.
    pub pdf: Option<Arc<dyn PdfReader>>,
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self {
            // The limit of one file of an import, too.
            file_bytes: 32 << 20,
            total_bytes: 256 << 20,
            files: 100,
            at_once: 2,
            patience: Duration::from_secs(600),
            indexer: None,
            pdf: None,
        }
    }
}

impl fmt::Debug for UploadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadSettings")
            .field("file_bytes", &self.file_bytes)
            .field("total_bytes", &self.total_bytes)
            .field("files", &self.files)
            .field("reads_pdf", &self.pdf.is_some())
            .finish_non_exhaustive()
    }
}
