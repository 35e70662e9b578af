//! The reader of PDF files: this program, started again for each file.

use botops_documents::{ChildPdfReader, Limits, PdfReader};
use botops_findings::{Fault, Result};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The longest time for one file.
const PATIENCE: Duration = Duration::from_secs(60);
/// Linux's name of the program of a process, which is right even after its file was replaced.
const OWN: &str = "/proc/self/exe";

/// Starts this program, which is looked for when there is a PDF: nothing else needs it, and its path is unknown where `/proc` is
/// not mounted.
struct OwnReader;

impl PdfReader for OwnReader {
    fn pages(&self, bytes: &[u8]) -> Result<Vec<String>> {
        let program = match Path::new(OWN).exists() {
            true => PathBuf::from(OWN),
            false => std::env::current_exe().map_err(|error| {
                Fault::internal("BOT-7107", "the path of this program is unknown").caused_by(error)
            })?,
        };
        let text_bytes = Limits::default().text_bytes;
        ChildPdfReader { program, patience: PATIENCE, text_bytes }.pages(bytes)
    }
}

/// Returns the reader.
pub(crate) fn of_this_program() -> Arc<dyn PdfReader> {
    Arc::new(OwnReader)
}
