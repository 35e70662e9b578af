//! Searches for the texts that are nearest to a given one, by cosine of features.

use botops_features::FeatureMatrix;

/// An index of rows by column, for searches of the nearest rows.
///
/// - offsets rise; within a column, rows rise
/// - values are those of rows scaled to length 1; an all-zero row is never near another row
#[derive(Debug, Clone)]
pub struct Neighborhood {
    n_rows: usize,
    /// The index of the first entry of each column; it has one more element than there are columns.
    offsets: Vec<usize>,
    /// The row and value of each entry.
    entries: Vec<(u32, f32)>,
}

/// A text that is near another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Its index among the rows.
    pub row: usize,
    /// The cosine of the angle between the two, in (0, 1]; texts with a cosine of 0 or less are not returned.
    pub cosine: f64,
}

/// Working memory of a thread that searches for neighbors.
#[derive(Debug, Clone, Default)]
pub struct NeighborScratch {
    /// The sum of each row so far; 0 between two searches.
    sums: Vec<f64>,
    touched: Vec<u32>,
}

impl Neighborhood {
    /// Indexes the rows of `matrix`.
    pub(super) fn of(matrix: &FeatureMatrix) -> Self {
        let rows = 0..matrix.n_samples();
        let mut offsets = vec![0_usize; matrix.n_features() + 1];
        for row in rows.clone() {
            for &column in matrix.row(row).0 {
                offsets[column as usize + 1] += 1;
            }
        }
        for column in 0..matrix.n_features() {
            offsets[column + 1] += offsets[column];
        }
        let mut next = offsets.clone();
        let mut entries = vec![(0, 0.0); matrix.n_entries()];
        for row in rows.clone() {
            let (columns, values) = matrix.row(row);
            let length = length(values);
            let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
            for (&column, &value) in columns.iter().zip(values) {
                let at = &mut next[column as usize];
                entries[*at] = (row as u32, (f64::from(value) * scale) as f32);
                *at += 1;
            }
        }
        Self { n_rows: rows.len(), offsets, entries }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Returns whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Returns the `k` rows nearest to the row of (column, value) among those for which `include` is true, the nearest
    /// first; ties go to the lower index.
    pub(super) fn nearest(
        &self,
        row: impl Iterator<Item = (u32, f32)> + Clone,
        k: usize,
        include: impl Fn(usize) -> bool,
        scratch: &mut NeighborScratch,
    ) -> Vec<Neighbor> {
        let NeighborScratch { sums, touched } = scratch;
        sums.resize(self.n_rows, 0.0);
        let length = row.clone().map(|(_, value)| square(value)).sum::<f64>().sqrt();
        if length == 0.0 {
            return Vec::new();
        }
        for (column, value) in row {
            let column = column as usize;
            let value = f64::from(value) / length;
            for &(other, other_value) in
                &self.entries[self.offsets[column]..self.offsets[column + 1]]
            {
                let sum = &mut sums[other as usize];
                if *sum == 0.0 {
                    touched.push(other);
                }
                *sum += value * f64::from(other_value);
            }
        }
        // A row whose sum returned to 0 can be in `touched` twice; the second visit finds 0.
        let mut near: Vec<Neighbor> = Vec::new();
        for row in touched.drain(..) {
            let row = row as usize;
            let cosine = std::mem::take(&mut sums[row]).min(1.0);
            if cosine > 0.0 && include(row) {
                near.push(Neighbor { row, cosine });
            }
        }
        let order =
            |a: &Neighbor, b: &Neighbor| b.cosine.total_cmp(&a.cosine).then(a.row.cmp(&b.row));
        if k == 0 {
            return Vec::new();
        }
        if near.len() > k {
            near.select_nth_unstable_by(k - 1, order);
            near.truncate(k);
        }
        near.sort_unstable_by(order);
        near
    }
}

/// An index of the records of a cross-validation by their features, for neighbor searches.
#[derive(Debug, Clone)]
pub struct SampleNeighbors {
    rows: FeatureMatrix,
    near: Neighborhood,
    /// The sample of each row.
    sample_of: Vec<u32>,
    /// The row of each sample.
    row_of: Vec<u32>,
}

impl SampleNeighbors {
    /// Indexes `rows`; row i belongs to sample `sample_of[i]`, which is a permutation.
    pub(super) fn of(rows: FeatureMatrix, sample_of: Vec<u32>) -> Self {
        let mut row_of = vec![0; sample_of.len()];
        for (row, &sample) in (0..).zip(&sample_of) {
            row_of[sample as usize] = row;
        }
        Self { near: Neighborhood::of(&rows), rows, sample_of, row_of }
    }

    /// Returns the `k` samples nearest to `sample` among those for which `include` is true, the nearest first, without
    /// `sample` itself.
    ///
    /// # Panics
    /// If the sample does not exist.
    #[must_use]
    pub fn nearest(
        &self,
        sample: usize,
        k: usize,
        include: impl Fn(usize) -> bool,
        scratch: &mut NeighborScratch,
    ) -> Vec<Neighbor> {
        let (columns, values) = self.rows.row(self.row_of[sample] as usize);
        let row = columns.iter().copied().zip(values.iter().copied());
        let sample_of = |row: usize| self.sample_of[row] as usize;
        let include = |row: usize| sample_of(row) != sample && include(sample_of(row));
        let mut near = self.near.nearest(row, k, include, scratch);
        for neighbor in &mut near {
            neighbor.row = sample_of(neighbor.row);
        }
        near
    }

    /// Returns for each of the samples `members` the `k` nearest other members, the nearest first.
    ///
    /// The result is that of [`Self::nearest`] restricted to `members`, without reading other samples.
    ///
    /// # Panics
    /// If a member does not exist.
    #[must_use]
    pub fn nearest_among(&self, members: &[usize], k: usize) -> Vec<Vec<Neighbor>> {
        let row = |sample: usize| {
            let (columns, values) = self.rows.row(self.row_of[sample] as usize);
            columns.iter().copied().zip(values.iter().copied())
        };
        let mut matrix = FeatureMatrix::new(self.rows.n_features());
        for &sample in members {
            matrix.push_row(row(sample));
        }
        let near = Neighborhood::of(&matrix);
        let mut scratch = NeighborScratch::default();
        let mut found = Vec::with_capacity(members.len());
        for (own, &sample) in members.iter().enumerate() {
            let mut nearest = near.nearest(row(sample), k, |other| other != own, &mut scratch);
            for neighbor in &mut nearest {
                neighbor.row = members[neighbor.row];
            }
            found.push(nearest);
        }
        found
    }
}

fn square(value: f32) -> f64 {
    f64::from(value) * f64::from(value)
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|&value| square(value)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[(u32, f32)]]) -> FeatureMatrix {
        let mut matrix = FeatureMatrix::new(4);
        for row in rows {
            matrix.push_row(row.iter().copied());
        }
        matrix
    }

    #[test]
    fn the_nearest_rows_match_a_calculation_by_hand() {
        // (3, 4, 0, 0), (1, 0, 0, 0), an empty row, (-3, -4, 0, 0), (6, 8, 0, 0): the cosines to (1, 0, 0, 0) are 0.6, 1,
        // none, -0.6 and 0.6.
        let rows = [
            &[(0, 3.0), (1, 4.0)][..],
            &[(0, 1.0)],
            &[],
            &[(0, -3.0), (1, -4.0)],
            &[(0, 6.0), (1, 8.0)],
        ];
        let near = Neighborhood::of(&matrix(&rows));
        assert_eq!((near.len(), near.is_empty()), (5, false));
        let mut scratch = NeighborScratch::default();
        let mut search = |row: &[(u32, f32)], k, without: usize| -> Vec<(usize, f64)> {
            let include = |row: usize| row != without;
            let found = near.nearest(row.iter().copied(), k, include, &mut scratch);
            found.into_iter().map(|n| (n.row, (n.cosine * 1e6).round() / 1e6)).collect()
        };
        assert_eq!(search(&[(0, 7.0)], 9, 9), [(1, 1.0), (0, 0.6), (4, 0.6)]);
        assert_eq!(search(&[(0, 7.0)], 2, 1), [(0, 0.6), (4, 0.6)]);
        assert_eq!(search(&[(0, 7.0)], 1, 9), [(1, 1.0)]);
        // A new search does not depend on the last one; a row with no column in common has no neighbors.
        assert_eq!(search(&[(2, 1.0)], 3, 9), []);
        assert_eq!(search(&[], 3, 9), []);
        assert_eq!(search(&[(0, 1.0)], 0, 9), []);
    }

    #[test]
    fn nearest_among_members_matches_a_restricted_search() {
        let rows = [
            &[(0, 3.0), (1, 4.0)][..],
            &[(0, 1.0)],
            &[(1, 2.0), (2, 1.0)],
            &[(0, 1.0), (1, 1.0)],
            &[(3, 1.0)],
        ];
        // The rows are those of the samples 4, 2, 0, 1 and 3.
        let all = SampleNeighbors::of(matrix(&rows), vec![4, 2, 0, 1, 3]);
        let members = [0, 1, 3, 4];
        let mut scratch = NeighborScratch::default();
        let expected: Vec<Vec<Neighbor>> = members
            .iter()
            .map(|&one| all.nearest(one, 2, |other| members.contains(&other), &mut scratch))
            .collect();
        assert_eq!(all.nearest_among(&members, 2), expected);
        // The cosine of (3, 4) and (1, 1) is 7 / (5 sqrt 2); sample 3 has no column in common with another.
        let first = expected[1][0];
        assert_eq!(first.row, 4);
        assert!((first.cosine - 7.0 / (5.0 * 2.0_f64.sqrt())).abs() < 1e-6);
        assert!(expected[2].is_empty());
    }
}
