//! Counts of terms in texts.

use crate::matrix::Pattern;
use std::sync::Arc;

/// Counts of terms in texts, `[n_samples, n_features]`.
///
/// - an entry of the pattern has count 1 unless `repeated` lists it: most terms occur once in a text
/// - within a row, the repeated entries rise
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    pub(super) pattern: Arc<Pattern>,
    repeated: Repeated,
}

/// The entries with a count above 1, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Repeated {
    offsets: Vec<usize>,
    /// (index of the entry in its row, count)
    entries: Vec<(u32, u32)>,
}

impl Counts {
    pub(super) fn new(n_features: usize) -> Self {
        Self {
            pattern: Arc::new(Pattern::new(n_features)),
            repeated: Repeated { offsets: vec![0], entries: Vec::new() },
        }
    }

    /// Reserves room for `n_samples` more rows with `n_entries` entries in all.
    pub(super) fn reserve(&mut self, n_samples: usize, n_entries: usize) {
        let pattern = Arc::make_mut(&mut self.pattern);
        pattern.offsets.reserve_exact(n_samples);
        pattern.columns.reserve_exact(n_entries);
        self.repeated.offsets.reserve_exact(n_samples);
    }

    /// Returns the number of texts.
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.pattern.n_samples()
    }

    /// Appends a row of (column, count); columns rise and counts are above 0.
    pub(super) fn push_row(&mut self, row: &[(u32, u32)]) {
        Arc::make_mut(&mut self.pattern).push_row(row.iter().map(|&(column, _)| column));
        let many = (0..).zip(row).filter(|(_, (_, count))| *count > 1);
        self.repeated.entries.extend(many.map(|(place, &(_, count))| (place, count)));
        self.repeated.offsets.push(self.repeated.entries.len());
    }

    /// Appends the texts of `other`, counted by the same vectoriser.
    ///
    /// # Panics
    /// If `other` does not have as many columns: a bug of the caller.
    pub fn append(&mut self, other: &Self) {
        Arc::make_mut(&mut self.pattern).append(&other.pattern);
        let first = self.repeated.entries.len();
        self.repeated.entries.extend_from_slice(&other.repeated.entries);
        let offsets = other.repeated.offsets[1..].iter().map(|offset| first + offset);
        self.repeated.offsets.extend(offsets);
    }

    /// Returns the columns of `row`, and (index among them, count) of the entries with a count above 1.
    pub(super) fn row(&self, row: usize) -> (&[u32], &[(u32, u32)]) {
        let repeated = self.repeated.offsets[row]..self.repeated.offsets[row + 1];
        (self.pattern.row(row), &self.repeated.entries[repeated])
    }

    /// Returns the counts of the columns `kept`, in rising order, renumbered from 0.
    pub(super) fn of_columns(&self, kept: &[u32]) -> Self {
        let mut place = vec![u32::MAX; self.pattern.n_features];
        for (new, &old) in (0..).zip(kept) {
            place[old as usize] = new;
        }
        let mut out = Self::new(kept.len());
        let mut counted = Vec::new();
        for row in 0..self.n_samples() {
            let (columns, repeated) = self.row(row);
            counted.clear();
            counted.extend(columns.iter().map(|&column| (place[column as usize], 1)));
            for &(at, count) in repeated {
                counted[at as usize].1 = count;
            }
            counted.retain(|&(column, _)| column != u32::MAX);
            out.push_row(&counted);
        }
        out
    }
}
