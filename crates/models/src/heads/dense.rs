//! Multinomial logistic regression on dense rows, by linfa.
//!
//! It minimises sum_i -log p(y_i | x_i) + 1/(2C) |W|^2, p = softmax(W x + b), b not penalised: linfa's objective with
//! alpha = 1 / C, and that of our sparse logistic regression. linfa computes with whole matrices, on one thread, so
//! that the number of threads changes nothing.

use super::linear::LinearHead;
use botops_features::FeatureMatrix;
use botops_findings::{Fault, Result};
use linfa::{Dataset, traits::Fit as _};
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};

/// Inverse strength of regularisation where none is asked for.
pub(crate) const C: f64 = 30.0;
/// When to stop, where nothing else is asked for.
pub(crate) const TOLERANCE: f64 = 1e-4;

/// How to fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DenseSpec {
    /// Inverse strength of regularisation, > 0.
    pub(crate) c: f64,
    /// The most steps.
    pub(crate) max_iterations: usize,
    /// Stop when the gradient of the sum is no longer than this times n_samples.
    pub(crate) tolerance: f64,
}

/// Fits on `rows` of `x`, whose intents are `y[row]`.
///
/// linfa stops when the gradient of the sum is no longer than tolerance * n_samples. An intent without a row among
/// `rows` gets no weights, and an intercept below all others: it never was.
///
/// # Errors
/// `BOT-7051` (exit 1) when linfa finds no way down.
pub(crate) fn fit(
    x: &FeatureMatrix,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: DenseSpec,
) -> Result<LinearHead> {
    let n_features = x.n_features();
    let mut records = Array2::<f32>::zeros((rows.len(), n_features));
    for (mut record, &row) in records.rows_mut().into_iter().zip(rows) {
        let (columns, values) = x.row(row as usize);
        for (&column, &value) in columns.iter().zip(values) {
            record[column as usize] = value;
        }
    }
    let targets: Array1<usize> = rows.iter().map(|&row| y[row as usize] as usize).collect();
    let refused = |error: linfa_logistic::error::Error| {
        Fault::internal("BOT-7051", format!("the logistic regression could not be fitted: {error}"))
            .hint("ask for less: a smaller `c`, or a larger `tolerance`, under `head:`")
            .caused_by(error)
    };
    let fitted = MultiLogisticRegression::default()
        .alpha((1.0 / spec.c) as f32)
        .max_iterations(spec.max_iterations as u64)
        .gradient_tolerance((spec.tolerance * rows.len() as f64) as f32)
        .fit(&Dataset::new(records, targets))
        .map_err(refused)?;
    let (weights, intercepts) = (fitted.params(), fitted.intercept());
    if weights.iter().chain(intercepts).any(|value| !value.is_finite()) {
        return Err(Fault::internal("BOT-7051", "the logistic regression ran out of numbers")
            .hint("ask for less: a smaller `c` under `head:`"));
    }
    // linfa knows the intents it saw, in their order.
    let place: Vec<Option<usize>> =
        (0..n_classes).map(|class| fitted.classes().binary_search(&class).ok()).collect();
    let lowest = intercepts.iter().copied().fold(f32::INFINITY, f32::min);
    let unseen = lowest - (rows.len() as f32).ln();
    Ok(LinearHead::new(
        n_features,
        n_classes,
        |feature, class| place[class].map_or(0.0, |at| weights[[feature, at]]),
        |class| place[class].map_or(unseen, |at| intercepts[at]),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::head::{Head as _, HeadScratch};

    #[test]
    fn the_solution_is_that_of_scikit_learn() {
        // scikit-learn 1.9.1: LogisticRegression(C=2, tol=1e-12, max_iter=100000).fit(X, y).predict_proba(X), the rows
        // of index 0 and 3.
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
        let head = fit(&matrix, &rows, &[0, 1, 0, 1, 2, 2], 4, spec).unwrap();
        for (row, wanted) in WANTED {
            let row: Vec<(u32, f32)> = (0..).zip(x[row]).collect();
            let mut scores = vec![0.0; 4];
            head.scores(&row, &mut HeadScratch::default(), &mut scores);
            // The fourth intent has no row: it is never the likeliest.
            assert!(scores[3] < scores[..3].iter().copied().fold(f64::INFINITY, f64::min));
            scores.truncate(3);
            botops_stats::calibration::softmax(&mut scores, 1.0);
            for (p, wanted) in scores.iter().zip(wanted) {
                assert!((p - wanted).abs() < 1e-4, "{scores:?} {wanted}");
            }
        }
    }

    const WANTED: [(usize, [f64; 3]); 2] = [
        (0, [0.758_977_68, 0.126_168_61, 0.114_853_7]),
        (3, [0.125_900_66, 0.702_566_7, 0.171_532_64]),
    ];
}
