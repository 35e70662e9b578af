//! A file becomes rows of all its columns, batch by batch, each with record and line.
//!
//! What is held does not grow with the file. In: anything that can be read. Out: [`Batch`]es of [`Row`]s.

pub mod rows;

mod batch;
mod csv;
mod json;
mod origin;

pub use batch::{Batch, Filling, Row};
pub use origin::Origin;

use super::{Format, ReadOptions};
use crate::{
    column_roles::Roles,
    formats::{csv::Reader, encoding, parquet::RowParts, rasa::Training},
    opening::{self, Opened},
    reading::{LONGEST, check_columns, training},
};
use botops_findings::{Fault, Place, Result};
use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read},
    sync::Arc,
};

/// Bytes read at a time; of JSON, those whose keys are the columns.
const PART: usize = 1 << 20;
/// Bytes of CSV read at a time: few enough that a batch is still in the caches when it is checked.
const PART_OF_CSV: usize = 1 << 18;
/// Records of a Parquet file read at a time.
const RECORDS: usize = 16_384;

/// The names of the columns, and which have a role.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    pub names: Vec<String>,
    by_name: HashMap<String, usize>,
    /// `None`: there is no text, and the rules are about other columns.
    pub roles: Option<Roles>,
}

impl Shape {
    /// Recognises the columns called `names`.
    ///
    /// # Errors
    /// `BOT-2101` (exit 2) when a column that is asked for, or the text, is not there.
    pub(super) fn of(names: Vec<String>, options: &ReadOptions, place: &Place) -> Result<Self> {
        let roles = match Roles::recognise(&names, options, place) {
            Ok(roles) => Some(roles),
            Err(_) if options.is_free() => None,
            Err(fault) => return Err(fault),
        };
        Ok(Self::new(names, roles))
    }

    /// Takes columns whose roles are known.
    pub(super) fn with_roles(names: Vec<String>, roles: Roles) -> Self {
        Self::new(names, Some(roles))
    }

    fn new(names: Vec<String>, roles: Option<Roles>) -> Self {
        let by_name = names.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
        Self { names, by_name, roles }
    }

    /// Returns the column called `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Returns the columns that have a role, by it.
    fn by_role(&self) -> BTreeMap<String, String> {
        self.roles.as_ref().map_or_else(BTreeMap::new, |roles| roles.columns(&self.names))
    }

    /// Returns whether `column` is one that has to hold a text.
    fn is_plain(&self, column: usize) -> bool {
        self.roles.as_ref().is_some_and(|roles| {
            roles.text == column || roles.intent == Some(column) || roles.lang == Some(column)
        })
    }
}

/// The rows of a file, or of several that are read as one, in their order.
///
/// Of several, the columns are those of the first; what it does not have is not looked at.
pub struct Table {
    origin: Origin,
    options: ReadOptions,
    /// The file that is read now, and which it is.
    now: Single,
    at: usize,
    /// The columns of the first file, as the file read now has them; `None`: it has the same.
    columns: Option<Vec<Option<usize>>>,
    shape: Shape,
}

impl Table {
    /// Opens what `origin` names, at its first file.
    ///
    /// # Errors
    /// As [`super::read()`], as far as the beginning shows it.
    pub fn open(origin: &Origin, options: &ReadOptions) -> Result<Self> {
        let Some(opened) = origin.open(0, options)? else {
            return Err(encoding::empty(origin.name()));
        };
        let now = Single::begin(opened, options, PART, origin.len() > 1)?;
        let shape = now.shape.clone();
        let origin = origin.clone();
        Ok(Self { origin, options: options.clone(), now, at: 0, columns: None, shape })
    }

    /// Returns the columns.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Reads the next rows; `None` at the end.
    ///
    /// # Errors
    /// As [`super::read()`]; nothing is read after a fault.
    pub fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            if let Some(batch) = self.now.next()? {
                let batch = match &self.columns {
                    Some(columns) => batch.of_columns(columns),
                    None => batch,
                };
                return Ok(Some(batch.of_file(self.now.several.clone())));
            }
            self.at += 1;
            let Some(opened) = self.origin.open(self.at, &self.options)? else { return Ok(None) };
            let next = Single::begin(opened, &self.options, PART, true)?;
            let (found, wanted) = (next.shape.by_role(), self.now.shape.by_role());
            check_columns(&next.name, &found, &self.now.name, &wanted)?;
            let is_same = next.shape.names == self.shape.names;
            self.columns = (!is_same)
                .then(|| self.shape.names.iter().map(|name| next.shape.column(name)).collect());
            self.now = next;
        }
    }
}

/// The rows of one file.
struct Single {
    name: String,
    /// The name, where the file is one of several.
    several: Option<Arc<str>>,
    options: ReadOptions,
    source: Box<dyn Read + Send>,
    parts: Parts,
    shape: Shape,
    /// What was read and is not a whole record yet.
    rest: Vec<u8>,
    ended: bool,
    /// The first batch, which had to be read for the names of the columns.
    ahead: Option<Batch>,
    records: u64,
    step: usize,
}

#[derive(Debug)]
enum Parts {
    Csv(Reader),
    Json(json::Parts),
    Parquet(RowParts),
    /// Held as a whole; `None` once it was given.
    Rasa(Option<Training>),
}

impl Single {
    /// Begins what was opened, in parts of `step` bytes; `is_one_of_several`: it is called by its name in what is found.
    fn begin(
        mut opened: Opened,
        options: &ReadOptions,
        step: usize,
        is_one_of_several: bool,
    ) -> Result<Self> {
        let (name, mark) = (opened.name.clone(), opened.mark);
        let mut source: Box<dyn Read + Send> = Box::new(io::empty());
        let mut text = |parts| {
            source = std::mem::replace(&mut opened.reader, Box::new(io::empty()));
            parts
        };
        let parts = match opened.format {
            Format::Csv => text(Parts::Csv(Reader::new(&name, None, mark))),
            Format::Tsv => text(Parts::Csv(Reader::new(&name, Some(b'\t'), mark))),
            Format::Jsonl => text(Parts::Json(json::Parts::lines(&name, mark))),
            Format::Json => text(Parts::Json(json::Parts::list(&name, mark))),
            Format::Parquet => Parts::Parquet(RowParts::new(opened, &options.limits)?),
            Format::Rasa => Parts::Rasa(Some(training(opened)?)),
        };
        let step = if matches!(parts, Parts::Csv(_)) { step.min(PART_OF_CSV) } else { step };
        // A file of Rasa that holds terms alone may be among others.
        let may_lack_records = is_one_of_several
            && matches!(&parts, Parts::Rasa(Some(training)) if !training.terms.is_empty());
        let several = is_one_of_several.then(|| name.as_str().into());
        let mut table = Self {
            name,
            several,
            options: options.clone(),
            source,
            parts,
            shape: Shape::default(),
            rest: Vec::new(),
            ended: false,
            ahead: None,
            records: 0,
            step,
        };
        let mut shape = None;
        table.ahead = table.part(&mut shape)?;
        let Some(shape) = shape else { return Err(encoding::empty(&table.name)) };
        if table.ahead.is_none() && !may_lack_records {
            return Err(encoding::no_record(&table.name));
        }
        table.shape = shape;
        Ok(table)
    }

    /// Reads the next rows; `None` at the end.
    fn next(&mut self) -> Result<Option<Batch>> {
        if let Some(batch) = self.ahead.take() {
            return Ok(Some(batch));
        }
        let mut shape = Some(std::mem::take(&mut self.shape));
        let read = self.part(&mut shape);
        self.shape = shape.unwrap_or_default();
        read
    }

    /// Reads until there is a row; `None` at the end.
    fn part(&mut self, shape: &mut Option<Shape>) -> Result<Option<Batch>> {
        let place = || Place { file: Some(self.name.clone()), ..Place::default() };
        match &mut self.parts {
            Parts::Parquet(parts) => {
                let Some(read) = parts.read(RECORDS)? else { return Ok(None) };
                if shape.is_none() {
                    *shape = Some(Shape::of(read.names.clone(), &self.options, &place())?);
                }
                if read.height == 0 {
                    return Ok(None);
                }
                let mut rows = Filling::new(read.names.len(), self.records + 1);
                for row in 0..read.height {
                    for column in 0..read.names.len() {
                        rows.cell(&read.cell(row, column));
                    }
                    self.records += 1;
                    rows.end_row(self.records);
                }
                Ok(Some(rows.finish()))
            }
            Parts::Rasa(training) => {
                let Some(training) = training.take() else { return Ok(None) };
                let names = ["text", "intent", "entities"].map(str::to_owned).to_vec();
                let roles = Roles { text: 0, intent: Some(1), lang: None, entities: Some(2) };
                let mut rows = Filling::new(names.len(), 1);
                *shape = Some(Shape::with_roles(names, roles));
                if training.records.is_empty() {
                    return Ok(None);
                }
                for record in &training.records {
                    rows.cell(&record.text);
                    rows.cell(record.intent.as_deref().unwrap_or_default());
                    rows.cell(&super::write::entities_cell(record));
                    rows.end_row(record.line);
                }
                Ok(Some(rows.finish()))
            }
            Parts::Csv(_) | Parts::Json(_) => self.text(shape),
        }
    }

    fn text(&mut self, shape: &mut Option<Shape>) -> Result<Option<Batch>> {
        let mut wanted = self.step;
        loop {
            let missing = wanted.saturating_sub(self.rest.len());
            if !self.ended && missing > 0 {
                let before = self.rest.len();
                let read = self.source.by_ref().take(missing as u64).read_to_end(&mut self.rest);
                read.map_err(|error| opening::unread(error, &self.name))?;
                self.ended = self.rest.len() - before < missing;
            }
            if self.rest.is_empty() {
                if let Parts::Json(parts) = &self.parts {
                    parts.finish()?;
                }
                return Ok(None);
            }
            let (last, options) = (self.ended, &self.options);
            let (consumed, batch) = match &mut self.parts {
                Parts::Csv(reader) => csv::read(reader, &self.rest, last, shape, options)?,
                Parts::Json(parts) => parts.read(&self.rest, last, shape, options)?,
                Parts::Parquet(_) | Parts::Rasa(_) => (0, None),
            };
            if consumed == 0 && self.rest.len() > LONGEST {
                return Err(self.too_long());
            }
            self.rest.drain(..consumed);
            if let Some(batch) = batch.filter(|batch| batch.rows().next().is_some()) {
                return Ok(Some(batch));
            }
            wanted = if consumed == 0 { self.rest.len().max(self.step) * 2 } else { self.step };
        }
    }

    /// The fault of a record that is too long to wait for its end.
    fn too_long(&self) -> Fault {
        match &self.parts {
            Parts::Csv(reader) => reader.too_long(&self.rest),
            Parts::Json(parts) => parts.too_long(),
            Parts::Parquet(_) | Parts::Rasa(_) => encoding::no_record(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Presence, read};
    use std::{io::Write as _, path::Path};

    fn options() -> ReadOptions {
        ReadOptions { intent: Presence::Optional, ..ReadOptions::default() }
    }

    /// What a record of a table is: its file, its number, its line and its cells.
    type Seen = (Option<String>, u64, u64, Vec<String>);

    fn seen(batch: &Batch, shape: &Shape) -> Vec<Seen> {
        let cells =
            |row: Row<'_>| (0..shape.names.len()).map(|at| row.cell(at).to_owned()).collect();
        let file = |row: Row<'_>| row.file().map(|file| file.to_string());
        batch.rows().map(|row| (file(row), row.record(), row.line(), cells(row))).collect()
    }

    fn single(bytes: &[u8], name: &str, step: usize) -> Result<Vec<Seen>> {
        let origin = Origin::held(bytes.to_vec().into(), name);
        let opened = origin.open(0, &options())?.unwrap();
        let mut table = Single::begin(opened, &options(), step, false)?;
        let mut all = Vec::new();
        while let Some(batch) = table.next()? {
            all.extend(seen(&batch, &table.shape));
        }
        Ok(all)
    }

    fn whole(origin: &Origin) -> Result<(Vec<String>, Vec<Seen>)> {
        let mut table = Table::open(origin, &options())?;
        let mut all = Vec::new();
        while let Some(batch) = table.next()? {
            all.extend(seen(&batch, &table.shape));
        }
        Ok((table.shape.names, all))
    }

    #[test]
    fn every_format_gives_the_records_that_read_gives_whatever_the_size_of_a_part() {
        for (name, text) in [
            (
                "a.csv",
                "\u{feff}\ntext,intent\r\nhello there,greet\r\n\r\n\"a \"\"quoted\"\"\r\nline, two\",other\r\nété,greet",
            ),
            ("g.csv", "\u{feff}\u{feff}text,intent\r\ra,x\r\n\u{feff}b,y\r\r\n"),
            ("b.csv", "id;text;lang\n1;où est mon colis ?;fr\n2;\"a;b\";en\n\n3;c;en\n"),
            ("c.tsv", "text\tintent\na, b\tx\n\nc\ty\n"),
            (
                "d.jsonl",
                "\u{feff}{\"text\":\"a\",\"intent\":\"x\"}\n\n{\"text\":\"é\",\"intent\":null}\n{\"text\":\"c\"}",
            ),
            (
                "e.json",
                " [ {\"text\": \"a ]\",\n\"intent\": \"x\"},\n\n{\"text\":\"é\", \"intent\":\"y\"} ]\n",
            ),
            ("f.yml", "nlu:\n- intent: x\n  examples: |\n    - a [b](c)\n    - d\n"),
        ] {
            let data = read::read_bytes(text.as_bytes(), name, &options()).unwrap();
            for step in [1, 7, 24, 1 << 20] {
                // The keys of JSON are those of the first part: it has to hold one.
                let rows = single(text.as_bytes(), name, step).unwrap();
                let places: Vec<(u64, u64)> = rows.iter().map(|row| (row.1, row.2)).collect();
                let wanted: Vec<(u64, u64)> =
                    data.records.iter().map(|record| (record.record, record.line)).collect();
                assert_eq!(places, wanted, "{name} by {step}");
                for (row, record) in rows.iter().zip(&data.records) {
                    assert!(row.3.contains(&record.text), "{name} by {step}: {row:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_refused_as_read_refuses_it() {
        for (name, text) in [
            ("a.json", "[{\"text\":\"a\"}"),
            ("b.json", "[{\"text\":\"a\"},{\"te"),
            ("c.csv", "text,intent\na,\"b\nc\n"),
            ("d.csv", "text,intent\na,b\nc\n"),
            ("e.csv", "\n \n"),
            ("f.jsonl", "{\"text\":\"a\"}\n{\"text\""),
            ("g.csv", "text,text\na,b\n"),
            ("h.jsonl", "{\"text\":\"a\",\"text\":\"b\"}\n"),
        ] {
            let wanted = read::read_bytes(text.as_bytes(), name, &options()).unwrap_err();
            for step in [5, 1 << 20] {
                let fault = single(text.as_bytes(), name, step).unwrap_err();
                assert_eq!(fault.code(), wanted.code(), "{name} by {step}: {fault}");
                assert_eq!(fault.message(), wanted.message(), "{name} by {step}");
                assert_eq!(fault.place(), wanted.place(), "{name} by {step}");
            }
        }
    }

    #[test]
    fn files_of_a_pattern_are_one_table_with_the_columns_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            if name.ends_with(".gz") {
                let mut packed =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packed.write_all(&bytes).unwrap();
                bytes = packed.finish().unwrap();
            }
            std::fs::write(folder.path().join(name), bytes).unwrap();
        };
        write("a.csv", "id,text,intent\n1,a,x\n2,b,y\n");
        write("b.csv.gz", "intent,more,text\nz,?,c\n");
        let origin = Origin::of(&folder.path().join("*.csv*")).unwrap();
        let (names, rows) = whole(&origin).unwrap();
        assert_eq!(names, ["id", "text", "intent"]);
        let file = |row: &Seen| Path::new(row.0.as_ref().unwrap()).file_name().unwrap().to_owned();
        let cells: Vec<(_, u64, String)> =
            rows.iter().map(|row| (file(row), row.1, row.3.join("|"))).collect();
        let wanted = [("a.csv", 1, "1|a|x"), ("a.csv", 2, "2|b|y"), ("b.csv.gz", 1, "|c|z")];
        assert_eq!(cells, wanted.map(|(file, n, row)| (file.into(), n, row.to_owned())));
        write("c.csv", "utterance,intent\na,x\n");
        assert_eq!(whole(&origin_of(&folder)).unwrap_err().code(), "BOT-2162");
    }

    fn origin_of(folder: &tempfile::TempDir) -> Origin {
        Origin::of(&folder.path().join("*.csv*")).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn what_comes_through_a_pipe_is_read_twice_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let kept = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "text,intent\na,x\nb,y\n").unwrap()
        });
        let origin = Origin::of(&pipe).unwrap().kept(Some(kept.path())).unwrap();
        let first = whole(&origin).unwrap();
        writer.join().unwrap();
        assert_eq!(first.1.len(), 2);
        assert_eq!(whole(&origin).unwrap(), first);
        drop(origin);
        assert_eq!(std::fs::read_dir(kept.path()).unwrap().count(), 0);
    }
}
