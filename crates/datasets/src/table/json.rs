//! JSON, one object a line or one list of objects, as rows of all keys.

use super::{
    batch::{Batch, BatchBuilder},
    shape::Shape,
};
use crate::{
    formats::json::{Kind, Member, Position, Reader, push_cell},
    read_options::ReadOptions,
};
use botops_findings::{Fault, Place, Result};
use std::collections::HashMap;

/// Reads the rows of a file part by part.
///
/// The columns are the keys of the first part. When all parts are gathered, they are one part.
#[derive(Debug)]
pub(super) struct Rows {
    file: String,
    reader: Reader,
    /// Whether the rows of all parts are held until the end of the file.
    gather: bool,
    held: Held,
    /// Whether the keys of `held` are the columns; no key is added then.
    is_shaped: bool,
}

/// Rows as sparse cells.
///
/// - a cell of `cells` stands at its `range` in `text`
/// - the cells of a row end at its `end` in `cells`, and begin where those of the row before end
#[derive(Debug, Default)]
struct Held {
    keys: Vec<String>,
    by_name: HashMap<String, usize>,
    text: String,
    cells: Vec<Cell>,
    rows: Vec<HeldRow>,
    /// The number of records before the first row.
    before: u64,
}

#[derive(Debug)]
struct Cell {
    key: usize,
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Debug)]
struct HeldRow {
    line: u64,
    end: usize,
}

impl Rows {
    /// Reads the objects of `reader`, which reads `file`.
    pub(super) fn new(file: &str, reader: Reader, gather: bool) -> Self {
        let held = Held::default();
        Self { file: file.to_owned(), reader, gather, held, is_shaped: false }
    }

    /// Reads the whole objects at the beginning of `bytes`, as [`Reader::read`] does.
    ///
    /// Returns their rows, and how many bytes they have, or the fault that follows the rows.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        last: bool,
        shape: &mut Option<Shape>,
        options: &ReadOptions,
    ) -> (Option<Batch>, Result<usize>) {
        let Self { reader, held, is_shaped, .. } = self;
        let read = reader
            .read(bytes, last, &mut |members, position| held.add(members, position, *is_shaped));
        if self.gather && !last && read.is_ok() {
            return (None, read);
        }
        let (batch, rows) = self.batch(shape, options);
        match (rows, read) {
            // Without columns, the fault of the JSON says more.
            (Err(_), Err(fault)) if shape.is_none() => (None, Err(fault)),
            (Err(fault), _) => (batch, Err(fault)),
            (Ok(()), read) => (batch, read),
        }
    }

    /// Makes a batch of the rows that are held.
    ///
    /// # Errors
    /// `BOT-2101` for the columns of the first rows; `BOT-2107` for a list or an object where a text belongs, after the
    /// rows before it.
    fn batch(
        &mut self,
        shape: &mut Option<Shape>,
        options: &ReadOptions,
    ) -> (Option<Batch>, Result<()>) {
        if self.held.rows.is_empty() {
            return (None, Ok(()));
        }
        if !self.is_shaped {
            let place = Place { file: Some(self.file.clone()), ..Place::default() };
            match Shape::of(self.held.keys.clone(), options, &place) {
                Ok(found) => *shape = Some(found),
                Err(fault) => return (None, Err(fault)),
            }
            self.is_shaped = true;
        }
        let first = self.held.before + 1;
        let text = std::mem::take(&mut self.held.text);
        let mut batch = BatchBuilder::with_text(text, self.held.keys.len(), first);
        let (mut at, mut read) = (0, Ok(()));
        for (record, row) in (first..).zip(&self.held.rows) {
            let cells = &self.held.cells[at..row.end];
            let is_plain = |key| shape.as_ref().is_some_and(|shape| shape.is_plain(key));
            let check = |cell: &Cell| match is_plain(cell.key) {
                true => cell.kind.check_plain(&self.held.keys[cell.key]),
                false => Ok(()),
            };
            if let Err(fault) = cells.iter().try_for_each(check) {
                let position = Position { record, line: row.line };
                read = Err(fault.at(self.reader.place(position)));
                break;
            }
            batch.empty_row(row.line);
            for cell in cells {
                batch.set(cell.key, cell.start..cell.end);
            }
            at = row.end;
        }
        self.held.before += self.held.rows.len() as u64;
        self.held.rows.clear();
        self.held.cells.clear();
        (Some(batch.finish()), read)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `BOT-2107` for a list that is not closed.
    pub(super) fn finish(&self) -> Result<()> {
        self.reader.finish()
    }

    /// The fault of an object of more than 64 MiB.
    pub(super) fn too_long(&self) -> Fault {
        self.reader.too_long()
    }
}

impl Held {
    /// Adds the object of `members`. Unknown keys become columns, in the order of their names, unless the columns
    /// are known.
    fn add(
        &mut self,
        members: &[Member<'_>],
        position: Position,
        is_shaped: bool,
    ) -> serde_json::Result<()> {
        if !is_shaped {
            let mut new: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
            new.retain(|key| !self.by_name.contains_key(*key));
            new.sort_unstable();
            for key in new {
                self.by_name.insert(key.to_owned(), self.keys.len());
                self.keys.push(key.to_owned());
            }
        }
        for (key, value) in members {
            let start = self.text.len();
            push_cell(value, &mut self.text)?;
            match self.by_name.get(key.as_ref()) {
                Some(&key) => {
                    let (end, kind) = (self.text.len(), Kind::of(value));
                    self.cells.push(Cell { key, start, end, kind });
                }
                // The value was checked, as it would have been in a column.
                None => self.text.truncate(start),
            }
        }
        self.rows.push(HeldRow { line: position.line, end: self.cells.len() });
        Ok(())
    }
}
