//! Sparse matrices of features.

use std::sync::Arc;

/// The stored entries of a matrix, shared by matrices that differ only in their values.
///
/// - row offsets rise from 0 to the number of entries
/// - within a row, column ids rise and are below `n_features`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    pub(super) offsets: Vec<usize>,
    pub(super) columns: Vec<u32>,
    pub(super) n_features: usize,
}

impl Pattern {
    pub(super) fn new(n_features: usize) -> Self {
        Self { offsets: vec![0], columns: Vec::new(), n_features }
    }

    pub(super) fn n_samples(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn row(&self, row: usize) -> &[u32] {
        &self.columns[self.offsets[row]..self.offsets[row + 1]]
    }

    /// Appends a row.
    ///
    /// # Panics
    /// If columns do not rise or are out of range: a bug of the caller.
    pub(super) fn push_row(&mut self, row: impl IntoIterator<Item = u32>) {
        let mut next = 0;
        for column in row {
            assert!(
                column >= next && (column as usize) < self.n_features,
                "columns rise and are in range"
            );
            next = column + 1;
            self.columns.push(column);
        }
        self.offsets.push(self.columns.len());
    }

    /// Appends the rows of `other`, which must have the same number of columns.
    pub(super) fn append(&mut self, other: &Self) {
        assert_eq!(self.n_features, other.n_features, "the columns are the same");
        let first = self.columns.len();
        self.columns.extend_from_slice(&other.columns);
        self.offsets.extend(other.offsets[1..].iter().map(|offset| first + offset));
    }
}

/// A sparse matrix `[n_samples, n_features]`, row by row.
///
/// - row offsets rise from 0 to the number of entries
/// - within a row, column ids rise and are below `n_features`
/// - values are finite; a stored value may be 0
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMatrix {
    pattern: Arc<Pattern>,
    values: Vec<f32>,
}

impl FeatureMatrix {
    /// Makes a matrix with `n_features` columns and no rows.
    #[must_use]
    pub fn new(n_features: usize) -> Self {
        Self { pattern: Arc::new(Pattern::new(n_features)), values: Vec::new() }
    }

    /// Makes an empty matrix with room for `n_samples` rows with `n_entries` entries in all.
    #[must_use]
    pub fn with_capacity(n_features: usize, n_samples: usize, n_entries: usize) -> Self {
        let mut offsets = Vec::with_capacity(n_samples + 1);
        offsets.push(0);
        let pattern = Pattern { offsets, columns: Vec::with_capacity(n_entries), n_features };
        Self { pattern: Arc::new(pattern), values: Vec::with_capacity(n_entries) }
    }

    /// Makes a matrix of `values`, one for each entry of `pattern`, in order.
    pub(super) fn of_pattern(pattern: Arc<Pattern>, values: Vec<f32>) -> Self {
        assert_eq!(pattern.columns.len(), values.len(), "one value for each entry");
        Self { pattern, values }
    }

    /// Appends a row of (column, value).
    ///
    /// # Panics
    /// If columns do not rise or are out of range, or a value is not finite: a bug of the caller.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = (u32, f32)>) {
        let values = &mut self.values;
        Arc::make_mut(&mut self.pattern).push_row(row.into_iter().map(|(column, value)| {
            assert!(value.is_finite(), "values are finite");
            values.push(value);
            column
        }));
    }

    /// Appends the rows of `other`.
    ///
    /// # Panics
    /// If `other` does not have as many columns: a bug of the caller.
    pub fn append(&mut self, other: &Self) {
        Arc::make_mut(&mut self.pattern).append(&other.pattern);
        self.values.extend_from_slice(&other.values);
    }

    /// Returns the number of rows.
    #[inline]
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.pattern.n_samples()
    }

    /// Returns the number of columns.
    #[inline]
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.pattern.n_features
    }

    /// Returns the number of stored entries.
    #[inline]
    #[must_use]
    pub fn n_entries(&self) -> usize {
        self.values.len()
    }

    /// Returns the columns and values of `row`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    #[must_use]
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let pattern = &*self.pattern;
        let range = pattern.offsets[row]..pattern.offsets[row + 1];
        (&pattern.columns[range.clone()], &self.values[range])
    }

    /// Returns the matrix with the columns of `dense` `[n_samples, dim]` appended, each value multiplied by `weight`.
    ///
    /// # Panics
    /// If the rows of `dense` are not of one length, or a value is not finite: a bug of the caller.
    #[must_use]
    pub fn beside(&self, dense: &[f32], weight: f32) -> Self {
        let n_samples = self.n_samples();
        let dim = dense.len() / n_samples.max(1);
        assert_eq!(dim * n_samples, dense.len(), "each row has as many values");
        let first = self.n_features() as u32;
        let mut out =
            Self::with_capacity(self.n_features() + dim, n_samples, self.n_entries() + dense.len());
        for (row, dense) in dense.chunks_exact(dim.max(1)).enumerate() {
            let (columns, values) = self.row(row);
            let own = columns.iter().copied().zip(values.iter().copied());
            out.push_row(own.chain((first..).zip(dense.iter().map(|value| weight * value))));
        }
        out
    }

    /// Returns the columns in `range`, renumbered from 0.
    ///
    /// # Panics
    /// If the range ends beyond the last column.
    #[must_use]
    pub fn columns(&self, range: std::ops::Range<usize>) -> Self {
        assert!(range.end <= self.n_features(), "the range is within the columns");
        let mut out = Self::new(range.len());
        let (start, end) = (range.start as u32, range.end as u32);
        for row in 0..self.n_samples() {
            let (columns, values) = self.row(row);
            let at = |column| columns.partition_point(|&c| c < column);
            let (from, to) = (at(start), at(end));
            let columns = columns[from..to].iter().map(|column| column - start);
            out.push_row(columns.zip(values[from..to].iter().copied()));
        }
        out
    }

    /// Calls `change` with the column and value of each entry, row by row.
    pub(super) fn for_each_value(&mut self, mut change: impl FnMut(u32, &mut f32)) {
        for (&column, value) in self.pattern.columns.iter().zip(&mut self.values) {
            change(column, value);
        }
    }
}
