//! YAML to a typed spec, with the place of what is wrong and the nearest known key.

use crate::findings::Result;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads and parses the YAML file at `path`; structs should be `deny_unknown_fields`.
///
/// # Errors
/// `BOT-1001` when the file cannot be read; `BOT-1010` for malformed YAML, `BOT-1011` for an
/// unknown key (the nearest known one is named), `BOT-1012` for a value of a wrong type: all with
/// file, line and column, exit 2.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    todo!("{}", path.display())
}

/// Parses `yaml`, naming `file` in what it reports.
///
/// # Errors
/// As [`read`].
pub fn parse<T: DeserializeOwned>(yaml: &str, file: &str) -> Result<T> {
    todo!("{yaml}{file}")
}

/// Returns the candidate nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let _ = word;
    candidates.into_iter().next()
}
