//! The limits of uploaded documents, and the reader of PDF files: this program, in a process of its own.

use crate::cli::session::pdf_reader;
use botops_knowledge::store::{Indexer, KnowledgeIndexer};
use botops_serving::UploadSettings;
use std::sync::Arc;

/// Returns the settings of uploads.
pub(super) fn settings() -> UploadSettings {
    let pdf = Some(pdf_reader::of_this_program());
    let indexer = Some(Arc::new(KnowledgeIndexer) as Arc<dyn Indexer>);
    UploadSettings { pdf, indexer, ..UploadSettings::default() }
}
