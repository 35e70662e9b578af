//! The limits of uploaded documents, and the reader of PDF files: this program, in a process of its own.

use botops_documents::{ChildPdfReader, Limits};
use botops_findings::{Fault, Result};
use botops_knowledge::store::KnowledgeIndexer;
use botops_serving::UploadSettings;
use std::{sync::Arc, time::Duration};

/// The longest time for the text of one PDF file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the settings of uploads.
///
/// # Errors
/// `BOT-7107` (exit 1) the path of this program is not known.
pub(super) fn settings() -> Result<UploadSettings> {
    let program = std::env::current_exe().map_err(|error| {
        Fault::internal("BOT-7107", "the path of this program is not known").caused_by(error)
    })?;
    let pdf =
        ChildPdfReader { program, patience: PATIENCE, text_bytes: Limits::default().text_bytes };
    Ok(UploadSettings {
        indexer: Some(Arc::new(KnowledgeIndexer)),
        pdf: Some(Arc::new(pdf)),
        ..UploadSettings::default()
    })
}
