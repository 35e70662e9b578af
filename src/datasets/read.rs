//! A file becomes records.

use super::{
    Dataset, EntitySpan, ReadOptions, Record, columns::Roles, csv, encoding, frame, jsonl,
};
use crate::{
    digest::Digest,
    findings::{Fault, Place, Result},
    spec,
};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

/// Reads `path` (CSV, TSV, JSONL, Parquet by extension, else by content): records in file order.
///
/// - a UTF-8 byte-order mark is skipped, and so are blank lines
/// - a CSV whose first line has no comma may be separated by semicolons or tabs
/// - intents and languages are trimmed, and `None` where the cell is empty; texts are as written
/// - a field longer than 1 MiB is read, and left to `validate` to report
///
/// # Errors
/// Exit 2: `BOT-1001` missing, unreadable or a directory; `BOT-2101` no text (or required intent)
/// column: the columns there are named. Exit 3: `BOT-2102` empty file or header only, `BOT-2103` binary,
/// `BOT-2104` not UTF-8 (record, line, byte; UTF-16 named), `BOT-2105` records with another number of fields
/// (each is a finding of the fault), `BOT-2106` a quote never closed (where it opened), `BOT-2107` malformed JSON line,
/// `BOT-2108` an unreadable Parquet file, `BOT-2109` two columns of one name, `BOT-2128` a malformed entities cell.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    read_bytes(&bytes(path)?, &path.display().to_string(), options)
}

/// Reads `bytes` as [`read`] reads a file of these bytes called `name`, whose ending says its format.
///
/// # Errors
/// As [`read`], but for `BOT-1001`.
pub fn read_bytes(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Dataset> {
    let (columns, records) = match Kind::of(Path::new(name), bytes) {
        Kind::Parquet => frame::read_parquet(bytes, name, options)?,
        Kind::Jsonl => jsonl::read(bytes, name, options)?,
        Kind::Csv(delimiter) => csv::read(bytes, name, delimiter, options)?,
    };
    if records.is_empty() {
        return Err(Fault::data("BOT-2102", "the file has a header and no record")
            .at(Place { file: Some(name.to_owned()), ..Place::default() })
            .hint("check what should have written it"));
    }
    Ok(Dataset { digest: Digest::of(bytes), name: name.to_owned(), columns, records })
}

/// Returns the bytes of the data file at `path`.
///
/// # Errors
/// `BOT-1001` (exit 2) when it is missing, unreadable or a directory.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| spec::unreadable(path, &error))
}

/// What the files read here hold.
pub(super) type Read = (BTreeMap<String, String>, Vec<Record>);

pub(super) enum Kind {
    Parquet,
    Jsonl,
    Csv(Option<u8>),
}

impl Kind {
    /// Tells by extension, else by the first `bytes`.
    pub(super) fn of(path: &Path, bytes: &[u8]) -> Self {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "parquet" | "pq" => Self::Parquet,
            "jsonl" | "ndjson" | "json" => Self::Jsonl,
            "tsv" | "tab" => Self::Csv(Some(b'\t')),
            "csv" => Self::Csv(None),
            _ if bytes.starts_with(b"PAR1") => Self::Parquet,
            _ => {
                let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
                match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
                    Some(b'{') => Self::Jsonl,
                    _ => Self::Csv(None),
                }
            }
        }
    }
}

/// The cells of one record, before they are checked.
pub(super) struct Cells<'a> {
    pub(super) text: &'a str,
    pub(super) intent: Option<&'a str>,
    pub(super) lang: Option<&'a str>,
    pub(super) entities: Option<&'a str>,
}

impl<'a> Cells<'a> {
    /// Takes the cells with a role out of a record.
    pub(super) fn of(roles: &Roles, cell: impl Fn(usize) -> &'a str) -> Self {
        Self {
            text: cell(roles.text),
            intent: roles.intent.map(&cell),
            lang: roles.lang.map(&cell),
            entities: roles.entities.map(&cell),
        }
    }

    /// Makes the record.
    ///
    /// # Errors
    /// `BOT-2128` (exit 3) when the entities are no JSON array of spans.
    pub(super) fn record(&self, file: &str, record: u64, line: u64) -> Result<Record> {
        let filled = |cell: Option<&str>| {
            cell.map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned)
        };
        let entities = match self.entities.map(str::trim) {
            None | Some("") => Vec::new(),
            Some(json) => entities(json, file, record, line)?,
        };
        Ok(Record {
            text: self.text.to_owned(),
            intent: filled(self.intent),
            lang: filled(self.lang),
            entities,
            record,
            line,
        })
    }
}

/// Reads a cell of entities.
///
/// # Errors
/// `BOT-2128` (exit 3) when it is no JSON array of spans.
pub(super) fn entities(json: &str, file: &str, record: u64, line: u64) -> Result<Vec<EntitySpan>> {
    serde_json::from_str(json).map_err(|error| {
        Fault::data(
            "BOT-2128",
            format!("`entities` is not a list of spans: `{}`", crate::text::display(json, 60)),
        )
        .at(Place {
            file: Some(file.to_owned()),
            record: Some(record),
            line: Some(line),
            ..Place::default()
        })
        .hint(r#"write `[{"entity":"date","value":"31/10","start":3,"end":8}]`, counted in characters from 0, or leave it empty"#)
        .caused_by(error)
    })
}

/// Refuses columns of one name; columns without a name do not count.
///
/// # Errors
/// `BOT-2109` (exit 3).
pub(super) fn check_names(names: &[String], place: &Place) -> Result<()> {
    let mut seen = HashSet::with_capacity(names.len());
    for name in names {
        if !name.is_empty() && !seen.insert(name) {
            let shown = crate::text::display(name, 40);
            return Err(Fault::data("BOT-2109", format!("two columns are called `{shown}`"))
                .at(place.clone())
                .hint("rename or remove one of them"));
        }
    }
    Ok(())
}

/// Decodes `bytes`; see [`encoding::decode`].
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    file: &str,
    record_of: impl Fn(&str) -> Option<u64>,
) -> Result<&'a str> {
    encoding::decode(bytes, file, record_of)
}
