//! The network that is trained: an encoder with a linear classifier on top.

use super::{FineTuningSpec, optimiser::Trained, schedule};
use crate::{
    features::{
        Encoder,
        encoder::network::{Dropout, Frozen, Kind, Network, Packed, Purpose},
    },
    stats::random::Random,
};
use candle_core::{Device, Result, Tensor, Var};

/// Keeps the draws of the first weights apart from other draws of the same seed.
const HEAD: u64 = 0x4EAD;
/// Standard deviation of the first weights, as in BERT.
const SPREAD: f64 = 0.02;

/// An encoder with a linear classifier on top.
pub(super) struct Classifier {
    network: Network,
    /// [n_classes, hidden_size].
    weight: Var,
    /// [n_classes].
    bias: Var,
    top: usize,
}

impl Classifier {
    /// Puts a classifier of `n_classes` intents with random weights on `encoder`.
    pub(super) fn new(
        encoder: &Encoder,
        n_classes: usize,
        frozen: Frozen,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let (config, tensors) = (encoder.config(), encoder.tensors());
        let network = Network::new(config, &tensors, encoder.pooling(), frozen, device)?;
        let mut random = Random::stream(seed, HEAD);
        let n_weights = n_classes * encoder.dim();
        let weights: Vec<f32> =
            (0..n_weights).map(|_| (SPREAD * normal(&mut random)) as f32).collect();
        Ok(Self {
            network,
            weight: Var::from_vec(weights, (n_classes, encoder.dim()), device)?,
            bias: Var::from_vec(vec![0.0_f32; n_classes], n_classes, device)?,
            top: config.n_layers,
        })
    }

    /// Returns what is trained, and how fast: matrices decay, biases and norms do not.
    pub(super) fn trained(&self, spec: &FineTuningSpec) -> Vec<Trained> {
        let decay = |kind| if kind == Kind::Matrix { spec.weight_decay } else { 0.0 };
        let encoder =
            self.network.parameters().iter().filter(|parameter| parameter.trained).map(|p| {
                Trained {
                    name: p.name.clone(),
                    var: p.var.clone(),
                    learning_rate: spec.learning_rate
                        * schedule::of_height(spec.layer_decay, p.height, self.top),
                    weight_decay: decay(p.kind),
                }
            });
        let head =
            [("head.weight", &self.weight, Kind::Matrix), ("head.bias", &self.bias, Kind::Bias)];
        let head = head.map(|(name, var, kind)| Trained {
            name: name.to_owned(),
            var: var.clone(),
            learning_rate: spec.head_learning_rate,
            weight_decay: decay(kind),
        });
        encoder.chain(head).collect()
    }

    /// Returns the scores [n_texts, n_classes] of a batch, with the graph to train by.
    pub(super) fn train_scores(&self, batch: &Packed, dropout: &Dropout) -> Result<Tensor> {
        let pooled = self.network.forward(batch, Purpose::Train, Some(dropout))?;
        self.network.head(&pooled, batch, (&self.weight, &self.bias), Some(dropout))
    }

    /// Returns the scores [n_texts, n_classes] of a batch, nothing dropped.
    pub(super) fn scores(&self, batch: &Packed) -> Result<Tensor> {
        let pooled = self.network.forward(batch, Purpose::Infer, None)?;
        let head = (self.weight.as_detached_tensor(), self.bias.as_detached_tensor());
        self.network.head(&pooled, batch, (&head.0, &head.1), None)
    }

    /// Returns the encoder's weights, and weight and bias of the classifier.
    pub(super) fn weights(
        &self,
    ) -> Result<(Vec<crate::features::EncoderTensor>, Vec<f32>, Vec<f32>)> {
        Ok((self.network.tensors()?, self.weight.flatten_all()?.to_vec1()?, self.bias.to_vec1()?))
    }
}

/// Draws from the standard normal distribution.
///
/// Source: Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
fn normal(random: &mut Random) -> f64 {
    // 1 - u is in (0, 1]: its logarithm is finite.
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}
