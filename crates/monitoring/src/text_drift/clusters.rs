//! Clusters of utterances: each one joins the cluster whose middle it is most like, if it is like it at all.

use botops_features::FeatureMatrix;
use std::collections::HashMap;

/// The least cosine between an utterance and the middle of its cluster.
const LEAST_COSINE: f64 = 0.22;
/// The fewest texts of a cluster, and the fewest different ones.
const LEAST_TEXTS: usize = 5;
pub(super) const LEAST_DISTINCT: usize = 3;
/// The times that utterances are assigned anew to the middles of the clusters.
const ROUNDS: usize = 3;
/// The most clusters kept.
const MOST: usize = 12;

/// The sum of the rows of a cluster.
#[derive(Default)]
struct Middle {
    sum: HashMap<u32, f64>,
    n: usize,
}

impl Middle {
    fn add(&mut self, (columns, values): (&[u32], &[f32])) {
        for (column, value) in columns.iter().zip(values) {
            *self.sum.entry(*column).or_default() += f64::from(*value);
        }
        self.n += 1;
    }

    fn length(&self) -> f64 {
        // A sum in the order of the columns: the order of a map is not the same in each run.
        let mut squares: Vec<(u32, f64)> = self.sum.iter().map(|(c, v)| (*c, v * v)).collect();
        squares.sort_unstable_by_key(|(column, _)| *column);
        squares.iter().map(|(_, square)| square).sum::<f64>().sqrt()
    }

    /// Returns the cosine with a row of length 1; `length` is that of the middle.
    fn cosine(&self, (columns, values): (&[u32], &[f32]), length: f64) -> f64 {
        let shared = columns.iter().zip(values);
        let dot: f64 = shared
            .filter_map(|(column, value)| Some(self.sum.get(column)? * f64::from(*value)))
            .sum();
        if length > 0.0 { dot / length } else { 0.0 }
    }
}

/// Returns clusters of `rows`, the largest first; rows that are like no others are in none.
///
/// Rows come in the order of their importance. The first pass makes a cluster of each row that is like no cluster so far;
/// further passes assign every row to the nearest middle.
pub(super) fn clusters(x: &FeatureMatrix, rows: &[usize]) -> Vec<Vec<usize>> {
    let mut middles: Vec<(Middle, f64)> = Vec::new();
    for &row in rows {
        match nearest_of(&middles, x.row(row)) {
            Some(at) => {
                let (middle, length) = &mut middles[at];
                middle.add(x.row(row));
                *length = middle.length();
            }
            None => {
                let mut middle = Middle::default();
                middle.add(x.row(row));
                let length = middle.length();
                middles.push((middle, length));
            }
        }
    }
    let mut members = Vec::new();
    for _ in 0..ROUNDS {
        members = vec![Vec::new(); middles.len()];
        for &row in rows {
            if let Some(at) = nearest_of(&middles, x.row(row)) {
                members[at].push(row);
            }
        }
        members.retain(|rows: &Vec<usize>| !rows.is_empty());
        middles = members.iter().map(|rows| middle_of(x, rows)).collect();
    }
    members.retain(|rows: &Vec<usize>| rows.len() >= LEAST_TEXTS);
    // Stable: of equal sizes, the one with the surest row comes first.
    members.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
    members.truncate(MOST);
    members
}

/// Returns `rows` by their cosine with their middle, the nearest first.
pub(super) fn nearest(x: &FeatureMatrix, rows: &[usize]) -> Vec<usize> {
    let (middle, length) = middle_of(x, rows);
    let mut all: Vec<(f64, usize)> =
        rows.iter().map(|&row| (middle.cosine(x.row(row), length), row)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.into_iter().map(|(_, row)| row).collect()
}

fn middle_of(x: &FeatureMatrix, rows: &[usize]) -> (Middle, f64) {
    let mut middle = Middle::default();
    rows.iter().for_each(|&row| middle.add(x.row(row)));
    let length = middle.length();
    (middle, length)
}

/// Returns the middle that a row is most like; the first one of equal ones. `None` if it is like none.
fn nearest_of(middles: &[(Middle, f64)], row: (&[u32], &[f32])) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for (at, (middle, length)) in middles.iter().enumerate() {
        let cosine = middle.cosine(row, *length);
        if cosine >= LEAST_COSINE && best.is_none_or(|(most, _)| cosine > most) {
            best = Some((cosine, at));
        }
    }
    best.map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_rows_form_a_cluster_and_single_ones_none() {
        let mut x = FeatureMatrix::new(20);
        for i in 0..14_u32 {
            let topic = if i % 2 == 0 { 0 } else { 10 };
            x.push_row([(topic, 0.8), (topic + 1 + i / 2, 0.6)]);
        }
        x.push_row([(9, 1.0)]);
        let rows: Vec<usize> = (0..15).collect();
        let found = clusters(&x, &rows);
        assert_eq!(found.len(), 2);
        assert!(found[0].iter().all(|row| row % 2 == 0) && found[0].len() == 7, "{found:?}");
        assert_eq!(nearest(&x, &[0, 2, 14])[2], 14);
        assert!(clusters(&x, &[]).is_empty());
    }
}
