//! Weighted cross-entropy with label smoothing.

use crate::class_weight::ClassWeight;
use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::log_softmax;

/// Weighted cross-entropy with label smoothing.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    /// The weight of each intent.
    weights: Vec<f64>,
    smoothing: f64,
}

impl Loss {
    /// Makes the loss for training rows with the intents `y`; an intent without rows has weight 1.
    pub(super) fn new(
        y: impl Iterator<Item = u32>,
        n_classes: usize,
        class_weight: ClassWeight,
        smoothing: f64,
    ) -> Self {
        let mut counts = vec![0_u32; n_classes];
        for intent in y {
            counts[intent as usize] += 1;
        }
        let n_samples: u32 = counts.iter().sum();
        let weight = |count: &u32| match (class_weight, *count) {
            (ClassWeight::None, _) | (_, 0) => 1.0,
            (ClassWeight::Balanced, count) => {
                f64::from(n_samples) / (n_classes as f64 * f64::from(count))
            }
        };
        Self { weights: counts.iter().map(weight).collect(), smoothing }
    }

    /// Returns the total weight of rows with the intents `y`.
    pub(super) fn total(&self, y: &[u32]) -> f64 {
        y.iter().map(|&intent| self.weights[intent as usize]).sum()
    }

    /// Returns the loss of rows with the intents `y`, as part of a batch with total weight `total`.
    ///
    /// `logits` is [n_samples, n_classes]. The loss is sum_i w_i sum_k -q_ik log softmax(logits_i)_k / total, where q_i
    /// is smoothing / n_classes for every intent, plus 1 - smoothing for the truth. The losses of the parts of a batch
    /// add up to the loss of the batch.
    pub(super) fn of(&self, logits: &Tensor, y: &[u32], total: f64) -> Result<Tensor> {
        let targets = self.targets(y, total, logits.device())?;
        (log_softmax(logits, D::Minus1)? * targets)?.sum_all()?.neg()
    }

    fn targets(&self, y: &[u32], total: f64, device: &Device) -> Result<Tensor> {
        let n_classes = self.weights.len();
        let mut targets = vec![0.0_f32; y.len() * n_classes];
        for (targets, &intent) in targets.chunks_mut(n_classes).zip(y) {
            let share = self.weights[intent as usize] / total;
            targets.fill((share * self.smoothing / n_classes as f64) as f32);
            targets[intent as usize] += (share * (1.0 - self.smoothing)) as f32;
        }
        Tensor::from_vec(targets, (y.len(), n_classes), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [[f32; 3]; 2] = [[1.0, -0.5, 2.0], [0.3, 0.2, -1.0]];

    fn loss(y: &[u32], weight: ClassWeight, smoothing: f64, of: &[u32]) -> f32 {
        let loss = Loss::new(y.iter().copied(), 3, weight, smoothing);
        let logits = Tensor::new(&LOGITS, &Device::Cpu).unwrap();
        loss.of(&logits, of, loss.total(of)).unwrap().to_scalar().unwrap()
    }

    /// In double precision from scipy 1.17's `log_softmax(logits, axis=1)`: the mean loss of the truth; 0.9 of it plus
    /// 0.1 of the mean over all intents; the weighted mean.
    #[test]
    fn the_loss_is_the_weighted_mean_of_the_cross_entropy() {
        let y = [0, 1];
        for (ours, expected) in [
            (loss(&y, ClassWeight::None, 0.0, &y), EXPECTED[0]),
            (loss(&y, ClassWeight::None, 0.1, &y), EXPECTED[1]),
        ] {
            assert!((ours - expected).abs() < 1e-6, "{ours} {expected}");
        }
        // Balanced weights for 4, 1 and 2 rows: 7 / (3 n).
        let counts = [0, 0, 0, 0, 1, 2, 2];
        let ours = loss(&counts, ClassWeight::Balanced, 0.0, &y);
        assert!((ours - EXPECTED[2]).abs() < 1e-6, "{ours} {}", EXPECTED[2]);
    }

    const EXPECTED: [f32; 3] = [1.124_828_2, 1.151_494_9, 0.976_801_7];

    #[test]
    fn parts_of_a_batch_add_up_to_its_loss() {
        let loss = Loss::new([0, 1, 1].into_iter(), 3, ClassWeight::Balanced, 0.1);
        let logits = Tensor::new(&LOGITS, &Device::Cpu).unwrap();
        let total = loss.total(&[0, 1]);
        let loss_of = |rows: std::ops::Range<usize>| {
            let y = [0, 1];
            let part = logits.narrow(0, rows.start, rows.len()).unwrap();
            loss.of(&part, &y[rows], total).unwrap().to_scalar::<f32>().unwrap()
        };
        assert!((loss_of(0..2) - loss_of(0..1) - loss_of(1..2)).abs() < 1e-6);
    }
}
