//! Batches: some thousands of rows, whose cells are places in one text.

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
    /// The record numbers, if they are not consecutive from `first` on.
    numbers: Vec<u64>,
    /// The file of the rows, if the table has several files.
    file: Option<Arc<str>>,
}

/// One row of a batch, with all of its cells.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    batch: &'a Batch,
    index: usize,
}

/// Builds a batch, cell by cell.
#[derive(Debug)]
pub(crate) struct BatchBuilder<'a> {
    /// The text of the file in which cells stand.
    text: &'a str,
    /// The cells that do not stand in `text`. Their places follow it.
    made: String,
    cells: Vec<(usize, usize)>,
    lines: Vec<u64>,
    width: usize,
    first: u64,
    numbers: Vec<u64>,
}

impl BatchBuilder<'static> {
    /// Begins a batch of rows of `width` cells. The first row is the record `first`.
    pub(crate) fn new(width: usize, first: u64) -> Self {
        Self::over("", width, first)
    }

    /// Begins a batch whose cells are set to places in `made`.
    pub(super) fn with_text(made: String, width: usize, first: u64) -> Self {
        Self { made, ..Self::new(width, first) }
    }
}

impl<'a> BatchBuilder<'a> {
    /// Begins a batch of rows that are read from `text`.
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

    /// Makes room for `bytes` bytes of cells that do not stand in the text.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.made.reserve(bytes);
    }

    /// Adds the next cell of the current row.
    pub(crate) fn cell(&mut self, cell: &str) {
        let start = self.text.len() + self.made.len();
        self.made.push_str(cell);
        self.cells.push((start, start + cell.len()));
    }

    /// Adds the next cell of the current row, which stands at `range` in the text.
    #[inline]
    pub(super) fn cell_at(&mut self, range: Range<usize>) {
        self.cells.push((range.start, range.end));
    }

    /// Adds a row of empty cells, which starts on `line`.
    pub(super) fn empty_row(&mut self, line: u64) {
        self.cells.resize(self.cells.len() + self.width, (0, 0));
        self.lines.push(line);
    }

    /// Sets the cell of `column` in the last row to the place `range` in the text.
    pub(super) fn set(&mut self, column: usize, range: Range<usize>) {
        let row = self.cells.len() - self.width;
        self.cells[row + column] = (range.start, range.end);
    }

    /// Ends the current row, which starts on `line`.
    pub(crate) fn end_row(&mut self, line: u64) {
        self.lines.push(line);
        debug_assert_eq!(self.cells.len(), self.lines.len() * self.width, "a row has every cell");
    }

    /// Sets the record number of the row that was ended last. Either all rows get a number, or none.
    pub(crate) fn number(&mut self, number: u64) {
        self.numbers.push(number);
    }

    /// Returns the batch.
    pub(crate) fn finish(self) -> Batch {
        let Self { text, made, cells, lines, width, first, numbers } = self;
        let text = if text.is_empty() { made } else { [text, &made].concat() };
        Batch { text, cells, lines, width, first, numbers, file: None }
    }
}

impl Batch {
    /// Returns the batch with `file` as the file of its rows.
    pub(crate) fn of_file(self, file: Option<Arc<str>>) -> Self {
        Self { file, ..self }
    }

    /// Returns the rows with the cells of `columns`, in that order. The cells of `None` are empty.
    pub(super) fn of_columns(&self, columns: &[Option<usize>]) -> Self {
        let mut rows = BatchBuilder::new(columns.len(), self.first);
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

    /// Returns the number of rows.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Iterates over the rows.
    #[inline]
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.lines.len()).map(|index| Row { batch: self, index })
    }

    /// Returns the row at `index`, from 0.
    #[inline]
    #[must_use]
    pub fn row(&self, index: usize) -> Row<'_> {
        Row { batch: self, index }
    }
}

impl<'a> Row<'a> {
    /// Returns the record number, from 1.
    #[inline]
    #[must_use]
    pub fn record(self) -> u64 {
        let counted = self.batch.first + self.index as u64;
        self.batch.numbers.get(self.index).copied().unwrap_or(counted)
    }

    /// Returns the file of the row, if the table has several files.
    #[inline]
    #[must_use]
    pub fn file(self) -> Option<&'a Arc<str>> {
        self.batch.file.as_ref()
    }

    /// Returns the line on which the row starts, from 1.
    #[inline]
    #[must_use]
    pub fn line(self) -> u64 {
        self.batch.lines[self.index]
    }

    /// Returns the cell of `column`, as written in the file. An absent cell is empty.
    #[inline]
    #[must_use]
    pub fn cell(self, column: usize) -> &'a str {
        let (start, end) = self.batch.cells[self.index * self.batch.width + column];
        &self.batch.text[start..end]
    }
}
