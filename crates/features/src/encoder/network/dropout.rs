//! Dropout with keyed draws instead of a sequence of draws.
//!
//! Whether a value is dropped depends on the seed, the step, the site in the network and the position in the
//! batch, and not on earlier draws. So a resumed run drops the same values as an uninterrupted one, a batch
//! computed in parts the same as the whole batch, and the backward pass repeats the draws of the forward pass.
//! Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 2014.

use super::slices::for_rows;
use botops_stats::random::Random;
use candle_core::{Result, Tensor};

/// The number of outcomes of a draw; rates are rounded to multiples of 1 / 65,536.
const OUTCOMES: f64 = 65_536.0;

/// The dropout of one training step.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    rate: f64,
    seed: u64,
}

impl Dropout {
    /// Makes the dropout of step `step` in a run with `seed`; `rate` is the share dropped, in [0, 1).
    pub fn of_step(rate: f64, seed: u64, step: u64) -> Self {
        Self { rate, seed: Random::stream(seed, step).bits() }
    }

    /// Returns the mask of a site of the network; `None` if the rate is 0.
    pub(crate) fn mask(&self, site: Site) -> Option<Mask> {
        let threshold = (self.rate * OUTCOMES).round();
        (threshold > 0.0).then(|| Mask {
            seed: Random::stream(self.seed, site.number()).bits(),
            threshold: threshold as u16,
            // Kept values are scaled up, so that the expectation is unchanged.
            scale: (OUTCOMES / (OUTCOMES - threshold)) as f32,
        })
    }
}

/// A site of the network where values are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// The output of the embeddings' norm.
    Embeddings,
    /// The attention weights of a layer.
    Attention(usize),
    /// The output of a layer's attention.
    AttentionOutput(usize),
    /// The output of a layer's feed-forward block.
    LayerOutput(usize),
    /// The pooled vectors, which are the input of the classifier.
    Head,
}

impl Site {
    fn number(self) -> u64 {
        match self {
            Self::Embeddings => 0,
            Self::Head => 1,
            Self::Attention(layer) => 4 + 3 * layer as u64,
            Self::AttentionOutput(layer) => 5 + 3 * layer as u64,
            Self::LayerOutput(layer) => 6 + 3 * layer as u64,
        }
    }
}

/// The values dropped at one site in one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    seed: u64,
    threshold: u16,
    scale: f32,
}

impl Mask {
    /// Writes the factors of the row `key`: 0 if dropped, else 1 / (1 - rate).
    pub(super) fn fill(&self, key: u64, factors: &mut [f32]) {
        let mut random = Random::stream(self.seed, key);
        for factors in factors.chunks_mut(4) {
            let bits = random.bits();
            for (lane, factor) in factors.iter_mut().enumerate() {
                let draw = (bits >> (16 * lane)) as u16;
                *factor = if draw < self.threshold { 0.0 } else { self.scale };
            }
        }
    }

    /// Returns the factors of the rows `keys`, row-major [n_rows, width].
    pub(super) fn factors(&self, keys: &[u64], width: usize) -> Vec<f32> {
        let mut factors = vec![0.0; keys.len() * width];
        for (factors, &key) in factors.chunks_mut(width.max(1)).zip(keys) {
            self.fill(key, factors);
        }
        factors
    }
}

/// Multiplies x [n_rows, width] by the mask in place; row i is row `keys[i]` of the mask.
///
/// The same function applied to a gradient is the backward pass.
pub(super) fn apply(mask: Option<Mask>, keys: &[u64], x: &mut [f32]) {
    let Some(mask) = mask else { return };
    let width = x.len() / keys.len();
    for_rows(x, width, |first, x| {
        let mut factors = vec![0.0; width];
        for (x, &key) in x.chunks_exact_mut(width).zip(&keys[first..]) {
            mask.fill(key, &mut factors);
            for (x, factor) in x.iter_mut().zip(&factors) {
                *x *= factor;
            }
        }
    });
}

/// Returns x [n_rows, width] multiplied by the mask; row i is row `keys[i]` of the mask.
pub(super) fn apply_to_tensor(mask: Option<Mask>, keys: &[u64], x: &Tensor) -> Result<Tensor> {
    match mask {
        None => Ok(x.clone()),
        Some(mask) => {
            let factors = mask.factors(keys, x.dim(1)?);
            x.mul(&Tensor::from_vec(factors, x.shape(), x.device())?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_drops_its_share_and_keeps_the_expectation_and_is_keyed() {
        let mask = |seed, step, site| Dropout::of_step(0.1, seed, step).mask(site).unwrap();
        let factors = |mask: Mask| mask.factors(&(0..100).collect::<Vec<u64>>(), 1_000);
        let first = factors(mask(1, 0, Site::Attention(0)));
        let dropped = first.iter().filter(|&&factor| factor == 0.0).count();
        // 100,000 draws at 0.1: the standard deviation is 95.
        assert!((9_600..10_400).contains(&dropped), "{dropped}");
        let mean = first.iter().map(|&factor| f64::from(factor)).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
        assert_eq!(first, factors(mask(1, 0, Site::Attention(0))));
        for other in
            [mask(2, 0, Site::Attention(0)), mask(1, 1, Site::Attention(0)), mask(1, 0, Site::Head)]
        {
            assert_ne!(first, factors(other));
        }
        assert_ne!(first[..1_000], first[1_000..2_000]);
        assert!(Dropout::of_step(0.0, 1, 0).mask(Site::Head).is_none());
    }
}
