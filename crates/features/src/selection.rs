//! The terms that tell intents apart best.

use super::FeatureMatrix;

/// Returns the chi-square between each column and the intents, over `rows` of `x`: `[n_features]`; 0 for an empty column.
///
/// `y[row]` is the intent of a row, below `n_classes`; values are 0 or more.
/// chi2_j = sum_k (O_jk - E_jk)^2 / E_jk, O_jk the sum of column j over the rows of intent k, E_jk = n_k / n * sum_k O_jk.
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
    // An intent without the term adds (0 - E)^2 / E = E, so that only those with it need a look: the sum of all E
    // is the total.
    let mut chi2 = total.clone();
    let mut observed = vec![0.0_f64; x.n_features()];
    let mut met = Vec::new();
    for rows_of_class in of_class.iter().filter(|rows| !rows.is_empty()) {
        let share = rows_of_class.len() as f64 / rows.len() as f64;
        for &row in rows_of_class {
            let (columns, values) = x.row(row as usize);
            for (&column, &value) in columns.iter().zip(values).filter(|(_, value)| **value > 0.0) {
                let sum = &mut observed[column as usize];
                if *sum == 0.0 {
                    met.push(column as usize);
                }
                *sum += f64::from(value);
            }
        }
        for column in met.drain(..) {
            let expected = share * total[column];
            let sum = std::mem::take(&mut observed[column]);
            chi2[column] += (sum - expected).powi(2) / expected - expected;
        }
    }
    chi2
}

/// Returns the `k` columns of the largest scores, rising; of equal scores the last columns are kept, as scikit-learn's
/// `SelectKBest` does. All columns when there are no more than `k`.
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
