//! The reader of PDF files: this program, started again for each file.

use botops_documents::{ChildPdfReader, Limits, PdfReader};
use botops_findings::{Fault, Result};
use std::{sync::Arc, time::Duration};

/// The longest time for one file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the reader.
///
/// # Errors
/// `BOT-7107` (exit 1) the path of this program is unknown.
pub(crate) fn of_this_program() -> Result<Arc<dyn PdfReader>> {
    let program = std::env::current_exe().map_err(|error| {
        Fault::internal("BOT-7107", "the path of this program is unknown").caused_by(error)
    })?;
    let text_bytes = Limits::default().text_bytes;
    Ok(Arc::new(ChildPdfReader { program, patience: PATIENCE, text_bytes }))
}
