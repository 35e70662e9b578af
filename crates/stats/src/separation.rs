//! The separation of positives and negatives by a score, with intervals.

use super::{
    bootstrap::{Resampling, percentile_intervals},
    ranking::Ranking,
};
use serde::{Deserialize, Serialize};

/// An estimate and its interval, which always contains it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The 95 % interval.
    pub ci95: [f64; 2],
}

impl Estimate {
    /// Extends the interval to contain `value`: all percentiles of a biased bootstrap may lie on one side of it.
    #[must_use]
    pub fn holding(value: f64, [lower, upper]: [f64; 2]) -> Self {
        Self { value, ci95: [lower.min(value), upper.max(value)] }
    }
}

/// The separation of positives and negatives by a score that is higher for positives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Separation {
    /// The area under the ROC curve, in [0, 1]; 0.5 by chance.
    pub auroc: Estimate,
    /// The average precision of the positives, in [0, 1]; their share by chance.
    pub aupr: Estimate,
    /// The average precision of the negatives, in [0, 1]; their share by chance.
    pub aupr_negative: Estimate,
    /// The share of negatives accepted by the threshold that accepts 95 % of the positives, in [0, 1]; 0.95 by chance, 0
    /// at best.
    pub fpr95: Estimate,
}

/// Returns the separation of `positive` and `negative` scores; `None` if either is empty. Scores are finite.
///
/// Intervals are bootstrap percentiles. The two sides are resampled separately, so that no draw lacks one of them. The
/// formulas are those of [`Ranking`].
#[must_use]
pub fn separation(
    positive: &[f64],
    negative: &[f64],
    resampling: &Resampling,
) -> Option<Separation> {
    if positive.is_empty() || negative.is_empty() {
        return None;
    }
    let ranking = Ranking::of(positive, negative);
    let measured = |counts: &[u32]| {
        [
            ranking.auroc(counts),
            ranking.average_precision(counts),
            ranking.average_precision_of_negatives(counts),
            ranking.false_positive_rate_at(0.95, counts),
        ]
    };
    let strata = [positive.len(), negative.len()];
    let intervals = percentile_intervals(&strata, resampling, || (), |(), counts| measured(counts));
    let values = measured(&vec![1; positive.len() + negative.len()]);
    let [auroc, aupr, aupr_negative, fpr95] =
        std::array::from_fn(|i| Estimate::holding(values[i], intervals[i]));
    Some(Separation { auroc, aupr, aupr_negative, fpr95 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn values_equal_scikit_learn_and_lie_in_their_intervals() {
        // sklearn 1.9.1 on the fixture: roc_auc_score, average_precision_score, the same of (1-y, -s), fpr at tpr .95
        let fixture = &reference()["oos_auroc"];
        let (positive, negative) = ([0.9, 0.8, 0.7, 0.65, 0.6], [0.75, 0.4, 0.3]);
        let found = separation(&positive, &negative, &Resampling::default()).unwrap();
        for (estimate, expected) in [
            (found.auroc, fixture["auroc"].as_f64().unwrap()),
            (found.aupr, fixture["aupr"].as_f64().unwrap()),
            (found.aupr_negative, 5.0 / 6.0),
            (found.fpr95, 1.0 / 3.0),
        ] {
            let Estimate { value, ci95: [lower, upper] } = estimate;
            assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
            assert!(lower <= value && value <= upper && lower < upper, "{estimate:?}");
        }
        assert_eq!(separation(&positive, &[], &Resampling::default()), None);
        assert_eq!(separation(&[], &negative, &Resampling::default()), None);
    }
}
