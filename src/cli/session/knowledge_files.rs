//! Files of knowledge that stand beside a model file.

use botops_findings::{Fault, Result};
use botops_serving::KnowledgeFile;
use botops_spec::bytes_within;
use std::path::PathBuf;

/// The largest `.knowledge` file that answers.
const MOST_BYTES: u64 = 8 << 30;

/// Reads the files.
///
/// # Errors
/// `BOT-1001` (exit 2) a file cannot be read.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<KnowledgeFile>> {
    let files = paths.iter().map(|path| {
        let bytes = bytes_within(path, MOST_BYTES)?.into();
        Ok(KnowledgeFile { name: path.display().to_string(), bytes })
    });
    files.collect()
}

/// Returns the fault of files beside `version`, which has its own.
pub(crate) fn beside_a_version(version: &str) -> Fault {
    let message = format!(
        "`--knowledge` goes beside a model file, and `{version}` is a version of the registry"
    );
    Fault::usage("BOT-1003", message).hint(
        "push the model with it: `botops push MODEL --knowledge FILE --questions FILE --test FILE --rules FILE`",
    )
}
