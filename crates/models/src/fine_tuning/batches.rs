//! The held-out rows, the order of the training rows in each epoch, and the parts of a batch.

use crate::training::folds;
use botops_stats::random::Random;

/// Number of folds to choose held-out rows from: the share is accurate to a hundredth.
const FOLDS: usize = 100;
/// Separates the shuffles from other draws of the same seed.
const SHUFFLE: u64 = 0x5487_FF1E;

/// Training rows and held-out rows, both in the order of the data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) train: Vec<u32>,
    pub(super) held_out: Vec<u32>,
}

impl Split {
    /// Holds out about `share` of the rows of each intent, and never a near duplicate of a training row.
    ///
    /// If all rows of an intent would be held out, they become training rows instead.
    pub(super) fn new(texts: &[&str], y: &[u32], n_classes: usize, share: f64, seed: u64) -> Self {
        let folds = folds::assign(&folds::groups(texts, y), y, FOLDS, seed);
        // A fold is held out if the rounded cumulative share rises at it, so held-out folds are evenly spread.
        let n_before = |fold: u32| (f64::from(fold) * share + 0.5).floor();
        let is_out = |row: usize| n_before(folds[row] + 1) > n_before(folds[row]);
        let mut n_left = vec![0_u32; n_classes];
        for (row, &intent) in y.iter().enumerate() {
            n_left[intent as usize] += u32::from(!is_out(row));
        }
        let (held_out, train) = (0..y.len() as u32)
            .partition(|&row| is_out(row as usize) && n_left[y[row as usize] as usize] > 0);
        Self { train, held_out }
    }
}

/// Returns the rows in the order of epoch `epoch`, from 0.
pub(super) fn order(rows: &[u32], seed: u64, epoch: u64) -> Vec<u32> {
    let mut rows = rows.to_vec();
    let seed = Random::stream(seed, SHUFFLE).bits();
    Random::stream(seed, epoch).shuffle(&mut rows);
    rows
}

/// Divides a batch of texts with the given `lengths` into parts of at most `max_tokens` tokens, in order; returns the
/// ranges of the parts.
///
/// A longer text forms a part of its own.
pub(super) fn parts(lengths: &[usize], max_tokens: usize) -> Vec<std::ops::Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut n_tokens) = (0, 0);
    for (i, &length) in lengths.iter().enumerate() {
        if i > start && n_tokens + length > max_tokens {
            parts.push(start..i);
            (start, n_tokens) = (i, 0);
        }
        n_tokens += length;
    }
    if start < lengths.len() {
        parts.push(start..lengths.len());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_out_rows_are_a_share_of_each_intent_without_near_duplicates() {
        // Random letters: only the last ten texts have a duplicate.
        let mut random = Random::new(1);
        let mut texts: Vec<String> = (0..1_000)
            .map(|_| (0..12).map(|_| char::from(b'a' + random.below(26) as u8)).collect())
            .collect();
        texts.extend_from_within(..10);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let y: Vec<u32> = (0..1_010).map(|i| (i % 1_000 % 10) as u32).collect();
        let split = Split::new(&texts, &y, 10, 0.1, 3);
        assert_eq!(split.train.len() + split.held_out.len(), 1_010);
        for intent in 0..10 {
            let n = split.held_out.iter().filter(|&&row| y[row as usize] == intent).count();
            assert!((8..=13).contains(&n), "{n}");
        }
        for row in 0..10 {
            let duplicate = row + 1_000;
            assert_eq!(split.train.contains(&row), split.train.contains(&duplicate));
        }
        assert_ne!(split, Split::new(&texts, &y, 10, 0.1, 4));
        assert!(Split::new(&texts, &y, 10, 0.0, 3).held_out.is_empty());
    }

    #[test]
    fn an_intent_with_one_text_is_never_held_out() {
        let texts = ["a", "a", "b", "c", "d", "e"];
        for seed in 0..50 {
            let split = Split::new(&texts, &[0, 0, 1, 1, 1, 1], 2, 0.5, seed);
            assert!(split.train.starts_with(&[0, 1]));
            assert!(split.train.len() > 2);
        }
    }

    #[test]
    fn every_epoch_has_its_own_order() {
        let rows: Vec<u32> = (0..100).collect();
        let first = order(&rows, 1, 0);
        assert_eq!(first, order(&rows, 1, 0));
        assert_ne!(first, order(&rows, 1, 1));
        assert_ne!(first, order(&rows, 2, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, rows);
    }

    #[test]
    fn parts_respect_the_token_limit() {
        assert_eq!(parts(&[4, 4, 4, 9, 1], 8), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(parts(&[4, 4, 1], 8), [0..2, 2..3]);
        assert!(parts(&[], 8).is_empty());
    }
}
