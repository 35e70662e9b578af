//! The test over the folds: the areas under the ROC curves, and their distribution if the labels of a fold are exchanged.

use botops_stats::{random::Random, special::normal_survival};
use serde::{Deserialize, Serialize};

/// The permutations drawn as a check.
const PERMUTATIONS: usize = 10_000;
/// The most held-out texts for which they are drawn.
const MOST_PERMUTED: usize = 1_000;
/// The largest p-value for which they are drawn.
const MOST_P: f64 = 0.1;
const SEED: u64 = 41;

/// The result of the domain classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextDrift {
    /// The compared texts of the reference.
    pub n_reference: u64,
    /// The compared texts of the current data.
    pub n_current: u64,
    /// The area under the ROC curve within the held-out folds: the probability that a current text has a higher score
    /// than one of the reference in the same fold. 0.5 if nothing changed.
    pub auc: f64,
    /// The standard deviation of the area over all permutations of the labels within the folds.
    pub sd: f64,
    /// The p-value of the one-sided test of van Elteren: the normal approximation of all permutations within the folds.
    pub p_value: f64,
    /// (b + 1) / 10,001 for b of 10,000 permutations with at least this area; only for at most 1,000 held-out
    /// texts and a p-value of at most 0.1, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_permutations: Option<f64>,
}

/// The held-out texts of one fold.
pub(super) struct Fold {
    /// The ranks of the scores, from 1; equal scores share the mean of their ranks.
    ranks: Vec<f64>,
    is_current: Vec<bool>,
    n: [f64; 2],
    /// The variance of the rank sum over all permutations.
    variance: f64,
}

impl Fold {
    /// Returns the fold; `None` if it lacks texts of a side.
    pub(super) fn new(scores: Vec<f64>, is_current: Vec<bool>) -> Option<Self> {
        let size = scores.len();
        let m = is_current.iter().filter(|current| **current).count();
        if m == 0 || m == size {
            return None;
        }
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let mut ranks = vec![0.0; size];
        let mut ties = 0.0;
        let mut from = 0;
        while from < size {
            let mut to = from + 1;
            while to < size && scores[order[to]] == scores[order[from]] {
                to += 1;
            }
            let tied = (to - from) as f64;
            ties += tied.powi(3) - tied;
            // Ranks from + 1 to `to`.
            let rank = (from + 1 + to) as f64 / 2.0;
            order[from..to].iter().for_each(|&i| ranks[i] = rank);
            from = to;
        }
        let (n, m, all) = ((size - m) as f64, m as f64, size as f64);
        let spread = (all + 1.0) - ties / (all * (all - 1.0));
        Some(Self { ranks, is_current, n: [n, m], variance: n * m / 12.0 * spread })
    }

    /// Returns the area under the curve for current texts with this sum of ranks.
    fn auc(&self, rank_sum: f64) -> f64 {
        let [n, m] = self.n;
        (rank_sum - m * (m + 1.0) / 2.0) / (n * m)
    }

    fn rank_sum(&self, is_current: &[bool]) -> f64 {
        let ranks = self.ranks.iter().zip(is_current);
        ranks.filter(|(_, current)| **current).map(|(rank, _)| rank).sum()
    }

    /// Returns the weight of the fold: the best one for shifts of like size (van Elteren).
    fn weight(&self) -> f64 {
        let [n, m] = self.n;
        n * m / (n + m + 1.0)
    }
}

/// Tests the folds together; `n` are the compared texts of both sides. `None` without a fold.
///
/// Source: van Elteren, "On the combination of independent two sample tests of Wilcoxon", 1960.
pub(super) fn test(folds: &[Fold], n: [u64; 2]) -> Option<TextDrift> {
    let total: f64 = folds.iter().map(Fold::weight).sum();
    if folds.is_empty() {
        return None;
    }
    let shares: Vec<f64> = folds.iter().map(|fold| fold.weight() / total).collect();
    let auc = |labels: &[Vec<bool>]| -> f64 {
        let folds = folds.iter().zip(labels).zip(&shares);
        folds.map(|((fold, labels), share)| share * fold.auc(fold.rank_sum(labels))).sum()
    };
    let variance: f64 = folds
        .iter()
        .zip(&shares)
        .map(|(fold, share)| (share / (fold.n[0] * fold.n[1])).powi(2) * fold.variance)
        .sum();
    let sd = variance.sqrt();
    let mut labels: Vec<Vec<bool>> = folds.iter().map(|fold| fold.is_current.clone()).collect();
    let observed = auc(&labels);
    let size: usize = labels.iter().map(Vec::len).sum();
    let p_value = if sd > 0.0 { normal_survival((observed - 0.5) / sd) } else { 1.0 };
    let p_permutations = (size <= MOST_PERMUTED && p_value <= MOST_P).then(|| {
        let mut random = Random::new(SEED);
        let reached = (0..PERMUTATIONS)
            .filter(|_| {
                labels.iter_mut().for_each(|labels| random.shuffle(labels));
                auc(&labels) >= observed - 1e-12
            })
            .count();
        (reached + 1) as f64 / (PERMUTATIONS + 1) as f64
    });
    let [n_reference, n_current] = n;
    Some(TextDrift { n_reference, n_current, auc: observed, sd, p_value, p_permutations })
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_stats::ranking::auroc;

    fn fold(random: &mut Random, n: usize, m: usize, shift: f64) -> Fold {
        let scores = (0..n + m).map(|i| {
            // Rounded, so that many scores are tied.
            let shift = if i < n { 0.0 } else { shift };
            (5.0 * (random.normal() + shift)).round()
        });
        Fold::new(scores.collect(), (0..n + m).map(|i| i >= n).collect()).unwrap()
    }

    #[test]
    fn the_area_equals_that_of_the_ranking_and_sides_are_needed() {
        let (first, second) = ([0.1, 0.4, 0.35, 0.4], [0.4, 0.8, 0.2]);
        let scores = [&first[..], &second[..]].concat();
        let fold = Fold::new(scores, (0..7).map(|i| i >= 4).collect()).unwrap();
        let found = test(&[fold], [4, 3]).unwrap();
        assert!((found.auc - auroc(&second, &first)).abs() < 1e-12, "{found:?}");
        assert!(Fold::new(vec![0.1, 0.2], vec![true, true]).is_none());
        assert!(test(&[], [4, 3]).is_none());
        // Equal scores say nothing.
        let equal = Fold::new(vec![0.5; 6], (0..6).map(|i| i < 3).collect()).unwrap();
        let equal = test(&[equal], [3, 3]).unwrap();
        assert_eq!((equal.auc, equal.sd, equal.p_value), (0.5, 0.0, 1.0));
    }

    #[test]
    fn the_closed_form_equals_the_permutations() {
        let mut random = Random::new(2);
        for shift in [0.2, 0.3] {
            let folds: Vec<Fold> =
                [(60, 40), (50, 70), (30, 90)].map(|(n, m)| fold(&mut random, n, m, shift)).into();
            let found = test(&folds, [140, 200]).unwrap();
            let (p, drawn) = (found.p_value, found.p_permutations.unwrap());
            assert!((p - drawn).abs() < 0.015 + 0.15 * p, "{found:?}");
        }
    }
}
