//! Parquet in and out.
//!
//! Only this folder and `writing` use the columnar engine. It trusts the sizes in a file and allocates what they name, so
//! [`check_sizes`] reads them first.

mod delta;
mod fields;
mod footer;
mod pages;
#[cfg(test)]
mod tests;
mod thrift;
mod values;

use crate::{
    column_roles::check_names,
    opening::{Limits, Opened, Progress, Seekable, unread},
    record::{Dataset, Record, entities_cell},
};
use botops_findings::{Fault, Place, Result};
pub(crate) use fields::Skipped;
use fields::{Field, Kind};
use footer::Footer;
use polars::{io::mmap::MmapBytesReader, prelude::*};
use polars_parquet::{
    read::{FileMetadata, infer_schema, read_metadata},
    write::schema_to_metadata_key,
};
use std::{
    io::{self, Cursor, Read, Seek as _, SeekFrom},
    ops::Range,
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
    /// The columns that have a text form.
    fields: Vec<Field>,
    names: Vec<String>,
    skipped: Vec<Skipped>,
    /// The footer. Its schema has no types that only decorate others.
    metadata: Arc<FileMetadata>,
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
    /// Values that the engine is built without, and the JSON of lists.
    Values(Vec<Option<String>>),
}

impl Cells {
    /// Returns the number of cells; `None` if the column was not read.
    fn len(&self) -> Option<usize> {
        match self {
            Self::Skipped => None,
            Self::Text(cells) => Some(cells.len()),
            Self::Values(cells) => Some(cells.len()),
        }
    }
}

impl Cells {
    /// Returns the number of bytes of its texts.
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Skipped => 0,
            Self::Text(cells) => lengths(cells.iter()),
            Self::Values(cells) => lengths(cells.iter().map(Option::as_ref)),
        }
    }
}

impl Rows {
    /// Returns a cell as text; null is empty.
    pub(crate) fn cell(&self, row: usize, column: usize) -> &str {
        match &self.columns[column] {
            Cells::Skipped => "",
            Cells::Text(cells) => cells.get(row).unwrap_or_default(),
            Cells::Values(cells) => cells[row].as_deref().unwrap_or_default(),
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
        let (metadata, fields, skipped) = guarded(&place, || {
            let fault = |error: PolarsError| unreadable(&place, error);
            let mut source = rewound(&source).map_err(|error| unread(error, &file))?;
            let mut metadata = read_metadata(&mut source).map_err(fault)?;
            // The engine does not say which of two columns of one name it reads.
            let names: Vec<String> =
                metadata.schema().fields().iter().map(|field| field.name().to_owned()).collect();
            check_names(&names, &place)?;
            let schema = undecorated_schema(&mut metadata).map_err(fault)?;
            let (fields, skipped) = fields::divided(&schema, metadata.schema().fields());
            Ok((Arc::new(metadata), fields, skipped))
        })?;
        let n_rows = metadata.num_rows;
        let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        // A page of one repeated value has a few bytes, however many rows it claims.
        if n_rows as u64 > limits.ratio_from_bytes.max(size.saturating_mul(limits.max_ratio)) {
            let message = format!("the file has {size} bytes, and claims to hold {n_rows} records");
            return Err(Fault::data("BOT-2160", message)
                .at(place)
                .hint("check where it came from: such a file can fill the memory or the disk"));
        }
        Ok(Self {
            place,
            source,
            progress,
            limits: *limits,
            size,
            n_bytes: 0,
            fields,
            names,
            skipped,
            metadata,
            n_rows,
            at: 0,
        })
    }

    /// Returns the names of the columns.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the columns that are not read, because their cells have no text form.
    pub(crate) fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Makes sure that the columns `texts` are not lists, and skips the others whose bytes are not text, if they are read
    /// (`with_others`).
    ///
    /// Whether bytes are text is known only once the whole column was read.
    ///
    /// # Errors
    /// `BOT-2108` for a list in `texts`, and for a damaged column.
    pub(crate) fn settle(&mut self, texts: &[usize], with_others: bool) -> Result<()> {
        for &at in texts {
            if self.fields[at].kind == Kind::Json {
                let name = botops_text::display(&self.names[at], 40);
                let message = format!("the column `{name}` of the Parquet file holds lists");
                return Err(Fault::data("BOT-2108", message)
                    .at(self.place.clone())
                    .hint("write it as a column of strings, with one value for each record"));
            }
        }
        let mut kept = Vec::new();
        for (at, field) in std::mem::take(&mut self.fields).into_iter().enumerate() {
            let is_other = with_others && !texts.contains(&at) && !field.has_entities();
            if is_other && fields::is_bytes(&field.arrow.dtype) && !self.is_text(&field)? {
                let what = "a value of bytes that are not UTF-8";
                self.skipped.push(Skipped { name: field.name().to_owned(), what });
            } else {
                kept.push(field);
            }
        }
        self.names = kept.iter().map(|field| field.name().to_owned()).collect();
        self.fields = kept;
        Ok(())
    }

    /// Returns whether the bytes of the column `field` are UTF-8 in every row.
    fn is_text(&self, field: &Field) -> Result<bool> {
        if field.kind != Kind::Plain {
            return Ok(true);
        }
        guarded(&self.place, || {
            let mut read = |range: Range<u64>| bytes_of(&self.source, range);
            let mut begin = 0;
            for group in &self.metadata.row_groups {
                let rows = begin..begin + group.num_rows();
                begin = rows.end;
                let arrays = values::arrays(&self.metadata, &field.arrow, rows, &mut read)
                    .map_err(|error| self.named_fault(field, error))?;
                if values::first_invalid(&arrays).is_some() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Returns the number of rows that were read.
    pub(crate) fn n_read(&self) -> u64 {
        self.at as u64
    }

    /// Reads the next `n` rows, or all rows; `None` at the end.
    ///
    /// `columns` are read, the others are empty; `None`: all columns are read.
    ///
    /// # Errors
    /// `BOT-2104` for a text that is not UTF-8, `BOT-2108` when the file is damaged; `BOT-2160` when the texts have more
    /// bytes than the limits allow: a page can hold one text and name it a million times. They are counted before they are
    /// copied.
    pub(crate) fn read(
        &mut self,
        n: Option<usize>,
        columns: Option<&[usize]>,
    ) -> Result<Option<Rows>> {
        if self.at >= self.n_rows {
            return Ok(None);
        }
        let file = self.place.file.as_deref().unwrap_or_default();
        let rows = self.at..n.map_or(self.n_rows, |n| self.n_rows.min(self.at + n));
        let is_read = |at: usize| columns.is_none_or(|columns| columns.contains(&at));
        let rows = guarded(&self.place, || {
            let fault = |error: PolarsError| unreadable(&self.place, error);
            let selected: Vec<usize> = (0..self.fields.len())
                .filter(|&at| is_read(at) && self.fields[at].kind == Kind::Plain)
                .collect();
            let frame = self
                .frame(&selected, &rows)
                .map_err(|error| self.column_fault(&selected, &rows, error))?;
            // Up to here, a text is in memory once. As a cell, it takes its bytes each time that it is named.
            let named = frame.columns().iter().fold(self.n_bytes, |sum, cells| {
                sum.saturating_add(text_bytes(cells.as_materialized_series()))
            });
            self.limits.check(named, self.size, file)?;
            let cells = |at: usize| -> Result<Cells> {
                let field = &self.fields[at];
                if !is_read(at) {
                    return Ok(Cells::Skipped);
                }
                if field.kind != Kind::Plain {
                    return self.values(field, &rows, named);
                }
                let column = frame.column(field.name()).map_err(fault)?;
                match column.cast(&DataType::String) {
                    Ok(text) => Ok(Cells::Text(text.str().map_err(fault)?.clone())),
                    Err(error) => Err(self.column_fault(&[at], &rows, error)),
                }
            };
            let columns = (0..self.fields.len()).map(cells).collect::<Result<Vec<Cells>>>()?;
            // The engine does not check that the columns of a damaged file are equally long.
            let height = columns.iter().find_map(Cells::len).unwrap_or(rows.len());
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

    /// Reads `rows` of the columns `selected`, which are plain.
    fn frame(&self, selected: &[usize], rows: &Range<usize>) -> PolarsResult<DataFrame> {
        if selected.is_empty() {
            return Ok(DataFrame::empty());
        }
        let names = selected.iter().map(|&at| self.names[at].clone()).collect();
        let mut reader = ParquetReader::new(rewound(&self.source)?);
        reader.set_metadata(Arc::clone(&self.metadata));
        reader.with_columns(Some(names)).with_slice(Some((rows.start, rows.len()))).finish()
    }

    /// Reads `rows` of the column `field`, which is not plain. The cells of other columns have `named` bytes.
    fn values(&self, field: &Field, rows: &Range<usize>, named: u64) -> Result<Cells> {
        let file = self.place.file.as_deref().unwrap_or_default();
        let fault = |error: PolarsError| self.named_fault(field, error);
        let metadata = &self.metadata;
        let mut read = |range: Range<u64>| bytes_of(&self.source, range);
        if field.kind == Kind::Json {
            let arrays = values::arrays(metadata, &field.arrow, rows.clone(), &mut read);
            let n_bytes: u64 =
                arrays.map_err(fault)?.iter().map(|a| values::text_bytes(&**a)).sum();
            self.limits.check(named.saturating_add(n_bytes), self.size, file)?;
        }
        values::cells(metadata, field, rows.clone(), &mut read).map(Cells::Values).map_err(fault)
    }

    /// The fault of the `selected` columns, of which one could not be read because of `error`.
    ///
    /// It names the column, and the record of a text that is not UTF-8.
    fn column_fault(&self, selected: &[usize], rows: &Range<usize>, error: PolarsError) -> Fault {
        let mut read = |range: Range<u64>| bytes_of(&self.source, range);
        for &at in selected {
            let mut field = self.fields[at].arrow.clone();
            match field.dtype {
                ArrowDataType::Utf8View => field.dtype = ArrowDataType::BinaryView,
                _ if fields::is_bytes(&field.dtype) => {}
                _ => continue,
            }
            let arrays = values::arrays(&self.metadata, &field, rows.clone(), &mut read);
            if let Some((row, byte)) = arrays.ok().and_then(|arrays| values::first_invalid(&arrays))
            {
                let record = (rows.start + row) as u64 + 1;
                let name = botops_text::display(&self.names[at], 40);
                let message = format!(
                    "the column `{name}` has a text that is not UTF-8, from byte {byte} on"
                );
                return Fault::data("BOT-2104", message)
                    .at(Place { record: Some(record), ..self.place.clone() })
                    .hint("write the file again from the original texts, as strings")
                    .caused_by(error);
            }
        }
        match selected.iter().find(|&&at| self.frame(&[at], rows).is_err()) {
            Some(&at) => self.named_fault(&self.fields[at], error),
            None => unreadable(&self.place, error),
        }
    }

    /// The fault of the column `field`, which could not be read because of `error`.
    fn named_fault(&self, field: &Field, error: PolarsError) -> Fault {
        let name = botops_text::display(field.name(), 40);
        Fault::data("BOT-2108", format!("the column `{name}` of the Parquet file cannot be read"))
            .at(self.place.clone())
            .hint("write the file again, with columns of plain text, or export it as CSV")
            .caused_by(error)
    }
}

/// Replaces the types of the columns that only decorate others, in `metadata`; returns the schema.
///
/// The engine would hash the whole value of a dictionary for each row that names it, and copy it for each row when it
/// becomes text. A column of texts shares them.
fn undecorated_schema(metadata: &mut FileMetadata) -> PolarsResult<ArrowSchema> {
    let mut schema = infer_schema(metadata)?;
    let n_replaced: usize = schema.iter_values_mut().map(fields::undecorated).sum();
    if n_replaced > 0 {
        metadata.key_value_metadata = Some(vec![schema_to_metadata_key(&schema)]);
    }
    Ok(schema)
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

/// Returns the bytes of `source` in `range`.
fn bytes_of(source: &Seekable, range: Range<u64>) -> io::Result<Vec<u8>> {
    let mut reader = rewound(source)?;
    let mut bytes = Vec::new();
    reader.seek(SeekFrom::Start(range.start))?;
    reader.by_ref().take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes)?;
    Ok(bytes)
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
