//! Records as a data frame: Parquet in and out.
//!
//! The columnar engine is used where columns are what matters, and stays within this file.

use crate::{
    Dataset, ReadOptions, Record,
    column_roles::Roles,
    opening::{Limits, Opened, Seekable, unread},
    read::{Cells, check_names},
    write,
};
use botops_findings::{Fault, Place, Result};
use polars::{io::mmap::MmapBytesReader, prelude::*};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Cursor, Read, Seek as _, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// How many Parquet files are being parsed.
static PARSING: AtomicUsize = AtomicUsize::new(0);

/// Returns whether a Parquet file is being parsed.
///
/// The engine panics on some damaged files. That becomes a fault like any other; a panic hook
/// asks here so as not to announce it as a bug of this program.
#[must_use]
pub fn is_parsing_parquet() -> bool {
    PARSING.load(Ordering::SeqCst) > 0
}

/// Runs `parse`; a panic of the engine becomes a fault.
fn guarded<T>(place: &Place, parse: impl FnOnce() -> Result<T>) -> Result<T> {
    PARSING.fetch_add(1, Ordering::SeqCst);
    let read = catch_unwind(AssertUnwindSafe(parse));
    PARSING.fetch_sub(1, Ordering::SeqCst);
    read.unwrap_or_else(|_| {
        Err(Fault::data("BOT-2108", "the Parquet file is damaged")
            .at(place.clone())
            .hint("copy or write it again"))
    })
}

/// Reads the records of a Parquet file part by part; columns that are no texts are read as they would be written.
#[derive(Debug)]
pub(crate) struct Parts {
    file: String,
    source: Seekable,
    /// Records that were read.
    records: usize,
    columns: Option<BTreeMap<String, String>>,
    others: Vec<String>,
    /// Whether all records are read at once.
    gather: bool,
}

impl Parts {
    /// Begins the file that was opened.
    ///
    /// # Errors
    /// `BOT-2102` when it is empty, `BOT-2108` when it is cut off, or none; `BOT-2160` when it claims to hold more than
    /// `limits` allow of a file of its size.
    pub(crate) fn new<R: Read>(opened: Opened<R>, limits: &Limits) -> Result<Self> {
        let (file, source) = checked(opened, limits)?;
        Ok(Self { file, source, records: 0, columns: None, others: Vec::new(), gather: false })
    }

    /// Reads all records at once.
    pub(crate) fn gather(&mut self) {
        self.gather = true;
    }

    /// Reads the next `n` records; none at the end.
    pub(crate) fn read(&mut self, n: usize, options: &ReadOptions) -> Result<Vec<Record>> {
        let place = Place { file: Some(self.file.clone()), ..Place::default() };
        if self.gather && self.columns.is_some() {
            return Ok(Vec::new());
        }
        let slice = (!self.gather).then_some((self.records, n));
        let source = rewound(&self.source).map_err(|error| unread(error, &self.file))?;
        let (roles, names, records) =
            guarded(&place, || parse_parquet(source, &self.file, options, &place, slice))?;
        self.records += records.len();
        self.columns = Some(roles.columns(&names));
        self.others = roles.others(&names);
        Ok(records)
    }

    /// Returns the columns that have a role; none before a record was read.
    pub(crate) fn columns(&self) -> Option<BTreeMap<String, String>> {
        self.columns.clone()
    }

    /// Returns the columns that have no role.
    pub(crate) fn other_columns(&self) -> Vec<String> {
        self.others.clone()
    }
}

/// Takes what was opened as something that can be read here and there, and refuses what is no Parquet, or a bomb.
fn checked<R: Read>(opened: Opened<R>, limits: &Limits) -> Result<(String, Seekable)> {
    let file = opened.name.clone();
    let place = Place { file: Some(file.clone()), ..Place::default() };
    let source = opened.seekable()?;
    check_ends(&source, &file)?;
    let size = source.size().map_err(|error| unread(error, &file))?;
    let n = guarded(&place, || {
        ParquetReader::new(rewound(&source).map_err(|error| unread(error, &file))?)
            .num_rows()
            .map_err(|error| unreadable(&place, error))
    })? as u64;
    // A page of one value again and again is a few bytes, however often it is there.
    if n > limits.ratio_from_bytes.max(size.saturating_mul(limits.max_ratio)) {
        let message = format!("the file has {size} bytes, and claims to hold {n} records");
        return Err(Fault::data("BOT-2160", message)
            .at(place)
            .hint("see where it came from: a file like this can fill a memory or a disk"));
    }
    Ok((file, source))
}

/// Returns a reader of `source`, at its start.
fn rewound(source: &Seekable) -> io::Result<Box<dyn MmapBytesReader>> {
    Ok(match source {
        Seekable::File(file) => {
            let mut file = file.try_clone()?;
            file.rewind()?;
            Box::new(file)
        }
        Seekable::Held(bytes) => Box::new(Cursor::new(bytes.clone())),
    })
}

/// Returns the first and the last four bytes; fewer where there are not as many.
fn ends(source: &Seekable) -> io::Result<[Vec<u8>; 2]> {
    let mut reader = rewound(source)?;
    let mut at = |start: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reader.seek(SeekFrom::Start(start))?;
        reader.by_ref().take(4).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Ok([at(0)?, at(source.size()?.saturating_sub(4))?])
}

/// Refuses what does not bear the mark of Parquet at both ends: without the last one the file was cut off.
fn check_ends(source: &Seekable, file: &str) -> Result<()> {
    let place = Place { file: Some(file.to_owned()), ..Place::default() };
    let [first, last] = ends(source).map_err(|error| unread(error, file))?;
    if first.is_empty() {
        return Err(Fault::data("BOT-2102", "the file is empty")
            .at(place)
            .hint("check what should have written it"));
    }
    if first != *b"PAR1" || last != *b"PAR1" {
        let what = if first == *b"PAR1" { "cut off" } else { "no Parquet file" };
        return Err(Fault::data("BOT-2108", format!("the file is {what}"))
            .at(place)
            .hint("copy or write it again"));
    }
    Ok(())
}

fn unreadable(place: &Place, error: PolarsError) -> Fault {
    Fault::data("BOT-2108", "the Parquet file cannot be read")
        .at(place.clone())
        .hint("write it again, with columns of plain text, or export it as CSV")
        .caused_by(error)
}

/// Reads the records of `source`, or `slice` of them: how many to skip, and how many to read.
fn parse_parquet(
    source: impl MmapBytesReader,
    file: &str,
    options: &ReadOptions,
    place: &Place,
    slice: Option<(usize, usize)>,
) -> Result<(Roles, Vec<String>, Vec<Record>)> {
    let first = slice.map_or(0, |(skipped, _)| skipped as u64);
    let fault = |error: PolarsError| unreadable(place, error);
    let mut reader = ParquetReader::new(source);
    let schema = reader.schema().map_err(fault)?;
    let names: Vec<String> = schema.iter_names().map(|name| name.to_string()).collect();
    check_names(&names, place)?;
    let roles = Roles::recognise(&names, options, place)?;
    let wanted: Vec<String> = roles.columns(&names).into_values().collect();
    let frame = reader.with_columns(Some(wanted)).with_slice(slice).finish().map_err(fault)?;
    let cells = |column: Option<usize>| -> Result<Option<StringChunked>> {
        column
            .map(|column| {
                let column = frame.column(&names[column])?.cast(&DataType::String)?;
                column.str().cloned()
            })
            .transpose()
            .map_err(fault)
    };
    let text = cells(Some(roles.text))?;
    let (intent, lang, entities) =
        (cells(roles.intent)?, cells(roles.lang)?, cells(roles.entities)?);
    let records = (0..frame.height())
        .map(|row| {
            let at = |cells: &'_ Option<StringChunked>| -> Option<String> {
                cells.as_ref().and_then(|cells| cells.get(row)).map(str::to_owned)
            };
            let (text, intent, lang, entities) = (at(&text), at(&intent), at(&lang), at(&entities));
            let number = first + row as u64 + 1;
            Cells {
                text: text.as_deref().unwrap_or_default(),
                intent: intent.as_deref(),
                lang: lang.as_deref(),
                entities: entities.as_deref(),
            }
            .record(file, number, number)
        })
        .collect::<Result<_>>()?;
    Ok((roles, names, records))
}

/// Reads the rows of a Parquet file part by part, with all of its columns.
#[derive(Debug)]
pub(crate) struct RowParts {
    file: String,
    source: Seekable,
    rows: usize,
    ended: bool,
}

/// Some rows of a Parquet file.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) names: Vec<String>,
    pub(crate) height: usize,
    columns: Vec<Column>,
}

impl Rows {
    /// Returns a cell as it would be written; null is empty.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Cow<'_, str> {
        match self.columns[column].get(row) {
            Ok(AnyValue::Null) | Err(_) => Cow::Borrowed(""),
            Ok(AnyValue::String(text)) => Cow::Borrowed(text),
            Ok(AnyValue::StringOwned(text)) => Cow::Owned(text.to_string()),
            Ok(other) => Cow::Owned(other.to_string()),
        }
    }
}

impl RowParts {
    /// Begins the file that was opened.
    ///
    /// # Errors
    /// As [`Parts::new`].
    pub(crate) fn new<R: Read>(opened: Opened<R>, limits: &Limits) -> Result<Self> {
        let (file, source) = checked(opened, limits)?;
        Ok(Self { file, source, rows: 0, ended: false })
    }

    /// Reads the next `n` rows; `None` at the end.
    pub(crate) fn read(&mut self, n: usize) -> Result<Option<Rows>> {
        if self.ended {
            return Ok(None);
        }
        let source = rewound(&self.source).map_err(|error| unread(error, &self.file))?;
        let place = Place { file: Some(self.file.clone()), ..Place::default() };
        let slice = Some((self.rows, n));
        let rows = guarded(&place, || parse_rows(source, &place, slice))?;
        self.rows += rows.height;
        self.ended = rows.height < n;
        Ok(Some(rows))
    }
}

fn parse_rows(
    source: impl MmapBytesReader,
    place: &Place,
    slice: Option<(usize, usize)>,
) -> Result<Rows> {
    let fault = |error: PolarsError| unreadable(place, error);
    let mut reader = ParquetReader::new(source);
    let schema = reader.schema().map_err(fault)?;
    let names: Vec<String> = schema.iter_names().map(|name| name.to_string()).collect();
    check_names(&names, place)?;
    let frame = reader.with_slice(slice).finish().map_err(fault)?;
    // What has no form as text (a list) is written as the engine shows it.
    let text = |column: &Column| column.cast(&DataType::String).unwrap_or_else(|_| column.clone());
    let columns = frame.columns().iter().map(text).collect();
    Ok(Rows { names, height: frame.height(), columns })
}

/// Writes `data` as Parquet (`text`, `intent`, `lang`, `entities` as JSON; zstd), complete or absent.
///
/// # Errors
/// `BOT-1002`.
pub fn write_parquet(path: &Path, data: &Dataset) -> Result<()> {
    let bytes = parquet_bytes(data).map_err(|error| {
        Fault::internal("BOT-1002", "the file cannot be written as Parquet")
            .file(path)
            .caused_by(error)
    })?;
    botops_files::replace(path, &bytes)
}

fn parquet_bytes(data: &Dataset) -> PolarsResult<Vec<u8>> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut records_frame(&data.records)?)?;
    Ok(bytes)
}

/// Makes the frame `text, intent, lang, entities` of `records`, as it is written.
pub(crate) fn records_frame(records: &[Record]) -> PolarsResult<DataFrame> {
    // As in a table, an empty text is a text: only what is absent is null.
    let text: StringChunked = records.iter().map(|record| Some(record.text.as_str())).collect();
    let intent: StringChunked = records.iter().map(|record| record.intent.as_deref()).collect();
    let lang: StringChunked = records.iter().map(|record| record.lang.as_deref()).collect();
    let entities: StringChunked = records
        .iter()
        .map(|record| Some(write::entities_cell(record)).filter(|cell| !cell.is_empty()))
        .collect();
    DataFrame::new(
        records.len(),
        vec![
            text.with_name("text".into()).into_column(),
            intent.with_name("intent".into()).into_column(),
            lang.with_name("lang".into()).into_column(),
            entities.with_name("entities".into()).into_column(),
        ],
    )
}
