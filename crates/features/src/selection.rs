//! Selection of the terms that separate intents best.

use crate::matrix::FeatureMatrix;

/// Returns the chi-square statistic of each column and the intents over `rows` of `x`: `[n_features]`; 0 for an empty column.
///
/// `y[row]` is the intent of a row, below `n_classes`; values are at least 0.
/// chi2_j = sum_k (O_jk - E_jk)^2 / E_jk, where O_jk is the sum of column j over the rows of intent k and
/// E_jk = n_k / n * sum_k O_jk.
/// Source: scikit-learn, `feature_selection.chi2`.
#[must_use]
pub fn chi_square(x: &FeatureMatrix, rows: &[u32], y: &[u32], n_classes: usize) -> Vec<f64> {
    let mut of_class: Vec<Vec<u32>> = vec![Vec::new(); n_classes];
    let mut total = vec![0.0_f64; x.n_features()];
    for &row in rows {
        of_class[y[row as usize] as usize].push(row);
        let (columns, values) = x.row(row as usize);
        for (&column, &value) in columns.iter().zip(values) {
            total[column as usize] += f64::from(value);
        }
    }
    // An intent without the term adds (0 - E)^2 / E = E. Start with the sum of all E, which is the total, and
    // correct it for the intents that have the term.
    let mut chi2 = total.clone();
    let mut observed = vec![0.0_f64; x.n_features()];
    let mut with_term = Vec::new();
    for rows_of_class in of_class.iter().filter(|rows| !rows.is_empty()) {
        let share = rows_of_class.len() as f64 / rows.len() as f64;
        for &row in rows_of_class {
            let (columns, values) = x.row(row as usize);
            for (&column, &value) in columns.iter().zip(values).filter(|(_, value)| **value > 0.0) {
                let sum = &mut observed[column as usize];
                if *sum == 0.0 {
                    with_term.push(column as usize);
                }
                *sum += f64::from(value);
            }
        }
        for column in with_term.drain(..) {
            let expected = share * total[column];
            let sum = std::mem::take(&mut observed[column]);
            chi2[column] += (sum - expected).powi(2) / expected - expected;
        }
    }
    chi2
}

/// Returns the `k` columns with the largest scores, in rising order; all columns if there are at most `k`.
///
/// Among equal scores the last columns are kept, as in scikit-learn's `SelectKBest`.
#[must_use]
pub fn strongest(scores: &[f64], k: usize) -> Vec<u32> {
    let mut columns: Vec<u32> = (0..scores.len() as u32).collect();
    if k < columns.len() {
        columns.sort_unstable_by(|&a, &b| {
            scores[b as usize].total_cmp(&scores[a as usize]).then(b.cmp(&a))
        });
        columns.truncate(k);
        columns.sort_unstable();
    }
    columns
}
