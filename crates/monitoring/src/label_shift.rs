//! Label shift: the shares of the intents in current data, from the predictions of a model that makes mistakes.
//!
//! The predicted shares are biased: a model that takes every tenth `refund` for `order` sees too few refunds. If the
//! utterances of each intent stay as they were and only the shares of the intents move, the confusion matrix of the
//! reference undoes this bias (BBSE). Expectation maximisation over the probabilities is the check: it uses other
//! evidence, so both agree if the assumption holds.

use botops_findings::{Fault, Result};
use botops_stats::{
    homogeneity::{chi2_homogeneity, pool_rare, regroup},
    random::Random,
};
use serde::{Deserialize, Serialize};

/// The largest condition number of a confusion matrix that is inverted.
///
/// It bounds the factor by which the inverse amplifies the noise of the predicted shares. A model of two intents that
/// is right on 51 of 100 has 50.
pub const MOST_CONDITION: f64 = 50.0;
/// The fewest records of an intent in the reference, without which its column of the matrix is noise.
pub const LEAST_TRUTHS: u64 = 5;
/// The largest total variation between the shares of both methods at which they agree.
pub const MOST_DISAGREEMENT: f64 = 0.05;
/// The least expected count of a bin of the test of homogeneity.
const LEAST_EXPECTED: f64 = 5.0;
/// The most steps of the expectation maximisation.
const MOST_STEPS: usize = 2_000;
/// The change of a share at which the expectation maximisation ends.
const SETTLED: f64 = 1e-10;
/// The draws of the noise floor, and their seed.
const NOISE_DRAWS: usize = 1_000;
const NOISE_SEED: u64 = 17;

/// The shares of the intents in the reference and in the current data, each `[n_classes]` in the order of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Priors {
    /// The records of the reference.
    pub n_reference: u64,
    /// The records of the current data.
    pub n_current: u64,
    /// The shares in the reference, by truth.
    pub reference: Vec<f64>,
    /// The estimated shares in the current data by BBSE; negative estimates are set to 0 and the rest is scaled to 1.
    pub current: Vec<f64>,
    /// The importance weights: current share / reference share.
    pub weights: Vec<f64>,
    /// The standard errors of `current` by the delta method: those of both samples.
    pub standard_errors: Vec<f64>,
    /// The shares by expectation maximisation over the predicted intents.
    pub em: Vec<f64>,
    /// Half the sum of the absolute differences between `current` and `em`, in [0, 1].
    pub disagreement: f64,
    /// Whether `disagreement` is at most [`MOST_DISAGREEMENT`].
    pub agrees: bool,
    /// The condition number (1-norm) of the matrix P(predicted | truth).
    pub condition: f64,
    /// Half the sum of the absolute differences between `reference` and `current`, in [0, 1].
    pub shift: f64,
    /// The shift that sampling alone exceeds in 5 of 100 comparisons.
    pub shift_noise95: f64,
    /// The mean and the standard deviation of the shift by sampling alone.
    #[serde(default)]
    pub shift_null: [f64; 2],
    /// The p-value of equal shares: Pearson's test of the predicted intents of both sides, with rare ones pooled. Under
    /// label shift the predicted shares are equal if and only if those of the intents are.
    pub p_value: f64,
}

/// Estimates the shares of the intents in the current data (BBSE), and checks them by expectation maximisation.
///
/// `confusion[truth][predicted]` counts records of the reference that the model did not see in training, and
/// `predicted_counts[predicted]` those of the current data, in the same order of classes. Classes without a record on
/// either side have share and weight 0.
///
/// # Errors
/// - `BOT-2270` (exit 2): the matrix is not square, or the counts have another number of classes
/// - `BOT-2271` (exit 4): a side is empty; a class that has records has fewer than [`LEAST_TRUTHS`] truths; or the
///   matrix is ill-conditioned (more than [`MOST_CONDITION`]): the model does not tell some of the classes apart, so
///   nothing is known about their shares
///
/// Source: Lipton, Wang and Smola, "Detecting and correcting for label shift with black box predictors", 2018.
pub fn priors(confusion: &[Vec<u64>], predicted_counts: &[u64]) -> Result<Priors> {
    let n = confusion.len();
    if confusion.iter().any(|row| row.len() != n) || predicted_counts.len() != n {
        let message = format!(
            "the confusion matrix has {n} classes, and the predictions have {}",
            predicted_counts.len()
        );
        return Err(Fault::usage("BOT-2270", message)
            .hint("compare predictions of one model: the reference and the current data have one list of intents"));
    }
    let truths: Vec<u64> = confusion.iter().map(|row| row.iter().sum()).collect();
    let predicted: Vec<u64> = (0..n).map(|j| confusion.iter().map(|row| row[j]).sum()).collect();
    let (n_reference, n_current) = (truths.iter().sum::<u64>(), predicted_counts.iter().sum());
    if n_reference == 0 || n_current == 0 {
        let side = if n_reference == 0 { "the reference" } else { "the current data" };
        return Err(insufficient(format!("{side} has no predictions")));
    }
    let used: Vec<usize> =
        (0..n).filter(|&i| truths[i] + predicted[i] + predicted_counts[i] > 0).collect();
    if let Some(&rare) = used.iter().find(|&&i| truths[i] < LEAST_TRUTHS) {
        return Err(insufficient(format!(
            "intent {} of {n} has {} records in the reference, and its share needs {LEAST_TRUTHS}",
            rare + 1,
            truths[rare]
        )));
    }
    let given: Vec<Vec<f64>> = used
        .iter()
        .map(|&i| used.iter().map(|&j| confusion[j][i] as f64 / truths[j] as f64).collect())
        .collect();
    let inverse = inverse(&given);
    let condition = inverse.as_ref().map_or(f64::INFINITY, |inverse| norm(&given) * norm(inverse));
    let Some(inverse) = inverse.filter(|_| condition <= MOST_CONDITION) else {
        return Err(insufficient(format!(
            "the model does not tell the intents of the reference apart: the condition number of its confusion \
             matrix is {condition:.0}, and at most {MOST_CONDITION} can be inverted"
        )));
    };
    let mu: Vec<f64> =
        used.iter().map(|&i| predicted_counts[i] as f64 / n_current as f64).collect();
    let raw = product(&inverse, &mu);
    let clipped: Vec<f64> = raw.iter().map(|share| share.max(0.0)).collect();
    let total: f64 = clipped.iter().sum();
    let current: Vec<f64> = clipped.iter().map(|share| share / total).collect();
    let source: Vec<f64> = used.iter().map(|&i| truths[i] as f64 / n_reference as f64).collect();
    let n_truths: Vec<f64> = used.iter().map(|&i| truths[i] as f64).collect();
    let pooled = |i: usize| (predicted[i] + predicted_counts[i]) as f64;
    let n_both = (n_reference + n_current) as f64;
    let both: Vec<f64> = used.iter().map(|&i| pooled(i) / n_both).collect();
    let em = em_of_counts(&given, &mu, &source);
    let groups = pool_rare(&predicted, predicted_counts, LEAST_EXPECTED);
    let test = chi2_homogeneity(&regroup(&predicted, &groups), &regroup(predicted_counts, &groups));
    let disagreement = total_variation(&current, &em);
    let scale = 1.0 / n_reference as f64 + 1.0 / n_current as f64;
    let (shift_noise95, shift_null) = shift_noise(&inverse, &both, scale);
    let spread = |values: &[f64]| {
        let mut all = vec![0.0; n];
        used.iter().zip(values).for_each(|(&i, &value)| all[i] = value);
        all
    };
    let weights: Vec<f64> = current.iter().zip(&source).map(|(c, r)| c / r).collect();
    let errors = variances(&inverse, &given, &current, &n_truths, &mu, n_current as f64);
    let errors: Vec<f64> = errors.iter().map(|variance| variance.sqrt()).collect();
    Ok(Priors {
        n_reference,
        n_current,
        weights: spread(&weights),
        standard_errors: spread(&errors),
        em: spread(&em),
        disagreement,
        agrees: disagreement <= MOST_DISAGREEMENT,
        condition,
        shift: total_variation(&source, &current),
        shift_noise95,
        shift_null,
        p_value: test.p_value,
        reference: spread(&source),
        current: spread(&current),
    })
}

/// Returns the shares of the classes in current data by expectation maximisation over the probabilities of a model.
///
/// `reference` is `[n_classes]`, the shares that the model was trained with; `probabilities` has a row of
/// `[n_classes]` for each record. The probabilities must be calibrated. `None` for no rows, or if a row has another
/// number of classes.
///
/// Source: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
/// 2002.
#[must_use]
pub fn em_of_probabilities(reference: &[f64], probabilities: &[Vec<f64>]) -> Option<Vec<f64>> {
    let n = reference.len();
    if probabilities.is_empty() || probabilities.iter().any(|row| row.len() != n) {
        return None;
    }
    let mut shares = reference.to_vec();
    for _ in 0..MOST_STEPS {
        let mut next = vec![0.0; n];
        let ratio: Vec<f64> = shares
            .iter()
            .zip(reference)
            .map(|(now, then)| if *then > 0.0 { now / then } else { 0.0 })
            .collect();
        for row in probabilities {
            let total: f64 = row.iter().zip(&ratio).map(|(p, r)| p * r).sum();
            if total > 0.0 {
                for ((next, p), r) in next.iter_mut().zip(row).zip(&ratio) {
                    *next += p * r / total;
                }
            }
        }
        let total: f64 = next.iter().sum();
        if total == 0.0 {
            return None;
        }
        next.iter_mut().for_each(|share| *share /= total);
        let change = shares.iter().zip(&next).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        shares = next;
        if change < SETTLED {
            break;
        }
    }
    Some(shares)
}

fn insufficient(message: String) -> Fault {
    Fault::insufficient("BOT-2271", message).hint(
        "the predicted shares are compared without this correction; more labelled records, or fewer intents that the \
         model confuses, make it possible",
    )
}

/// Maximises the likelihood of the predicted shares `mu` over the shares of the classes.
fn em_of_counts(given: &[Vec<f64>], mu: &[f64], reference: &[f64]) -> Vec<f64> {
    let n = reference.len();
    let mut shares = reference.to_vec();
    for _ in 0..MOST_STEPS {
        let expected = product(given, &shares);
        let next: Vec<f64> = (0..n)
            .map(|j| {
                let ratio = |i: usize| {
                    if expected[i] > 0.0 { mu[i] * given[i][j] / expected[i] } else { 0.0 }
                };
                shares[j] * (0..n).map(ratio).sum::<f64>()
            })
            .collect();
        let change = shares.iter().zip(&next).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        shares = next;
        if change < SETTLED {
            break;
        }
    }
    let total: f64 = shares.iter().sum();
    shares.iter().map(|share| share / total).collect()
}

/// Returns the variances of the shares P^-1 mu: those of the predicted shares, and of the columns of P.
fn variances(
    inverse: &[Vec<f64>],
    given: &[Vec<f64>],
    shares: &[f64],
    n_truths: &[f64],
    mu: &[f64],
    n_current: f64,
) -> Vec<f64> {
    // The variance of row . x for multinomial shares x of n draws.
    let of_row = |row: &[f64], shares: &mut dyn Iterator<Item = f64>, n: f64| {
        let (mut mean, mut square) = (0.0, 0.0);
        for (weight, share) in row.iter().zip(shares) {
            mean += weight * share;
            square += weight * weight * share;
        }
        (square - mean * mean).max(0.0) / n
    };
    inverse
        .iter()
        .map(|row| {
            let current = of_row(row, &mut mu.iter().copied(), n_current);
            let reference: f64 = (0..shares.len())
                .map(|j| {
                    let column = &mut given.iter().map(|row| row[j]);
                    shares[j].powi(2) * of_row(row, column, n_truths[j])
                })
                .sum();
            current + reference
        })
        .collect()
}

/// Returns the total variation that sampling alone exceeds in 5 of 100 comparisons, and its mean and standard deviation.
///
/// The difference of the shares is P^-1 times that of the predicted shares of both samples, so normal draws of the
/// latter give its distribution. `mu` are the pooled predicted shares, `scale` is 1/n + 1/m.
fn shift_noise(inverse: &[Vec<f64>], mu: &[f64], scale: f64) -> (f64, [f64; 2]) {
    let mut random = Random::new(NOISE_SEED);
    let mut draws: Vec<f64> = (0..NOISE_DRAWS)
        .map(|_| {
            // Covariance diag(mu) - mu mu': independent numbers, less their sum spread as mu.
            let z: Vec<f64> = mu.iter().map(|share| share.sqrt() * random.normal()).collect();
            let sum: f64 = z.iter().sum();
            let moved: Vec<f64> =
                z.iter().zip(mu).map(|(z, share)| scale.sqrt() * (z - share * sum)).collect();
            product(inverse, &moved).iter().map(|share| share.abs()).sum::<f64>() / 2.0
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    let mean = draws.iter().sum::<f64>() / NOISE_DRAWS as f64;
    let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / NOISE_DRAWS as f64;
    (draws[NOISE_DRAWS * 95 / 100].min(1.0), [mean, variance.sqrt()])
}

fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

fn product(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

/// Returns the largest sum of absolute values of a column.
fn norm(matrix: &[Vec<f64>]) -> f64 {
    let column = |j: usize| matrix.iter().map(|row| row[j].abs()).sum::<f64>();
    (0..matrix.len()).map(column).fold(0.0, f64::max)
}

/// Inverts a square matrix (Gauss-Jordan with partial pivoting); `None` if it is singular.
fn inverse(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    let mut left = matrix.to_vec();
    let mut right: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for column in 0..n {
        let pivot =
            (column..n).max_by(|&a, &b| left[a][column].abs().total_cmp(&left[b][column].abs()))?;
        if left[pivot][column].abs() < 1e-12 {
            return None;
        }
        left.swap(column, pivot);
        right.swap(column, pivot);
        let scale = left[column][column];
        for matrix in [&mut left, &mut right] {
            matrix[column].iter_mut().for_each(|value| *value /= scale);
        }
        let (left_pivot, right_pivot) = (left[column].clone(), right[column].clone());
        for row in (0..n).filter(|&row| row != column) {
            let factor = left[row][column];
            if factor != 0.0 {
                left[row].iter_mut().zip(&left_pivot).for_each(|(a, b)| *a -= factor * b);
                right[row].iter_mut().zip(&right_pivot).for_each(|(a, b)| *a -= factor * b);
            }
        }
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(key: &str) -> serde_json::Value {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/reference_values.json"))
                .unwrap();
        all["bbse"][key].clone()
    }

    #[test]
    fn the_weights_equal_the_reference_values() {
        let joint: Vec<Vec<f64>> = serde_json::from_value(fixture("joint_pred_by_true")).unwrap();
        // The fixture has the predicted class first; 10,000 records make its shares whole numbers.
        let confusion: Vec<Vec<u64>> = (0..3)
            .map(|truth| (0..3).map(|p| (joint[p][truth] * 10_000.0).round() as u64).collect())
            .collect();
        let found = priors(&confusion, &[2_500, 3_500, 4_000]).unwrap();
        let weights: Vec<f64> = serde_json::from_value(fixture("weights")).unwrap();
        let shares: Vec<f64> = serde_json::from_value(fixture("target_label_marginal")).unwrap();
        for i in 0..3 {
            assert!((found.weights[i] - weights[i]).abs() < 1e-9, "{found:?}");
            assert!((found.current[i] - shares[i]).abs() < 1e-9, "{found:?}");
            assert!((found.em[i] - shares[i]).abs() < 1e-6, "{found:?}");
        }
        assert!(found.agrees && found.p_value < 1e-9 && found.shift > found.shift_noise95);
    }

    #[test]
    fn a_model_that_does_not_tell_intents_apart_is_refused() {
        let fault = priors(&[vec![52, 48], vec![50, 50]], &[60, 40]).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-2271", 4));
        assert!(fault.message().contains("condition number"), "{fault}");
        let singular = priors(&[vec![50, 50], vec![50, 50]], &[60, 40]).unwrap_err();
        assert!(singular.message().contains("inf"), "{singular}");
        assert_eq!(priors(&[vec![9, 1], vec![1, 9]], &[1, 2, 3]).unwrap_err().code(), "BOT-2270");
        assert_eq!(priors(&[vec![9, 1], vec![1, 9]], &[0, 0]).unwrap_err().code(), "BOT-2271");
        let new = priors(&[vec![9, 1, 0], vec![1, 9, 0], vec![0, 0, 0]], &[4, 4, 4]).unwrap_err();
        assert!(new.message().starts_with("intent 3 of 3 has 0 records"), "{new}");
    }

    #[test]
    fn an_unused_class_has_no_share() {
        let found = priors(&[vec![90, 0, 10], vec![0, 0, 0], vec![10, 0, 90]], &[50, 0, 50]);
        let found = found.unwrap();
        assert_eq!((found.current[1], found.weights[1], found.em[1]), (0.0, 0.0, 0.0));
        assert!((found.current[0] - 0.5).abs() < 1e-9 && found.shift < 1e-9);
    }

    #[test]
    fn the_noise_floor_holds_and_shares_lie_within_their_errors() {
        let mut random = Random::new(11);
        let given = [[0.85, 0.1, 0.05], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8]];
        let source = [0.5, 0.3, 0.2];
        let draw = |random: &mut Random, shares: &[f64; 3]| {
            let at = random.unit();
            if at < shares[0] {
                0
            } else if at < shares[0] + shares[1] {
                1
            } else {
                2
            }
        };
        let (mut over, mut alarms, mut outside) = (0, 0, 0);
        for _ in 0..400 {
            let mut confusion = vec![vec![0_u64; 3]; 3];
            let mut counts = [0_u64; 3];
            for _ in 0..1_000 {
                let truth = draw(&mut random, &source);
                confusion[truth][draw(&mut random, &given[truth])] += 1;
            }
            for _ in 0..500 {
                let truth = draw(&mut random, &source);
                counts[draw(&mut random, &given[truth])] += 1;
            }
            let found = priors(&confusion, &counts).unwrap();
            over += u32::from(found.shift > found.shift_noise95);
            alarms += u32::from(found.p_value <= 0.05);
            let error = (found.current[0] - source[0]).abs() / found.standard_errors[0];
            outside += u32::from(error > 1.96);
        }
        // 5 % of 400 are 20.
        assert!((6..=36).contains(&over) && (6..=36).contains(&alarms), "{over} {alarms}");
        assert!((6..=36).contains(&outside), "{outside}");
    }

    #[test]
    fn both_maximisations_find_the_shares() {
        let rows: Vec<Vec<f64>> = [(0.9, 30), (0.6, 10), (0.4, 10), (0.1, 50)]
            .into_iter()
            .flat_map(|(p, n)| vec![vec![p, 1.0 - p]; n])
            .collect();
        let shares = em_of_probabilities(&[0.5, 0.5], &rows).unwrap();
        // The likelihood is highest where its derivative over the first share is 0.
        let slope = |q: f64| -> f64 {
            rows.iter().map(|r| (r[0] - r[1]) / (q * r[0] + (1.0 - q) * r[1])).sum()
        };
        assert!(slope(shares[0]).abs() < 1e-4, "{shares:?}");
        assert!(shares[0] < 0.45 && (shares[0] + shares[1] - 1.0).abs() < 1e-12);
        assert_eq!(em_of_probabilities(&[0.5, 0.5], &[]), None);
        // Outside of what the matrix can produce, BBSE is cut at 0 and the maximum lies on the edge.
        let found = priors(&[vec![80, 20], vec![20, 80]], &[95, 5]).unwrap();
        assert_eq!(found.current, [1.0, 0.0]);
        assert!(found.em[0] > 0.999, "{found:?}");
    }
}
