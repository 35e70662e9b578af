//! Ranking metrics: the area under the ROC curve, average precision, and the false-positive rate at a recall.

/// Positives and negatives sorted by score, for repeated measurements with different weights.
///
/// - `order` contains every sample once: positive i as i, negative i as `n_positive` + i
/// - scores rise along `order`; `ties` contains the end of each run of equal scores
#[derive(Debug, Clone)]
pub struct Ranking {
    n_positive: usize,
    order: Vec<usize>,
    ties: Vec<usize>,
}

impl Ranking {
    /// Sorts the scores, which are finite (NaN sorts last).
    #[must_use]
    pub fn of(positive: &[f64], negative: &[f64]) -> Self {
        let score = |i: usize| positive.get(i).unwrap_or_else(|| &negative[i - positive.len()]);
        let mut order: Vec<usize> = (0..positive.len() + negative.len()).collect();
        order.sort_by(|&a, &b| score(a).total_cmp(score(b)));
        let mut ties: Vec<usize> =
            (1..order.len()).filter(|&rank| score(order[rank - 1]) != score(order[rank])).collect();
        ties.push(order.len());
        Self { n_positive: positive.len(), order, ties }
    }

    /// Returns the area under the ROC curve with sample i counted `counts[i]` times (positives first, then negatives), in
    /// [0, 1]; NaN if all counts of a side are 0.
    ///
    /// P(positive above negative) + P(equal) / 2. Source: Mann and Whitney, 1947; Hanley and `McNeil`, 1982.
    ///
    /// # Panics
    /// If `counts` is shorter than the samples.
    #[must_use]
    pub fn auroc(&self, counts: &[u32]) -> f64 {
        let (mut below, mut twice, mut positives) = (0_u64, 0_u64, 0_u64);
        let mut start = 0;
        for &end in &self.ties {
            let [here_positive, here_negative] = self.counted(&self.order[start..end], counts);
            twice += here_positive * (2 * below + here_negative);
            positives += here_positive;
            below += here_negative;
            start = end;
        }
        twice as f64 / 2.0 / (positives as f64 * below as f64)
    }

    /// Returns the average precision of the positives, from the highest score down, with sample i counted `counts[i]`
    /// times, in [0, 1]; NaN without positives.
    ///
    /// Σ (R_k - R_{k-1}) P_k over the distinct scores; scikit-learn's `average_precision_score`.
    ///
    /// # Panics
    /// If `counts` is shorter than the samples.
    #[must_use]
    pub fn average_precision(&self, counts: &[u32]) -> f64 {
        let mut area = Precision::default();
        self.downwards(counts, |[positive, negative]| area.add(positive, negative));
        area.value()
    }

    /// Returns the average precision of the negatives, from the lowest score up; otherwise as
    /// [`Self::average_precision`].
    ///
    /// It is more informative if negatives are rare, because the precision of the positives is then high for any score.
    ///
    /// # Panics
    /// If `counts` is shorter than the samples.
    #[must_use]
    pub fn average_precision_of_negatives(&self, counts: &[u32]) -> f64 {
        let mut area = Precision::default();
        let mut start = 0;
        for &end in &self.ties {
            let [positive, negative] = self.counted(&self.order[start..end], counts);
            area.add(negative, positive);
            start = end;
        }
        area.value()
    }

    /// Returns the share of negatives at or above the highest threshold that keeps `recall` of the positives, in [0, 1];
    /// NaN if all counts of a side are 0.
    ///
    /// `fpr[argmax(tpr >= recall)]` of scikit-learn's `roc_curve(drop_intermediate=False)`.
    ///
    /// # Panics
    /// If `counts` is shorter than the samples.
    #[must_use]
    pub fn false_positive_rate_at(&self, recall: f64, counts: &[u32]) -> f64 {
        let [positives, negatives] = self.counted(&self.order, counts);
        if positives == 0 || negatives == 0 {
            return f64::NAN;
        }
        let (mut kept, mut passed, mut rate) = (0, 0, None);
        self.downwards(counts, |[positive, negative]| {
            kept += positive;
            passed += negative;
            if rate.is_none() && kept as f64 / positives as f64 >= recall {
                rate = Some(passed as f64 / negatives as f64);
            }
        });
        rate.unwrap_or(1.0)
    }

    /// Calls `visit` with the counts of positives and negatives of each run of equal scores, highest first.
    fn downwards(&self, counts: &[u32], mut visit: impl FnMut([u64; 2])) {
        let mut end = self.order.len();
        for start in self.ties.iter().rev().skip(1).copied().chain([0]) {
            visit(self.counted(&self.order[start..end], counts));
            end = start;
        }
    }

    /// Returns the sums of the counts of the positives and of the negatives among `samples`.
    fn counted(&self, samples: &[usize], counts: &[u32]) -> [u64; 2] {
        let mut found = [0, 0];
        for &sample in samples {
            found[usize::from(sample >= self.n_positive)] += u64::from(counts[sample]);
        }
        found
    }
}

/// The running sum of an average precision.
#[derive(Default)]
struct Precision {
    seen: u64,
    found: u64,
    area: f64,
}

impl Precision {
    fn add(&mut self, relevant: u64, others: u64) {
        self.seen += relevant + others;
        self.found += relevant;
        if relevant > 0 {
            self.area += relevant as f64 * (self.found as f64 / self.seen as f64);
        }
    }

    fn value(&self) -> f64 {
        self.area / self.found as f64
    }
}

/// Returns the area under the ROC curve, in [0, 1]; NaN if either side is empty. Ties count half.
///
/// The probability that a positive scores above a negative. Source: as [`Ranking::auroc`].
#[must_use]
pub fn auroc(positive: &[f64], negative: &[f64]) -> f64 {
    Ranking::of(positive, negative).auroc(&vec![1; positive.len() + negative.len()])
}

/// Returns the average precision (the area under the precision-recall curve, as steps), in [0, 1]; NaN without
/// positives.
///
/// Σ (R_k - R_{k-1}) P_k over the distinct scores, highest first; `average_precision_score` of scikit-learn.
#[must_use]
pub fn average_precision(positive: &[f64], negative: &[f64]) -> f64 {
    Ranking::of(positive, negative).average_precision(&vec![1; positive.len() + negative.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn the_areas_equal_scikit_learn() {
        // sklearn 1.9: roc_auc_score(in_scope, score), average_precision_score(in_scope, score)
        let fixture = &reference()["oos_auroc"];
        let scores: Vec<f64> = serde_json::from_value(fixture["score"].clone()).unwrap();
        let inside: Vec<u8> = serde_json::from_value(fixture["in_scope"].clone()).unwrap();
        let side = |expected: u8| -> Vec<f64> {
            scores.iter().zip(&inside).filter(|(_, i)| **i == expected).map(|(s, _)| *s).collect()
        };
        close(auroc(&side(1), &side(0)), fixture["auroc"].as_f64().unwrap());
        close(average_precision(&side(1), &side(0)), fixture["aupr"].as_f64().unwrap());
    }

    #[test]
    fn ties_count_half() {
        // sklearn 1.9: roc_auc_score([1,1,1,0,0], [.5,.5,.9,.5,.1]) is 0.8333333333333333,
        // average_precision_score of the same is 0.8333333333333333
        close(auroc(&[0.5, 0.5, 0.9], &[0.5, 0.1]), 5.0 / 6.0);
        close(average_precision(&[0.5, 0.5, 0.9], &[0.5, 0.1]), 1.0 / 3.0 + 2.0 / 3.0 * 0.75);
        close(auroc(&[0.5; 4], &[0.5; 3]), 0.5);
        close(auroc(&[0.0], &[-0.0]), 0.5);
    }

    #[test]
    fn exchanged_sides_mirror_the_area() {
        let (high, low) = ([0.3, 0.8, 0.9], [0.2, 0.4]);
        close(auroc(&high, &low) + auroc(&low, &high), 1.0);
        assert!(auroc(&high, &low) > 0.5);
    }

    #[test]
    fn a_count_of_two_equals_two_samples() {
        let (high, low) = ([0.3, 0.8, 0.9], [0.2, 0.4]);
        let weighted = Ranking::of(&high, &low).auroc(&[2, 0, 1, 1, 3]);
        close(weighted, auroc(&[0.3, 0.3, 0.9], &[0.2, 0.4, 0.4, 0.4]));
        assert!(Ranking::of(&high, &low).auroc(&[0, 0, 0, 1, 1]).is_nan());
    }

    #[test]
    fn an_asymmetric_case_with_ties_equals_scikit_learn() {
        // sklearn 1.9.1, pos = [((i*7)%23+5)/20 for i in range(25)], neg = [((i*5)%11)/20 for i in range(9)]:
        // roc_auc_score(y, s), average_precision_score(y, s), average_precision_score(1-y, -s),
        // fpr[argmax(tpr >= .95)] of roc_curve(y, s, drop_intermediate=False)
        let positive: Vec<f64> = (0..25_i32).map(|i| f64::from((i * 7) % 23 + 5) / 20.0).collect();
        let negative: Vec<f64> = (0..9_i32).map(|i| f64::from((i * 5) % 11) / 20.0).collect();
        let (ranking, once) = (Ranking::of(&positive, &negative), [1; 34]);
        close(ranking.auroc(&once), 0.906_666_666_666_666_7);
        close(ranking.average_precision(&once), 0.963_950_530_950_531);
        close(ranking.average_precision_of_negatives(&once), 0.781_283_068_783_069);
        close(ranking.false_positive_rate_at(0.95, &once), 5.0 / 9.0);
        // Every sample twice gives the same curve; without negatives there is no rate.
        close(ranking.false_positive_rate_at(0.95, &[2; 34]), 5.0 / 9.0);
        assert!(
            ranking.false_positive_rate_at(0.95, &[[1; 25].as_slice(), &[0; 9]].concat()).is_nan()
        );
        assert!(ranking.average_precision(&[0; 34]).is_nan());
    }

    #[test]
    fn the_false_positive_rate_of_the_reference_case_equals_scikit_learn() {
        // sklearn 1.9.1: as above on the fixture `oos_auroc`; average_precision_score(1-y, -s)
        let (positive, negative) = ([0.9, 0.8, 0.7, 0.65, 0.6], [0.75, 0.4, 0.3]);
        let ranking = Ranking::of(&positive, &negative);
        close(ranking.false_positive_rate_at(0.95, &[1; 8]), 1.0 / 3.0);
        close(ranking.average_precision_of_negatives(&[1; 8]), 5.0 / 6.0);
    }
}
