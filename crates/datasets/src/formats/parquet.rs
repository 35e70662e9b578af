//! Parquet in and out.
//!
//! Only this folder and `writing` use the columnar engine. It trusts the sizes in a file and allocates what they name, so
//! [`check_sizes`] reads them first.

mod delta;
mod footer;
mod pages;
#[cfg(test)]
mod tests;
mod thrift;

use crate::{
    column_roles::check_names,
    opening::{Limits, Opened, Progress, Seekable, unread},
    record::{Dataset, Record, entities_cell},
};
use botops_findings::{Fault, Place, Result};
use footer::Footer;
use polars::{io::mmap::MmapBytesReader, prelude::*};
use polars_parquet::{
    read::{FileMetadata, infer_schema},
    write::schema_to_metadata_key,
};
use std::{
    borrow::Cow,
    io::{self, Cursor, Read, Seek as _, SeekFrom},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// The bytes after the footer: its length, and the mark of Parquet.
const ENDING_BYTES: u64 = 8;

/// The stack of a thread that parses. Memory is used only as far as a file is nested.
const STACK_BYTES: usize = 64 << 20;

/// The number of Parquet files that are being parsed.
static PARSING: AtomicUsize = AtomicUsize::new(0);

/// Returns whether a Parquet file is being parsed.
///
/// The engine panics on some damaged files. Such a panic becomes a fault. A panic hook calls this function, so that it
/// does not report the panic as a bug of this program.
#[must_use]
pub fn is_parsing_parquet() -> bool {
    PARSING.load(Ordering::SeqCst) > 0
}

/// Runs `parse`; a panic of the engine becomes a fault.
///
/// The engine reads nested types recursively, so it gets a stack that no file can fill.
fn guarded<T: Send>(place: &Place, parse: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    PARSING.fetch_add(1, Ordering::SeqCst);
    let read = thread::scope(|scope| {
        let parsing = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, parse);
        parsing.map(|parsing| parsing.join().unwrap_or_else(|_| Err(damaged(place))))
    });
    PARSING.fetch_sub(1, Ordering::SeqCst);
    read.unwrap_or_else(|error| {
        Err(Fault::internal("BOT-9001", "a thread to read the Parquet file could not be started")
            .at(place.clone())
            .caused_by(error))
    })
}

fn damaged(place: &Place) -> Fault {
    Fault::data("BOT-2108", "the Parquet file is damaged")
        .at(place.clone())
        .hint("copy or write it again")
}

/// Reads the rows of a Parquet file slice by slice.
#[derive(Debug)]
pub(crate) struct Reader {
    place: Place,
    source: Seekable,
    progress: Progress,
    limits: Limits,
    /// The size of the file, in bytes.
    size: u64,
    /// The number of bytes of the texts that were read.
    n_bytes: u64,
    names: Vec<String>,
    /// The number of rows of the file.
    n_rows: usize,
    /// The number of rows that were read.
    at: usize,
}

/// Some rows of a Parquet file.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The number of rows.
    pub(crate) height: usize,
    columns: Vec<Cells>,
}

/// The cells of one column.
#[derive(Debug)]
enum Cells {
    /// The column was not read: every cell is empty.
    Skipped,
    /// Text, or values that have a text form.
    Text(StringChunked),
    /// Values without a text form, such as lists. A cell is the form in which the engine displays the value.
    Displayed(Column),
}

impl Cells {
    /// Returns the number of cells; `None` if the column was not read.
    fn len(&self) -> Option<usize> {
        match self {
            Self::Skipped => None,
            Self::Text(cells) => Some(cells.len()),
            Self::Displayed(cells) => Some(cells.len()),
        }
    }
}

impl Cells {
    /// Returns the number of bytes of its texts.
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Skipped => 0,
            Self::Displayed(cells) => text_bytes(cells.as_materialized_series()),
            Self::Text(cells) => lengths(cells.iter()),
        }
    }
}

impl Rows {
    /// Returns a cell as text; null is empty.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Cow<'_, str> {
        match &self.columns[column] {
            Cells::Skipped => Cow::Borrowed(""),
            Cells::Text(cells) => Cow::Borrowed(cells.get(row).unwrap_or_default()),
            Cells::Displayed(cells) => match cells.get(row) {
                Ok(AnyValue::Null) | Err(_) => Cow::Borrowed(""),
                Ok(value) => Cow::Owned(value.to_string()),
            },
        }
    }
}

impl Reader {
    /// Begins the file that was opened.
    ///
    /// # Errors
    /// `BOT-2102` when it is empty, `BOT-2108` when it is cut off or not a Parquet file, `BOT-2109` for two columns of one
    /// name, `BOT-2160` when it unpacks to more, or claims to hold more rows, than `limits` allow for a file of its size.
    pub(crate) fn new<R: Read>(opened: Opened<R>, limits: &Limits) -> Result<Self> {
        let file = opened.name.clone();
        let progress = opened.progress();
        let place = Place { file: Some(file.clone()), ..Place::default() };
        let source = opened.seekable()?;
        check_ends(&source, &file)?;
        let size = source.size().map_err(|error| unread(error, &file))?;
        guarded(&place, || check_sizes(&source, size, limits, &file))?;
        let (n_rows, names) = guarded(&place, || {
            let fault = |error: PolarsError| unreadable(&place, error);
            let source = rewound(&source).map_err(|error| unread(error, &file))?;
            let mut reader = ParquetReader::new(source);
            let n_rows = reader.num_rows().map_err(fault)?;
            let schema = reader.schema().map_err(fault)?;
            Ok((n_rows, schema.iter_names().map(|name| name.to_string()).collect::<Vec<_>>()))
        })?;
        // A page of one repeated value has a few bytes, however many rows it claims.
        if n_rows as u64 > limits.ratio_from_bytes.max(size.saturating_mul(limits.max_ratio)) {
            let message = format!("the file has {size} bytes, and claims to hold {n_rows} records");
            return Err(Fault::data("BOT-2160", message)
                .at(place)
                .hint("check where it came from: such a file can fill the memory or the disk"));
        }
        check_names(&names, &place)?;
        Ok(Self {
            place,
            source,
            progress,
            limits: *limits,
            size,
            n_bytes: 0,
            names,
            n_rows,
            at: 0,
        })
    }

    /// Returns the names of the columns.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the number of rows that were read.
    pub(crate) fn n_read(&self) -> u64 {
        self.at as u64
    }

    /// Reads the next `n` rows, or all rows; `None` at the end.
    ///
    /// - `columns` are read, the others are empty; `None`: all columns are read
    /// - the columns `plain` have to have a text form
    ///
    /// # Errors
    /// `BOT-2108` when the file is damaged, or a column of `plain` has no text form; `BOT-2160` when the texts have more
    /// bytes than the limits allow: a page can hold one text and name it a million times. They are counted before they are
    /// copied.
    pub(crate) fn read(
        &mut self,
        n: Option<usize>,
        columns: Option<&[usize]>,
        plain: &[usize],
    ) -> Result<Option<Rows>> {
        if self.at >= self.n_rows {
            return Ok(None);
        }
        let slice = n.map(|n| (self.at, n));
        let file = self.place.file.as_deref().unwrap_or_default();
        let source = rewound(&self.source).map_err(|error| unread(error, file))?;
        let selected =
            columns.map(|columns| columns.iter().map(|&at| self.names[at].clone()).collect());
        let rows = guarded(&self.place, || {
            let fault = |error: PolarsError| unreadable(&self.place, error);
            let mut reader = ParquetReader::new(source);
            without_dictionaries(&mut reader).map_err(fault)?;
            let frame = reader.with_columns(selected).with_slice(slice).finish().map_err(fault)?;
            // Up to here, a text is in memory once. As a cell, it takes its bytes each time that it is named.
            let named = frame.columns().iter().fold(self.n_bytes, |sum, cells| {
                sum.saturating_add(text_bytes(cells.as_materialized_series()))
            });
            self.limits.check(named, self.size, file)?;
            let cells = |at: usize| -> PolarsResult<Cells> {
                if columns.is_some_and(|columns| !columns.contains(&at)) {
                    return Ok(Cells::Skipped);
                }
                let column = match columns {
                    None => &frame.columns()[at],
                    Some(_) => frame.column(&self.names[at])?,
                };
                match column.cast(&DataType::String) {
                    Ok(text) => Ok(Cells::Text(text.str()?.clone())),
                    Err(error) if plain.contains(&at) => Err(error),
                    Err(_) => Ok(Cells::Displayed(column.clone())),
                }
            };
            let columns = (0..self.names.len()).map(cells).collect::<PolarsResult<Vec<Cells>>>();
            let columns = columns.map_err(fault)?;
            // The engine does not check that the columns of a damaged file are equally long.
            let height = frame.height();
            if columns.iter().any(|cells| cells.len().is_some_and(|len| len != height)) {
                let why = "its columns have different numbers of rows";
                return Err(fault(PolarsError::ShapeMismatch(why.into())));
            }
            Ok(Rows { height, columns })
        })?;
        self.n_bytes += rows.columns.iter().map(Cells::n_bytes).sum::<u64>();
        self.limits.check(self.n_bytes, self.size, file)?;
        // A file that holds fewer rows than it claims ends here.
        self.at = if rows.height == 0 { self.n_rows } else { self.at + rows.height };
        self.progress.reach(self.at as f64 / self.n_rows as f64);
        Ok(Some(rows).filter(|rows| rows.height > 0))
    }
}

/// Makes `reader` read columns of a dictionary type as columns of its values.
///
/// The engine would hash the whole value for each row that names it, and copy it for each row when it becomes text. A
/// column of texts shares them.
fn without_dictionaries<R: MmapBytesReader>(reader: &mut ParquetReader<R>) -> PolarsResult<()> {
    let metadata = reader.get_metadata()?;
    let mut schema = infer_schema(metadata)?;
    let n_replaced: usize = schema.iter_values_mut().map(plain_field).sum();
    if n_replaced > 0 {
        let mut metadata = FileMetadata::clone(metadata);
        metadata.key_value_metadata = Some(vec![schema_to_metadata_key(&schema)]);
        reader.set_metadata(Arc::new(metadata));
    }
    Ok(())
}

/// Replaces the dictionary types in `field` by those of their values; returns their number.
fn plain_field(field: &mut ArrowField) -> usize {
    match &mut field.dtype {
        ArrowDataType::Dictionary(_, values, _) => {
            field.dtype = (**values).clone();
            // It says that the column has categories.
            field.metadata = None;
            1
        }
        ArrowDataType::List(inner) | ArrowDataType::LargeList(inner) => plain_field(inner),
        ArrowDataType::Struct(fields) => fields.iter_mut().map(plain_field).sum(),
        _ => 0,
    }
}

/// Returns the number of bytes of the texts in `cells`: each counts as often as a cell, or an element of one, names it.
fn text_bytes(cells: &Series) -> u64 {
    let counted = match cells.dtype() {
        DataType::String => cells.str().map(|texts| lengths(texts.iter())),
        DataType::Binary => cells.binary().map(|texts| lengths(texts.iter())),
        DataType::Categorical(..) | DataType::Enum(..) => cells
            .cat32()
            .map(|texts| lengths(texts.iter_str()))
            .or_else(|_| cells.cat16().map(|texts| lengths(texts.iter_str())))
            .or_else(|_| cells.cat8().map(|texts| lengths(texts.iter_str()))),
        DataType::List(_) => cells.list().map(|lists| text_bytes(&lists.get_inner())),
        // The bytes of other values are those of their pages.
        _ => Ok(0),
    };
    counted.unwrap_or(u64::MAX)
}

/// Returns the sum of the lengths of `texts`.
fn lengths<T: AsRef<[u8]>>(texts: impl Iterator<Item = Option<T>>) -> u64 {
    texts.flatten().map(|text| text.as_ref().len() as u64).sum()
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

/// Returns the first and the last four bytes of `source`; fewer if it is shorter.
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

/// Refuses a file without the mark of Parquet at both ends. A file without the last one was cut off.
fn check_ends(source: &Seekable, file: &str) -> Result<()> {
    let place = Place { file: Some(file.to_owned()), ..Place::default() };
    let [first, last] = ends(source).map_err(|error| unread(error, file))?;
    if first.is_empty() {
        return Err(Fault::data("BOT-2102", "the file is empty")
            .at(place)
            .hint("check the program that should have written it"));
    }
    if first != *b"PAR1" || last != *b"PAR1" {
        let problem = if first == *b"PAR1" { "cut off" } else { "not a Parquet file" };
        return Err(Fault::data("BOT-2108", format!("the file is {problem}"))
            .at(place)
            .hint("copy or write it again"));
    }
    Ok(())
}

/// Checks the sizes that a file names, in its footer and in the headers of its pages, against each other and `limits`.
///
/// # Errors
/// `BOT-2108` when they contradict each other, `BOT-2160` when the pages take more memory than `limits` allow.
fn check_sizes(source: &Seekable, size: u64, limits: &Limits, file: &str) -> Result<()> {
    let place = Place { file: Some(file.to_owned()), ..Place::default() };
    let unread = |error| unread(error, file);
    let mut reader = rewound(source).map_err(unread)?;
    let mut read = |at: u64, n: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reader.seek(SeekFrom::Start(at))?;
        reader.by_ref().take(n).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let end = size.saturating_sub(ENDING_BYTES);
    let ending = read(end, ENDING_BYTES).map_err(unread)?;
    let length = ending.first_chunk::<4>().map(|length| u64::from(u32::from_le_bytes(*length)));
    let begin = length.and_then(|length| end.checked_sub(length));
    let begin = begin.ok_or_else(|| damaged(&place))?;
    let footer = read(begin, end - begin).map_err(unread)?;
    let footer = Footer::read(&footer, begin).ok_or_else(|| damaged(&place))?;
    let mut unpacked = 0_u64;
    for chunk in &footer.chunks {
        let mut allowed = Ok(());
        let mut add = |n_bytes: u64| {
            unpacked = unpacked.saturating_add(n_bytes);
            allowed = limits.check(unpacked, size, file);
            allowed.is_ok()
        };
        let sound = pages::each_size(&mut reader, chunk, &mut add).map_err(unread)?;
        allowed?;
        sound.ok_or_else(|| damaged(&place))?;
    }
    Ok(())
}

fn unreadable(place: &Place, error: PolarsError) -> Fault {
    Fault::data("BOT-2108", "the Parquet file cannot be read")
        .at(place.clone())
        .hint("write it again, with columns of plain text, or export it as CSV")
        .caused_by(error)
}

/// Writes `data` as Parquet (`text`, `intent`, `lang`, `entities` as JSON; zstd) to `path`, which afterwards is complete or
/// unchanged.
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

/// Makes a data frame with the columns `text, intent, lang, entities` of `records`.
pub(crate) fn records_frame(records: &[Record]) -> PolarsResult<DataFrame> {
    // An empty text is a text, as in a table. Only absent values are null.
    let text: StringChunked = records.iter().map(|record| Some(record.text.as_str())).collect();
    let intent: StringChunked = records.iter().map(|record| record.intent.as_deref()).collect();
    let lang: StringChunked = records.iter().map(|record| record.lang.as_deref()).collect();
    let entities: StringChunked = records
        .iter()
        .map(|record| Some(entities_cell(record)).filter(|cell| !cell.is_empty()))
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
