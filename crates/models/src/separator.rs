//! A linear separator of two samples of texts, such as the reference and the current data of a comparison.

use crate::heads::{
    fit_request::TrainingSet,
    head::Head as _,
    logistic::{LogisticSpec, fit},
};
use botops_features::FeatureMatrix;

/// The largest number of rounds over the rows.
const ROUNDS: usize = 50;
/// The tolerance: the ranks of the scores are used, which need few digits.
const TOLERANCE: f64 = 1e-3;

/// A logistic regression that tells rows of a second sample from those of a first.
#[derive(Debug, Clone)]
pub struct Separator {
    /// The weight of each feature, `[n_features]`; positive for the second sample.
    weights: Vec<f32>,
    intercept: f32,
}

impl Separator {
    /// Fits on `rows` of `x`; `is_second[row]` is 1 for the second sample and 0 for the first.
    ///
    /// `c` is the inverse strength of the regularisation, above 0. Both samples have the same weight in all. Returns `None`
    /// if one of them has no row. The result does not depend on the number of threads.
    #[must_use]
    pub fn fit(x: &FeatureMatrix, rows: &[u32], is_second: &[u32], c: f64) -> Option<Self> {
        let n_second: f64 = rows.iter().map(|&row| f64::from(is_second[row as usize])).sum();
        let n_first = rows.len() as f64 - n_second;
        if n_first == 0.0 || n_second == 0.0 {
            return None;
        }
        let balanced = |n: f64| (rows.len() as f64 / (2.0 * n)) as f32;
        let spec = LogisticSpec {
            c,
            class_weight: vec![balanced(n_first), balanced(n_second)],
            max_iterations: ROUNDS,
            tolerance: Some(TOLERANCE),
            seed: 17,
        };
        let head = fit(TrainingSet { x, rows, y: is_second, n_classes: 2 }, &spec, &|_| {});
        let difference = |of: &dyn Fn(usize) -> Option<f64>| {
            (of(1).unwrap_or(0.0) - of(0).unwrap_or(0.0)) as f32
        };
        let weights = (0..x.n_features() as u32)
            .map(|feature| difference(&|class| head.contribution(feature, 1.0, class)))
            .collect();
        Some(Self { weights, intercept: difference(&|class| head.intercept(class)) })
    }

    /// Returns the log odds that a row is of the second sample, for samples of equal size.
    #[must_use]
    pub fn score(&self, (columns, values): (&[u32], &[f32])) -> f64 {
        let terms = columns.iter().zip(values);
        let sum: f64 = terms
            .map(|(&column, &value)| f64::from(self.weights[column as usize]) * f64::from(value))
            .sum();
        sum + f64::from(self.intercept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_second_sample_have_positive_scores() {
        let mut x = FeatureMatrix::new(3);
        for i in 0..40_u32 {
            let own = if i % 4 == 0 { 1 } else { 0 };
            x.push_row([(own, 0.8), (2, 0.6)]);
        }
        let is_second: Vec<u32> = (0..40).map(|i| u32::from(i % 4 == 0)).collect();
        let rows: Vec<u32> = (0..40).collect();
        let separator = Separator::fit(&x, &rows, &is_second, 1.0).unwrap();
        assert!(rows.iter().all(|&row| {
            (separator.score(x.row(row as usize)) > 0.0) == (is_second[row as usize] == 1)
        }));
        assert!(Separator::fit(&x, &[0, 4], &is_second, 1.0).is_none());
        assert!(Separator::fit(&x, &[], &is_second, 1.0).is_none());
    }
}
