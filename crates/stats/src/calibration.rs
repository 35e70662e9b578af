//! Temperature scaling: the softmax of scores at a temperature, and the temperature that fits best.

/// The range of temperatures.
const RANGE: (f64, f64) = (0.05, 20.0);

/// Replaces `scores` `[n_classes]` by the softmax of `scores / temperature`, which sums to 1.
///
/// p_k = exp(s_k / T) / sum_j exp(s_j / T), computed relative to the largest score, so that it never overflows.
/// An empty input stays empty.
pub fn softmax(scores: &mut [f64], temperature: f64) {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = ((*score - largest) / temperature).exp();
        sum += *score;
    }
    for score in scores.iter_mut() {
        *score /= sum;
    }
}

/// Returns the mean negative log likelihood of `truth` under softmax(scores / temperature), in nats; 0 for no rows.
///
/// `scores` is `[n_samples, n_classes]` row by row, `truth` `[n_samples]`.
/// NLL = mean_i (log sum_j exp(s_ij / T) - s_i,truth / T).
///
/// # Panics
/// If the lengths do not match, or a truth is not a class.
#[must_use]
pub fn negative_log_likelihood(
    scores: &[f64],
    n_classes: usize,
    truth: &[usize],
    temperature: f64,
) -> f64 {
    assert_eq!(scores.len(), truth.len() * n_classes, "one row of scores for each truth");
    if truth.is_empty() {
        return 0.0;
    }
    let total: f64 = scores
        .chunks_exact(n_classes)
        .zip(truth)
        .map(|(row, &truth)| {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|score| ((score - largest) / temperature).exp()).sum();
            sum.ln() - (row[truth] - largest) / temperature
        })
        .sum();
    total / truth.len() as f64
}

/// Returns the temperature T in [0.05, 20] that minimizes [`negative_log_likelihood`]; 1 for no rows.
///
/// `scores` is `[n_samples, n_classes]` row by row, `truth` is `[n_samples]`; rows should be out of fold.
/// The NLL is convex in 1 / T, so its slope mean_i (sum_j p_ij s_ij - s_i,truth) has at most one zero, which is found by
/// Newton steps inside a bracket. If the slope has the same sign in the whole range (all predictions correct, or
/// misleading scores), the result is an end of the range.
/// Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
///
/// # Panics
/// If the lengths do not match, or a truth is not a class.
#[must_use]
pub fn fit_temperature(scores: &[f64], n_classes: usize, truth: &[usize]) -> f64 {
    assert_eq!(scores.len(), truth.len() * n_classes, "one row of scores for each truth");
    if truth.is_empty() {
        return 1.0;
    }
    let slope = |beta: f64| slope_and_curvature(scores, n_classes, truth, beta);
    let (mut low, mut high) = (1.0 / RANGE.1, 1.0 / RANGE.0);
    if slope(low).0 >= 0.0 {
        return RANGE.1;
    }
    if slope(high).0 <= 0.0 {
        return RANGE.0;
    }
    let mut beta = 1.0;
    // Bisection alone takes about 60 rounds; Newton steps usually take six.
    for _ in 0..100 {
        let (first, second) = slope(beta);
        if first < 0.0 {
            low = beta;
        } else {
            high = beta;
        }
        let newton = beta - first / second;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let step = (next - beta).abs();
        beta = next;
        if step <= 1e-13 * beta {
            break;
        }
    }
    (1.0 / beta).clamp(RANGE.0, RANGE.1)
}

/// Returns the first and second derivatives of the mean NLL in `beta` = 1 / T, computed from the mean and variance of the
/// scores under p.
fn slope_and_curvature(scores: &[f64], n_classes: usize, truth: &[usize], beta: f64) -> (f64, f64) {
    let (mut first, mut second) = (0.0, 0.0);
    for (row, &truth) in scores.chunks_exact(n_classes).zip(truth) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut mean, mut square) = (0.0, 0.0, 0.0);
        for score in row {
            let below = score - largest;
            let weight = (below * beta).exp();
            sum += weight;
            mean += weight * below;
            square += weight * below * below;
        }
        mean /= sum;
        first += mean - (row[truth] - largest);
        second += square / sum - mean * mean;
    }
    (first / truth.len() as f64, second / truth.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> (serde_json::Value, Vec<f64>, Vec<usize>) {
        let file =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/reference_values.json");
        let all: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let values = all["temperature_scaling"].clone();
        let scores = values["logits"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()))
            .collect();
        let truth = values["labels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| usize::try_from(v.as_u64().unwrap()).unwrap())
            .collect();
        (values, scores, truth)
    }

    #[test]
    fn the_temperature_equals_the_reference() {
        // SciPy: minimize_scalar(nll, bounds=(.05, 20), method="bounded", options={"xatol": 1e-10})
        let (values, scores, truth) = fixture();
        let expected = |key: &str| values[key].as_f64().unwrap();
        let temperature = fit_temperature(&scores, 3, &truth);
        assert!((temperature - expected("T")).abs() < 2e-8, "{temperature}");
        let nll = |t| negative_log_likelihood(&scores, 3, &truth, t);
        assert!((nll(1.0) - expected("nll_before")).abs() < 1e-12);
        assert!((nll(temperature) - expected("nll_after")).abs() < 1e-12);
    }

    #[test]
    fn scaled_scores_scale_the_temperature() {
        let (_, scores, truth) = fixture();
        let tripled: Vec<f64> = scores.iter().map(|score| 3.0 * score).collect();
        let (one, three) =
            (fit_temperature(&scores, 3, &truth), fit_temperature(&tripled, 3, &truth));
        assert!((three / one - 3.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_minimum_inside_the_range_an_end_is_returned() {
        assert!((fit_temperature(&[2.0, 0.0, 0.0, 2.0], 2, &[0, 1]) - 0.05).abs() < 1e-6);
        assert!((fit_temperature(&[2.0, 0.0, 0.0, 2.0], 2, &[1, 0]) - 20.0).abs() < 1e-6);
        assert!((fit_temperature(&[], 2, &[]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn softmax_of_large_scores_does_not_overflow() {
        let mut scores = [1_000.0, 999.0, -1_000.0];
        softmax(&mut scores, 1.0);
        // 1 / (1 + e^-1), by hand
        assert!((scores[0] - 0.731_058_578_630_004_9).abs() < 1e-15);
        assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-15);
    }
}
