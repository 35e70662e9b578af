//! A file becomes records.

use super::{Dataset, EntitySpan, ReadOptions, Record};
use crate::{
    column_roles::Roles,
    formats::encoding,
    opening::{self, Identity, STDIN, expand},
    reading::Source,
};
use botops_digest::Digest;
use botops_findings::{Fault, Place, Result};
use botops_spec as spec;
use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _},
    path::Path,
};

/// Reads `path`: records in file order. CSV, TSV, JSONL, a JSON array or Parquet, by its name, else by content; each may
/// be packed by gzip or zstd. `-` is standard input, and a pattern such as `data/*.csv` names several files, whose
/// records keep the name of their own.
///
/// - a UTF-8 byte-order mark is skipped, and so are blank lines
/// - a CSV whose first line has no comma may be separated by semicolons or tabs
/// - intents and languages are trimmed, and `None` where the cell is empty; texts are as written
/// - a field of up to 64 MiB is read, and left to `validate` to report
///
/// # Errors
/// Exit 2: `BOT-1001` missing, unreadable or a directory; `BOT-2101` no text (or required intent)
/// column: the columns there are named. Exit 3: `BOT-2102` empty file or header only, `BOT-2103` binary,
/// `BOT-2104` not UTF-8 (record, line, byte; UTF-16 named), `BOT-2105` records with another number of fields
/// (each is a finding of the fault), `BOT-2106` a quote never closed (where it opened), `BOT-2107` malformed JSON,
/// `BOT-2108` an unreadable Parquet file, `BOT-2109` two columns of one name, `BOT-2128` a malformed entities cell,
/// `BOT-2160` unpacked to more than is allowed, `BOT-2161` a damaged packed file, `BOT-2162` files of one pattern with
/// different columns, `BOT-2163` a record of more than 64 MiB.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    let paths = expand(path)?;
    let [first, rest @ ..] = paths.as_slice() else { return Err(encoding::empty("")) };
    let mut source = Source::open(first, options, Identity::Digested)?;
    if !rest.is_empty() {
        source.name_records();
    }
    let mut records = source.all()?;
    let mut digests = vec![source.digest()];
    for path in rest {
        source = source.followed_by(path)?;
        records.append(&mut source.all()?);
        digests.push(source.digest());
    }
    let digest = match digests.as_slice() {
        [Some(only)] => *only,
        several => Digest::of_json(several),
    };
    let columns = source.columns().unwrap_or_default();
    if records.is_empty() {
        return Err(encoding::no_record(&path.display().to_string()));
    }
    Ok(Dataset { name: path.display().to_string(), digest, columns, records })
}

/// Reads `bytes` as [`read`] reads a file of these bytes called `name`, whose ending says its format.
///
/// # Errors
/// As [`read`], but for `BOT-1001`.
pub fn read_bytes(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Dataset> {
    let opened =
        opening::begin(Box::new(bytes), name, options.format, &options.limits, Identity::Unknown)?;
    let mut source = Source::new(opened, options)?;
    let records = source.all()?;
    let columns = source.columns().unwrap_or_default();
    if records.is_empty() {
        return Err(encoding::no_record(name));
    }
    Ok(Dataset { digest: Digest::of(bytes), name: name.to_owned(), columns, records })
}

/// Returns the bytes of the data file at `path` as they lie, or those of standard input for `-`.
///
/// # Errors
/// `BOT-1001` (exit 2) when it is missing, unreadable or a directory.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: io::Error| spec::unreadable(path, &error);
    if path == Path::new(STDIN) {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map_err(unreadable)?;
        return Ok(bytes);
    }
    fs::read(path).map_err(unreadable)
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
            file: None,
        })
    }
}

/// Reads a cell of entities.
///
/// # Errors
/// `BOT-2128` (exit 3) when it is no JSON array of spans.
pub fn entities(json: &str, file: &str, record: u64, line: u64) -> Result<Vec<EntitySpan>> {
    serde_json::from_str(json).map_err(|error| {
        Fault::data(
            "BOT-2128",
            format!("`entities` is not a list of spans: `{}`", botops_text::utterance(json, 60)),
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
            let shown = botops_text::display(name, 40);
            return Err(Fault::data("BOT-2109", format!("two columns are called `{shown}`"))
                .at(place.clone())
                .hint("rename or remove one of them"));
        }
    }
    Ok(())
}
