//! The files and folders to write that a user names on the command line.

use botops_datasets::Format;
use botops_files::{STANDARD_OUTPUT, is_standard_output, output_name};
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use std::{
    ffi::OsString,
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
};

/// A file to write; `-` is standard output, and the answer of the verb then goes to standard error.
///
/// Every flag that names such a file has this type: by the type, [`standard_outputs`] finds the flags whose value is `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutPath(PathBuf);

impl OutPath {
    /// Makes the path of an output.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the name of the file in messages.
    pub(crate) fn shown(&self) -> String {
        output_name(&self.0)
    }

    /// Returns the format of a table, by the ending of the name; CSV for standard output.
    pub(crate) fn format(&self) -> Option<Format> {
        match self.is_standard_output() {
            true => Some(Format::Csv),
            false => Format::of_name(&self.0.to_string_lossy()),
        }
    }

    /// Returns whether the file is standard output.
    pub(crate) fn is_standard_output(&self) -> bool {
        is_standard_output(&self.0)
    }
}

impl From<OsString> for OutPath {
    fn from(path: OsString) -> Self {
        Self(path.into())
    }
}

impl Deref for OutPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for OutPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// A value of a flag that may name standard output as the file to write.
pub(crate) trait Writes: Clone + Send + Sync + 'static {
    /// Returns the file to write.
    fn out(&self) -> &OutPath;
}

impl Writes for OutPath {
    fn out(&self) -> &OutPath {
        self
    }
}

/// Returns the flags in `matches` with values of the type `T` that name standard output, once for each value.
pub(crate) fn standard_outputs<T: Writes>(
    command: &clap::Command,
    matches: &clap::ArgMatches,
) -> Vec<String> {
    let flag = |id: &str| {
        let argument = command.get_arguments().find(|argument| argument.get_id() == id);
        let long = argument.and_then(|argument| argument.get_long());
        long.map_or_else(|| id.to_owned(), |long| format!("--{long}"))
    };
    let values = |id: &clap::Id| {
        let values = matches.try_get_many::<T>(id.as_str()).ok().flatten();
        let n = values
            .map_or(0, |values| values.filter(|value| value.out().is_standard_output()).count());
        vec![flag(id.as_str()); n]
    };
    matches.ids().flat_map(values).collect()
}

/// Parses a folder to write, or a file that is also read: neither can be standard output.
pub(crate) fn named_path() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str() == STANDARD_OUTPUT {
        false => Ok(path),
        true => Err(NotStandardOutput),
    })
}

/// The error of [`named_path`].
#[derive(Debug, Clone, Copy)]
struct NotStandardOutput;

impl fmt::Display for NotStandardOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "it cannot be standard output; for a file or folder with this name, write `./-`",
        )
    }
}

impl std::error::Error for NotStandardOutput {}
