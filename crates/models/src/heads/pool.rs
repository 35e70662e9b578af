//! Combines two heads: the weighted sum of their scores.
//!
//! A log-linear pool: softmax(a s + b d) is, up to a factor, the product of the two heads' probabilities, each at its
//! own temperature. The two weights maximise the likelihood of out-of-fold scores. The loss is convex in them, so the
//! solution does not depend on a seed; a head that does not improve the result gets weight 0.
//!
//! Source: Genest and Zidek, "Combining Probability Distributions", Statistical Science 1986 (the logarithmic pool);
//! Ting and Witten, "Issues in Stacked Generalization", JAIR 1999 (out-of-fold weights of at least 0).

use botops_stats::calibration::negative_log_likelihood;

/// The weights of the scores of the sparse and of the dense head.
///
/// - both are in [0, 20], and at least one is above 0
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pool {
    pub(crate) sparse: f32,
    pub(crate) dense: f32,
}

/// The largest weight: 1 / T at the lowest temperature that calibration tries.
const LARGEST: f64 = 20.0;
/// The weight of each head if both fitted weights are smaller: 1 / T at the highest temperature.
const LEAST: f32 = 0.05;

impl Pool {
    /// Fits the weights to scores of rows that neither head saw.
    ///
    /// `sparse` and `dense` are `[n_samples, n_classes]`, `truth` `[n_samples]`. It minimises the mean of
    /// -log softmax(a s_i + b d_i)[truth_i] over a, b in [0, 20] by projected Newton steps, halved until the loss
    /// decreases. Without rows, both weights are 1.
    ///
    /// # Panics
    /// If the lengths do not match, or a truth is not a class.
    pub(crate) fn fit(sparse: &[f64], dense: &[f64], n_classes: usize, truth: &[usize]) -> Self {
        assert_eq!(sparse.len(), dense.len(), "both heads score the same rows");
        if truth.is_empty() {
            return Self { sparse: 1.0, dense: 1.0 };
        }
        let loss = |at: [f64; 2]| {
            let pooled: Vec<f64> =
                sparse.iter().zip(dense).map(|(s, d)| at[0] * s + at[1] * d).collect();
            negative_log_likelihood(&pooled, n_classes, truth, 1.0)
        };
        let mut at = [1.0, 1.0];
        let mut value = loss(at);
        for _ in 0..100 {
            let (gradient, hessian) = derivatives(at, sparse, dense, n_classes, truth);
            let step = step(at, gradient, hessian);
            // The loss is convex: a short enough step decreases it, or this is the minimum.
            let better = (0..40).find_map(|halvings| {
                let scale = 0.5_f64.powi(halvings);
                let next = [0, 1].map(|i| (at[i] + scale * step[i]).clamp(0.0, LARGEST));
                let next_value = loss(next);
                (next_value < value).then_some((next, next_value))
            });
            let Some((next, next_value)) = better else { break };
            let moved = (0..2).map(|i| (next[i] - at[i]).abs()).fold(0.0, f64::max);
            (at, value) = (next, next_value);
            if moved < 1e-9 {
                break;
            }
        }
        let [sparse, dense] = at.map(|weight| weight as f32);
        match sparse.max(dense) < LEAST {
            true => Self { sparse: LEAST, dense: LEAST },
            false => Self { sparse, dense },
        }
    }

    /// Replaces the sparse scores by the weighted sum of both.
    #[inline]
    pub(crate) fn mix(self, sparse: &mut [f64], dense: &[f64]) {
        let (a, b) = (f64::from(self.sparse), f64::from(self.dense));
        for (sparse, dense) in sparse.iter_mut().zip(dense) {
            *sparse = a * *sparse + b * dense;
        }
    }
}

/// Returns pooled scores of each row, with weights fitted on the four fifths of the rows without it.
pub(crate) fn pooled_unseen(
    sparse: &[f64],
    dense: &[f64],
    n_classes: usize,
    truth: &[usize],
) -> Vec<f64> {
    const PARTS: usize = 5;
    let mut pooled = sparse.to_vec();
    for part in 0..PARTS.min(truth.len()) {
        let others = |scores: &[f64]| -> Vec<f64> {
            let rows = scores.chunks_exact(n_classes).enumerate();
            rows.filter(|(i, _)| i % PARTS != part).flat_map(|(_, row)| row).copied().collect()
        };
        let known: Vec<usize> =
            truth.iter().enumerate().filter(|(i, _)| i % PARTS != part).map(|(_, t)| *t).collect();
        let pool = Pool::fit(&others(sparse), &others(dense), n_classes, &known);
        for i in (part..truth.len()).step_by(PARTS) {
            let range = i * n_classes..(i + 1) * n_classes;
            pool.mix(&mut pooled[range.clone()], &dense[range]);
        }
    }
    pooled
}

/// Returns the gradient and the Hessian (upper triangle: aa, ab, bb) of the mean loss.
fn derivatives(
    at: [f64; 2],
    sparse: &[f64],
    dense: &[f64],
    n_classes: usize,
    truth: &[usize],
) -> ([f64; 2], [f64; 3]) {
    let (mut gradient, mut hessian) = ([0.0; 2], [0.0; 3]);
    let mut proba = vec![0.0; n_classes];
    let rows = sparse.chunks_exact(n_classes).zip(dense.chunks_exact(n_classes)).zip(truth);
    for ((s, d), &truth) in rows {
        for (p, (s, d)) in proba.iter_mut().zip(s.iter().zip(d)) {
            *p = at[0] * s + at[1] * d;
        }
        botops_stats::calibration::softmax(&mut proba, 1.0);
        // Moments of the score differences to the true class: the mean is the slope, the variance the curvature.
        let (mut mean, mut square) = ([0.0; 2], [0.0; 3]);
        for (p, (s_k, d_k)) in proba.iter().zip(s.iter().zip(d)) {
            let (s_k, d_k) = (s_k - s[truth], d_k - d[truth]);
            mean[0] += p * s_k;
            mean[1] += p * d_k;
            square[0] += p * s_k * s_k;
            square[1] += p * s_k * d_k;
            square[2] += p * d_k * d_k;
        }
        for i in 0..2 {
            gradient[i] += mean[i];
        }
        hessian[0] += square[0] - mean[0] * mean[0];
        hessian[1] += square[1] - mean[0] * mean[1];
        hessian[2] += square[2] - mean[1] * mean[1];
    }
    let n = truth.len() as f64;
    (gradient.map(|g| g / n), hessian.map(|h| h / n))
}

/// Returns the Newton step of the free weights; a weight at a bound that the gradient pushes outwards is not free.
fn step(at: [f64; 2], gradient: [f64; 2], hessian: [f64; 3]) -> [f64; 2] {
    // Keeps the step finite if the loss is flat.
    const RIDGE: f64 = 1e-9;
    let (aa, ab, bb) = (hessian[0] + RIDGE, hessian[1], hessian[2] + RIDGE);
    let free = [0, 1].map(|i| {
        let (down, up) = (at[i] > 0.0, at[i] < LARGEST);
        (gradient[i] > 0.0 && down) || (gradient[i] < 0.0 && up)
    });
    match free {
        [true, true] => {
            let determinant = (aa * bb - ab * ab).max(RIDGE * RIDGE);
            [
                -(bb * gradient[0] - ab * gradient[1]) / determinant,
                -(aa * gradient[1] - ab * gradient[0]) / determinant,
            ]
        }
        [true, false] => [-gradient[0] / aa, 0.0],
        [false, true] => [0.0, -gradient[1] / bb],
        [false, false] => [0.0, 0.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_stats::{calibration::fit_temperature, random::Random};

    /// Returns noisy scores of `n` rows of three classes; the scores of the true class are `lead` higher.
    fn scores(n: usize, lead: f64, seed: u64) -> (Vec<f64>, Vec<usize>) {
        let mut random = Random::new(seed);
        let truth: Vec<usize> = (0..n).map(|i| i % 3).collect();
        let noise = |random: &mut Random| (0..6).map(|_| random.unit() - 0.5).sum::<f64>();
        let scores = truth
            .iter()
            .flat_map(|&t| [0, 1, 2].map(|k| if k == t { lead } else { 0.0 }))
            .map(|score| score + noise(&mut random))
            .collect();
        (scores, truth)
    }

    #[test]
    fn the_gradient_of_the_likelihood_is_zero_at_the_weights() {
        let ((sparse, truth), (dense, _)) = (scores(600, 0.5, 1), scores(600, 1.0, 2));
        let pool = Pool::fit(&sparse, &dense, 3, &truth);
        let at = [f64::from(pool.sparse), f64::from(pool.dense)];
        let (gradient, _) = derivatives(at, &sparse, &dense, 3, &truth);
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-6), "{gradient:?}");
        // By hand: the sum of six uniforms has variance 1/2 and is nearly normal, so the log likelihood of a class is its
        // score times lead / (1/2). The heads are independent, so each keeps its own weight.
        assert!((pool.sparse - 1.0).abs() < 0.3 && (pool.dense - 2.0).abs() < 0.3, "{pool:?}");
        // The derivatives match finite differences of the loss.
        let loss = |a: f64, b: f64| {
            let pooled: Vec<f64> = sparse.iter().zip(&dense).map(|(s, d)| a * s + b * d).collect();
            negative_log_likelihood(&pooled, 3, &truth, 1.0)
        };
        let (gradient, hessian) = derivatives([0.3, 1.4], &sparse, &dense, 3, &truth);
        let (h, at) = (1e-4, |a, b| loss(0.3 + a, 1.4 + b));
        assert!((gradient[0] - (at(h, 0.0) - at(-h, 0.0)) / (2.0 * h)).abs() < 1e-6);
        assert!((gradient[1] - (at(0.0, h) - at(0.0, -h)) / (2.0 * h)).abs() < 1e-6);
        let aa = (at(h, 0.0) - 2.0 * at(0.0, 0.0) + at(-h, 0.0)) / (h * h);
        let ab = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4.0 * h * h);
        assert!((hessian[0] - aa).abs() < 1e-5 && (hessian[1] - ab).abs() < 1e-5);
    }

    #[test]
    fn a_useless_head_gets_weight_zero() {
        let (sparse, truth) = scores(300, 1.0, 3);
        let against: Vec<f64> = scores(300, 0.5, 4).0.iter().map(|score| -score).collect();
        let pool = Pool::fit(&sparse, &against, 3, &truth);
        assert_eq!(pool.dense, 0.0);
        let temperature = fit_temperature(&sparse, 3, &truth);
        assert!((f64::from(pool.sparse) - 1.0 / temperature).abs() < 1e-5, "{pool:?}");
        // Both heads mislead: both get the least weight.
        let pool = Pool::fit(&against, &against, 3, &truth);
        assert_eq!(pool, Pool { sparse: 0.05, dense: 0.05 });
    }

    #[test]
    fn weights_are_bounded_if_every_row_is_right() {
        let truth = [0, 1, 0, 1];
        let right = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        let pool = Pool::fit(&right, &right, 2, &truth);
        assert!(pool.sparse + pool.dense > 15.0 && pool.sparse.max(pool.dense) <= 20.0, "{pool:?}");
        assert_eq!(Pool::fit(&[], &[], 2, &[]), Pool { sparse: 1.0, dense: 1.0 });
    }

    #[test]
    fn pooled_scores_of_a_row_do_not_depend_on_its_truth() {
        let ((sparse, truth), (dense, _)) = (scores(60, 0.5, 5), scores(60, 1.0, 6));
        let before = pooled_unseen(&sparse, &dense, 3, &truth);
        let mut changed = truth.clone();
        changed[7] = (truth[7] + 1) % 3;
        let after = pooled_unseen(&sparse, &dense, 3, &changed);
        assert_eq!(before[21..24], after[21..24]);
        assert_ne!(before[..3], after[..3]);
    }
}
