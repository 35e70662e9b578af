//! Some thousands of rows, held as one text.

use std::{ops::Range, sync::Arc};

/// Rows of all columns, in the order of the file.
///
/// - `cells` are places in `text`, `width` of them a row
/// - `lines` rises, and holds one line a row
#[derive(Debug)]
pub struct Batch {
    text: String,
    cells: Vec<(usize, usize)>,
    lines: Vec<u64>,
    width: usize,
    first: u64,
    /// The numbers of the records, where they do not just count on from the first.
    numbers: Vec<u64>,
    /// Their file, where there are several.
    file: Option<Arc<str>>,
}

/// One record, with all of its cells.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    batch: &'a Batch,
    index: usize,
}

/// A batch being filled.
#[derive(Debug)]
pub struct Filling<'a> {
    /// A text in which cells stand.
    text: &'a str,
    /// Cells that stand nowhere else; they follow that text.
    made: String,
    cells: Vec<(usize, usize)>,
    lines: Vec<u64>,
    width: usize,
    first: u64,
    numbers: Vec<u64>,
}

impl Filling<'static> {
    /// Begins a batch of rows of `width` cells, the first of which is record `first`.
    pub(crate) fn new(width: usize, first: u64) -> Self {
        Self::over("", width, first)
    }
}

impl<'a> Filling<'a> {
    /// As [`Filling::new`], of rows that were read from `text`.
    pub(super) fn over(text: &'a str, width: usize, first: u64) -> Self {
        Self {
            text,
            made: String::new(),
            cells: Vec::new(),
            lines: Vec::new(),
            width,
            first,
            numbers: Vec::new(),
        }
    }

    /// Makes room for about `bytes` bytes of cells that stand nowhere else.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.made.reserve(bytes);
    }

    /// Adds the next cell of the row that is being filled.
    pub(crate) fn cell(&mut self, cell: &str) {
        let start = self.text.len() + self.made.len();
        self.made.push_str(cell);
        self.cells.push((start, start + cell.len()));
    }

    /// Adds the next cell, which stands at `range` in the text that is read.
    pub(super) fn cell_at(&mut self, range: Range<usize>) {
        self.cells.push((range.start, range.end));
    }

    /// Ends the row, which starts on `line`.
    pub(crate) fn end_row(&mut self, line: u64) {
        self.lines.push(line);
        debug_assert_eq!(self.cells.len(), self.lines.len() * self.width, "a row has every cell");
    }

    /// Says that the row that was just ended is record `number`; to be said of all rows, or of none.
    pub(crate) fn number(&mut self, number: u64) {
        self.numbers.push(number);
    }

    /// Makes the batch.
    pub(crate) fn finish(self) -> Batch {
        let Self { text, made, cells, lines, width, first, numbers } = self;
        let text = if text.is_empty() { made } else { [text, &made].concat() };
        Batch { text, cells, lines, width, first, numbers, file: None }
    }
}

impl Batch {
    /// Says that the rows are of `file`, one of several.
    pub(crate) fn of_file(self, file: Option<Arc<str>>) -> Self {
        Self { file, ..self }
    }

    /// Returns the rows with the cells of `columns` alone, in that order; what is nowhere is empty.
    pub(super) fn of_columns(&self, columns: &[Option<usize>]) -> Self {
        let mut rows = Filling::new(columns.len(), self.first);
        rows.reserve(self.text.len());
        for row in self.rows() {
            for column in columns {
                rows.cell(column.map_or("", |column| row.cell(column)));
            }
            rows.end_row(row.line());
        }
        rows.numbers.clone_from(&self.numbers);
        rows.finish().of_file(self.file.clone())
    }

    /// Iterates over the rows.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.lines.len()).map(|index| Row { batch: self, index })
    }

    /// Returns the row at `index`, from 0.
    pub fn row(&self, index: usize) -> Row<'_> {
        Row { batch: self, index }
    }
}

impl<'a> Row<'a> {
    /// Returns the record, from 1.
    pub fn record(self) -> u64 {
        let counted = self.batch.first + self.index as u64;
        self.batch.numbers.get(self.index).copied().unwrap_or(counted)
    }

    /// Returns its file; `None` where there is but one.
    pub fn file(self) -> Option<&'a Arc<str>> {
        self.batch.file.as_ref()
    }

    /// Returns the line on which it starts, from 1.
    pub fn line(self) -> u64 {
        self.batch.lines[self.index]
    }

    /// Returns the cell of `column`, as it stands in the file; what is absent is empty.
    #[inline]
    pub fn cell(self, column: usize) -> &'a str {
        let (start, end) = self.batch.cells[self.index * self.batch.width + column];
        &self.batch.text[start..end]
    }
}
