//! The counts of each fold of a cross-validation, and scores over several folds.

use crate::{
    metrics::{Better, Metric, estimate, proportion},
    uncertainty::{self, Sample},
};
use botops_models::HeldOut;
use botops_stats::{
    bootstrap::Resampling,
    classification::{ConfusionMatrix, Labeled},
    paired::{ResampledMean, corrected_resampled_t},
    reliability::negative_log_likelihood,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A metric by which configurations are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// The share of records with the right prediction.
    #[default]
    Accuracy,
    /// The mean F1 of the intents present in truth or predicted.
    MacroF1,
    /// The mean negative log likelihood of the truth, in nats.
    LogLoss,
}

impl MetricName {
    /// All metrics.
    pub const ALL: [Self; 3] = [Self::Accuracy, Self::MacroF1, Self::LogLoss];

    /// Returns the name as written in YAML and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::MacroF1 => "macro_f1",
            Self::LogLoss => "log_loss",
        }
    }

    /// Returns the direction in which the metric is better.
    #[must_use]
    pub fn better(self) -> Better {
        match self {
            Self::Accuracy | Self::MacroF1 => Better::Higher,
            Self::LogLoss => Better::Lower,
        }
    }

    /// Returns `value`, negated if lower is better, so that a higher gain is always better.
    #[must_use]
    pub fn gain(self, value: f64) -> f64 {
        match self.better() {
            Better::Higher => value,
            Better::Lower => -value,
        }
    }
}

/// The predictions for the records of one fold, as counts; the model was fitted without these records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldOutcome {
    /// The index of the fold, from 0.
    pub fold: u32,
    /// The number of training records.
    pub n_train: u64,
    /// Counts `[truth, predicted, records]`, in ascending order; intents by their index.
    pub cells: Vec<[u64; 3]>,
    /// The sum of the negative log likelihoods of the truth, in nats.
    pub loss: f64,
    /// The sum of the squares of these negative log likelihoods.
    pub loss_squares: f64,
}

impl FoldOutcome {
    /// Counts the predictions of a held-out fold; `temperature(i)` is the temperature of record `i`, fitted without it.
    #[must_use]
    pub fn of(held_out: &HeldOut, temperature: impl Fn(usize) -> f64) -> Self {
        let mut cells: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        let (mut loss, mut loss_squares) = (0.0, 0.0);
        for (i, &truth) in held_out.truth.iter().enumerate() {
            let (prediction, proba) = held_out.predict(i, temperature(i), 0.0);
            *cells.entry((truth as u64, prediction.intent as u64)).or_default() += 1;
            let surprise = negative_log_likelihood(proba[truth]);
            loss += surprise;
            loss_squares += surprise * surprise;
        }
        Self {
            fold: held_out.fold,
            n_train: held_out.n_train as u64,
            cells: cells.into_iter().map(|((truth, predicted), n)| [truth, predicted, n]).collect(),
            loss,
            loss_squares,
        }
    }

    /// Returns the number of held-out records.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.cells.iter().map(|[_, _, n]| n).sum()
    }

    /// Returns the metric `name` on this fold; 0 without records.
    #[must_use]
    pub fn score(&self, name: MetricName) -> f64 {
        score(std::slice::from_ref(self), name)
    }
}

/// Returns the metric `name` over all records of `folds` together; 0 without records.
#[must_use]
pub fn score(folds: &[FoldOutcome], name: MetricName) -> f64 {
    let n: u64 = folds.iter().map(FoldOutcome::n).sum();
    if n == 0 {
        return 0.0;
    }
    match name {
        MetricName::LogLoss => folds.iter().map(|fold| fold.loss).sum::<f64>() / n as f64,
        MetricName::Accuracy => n_right(folds) as f64 / n as f64,
        MetricName::MacroF1 => matrix(folds).macro_average().f1,
    }
}

/// Returns the metrics of all records of `folds` together, with 95 % intervals: Wilson for accuracy, percentile
/// bootstrap for macro F1, normal for the mean log loss. The intervals describe the variation over records, for fixed
/// models.
#[must_use]
pub fn pooled(folds: &[FoldOutcome]) -> BTreeMap<String, Metric> {
    let n: u64 = folds.iter().map(FoldOutcome::n).sum();
    let matrix = matrix(folds);
    let samples: Vec<Sample> = folds
        .iter()
        .flat_map(|fold| &fold.cells)
        .flat_map(|&[truth, predicted, n]| {
            let labeled = Labeled { truth: truth as usize, predicted: predicted as usize };
            (0..n).map(move |_| Sample { labeled, confidence: 1.0, probability_of_truth: 1.0 })
        })
        .collect();
    let macro_f1 = score(folds, MetricName::MacroF1);
    let interval =
        uncertainty::intervals(matrix.n_classes(), &samples, &Resampling::default()).macro_f1;
    let mean = score(folds, MetricName::LogLoss);
    let squares = folds.iter().map(|fold| fold.loss_squares).sum::<f64>() / n.max(1) as f64;
    // 1.96: the normal quantile of 0.975.
    let radius =
        1.959_963_984_540_054 * ((squares - mean * mean).max(0.0) / n.max(1) as f64).sqrt();
    BTreeMap::from([
        (MetricName::Accuracy.name().to_owned(), proportion(n_right(folds), n)),
        (MetricName::MacroF1.name().to_owned(), estimate(macro_f1, interval, n)),
        (
            MetricName::LogLoss.name().to_owned(),
            Metric { value: mean, ci95: [(mean - radius).max(0.0), mean + radius], n },
        ),
    ])
}

/// The difference between two configurations on the same folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldComparison {
    /// The metric.
    pub metric: MetricName,
    /// The mean over folds of the first's score minus the second's, with the corrected resampled t-test.
    pub difference: ResampledMean,
    /// The difference on each fold.
    pub folds: Vec<f64>,
}

/// Compares two configurations on the same folds; `None` for fewer than two folds.
///
/// # Panics
/// When the folds differ, which is a bug of the caller.
#[must_use]
pub(crate) fn compare_folds(
    first: &[FoldOutcome],
    second: &[FoldOutcome],
    metric: MetricName,
) -> Option<FoldComparison> {
    assert!(
        first.iter().map(|fold| fold.fold).eq(second.iter().map(|fold| fold.fold)),
        "both configurations have the same folds"
    );
    let folds: Vec<f64> =
        first.iter().zip(second).map(|(a, b)| a.score(metric) - b.score(metric)).collect();
    let difference = corrected_resampled_t(&folds, test_train_ratio(first))?;
    Some(FoldComparison { metric, difference, folds })
}

/// Returns the ratio of held-out records to training records.
#[must_use]
pub(crate) fn test_train_ratio(folds: &[FoldOutcome]) -> f64 {
    let n_test: u64 = folds.iter().map(FoldOutcome::n).sum();
    let n_train: u64 = folds.iter().map(|fold| fold.n_train).sum();
    n_test as f64 / n_train.max(1) as f64
}

fn n_right(folds: &[FoldOutcome]) -> u64 {
    let right = |[truth, predicted, _]: &&[u64; 3]| truth == predicted;
    folds.iter().flat_map(|fold| fold.cells.iter().filter(right)).map(|[_, _, n]| n).sum()
}

fn matrix(folds: &[FoldOutcome]) -> ConfusionMatrix {
    let cells = || folds.iter().flat_map(|fold| &fold.cells);
    let n_classes =
        cells().map(|[truth, predicted, _]| truth.max(predicted) + 1).max().unwrap_or(0);
    let samples = cells().flat_map(|&[truth, predicted, n]| {
        let labeled = Labeled { truth: truth as usize, predicted: predicted as usize };
        (0..n).map(move |_| labeled)
    });
    ConfusionMatrix::of(n_classes as usize, samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(fold: u32, cells: &[[u64; 3]], losses: &[f64]) -> FoldOutcome {
        FoldOutcome {
            fold,
            n_train: 40,
            cells: cells.to_vec(),
            loss: losses.iter().sum(),
            loss_squares: losses.iter().map(|loss| loss * loss).sum(),
        }
    }

    #[test]
    fn folds_are_pooled_over_records() {
        let folds = [
            fold(0, &[[0, 0, 6], [1, 0, 2], [1, 1, 2]], &[0.1; 10]),
            fold(1, &[[0, 1, 1], [1, 1, 4]], &[0.4; 5]),
        ];
        // By hand: 12 of 15; class 0 has F1 2*6/(12+1+2), class 1 2*6/(12+1+2).
        assert!((score(&folds, MetricName::Accuracy) - 0.8).abs() < 1e-12);
        assert!((score(&folds, MetricName::MacroF1) - 0.8).abs() < 1e-12);
        assert!((score(&folds, MetricName::LogLoss) - 0.2).abs() < 1e-12);
        // In the second fold alone, class 0 is never predicted correctly: F1 is 0 and 8/9.
        assert!((folds[1].score(MetricName::MacroF1) - 4.0 / 9.0).abs() < 1e-12);
        let metrics = pooled(&folds);
        let loss = metrics["log_loss"];
        // The standard deviation of ten 0.1 and five 0.4 is sqrt(0.02); 0.2 -+ 1.96 * sqrt(0.02 / 15).
        assert!((loss.ci95[0] - (0.2 - 1.959_964 * (0.02_f64 / 15.0).sqrt())).abs() < 1e-6);
        let macro_f1 = metrics["macro_f1"];
        assert!(macro_f1.ci95[0] < 0.8 && macro_f1.ci95[1] > 0.8 && macro_f1.n == 15);
        assert_eq!(metrics["accuracy"].ci95, botops_stats::intervals::wilson(12, 15, 0.95));
    }

    #[test]
    fn configurations_are_compared_fold_by_fold() {
        let of = |rights: [u64; 3]| -> Vec<FoldOutcome> {
            let outcome = |(i, right): (usize, u64)| {
                fold(i as u32, &[[0, 0, right], [0, 1, 20 - right]], &[0.1; 20])
            };
            rights.into_iter().enumerate().map(outcome).collect()
        };
        let found =
            compare_folds(&of([18, 17, 19]), &of([17, 17, 17]), MetricName::Accuracy).unwrap();
        assert_eq!(found.folds.len(), 3);
        assert!((found.difference.mean - 0.05).abs() < 1e-12);
        // By hand: differences 1/20, 0, 2/20; s = 0.05; (1/3 + 20/40) s^2.
        assert!((found.difference.standard_error - 0.05 * (5.0_f64 / 6.0).sqrt()).abs() < 1e-12);
        assert_eq!(
            compare_folds(&of([1, 2, 3])[..1], &of([1, 2, 3])[..1], MetricName::LogLoss),
            None
        );
    }

    #[test]
    fn a_lower_log_loss_is_a_gain() {
        assert!(MetricName::LogLoss.gain(0.2) > MetricName::LogLoss.gain(0.3));
        assert!(MetricName::Accuracy.gain(0.3) > MetricName::Accuracy.gain(0.2));
    }
}
