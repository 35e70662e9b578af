//! Which rows are held out, in which order the others are learnt from, and which are computed at once.

use crate::training::folds;
use botops_stats::random::Random;

/// Held-out rows are dealt out to so many folds: the share is right to a hundredth.
const FOLDS: usize = 100;
/// Keeps the shuffles apart from other draws of the same seed.
const SHUFFLE: u64 = 0x5487_FF1E;

/// Rows to learn from, and rows to judge by; both in the order of the data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) train: Vec<u32>,
    pub(super) held_out: Vec<u32>,
}

impl Split {
    /// Holds out about `share` of the rows of each intent, and never a near duplicate of a text that is learnt from.
    ///
    /// An intent whose rows would all be held out is learnt from instead.
    pub(super) fn new(texts: &[&str], y: &[u32], n_classes: usize, share: f64, seed: u64) -> Self {
        let folds = folds::assign(&folds::groups(texts, y), y, FOLDS, seed);
        // Of folds dealt out in turn, those where the count of held-out ones rises: evenly spread.
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

/// Returns the rows in the order of epoch `epoch`, counted from 0.
pub(super) fn order(rows: &[u32], seed: u64, epoch: u64) -> Vec<u32> {
    let mut rows = rows.to_vec();
    let seed = Random::stream(seed, SHUFFLE).bits();
    Random::stream(seed, epoch).shuffle(&mut rows);
    rows
}

/// Splits a batch of texts of the lengths `lengths` into parts of at most `max_tokens` tokens, in order.
///
/// A text that alone is longer is a part of its own. Returns the bounds of the parts.
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
    fn the_held_out_rows_are_a_share_of_each_intent_and_never_learnt_from() {
        // Letters at random, so that only the last ten texts have a twin.
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
            let twin = row + 1_000;
            assert_eq!(split.train.contains(&row), split.train.contains(&twin));
        }
        assert_ne!(split, Split::new(&texts, &y, 10, 0.1, 4));
        assert!(Split::new(&texts, &y, 10, 0.0, 3).held_out.is_empty());
    }

    #[test]
    fn an_intent_of_one_text_is_learnt_from() {
        let texts = ["a", "a", "b", "c", "d", "e"];
        for seed in 0..50 {
            let split = Split::new(&texts, &[0, 0, 1, 1, 1, 1], 2, 0.5, seed);
            assert!(split.train.starts_with(&[0, 1]));
            assert!(split.train.len() > 2);
        }
    }

    #[test]
    fn every_epoch_has_an_order_of_its_own() {
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
    fn parts_hold_no_more_tokens_than_they_may() {
        assert_eq!(parts(&[4, 4, 4, 9, 1], 8), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(parts(&[4, 4, 1], 8), [0..2, 2..3]);
        assert!(parts(&[], 8).is_empty());
    }
}
