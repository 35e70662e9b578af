//! How well a score ranks positives above negatives.

/// Positives and negatives in the order of their scores, ready to be measured under many weightings.
///
/// - `order` holds every sample once: positives by their index, negatives by `n_positive` + theirs
/// - scores rise along `order`; `ties` holds the end of each run of equal scores
#[derive(Debug, Clone)]
pub struct Ranking {
    n_positive: usize,
    order: Vec<usize>,
    ties: Vec<usize>,
}

impl Ranking {
    /// Sorts the scores; they are finite (NaN sorts last).
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

    /// Returns the area under the ROC curve when sample i counts `counts[i]` times (positives first,
    /// then negatives), in [0, 1]; NaN when either side counts nothing.
    ///
    /// P(positive above negative) + P(equal) / 2. Source: Mann and Whitney, 1947; Hanley and `McNeil`, 1982.
    ///
    /// # Panics
    /// When `counts` is shorter than the samples.
    #[must_use]
    pub fn auroc(&self, counts: &[u32]) -> f64 {
        let (mut below, mut twice, mut positives) = (0_u64, 0_u64, 0_u64);
        let mut start = 0;
        for &end in &self.ties {
            let (mut here_positive, mut here_negative) = (0_u64, 0_u64);
            for &sample in &self.order[start..end] {
                let count = u64::from(counts[sample]);
                if sample < self.n_positive {
                    here_positive += count;
                } else {
                    here_negative += count;
                }
            }
            twice += here_positive * (2 * below + here_negative);
            positives += here_positive;
            below += here_negative;
            start = end;
        }
        twice as f64 / 2.0 / (positives as f64 * below as f64)
    }
}

/// Returns the area under the ROC curve, in [0, 1]; NaN when either side is empty. Ties count half.
///
/// The probability that a positive scores above a negative. Source: as [`Ranking::auroc`].
#[must_use]
pub fn auroc(positive: &[f64], negative: &[f64]) -> f64 {
    Ranking::of(positive, negative).auroc(&vec![1; positive.len() + negative.len()])
}

/// Returns the average precision (area under the precision-recall curve, as steps), in [0, 1]; NaN
/// without positives.
///
/// Σ (R_k - R_{k-1}) P_k over the distinct scores, the highest first; scikit-learn's
/// `average_precision_score`.
#[must_use]
pub fn average_precision(positive: &[f64], negative: &[f64]) -> f64 {
    let ranking = Ranking::of(positive, negative);
    let (mut seen, mut found, mut area) = (0_u64, 0_u64, 0.0);
    let mut end = ranking.order.len();
    let starts = ranking.ties.iter().rev().skip(1).copied().chain([0]);
    for start in starts {
        let run = &ranking.order[start..end];
        let hits = run.iter().filter(|&&sample| sample < ranking.n_positive).count() as u64;
        seen += run.len() as u64;
        found += hits;
        if hits > 0 {
            area += hits as f64 * (found as f64 / seen as f64);
        }
        end = start;
    }
    area / positive.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::reference;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    }

    #[test]
    fn the_areas_are_those_of_scikit_learn() {
        // sklearn 1.9: roc_auc_score(in_scope, score), average_precision_score(in_scope, score)
        let fixture = &reference()["oos_auroc"];
        let scores: Vec<f64> = serde_json::from_value(fixture["score"].clone()).unwrap();
        let inside: Vec<u8> = serde_json::from_value(fixture["in_scope"].clone()).unwrap();
        let side = |wanted: u8| -> Vec<f64> {
            scores.iter().zip(&inside).filter(|(_, i)| **i == wanted).map(|(s, _)| *s).collect()
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
    fn counting_twice_is_having_twice() {
        let (high, low) = ([0.3, 0.8, 0.9], [0.2, 0.4]);
        let weighted = Ranking::of(&high, &low).auroc(&[2, 0, 1, 1, 3]);
        close(weighted, auroc(&[0.3, 0.3, 0.9], &[0.2, 0.4, 0.4, 0.4]));
        assert!(Ranking::of(&high, &low).auroc(&[0, 0, 0, 1, 1]).is_nan());
    }
}
