//! The limits of uploaded documents, and the reader of PDF files: this program, in a process of its own.

use crate::cli::session::pdf_reader;
use botops_findings::Result;
use botops_knowledge::store::{Indexer, KnowledgeIndexer};
use botops_serving::UploadSettings;
use std::sync::Arc;

/// Returns the settings of uploads.
///
/// # Errors
/// `BOT-7107` (exit 1) the path of this program is not known.
pub(super) fn settings() -> Result<UploadSettings> {
    let pdf = Some(pdf_reader::of_this_program()?);
    let indexer = Some(Arc::new(KnowledgeIndexer) as Arc<dyn Indexer>);
    Ok(UploadSettings { pdf, indexer, ..UploadSettings::default() })
}
