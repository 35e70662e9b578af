//! The files and folders to write that a user names on the command line.

use botops_datasets::Format;
use botops_files::{STANDARD_OUTPUT, is_standard_output, output_name};
use botops_findings::{Fault, Result};
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
};

/// The endings of data that only some verbs write, or none does: packed files, books of sheets and databases.
const OTHER_DATA: [&str; 22] = [
    "gz", "gzip", "zst", "zstd", "bz2", "xz", "lz4", "zip", "7z", "tar", "tgz", "xlsx", "xls",
    "ods", "arrow", "feather", "avro", "orc", "db", "sqlite", "html", "xml",
];

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

    /// Returns the format of a table to write, one of `known`, by the ending of the name. A name without the ending of data,
    /// and standard output, get the first of `known`.
    ///
    /// # Errors
    /// `BOT-1003` (exit 2) for the ending of other data, because a reader would take the file for such data.
    pub(crate) fn table_format(&self, known: &[Format]) -> Result<Format> {
        let name = self.0.to_string_lossy().to_lowercase();
        let ending = Path::new(&name).extension().and_then(OsStr::to_str).unwrap_or_default();
        let is_other = !self.is_standard_output() && OTHER_DATA.contains(&ending);
        match self.format().filter(|_| !is_other) {
            Some(format) if known.contains(&format) => Ok(format),
            None if !is_other => Ok(known.first().copied().unwrap_or(Format::Csv)),
            _ => {
                let names: Vec<&str> = known.iter().map(|format| ending_of(*format)).collect();
                let shown = self.0.display();
                let message = format!("`{shown}`: this table is not written as `.{ending}`");
                Err(Fault::usage("BOT-1003", message)
                    .file(&self.0)
                    .hint(format!("use the ending {}", names.join(" or "))))
            }
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

/// Returns the usual ending of a file of `format`.
fn ending_of(format: Format) -> &'static str {
    match format {
        Format::Csv => ".csv",
        Format::Tsv => ".tsv",
        Format::Jsonl => ".jsonl",
        Format::Json => ".json",
        Format::Parquet => ".parquet",
        Format::Rasa => ".yml",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_in_the_format_of_its_name_or_refused() {
        let known = [Format::Csv, Format::Tsv, Format::Jsonl];
        for (name, format) in [
            ("a.csv", Format::Csv),
            ("A.TSV", Format::Tsv),
            ("a.tab", Format::Tsv),
            ("a.jsonl", Format::Jsonl),
            ("a.ndjson", Format::Jsonl),
            ("a.txt", Format::Csv),
            ("out/v1.2", Format::Csv),
            ("predictions", Format::Csv),
            ("-", Format::Csv),
            ("/dev/stdout", Format::Csv),
        ] {
            assert_eq!(OutPath::new(name).table_format(&known).unwrap(), format, "{name}");
        }
        for name in ["a.parquet", "a.json", "a.xlsx", "a.csv.gz", "a.CSV.ZST", "a.gz", "a.yml"] {
            let fault = OutPath::new(name).table_format(&known).unwrap_err();
            assert_eq!(fault.code(), "BOT-1003", "{name}");
            assert_eq!(fault.hints(), ["use the ending .csv or .tsv or .jsonl"], "{name}");
        }
    }
}
