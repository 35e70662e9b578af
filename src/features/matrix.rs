//! Rows of features, of which most are zero.

/// A sparse matrix `[n_samples, n_features]`, row by row.
///
/// - row offsets rise from 0 to the number of entries
/// - within a row, column ids rise, and are below `n_features`
/// - values are finite
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMatrix {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
    n_features: usize,
}

impl FeatureMatrix {
    /// Makes a matrix without rows.
    #[must_use]
    pub fn new(n_features: usize) -> Self {
        Self { offsets: vec![0], columns: Vec::new(), values: Vec::new(), n_features }
    }

    /// Makes an empty matrix with room for `n_samples` rows of `n_entries` entries in all.
    #[must_use]
    pub fn with_capacity(n_features: usize, n_samples: usize, n_entries: usize) -> Self {
        let mut offsets = Vec::with_capacity(n_samples + 1);
        offsets.push(0);
        Self {
            offsets,
            columns: Vec::with_capacity(n_entries),
            values: Vec::with_capacity(n_entries),
            n_features,
        }
    }

    /// Appends a row of (column, value).
    ///
    /// # Panics
    /// When columns do not rise or are out of range, or a value is not finite: a bug of the caller.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = (u32, f32)>) {
        let mut next = 0;
        for (column, value) in row {
            assert!(
                column >= next && (column as usize) < self.n_features,
                "columns rise and stay in range"
            );
            assert!(value.is_finite(), "values are finite");
            next = column + 1;
            self.columns.push(column);
            self.values.push(value);
        }
        self.offsets.push(self.columns.len());
    }

    /// Appends the rows of `other`.
    ///
    /// # Panics
    /// When `other` has not as many columns: a bug of the caller.
    pub fn append(&mut self, other: &Self) {
        assert_eq!(self.n_features, other.n_features, "the columns are the same");
        let first = self.columns.len();
        self.columns.extend_from_slice(&other.columns);
        self.values.extend_from_slice(&other.values);
        self.offsets.extend(other.offsets[1..].iter().map(|offset| first + offset));
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Returns the number of columns.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Returns the number of entries stored.
    #[must_use]
    pub fn n_entries(&self) -> usize {
        self.columns.len()
    }

    /// Returns columns and values of `row`.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.offsets[row]..self.offsets[row + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// Returns the matrix with the columns of `dense` `[n_samples, dim]` after its own, each value times `weight`.
    ///
    /// # Panics
    /// When there is not the same number of values for each row, or one is not finite: a bug of the caller.
    #[must_use]
    pub(crate) fn beside(&self, dense: &[f32], weight: f32) -> Self {
        let n_samples = self.n_samples();
        let dim = dense.len() / n_samples.max(1);
        assert_eq!(dim * n_samples, dense.len(), "each row has as many values");
        let first = self.n_features as u32;
        let mut out =
            Self::with_capacity(self.n_features + dim, n_samples, self.n_entries() + dense.len());
        for (row, dense) in dense.chunks_exact(dim.max(1)).enumerate() {
            let (columns, values) = self.row(row);
            let own = columns.iter().copied().zip(values.iter().copied());
            out.push_row(own.chain((first..).zip(dense.iter().map(|value| weight * value))));
        }
        out
    }

    /// Returns the matrix of the columns in `range` alone, counted from its start.
    ///
    /// # Panics
    /// When the range ends beyond the last column.
    #[must_use]
    pub(crate) fn columns(&self, range: std::ops::Range<usize>) -> Self {
        assert!(range.end <= self.n_features, "the columns are there");
        let mut out = Self::new(range.len());
        let (start, end) = (range.start as u32, range.end as u32);
        for row in 0..self.n_samples() {
            let (columns, values) = self.row(row);
            let at = |column| columns.partition_point(|&c| c < column);
            let (from, to) = (at(start), at(end));
            let columns = columns[from..to].iter().map(|column| column - start);
            out.columns.extend(columns);
            out.values.extend_from_slice(&values[from..to]);
            out.offsets.push(out.columns.len());
        }
        out
    }

    /// Returns the matrix `[n_features, n_samples]` whose columns are this one's `rows`, numbered as listed.
    #[must_use]
    pub(crate) fn transposed(&self, rows: &[u32]) -> Self {
        let mut offsets = vec![0_usize; self.n_features + 1];
        for &row in rows {
            for &column in self.row(row as usize).0 {
                offsets[column as usize + 1] += 1;
            }
        }
        for i in 0..self.n_features {
            offsets[i + 1] += offsets[i];
        }
        let n = offsets[self.n_features];
        let (mut columns, mut values) = (vec![0_u32; n], vec![0_f32; n]);
        let mut next = offsets.clone();
        for (i, &row) in (0_u32..).zip(rows) {
            let (row_columns, row_values) = self.row(row as usize);
            for (&column, &value) in row_columns.iter().zip(row_values) {
                let at = &mut next[column as usize];
                columns[*at] = i;
                values[*at] = value;
                *at += 1;
            }
        }
        Self { offsets, columns, values, n_features: rows.len() }
    }
}
