//! Learning curves: the metrics of a configuration by amount of training data, and a forecast for twice the data.

use crate::{
    cross_validation::judge_folds,
    folds::{FoldComparison, FoldOutcome, MetricName, compare_folds, pooled, test_train_ratio},
    metrics::Metric,
};
use botops_findings::Result;
use botops_models::{CrossValidator, ModelSpec, Progress};
use botops_spec::Checked;
use botops_stats::{
    paired::{ResampledMean, corrected_resampled_t},
    power_law::PowerLaw,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The shares of the training records: each about 1.6 times the one before, which spaces the points of a power law
/// evenly; together they cost about three cross-validations.
pub(crate) const SHARES: [f64; 6] = [0.1, 0.16, 0.25, 0.4, 0.63, 1.0];

/// The metrics of a configuration on growing shares of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningCurve {
    /// `botops.learning_curve/1`.
    pub schema: String,
    /// One point for each share, in ascending order.
    pub points: Vec<CurvePoint>,
    /// Accuracy with all records minus accuracy with the share [`LearningCurve::before`], fold by fold.
    pub last_gain: FoldComparison,
    /// The share that the last gain starts from.
    pub before: f64,
    /// The forecast for twice the records.
    pub outlook: Outlook,
}

/// The result for one share of the records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The share of each intent's records outside the fold, in (0, 1].
    pub share: f64,
    /// The number of training records: the mean over folds.
    pub n_train: u64,
    /// The metrics of the held-out records, with intervals.
    pub metrics: BTreeMap<String, Metric>,
    /// The accuracy of each fold.
    pub folds: Vec<f64>,
}

/// The forecast for twice the records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// The curve is regular enough to be extrapolated.
    Foretold {
        /// The number of training records.
        n_train: u64,
        /// The extrapolated accuracy, with an interval from the curves of the folds.
        accuracy: ResampledMean,
    },
    /// The curve cannot be extrapolated, for this reason.
    Open(String),
}

/// Cross-validates `spec` on growing shares of the records.
///
/// # Errors
/// Those of [`CrossValidator::held_out`].
pub fn learning_curve(
    validator: &CrossValidator<'_>,
    spec: &Checked<ModelSpec>,
    at_once: usize,
    progress: &dyn Progress,
) -> Result<LearningCurve> {
    let mut outcomes: Vec<Vec<FoldOutcome>> = Vec::with_capacity(SHARES.len());
    for share in SHARES {
        let folds = 0..validator.n_folds();
        let held_out = validator.held_out(spec, folds, share, at_once, progress)?;
        outcomes.push(judge_folds(&held_out));
    }
    Ok(curve(&outcomes))
}

/// Makes the curve from the outcomes of each of [`SHARES`].
fn curve(outcomes: &[Vec<FoldOutcome>]) -> LearningCurve {
    let points: Vec<CurvePoint> = SHARES
        .iter()
        .zip(outcomes)
        .map(|(&share, folds)| {
            let n_train: u64 = folds.iter().map(|fold| fold.n_train).sum();
            CurvePoint {
                share,
                n_train: (n_train as f64 / folds.len() as f64).round() as u64,
                metrics: pooled(folds),
                folds: folds.iter().map(|fold| fold.score(MetricName::Accuracy)).collect(),
            }
        })
        .collect();
    let (last, before) = (SHARES.len() - 1, SHARES.len() - 2);
    let last_gain = compare_folds(&outcomes[last], &outcomes[before], MetricName::Accuracy)
        .expect("a cross-validation has at least two folds");
    let outlook = outlook(&points, test_train_ratio(&outcomes[last]));
    let schema = "botops.learning_curve/1".to_owned();
    LearningCurve { schema, points, last_gain, before: SHARES[before], outlook }
}

/// Extrapolates the curve, if the points before the last one predict the last one.
fn outlook(points: &[CurvePoint], test_train_ratio: f64) -> Outlook {
    let errors = |of: &dyn Fn(&CurvePoint) -> f64| -> Vec<(f64, f64)> {
        points.iter().map(|point| (point.n_train as f64, 1.0 - of(point))).collect()
    };
    let accuracy = |point: &CurvePoint| point.metrics[MetricName::Accuracy.name()];
    let all = errors(&|point| accuracy(point).value);
    let (Some(last), Some((end, earlier))) = (points.last(), all.split_last()) else {
        return Outlook::Open("the curve has no points".to_owned());
    };
    if points.iter().any(|point| point.n_train < 20) {
        return Outlook::Open("the smallest share has too few records".to_owned());
    }
    let Some(before) = PowerLaw::fit(earlier) else {
        return Outlook::Open("the curve has too few points".to_owned());
    };
    let expected = 1.0 - before.error(end.0);
    let [lower, upper] = accuracy(last).ci95;
    if !(lower..=upper).contains(&expected) {
        return Outlook::Open(format!(
            "the smaller shares predict {expected:.3} for the last one, but its accuracy is {:.3}: the curve is not \
             regular enough to be extrapolated",
            1.0 - end.1
        ));
    }
    let n_train = 2 * last.n_train;
    let by_fold: Vec<f64> = (0..last.folds.len())
        .filter_map(|fold| PowerLaw::fit(&errors(&|point| point.folds[fold])))
        .map(|law| 1.0 - law.error(n_train as f64))
        .collect();
    match corrected_resampled_t(&by_fold, test_train_ratio) {
        Some(accuracy) => {
            let ci95 = accuracy.ci95.map(|end| end.clamp(0.0, 1.0));
            Outlook::Foretold { n_train, accuracy: ResampledMean { ci95, ..accuracy } }
        }
        None => Outlook::Open("the cross-validation has too few folds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five folds of 200 records each, with the number of right predictions at each share.
    fn outcomes(rights: [[u64; 5]; 6]) -> Vec<Vec<FoldOutcome>> {
        let fold = |share: f64, (fold, right): (usize, u64)| FoldOutcome {
            fold: fold as u32,
            n_train: (800.0 * share) as u64,
            cells: vec![[0, 0, right], [0, 1, 200 - right]],
            loss: 1.0,
            loss_squares: 1.0,
        };
        let folds = |(share, rights): (f64, [u64; 5])| {
            rights.into_iter().enumerate().map(|right| fold(share, right)).collect()
        };
        SHARES.into_iter().zip(rights).map(folds).collect()
    }

    #[test]
    fn a_regular_curve_is_extrapolated_with_an_interval() {
        // error = 0.05 + 2 / sqrt(n), roughly: 0.27 at 80, 0.12 at 800.
        let rights = [0.1, 0.16, 0.25, 0.4, 0.63, 1.0]
            .map(|share: f64| 200.0 * (0.95 - 2.0 / (800.0 * share).sqrt()))
            .map(|right| [0, 1, 2, 1, 0].map(|extra| right.round() as u64 + extra));
        let found = curve(&outcomes(rights));
        let Outlook::Foretold { n_train, accuracy } = &found.outlook else {
            panic!("{:?}", found.outlook)
        };
        assert_eq!(*n_train, 1_600);
        // By hand: 0.95 - 2 / 40 = 0.9, plus 0.8 of 200 records.
        assert!((accuracy.mean - 0.904).abs() < 0.006, "{accuracy:?}");
        assert!(accuracy.ci95[0] < accuracy.mean && accuracy.mean < accuracy.ci95[1]);
        assert!(found.last_gain.difference.mean > 0.0);
        assert_eq!(found.points[5].n_train, 800);
    }

    #[test]
    fn a_curve_with_a_jump_is_not_extrapolated() {
        let rights = [[100; 5], [101; 5], [102; 5], [103; 5], [104; 5], [180; 5]];
        let Outlook::Open(reason) = curve(&outcomes(rights)).outlook else {
            panic!("extrapolated")
        };
        assert!(reason.contains("0.900"), "{reason}");
    }
}
