//! Multinomial logistic regression on dense rows, fitted by linfa.
//!
//! It minimises sum_i -log p(y_i | x_i) + 1/(2C) |W|^2, p = softmax(W x + b), b not penalised: linfa's objective with
//! alpha = 1 / C, which is also that of our sparse logistic regression. linfa computes on one thread, so the result does
//! not depend on the number of threads.

use super::{fit_request::TrainingSet, linear::LinearHead};
use botops_findings::{Fault, Result};
use linfa::{Dataset, traits::Fit as _};
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};

/// The default inverse strength of regularisation.
pub(crate) const C: f64 = 30.0;
/// The default tolerance.
pub(crate) const TOLERANCE: f64 = 1e-4;

/// Settings of the solver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DenseSpec {
    /// Inverse strength of regularisation, > 0.
    pub(crate) c: f64,
    /// The largest number of steps.
    pub(crate) max_iterations: usize,
    /// linfa stops when the norm of the gradient of the sum is at most this times n_samples.
    pub(crate) tolerance: f64,
}

/// Fits on `set`.
///
/// An intent without rows gets weights of 0, and an intercept below all others.
///
/// # Errors
/// `BOT-7051` (exit 1) if linfa cannot find a descent direction, or the weights are not finite.
pub(crate) fn fit(set: TrainingSet<'_>, spec: DenseSpec) -> Result<LinearHead> {
    let TrainingSet { x, rows, n_classes, .. } = set;
    let n_features = x.n_features();
    let mut records = Array2::<f32>::zeros((rows.len(), n_features));
    for (mut record, &row) in records.rows_mut().into_iter().zip(rows) {
        let (columns, values) = x.row(row as usize);
        for (&column, &value) in columns.iter().zip(values) {
            record[column as usize] = value;
        }
    }
    let targets: Array1<usize> = set.classes().map(|class| class as usize).collect();
    let failed = |error: linfa_logistic::error::Error| {
        Fault::internal("BOT-7051", format!("the logistic regression could not be fitted: {error}"))
            .hint("set a smaller `c`, or a larger `tolerance`, under `head:`")
            .caused_by(error)
    };
    let fitted = MultiLogisticRegression::default()
        .alpha((1.0 / spec.c) as f32)
        .max_iterations(spec.max_iterations as u64)
        .gradient_tolerance((spec.tolerance * rows.len() as f64) as f32)
        .fit(&Dataset::new(records, targets))
        .map_err(failed)?;
    let (weights, intercepts) = (fitted.params(), fitted.intercept());
    if weights.iter().chain(intercepts).any(|value| !value.is_finite()) {
        return Err(Fault::internal(
            "BOT-7051",
            "the logistic regression has weights that are not finite",
        )
        .hint("set a smaller `c` under `head:`"));
    }
    // linfa returns columns only for the intents that have rows, in rising order.
    let place: Vec<Option<usize>> =
        (0..n_classes).map(|class| fitted.classes().binary_search(&class).ok()).collect();
    let lowest = intercepts.iter().copied().fold(f32::INFINITY, f32::min);
    let unseen_intercept = lowest - (rows.len() as f32).ln();
    Ok(LinearHead::new(
        n_features,
        n_classes,
        |feature, class| place[class].map_or(0.0, |at| weights[[feature, at]]),
        |class| place[class].map_or(unseen_intercept, |at| intercepts[at]),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::head::{Head as _, HeadScratch};
    use botops_features::FeatureMatrix;

    #[test]
    fn the_solution_matches_scikit_learn() {
        // scikit-learn 1.9.1: LogisticRegression(C=2, tol=1e-12, max_iter=100000).fit(X, y).predict_proba(X), rows
        // 0 and 3.
        let x = [
            [0.5, -0.2, 0.8],
            [-0.6, 0.7, 0.1],
            [0.9, 0.1, 0.3],
            [-0.3, 0.9, -0.2],
            [0.1, 0.2, -0.9],
            [0.2, -0.8, -0.5],
        ];
        let mut matrix = FeatureMatrix::new(3);
        x.iter().for_each(|row| matrix.push_row((0..).zip(row.iter().copied())));
        let rows: Vec<u32> = (0..6).collect();
        let spec = DenseSpec { c: 2.0, max_iterations: 500, tolerance: 1e-7 };
        let y = [0, 1, 0, 1, 2, 2];
        let head = fit(TrainingSet { x: &matrix, rows: &rows, y: &y, n_classes: 4 }, spec).unwrap();
        for (row, expected) in EXPECTED {
            let row: Vec<(u32, f32)> = (0..).zip(x[row]).collect();
            let mut scores = vec![0.0; 4];
            head.scores(&row, &mut HeadScratch::default(), &mut scores);
            // The fourth intent has no row: it is never the likeliest.
            assert!(scores[3] < scores[..3].iter().copied().fold(f64::INFINITY, f64::min));
            scores.truncate(3);
            botops_stats::calibration::softmax(&mut scores, 1.0);
            for (p, expected) in scores.iter().zip(expected) {
                assert!((p - expected).abs() < 1e-4, "{scores:?} {expected}");
            }
        }
    }

    const EXPECTED: [(usize, [f64; 3]); 2] = [
        (0, [0.758_977_68, 0.126_168_61, 0.114_853_7]),
        (3, [0.125_900_66, 0.702_566_7, 0.171_532_64]),
    ];
}
