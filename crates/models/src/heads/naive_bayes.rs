//! Complement naive Bayes: the rarer a term is in the other intents, the more it counts for an intent.
//!
//! weight_jk = -ln((N_j - N_jk + alpha) / sum_j' (N_j' - N_j'k + alpha)), where N_jk is the sum of feature j over the
//! rows of intent k and N_j its sum over all rows. A score is the sum of x_j weight_jk, without an intercept.
//! Source: Rennie, Shih, Teevan, Karger, "Tackling the Poor Assumptions of Naive Bayes Text Classifiers", ICML 2003;
//! scikit-learn's `ComplementNB(norm=False)`.

use super::{fit_request::TrainingSet, linear::LinearHead};

/// Fits on `set`, whose values must be 0 or more.
///
/// `alpha` > 0 is added to every sum. `class_weight` `[n_classes]` is the weight of a row of each intent, as
/// scikit-learn's `sample_weight`.
pub(crate) fn fit(set: TrainingSet<'_>, alpha: f64, class_weight: &[f32]) -> LinearHead {
    let TrainingSet { x, rows, y, n_classes } = set;
    let n_features = x.n_features();
    let mut of_class: Vec<Vec<u32>> = vec![Vec::new(); n_classes];
    for &row in rows {
        of_class[y[row as usize] as usize].push(row);
    }
    let sum_into = |sums: &mut [f64], class: usize| {
        for &row in &of_class[class] {
            let (columns, values) = x.row(row as usize);
            for (&column, &value) in columns.iter().zip(values) {
                sums[column as usize] += f64::from(class_weight[class]) * f64::from(value);
            }
        }
    };
    let mut all = vec![0.0_f64; n_features];
    for class in 0..n_classes {
        sum_into(&mut all, class);
    }
    let mut weights = vec![0.0_f32; n_features * n_classes];
    let mut own = vec![0.0_f64; n_features];
    for class in 0..n_classes {
        own.fill(0.0);
        sum_into(&mut own, class);
        // Rounding can make the difference negative.
        let complement = |feature: usize| (all[feature] - own[feature]).max(0.0) + alpha;
        let log_of_sum = (0..n_features).map(complement).sum::<f64>().ln();
        for (feature, row) in weights.chunks_exact_mut(n_classes).enumerate() {
            row[class] = (log_of_sum - complement(feature).ln()) as f32;
        }
    }
    LinearHead::of(weights, vec![0.0; n_classes])
}
