//! Reliability of probabilities: calibration error, log loss and Brier score.

/// The default number of bins of a reliability diagram.
pub const BINS: usize = 15;

/// The lower limit of probabilities in [`log_loss`], so that a single certain mistake does not make it infinite. It is
/// the rounding unit of `f64`, as in scikit-learn.
pub const LOG_LOSS_CLIP: f64 = f64::EPSILON;

/// One bin of a reliability diagram: confidences in (lower, upper].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bin {
    /// The lower edge, exclusive (inclusive in the first bin, which contains 0).
    pub lower: f64,
    /// The upper edge, inclusive.
    pub upper: f64,
    /// The number of samples.
    pub n: u64,
    /// The number of correctly predicted samples.
    pub n_correct: u64,
    /// The mean confidence; 0 for an empty bin.
    pub confidence: f64,
    /// The share of correctly predicted samples; 0 for an empty bin.
    pub accuracy: f64,
}

/// Returns the index of the bin of `confidence` among `bins` right-closed bins of equal width over [0, 1]; a value outside
/// is in the nearest bin.
///
/// # Panics
/// If `bins` is 0.
#[must_use]
pub fn bin_of(confidence: f64, bins: usize) -> usize {
    assert!(bins > 0, "there is at least one bin");
    let edge = |i: usize| i as f64 / bins as f64;
    // The product may be wrong by a rounding error, so it is corrected by the edges.
    let mut bin = ((confidence * bins as f64).ceil().max(1.0) as usize).min(bins) - 1;
    while bin > 0 && confidence <= edge(bin) {
        bin -= 1;
    }
    while bin + 1 < bins && confidence > edge(bin + 1) {
        bin += 1;
    }
    bin
}

/// Sorts samples into `bins` right-closed bins of equal width over [0, 1].
///
/// `samples` are (confidence, whether the prediction is correct).
///
/// # Panics
/// If `bins` is 0.
#[must_use]
pub fn reliability(samples: impl IntoIterator<Item = (f64, bool)>, bins: usize) -> Vec<Bin> {
    let mut found: Vec<Bin> = (0..bins)
        .map(|i| Bin {
            lower: i as f64 / bins as f64,
            upper: (i + 1) as f64 / bins as f64,
            ..Bin::default()
        })
        .collect();
    for (confidence, correct) in samples {
        let bin = &mut found[bin_of(confidence, bins)];
        bin.n += 1;
        bin.n_correct += u64::from(correct);
        bin.confidence += confidence;
    }
    for bin in found.iter_mut().filter(|bin| bin.n > 0) {
        bin.confidence /= bin.n as f64;
        bin.accuracy = bin.n_correct as f64 / bin.n as f64;
    }
    found
}

/// Returns the expected calibration error, in [0, 1]; 0 for an empty input.
///
/// ECE = Σ over bins of |bin| / `n_samples` · |accuracy - confidence|. It depends on the bins and is biased upward for few
/// samples.
/// Source: Naeini et al., AAAI 2015; Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
#[must_use]
pub fn expected_calibration_error(bins: &[Bin]) -> f64 {
    let n: u64 = bins.iter().map(|bin| bin.n).sum();
    if n == 0 {
        return 0.0;
    }
    let gaps = bins.iter().map(|bin| bin.n as f64 * (bin.accuracy - bin.confidence).abs());
    gaps.sum::<f64>() / n as f64
}

/// Returns -ln p of one sample, with p the probability of its true class, clipped to [[`LOG_LOSS_CLIP`], 1]; NaN counts as
/// 0.
#[must_use]
#[expect(clippy::manual_clamp, reason = "`max` takes NaN to the clip, `clamp` would keep it")]
pub fn negative_log_likelihood(probability: f64) -> f64 {
    // Adding 0.0 turns -0.0 into 0.0.
    -probability.max(LOG_LOSS_CLIP).min(1.0).ln() + 0.0
}

/// Returns the mean of [`negative_log_likelihood`], in [0, 36.05]; 0 for an empty input.
#[must_use]
pub fn log_loss(probabilities_of_truth: &[f64]) -> f64 {
    if probabilities_of_truth.is_empty() {
        return 0.0;
    }
    let sum: f64 = probabilities_of_truth.iter().map(|&p| negative_log_likelihood(p)).sum();
    sum / probabilities_of_truth.len() as f64
}

/// Returns the Brier score over all classes, in [0, 2]; 0 for an empty input.
///
/// `rows` are the probabilities `[n_classes]` of each sample with the index of its true class. The score is the mean over
/// samples of Σ over classes of (p - \[class is truth\])². Source: Brier, 1950.
#[must_use]
pub fn brier<'a>(rows: impl IntoIterator<Item = (&'a [f64], usize)>) -> f64 {
    let (mut sum, mut n) = (0.0, 0_u64);
    for (proba, truth) in rows {
        n += 1;
        sum += proba
            .iter()
            .enumerate()
            .map(|(class, p)| (p - f64::from(u8::from(class == truth))).powi(2))
            .sum::<f64>();
    }
    if n == 0 { 0.0 } else { sum / n as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
        let most = logits.iter().copied().fold(f64::MIN, f64::max);
        let e: Vec<f64> = logits.iter().map(|l| ((l - most) / temperature).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.iter().map(|v| v / sum).collect()
    }

    #[test]
    fn calibration_metrics_equal_the_reference() {
        // numpy 2.4: right-closed bins over linspace(0, 1, 11), mean log loss, summed Brier score
        let fixture = &reference()["temperature_scaling"];
        let logits: Vec<Vec<f64>> = serde_json::from_value(fixture["logits"].clone()).unwrap();
        let truth: Vec<usize> = serde_json::from_value(fixture["labels"].clone()).unwrap();
        let fitted = fixture["T"].as_f64().unwrap();
        for (temperature, suffix, tolerance) in [(1.0, "before", 1e-9), (fitted, "after", 1e-6)] {
            let proba: Vec<Vec<f64>> = logits.iter().map(|l| softmax(l, temperature)).collect();
            let samples = proba.iter().zip(&truth).map(|(row, &truth)| {
                let best = (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
                (row[best], best == truth)
            });
            let ece = expected_calibration_error(&reliability(samples, 10));
            let of_truth: Vec<f64> = proba.iter().zip(&truth).map(|(row, &t)| row[t]).collect();
            let brier = brier(proba.iter().map(Vec::as_slice).zip(truth.iter().copied()));
            for (found, key) in [(ece, "ece10"), (log_loss(&of_truth), "nll"), (brier, "brier_sum")]
            {
                let expected = fixture[format!("{key}_{suffix}")].as_f64().unwrap();
                assert!(
                    (found - expected).abs() < tolerance,
                    "{key}_{suffix}: {found}, {expected}"
                );
            }
        }
    }

    #[test]
    fn bins_are_closed_on_the_right() {
        for bins in [10, 15] {
            for edge in 1..=bins {
                let at = edge as f64 / bins as f64;
                assert_eq!(bin_of(at, bins), edge - 1, "{at} of {bins}");
                assert_eq!(bin_of(at.next_up(), bins), edge.min(bins - 1), "above {at} of {bins}");
            }
            assert_eq!(bin_of(0.0, bins), 0);
            assert_eq!(bin_of(1.5, bins), bins - 1);
        }
    }

    #[test]
    fn half_correct_at_full_confidence_is_an_error_of_one_half() {
        let bins = reliability([(1.0, true), (1.0, false)], BINS);
        close(expected_calibration_error(&bins), 0.5);
        assert_eq!((bins[14].n, bins[14].n_correct), (2, 1));
        assert_eq!(expected_calibration_error(&reliability([], BINS)), 0.0);
    }

    #[test]
    fn log_loss_is_clipped_and_never_infinite() {
        // sklearn 1.9: log_loss([0, 1], [[1.0, 0.0], [1.0, 0.0]]) is 18.021826694558577
        close(log_loss(&[1.0, 0.0]), 18.021_826_694_558_577);
        close(log_loss(&[f64::NAN]), -f64::EPSILON.ln());
        close(log_loss(&[0.25]), 4.0_f64.ln());
    }
}
