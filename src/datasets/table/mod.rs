//! A file becomes rows of all its columns, batch by batch, each with record and line.
//!
//! What is held does not grow with the file. In: anything that can be read. Out: [`Batch`]es of [`Row`]s.

mod batch;
mod csv;
mod jsonl;

pub(super) use batch::{Batch, Filling, Row};

use super::{ReadOptions, columns::Roles, encoding, frame::RowParts, read::Kind};
use crate::{
    findings::{Fault, Place, Result},
    spec,
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Bytes read at a time.
const PART: usize = 1 << 20;
/// Records of a Parquet file read at a time.
const RECORDS: usize = 16_384;
/// The longest record: beyond it a quote was left open, or the file is something else.
const LONGEST: usize = 64 << 20;

/// The names of the columns, and which have a role.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) names: Vec<String>,
    by_name: HashMap<String, usize>,
    /// `None`: there is no text, and the rules are about other columns.
    pub(super) roles: Option<Roles>,
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
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Returns whether `column` is one that has to hold a text.
    fn is_plain(&self, column: usize) -> bool {
        self.roles.as_ref().is_some_and(|roles| {
            roles.text == column || roles.intent == Some(column) || roles.lang == Some(column)
        })
    }
}

/// The rows of one file, in its order.
pub(super) struct Table {
    name: String,
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
    Csv(csv::Parts),
    Jsonl(jsonl::Parts),
    Parquet(RowParts),
}

impl Table {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// As [`super::read()`], as far as the beginning shows it.
    pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        let unreadable = |error: io::Error| spec::unreadable(path, &error);
        let mut file = File::open(path).map_err(unreadable)?;
        let name = path.display().to_string();
        let mut beginning = Vec::new();
        file.by_ref().take(4).read_to_end(&mut beginning).map_err(unreadable)?;
        if matches!(Kind::of(path, &beginning), Kind::Parquet) {
            let parts = RowParts::new(path, &name);
            return Self::begin(
                Box::new(io::empty()),
                Vec::new(),
                &name,
                Parts::Parquet(parts),
                options,
                PART,
            );
        }
        Self::of(Box::new(io::Cursor::new(beginning).chain(file)), &name, options)
    }

    /// Begins to read `source`, which is called `name`: CSV, TSV or JSONL by the ending of the name, else by content.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub(super) fn of(
        source: Box<dyn Read + Send>,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Self> {
        Self::by_steps(source, name, options, PART)
    }

    fn by_steps(
        mut source: Box<dyn Read + Send>,
        name: &str,
        options: &ReadOptions,
        step: usize,
    ) -> Result<Self> {
        let mut rest = Vec::new();
        source
            .by_ref()
            .take(step.max(64) as u64)
            .read_to_end(&mut rest)
            .map_err(|error| spec::unreadable(Path::new(name), &error))?;
        if rest.is_empty() {
            return Err(encoding::empty(name));
        }
        let parts = match Kind::of(Path::new(name), &rest) {
            Kind::Parquet => {
                return Err(Fault::data("BOT-2108", "a Parquet file is read from a file only")
                    .at(Place { file: Some(name.to_owned()), ..Place::default() })
                    .hint("save it, and name the file"));
            }
            Kind::Jsonl => Parts::Jsonl(jsonl::Parts::new(name)),
            Kind::Csv(delimiter) => Parts::Csv(csv::Parts::new(name, delimiter)),
        };
        encoding::check_beginning(&rest, name)?;
        if rest.starts_with(b"\xef\xbb\xbf") {
            rest.drain(..3);
        }
        Self::begin(source, rest, name, parts, options, step)
    }

    fn begin(
        source: Box<dyn Read + Send>,
        rest: Vec<u8>,
        name: &str,
        parts: Parts,
        options: &ReadOptions,
        step: usize,
    ) -> Result<Self> {
        let mut table = Self {
            name: name.to_owned(),
            options: options.clone(),
            source,
            parts,
            shape: Shape { names: Vec::new(), by_name: HashMap::new(), roles: None },
            rest,
            ended: false,
            ahead: None,
            records: 0,
            step,
        };
        let mut shape = None;
        table.ahead = table.part(&mut shape)?;
        let Some(shape) = shape else { return Err(encoding::empty(name)) };
        if table.ahead.is_none() {
            return Err(Fault::data("BOT-2102", "the file has a header and no record")
                .at(Place { file: Some(name.to_owned()), ..Place::default() })
                .hint("check what should have written it"));
        }
        table.shape = shape;
        Ok(table)
    }

    /// Returns the file, as the user named it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the columns.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Reads the next rows; `None` at the end.
    ///
    /// # Errors
    /// As [`super::read()`]; nothing is read after a fault.
    pub(super) fn next(&mut self) -> Result<Option<Batch>> {
        if let Some(batch) = self.ahead.take() {
            return Ok(Some(batch));
        }
        let mut shape = Some(std::mem::replace(
            &mut self.shape,
            Shape { names: Vec::new(), by_name: HashMap::new(), roles: None },
        ));
        let read = self.part(&mut shape);
        if let Some(shape) = shape {
            self.shape = shape;
        }
        read
    }

    /// Reads until there is a row; `None` at the end.
    fn part(&mut self, shape: &mut Option<Shape>) -> Result<Option<Batch>> {
        if let Parts::Parquet(parts) = &mut self.parts {
            let Some(read) = parts.read(RECORDS)? else { return Ok(None) };
            let place = Place { file: Some(self.name.clone()), ..Place::default() };
            if shape.is_none() {
                *shape = Some(Shape::of(read.names.clone(), &self.options, &place)?);
            }
            if read.height == 0 {
                return Ok(None);
            }
            let mut rows = Filling::new(read.names.len(), self.records + 1);
            for row in 0..read.height {
                for column in 0..read.names.len() {
                    rows.cell(read.cell(row, column).as_bytes());
                }
                self.records += 1;
                rows.end_row(self.records);
            }
            return Ok(Some(rows.finish()));
        }
        let mut wanted = self.step;
        loop {
            let missing = wanted.saturating_sub(self.rest.len());
            if !self.ended && missing > 0 {
                let before = self.rest.len();
                self.source
                    .by_ref()
                    .take(missing as u64)
                    .read_to_end(&mut self.rest)
                    .map_err(|error| spec::unreadable(Path::new(&self.name), &error))?;
                self.ended = self.rest.len() - before < missing;
            }
            if self.rest.is_empty() {
                return Ok(None);
            }
            // A record too long to wait for is read as it is: what is wrong with it will be said.
            let last = self.ended || self.rest.len() > LONGEST;
            let (consumed, batch) = match &mut self.parts {
                Parts::Csv(parts) => parts.read(&self.rest, last, shape, &self.options)?,
                Parts::Jsonl(parts) => parts.read(&self.rest, last, shape, &self.options)?,
                Parts::Parquet(_) => (0, None),
            };
            self.rest.drain(..consumed);
            if let Some(batch) = batch.filter(|batch| batch.rows().next().is_some()) {
                return Ok(Some(batch));
            }
            if self.ended && self.rest.is_empty() {
                return Ok(None);
            }
            wanted = if consumed == 0 { self.rest.len().max(self.step) * 2 } else { self.step };
        }
    }
}
