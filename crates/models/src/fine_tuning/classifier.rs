//! The network that is trained: an encoder with a linear classifier on top.

use super::{FineTuningSpec, optimiser::Trained, schedule};
use botops_features::{
    Encoder,
    encoder::network::{Dropout, Frozen, Gradient, Kind, Network, Packed, Pass},
};
use botops_stats::random::Random;
use candle_core::{Device, Result, Tensor, Var};

/// Separates the draws of the initial weights from other draws of the same seed.
const HEAD: u64 = 0x4EAD;
/// Standard deviation of the initial weights, as in BERT.
const SPREAD: f64 = 0.02;

/// An encoder with a linear classifier on top.
pub(super) struct Classifier {
    network: Network,
    /// [n_classes, hidden_size].
    weight: Var,
    /// [n_classes].
    bias: Var,
    /// The height of the top layer.
    top: usize,
}

impl Classifier {
    /// Adds a classifier of `n_classes` intents with random weights to `encoder`.
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

    /// Returns the trained variables with their learning rates; weight decay applies to matrices, not to biases and norms.
    pub(super) fn trained(&self, spec: &FineTuningSpec) -> Vec<Trained> {
        let encoder = self.network.parameters().iter().filter(|parameter| parameter.trained);
        let encoder = encoder.map(|parameter| Trained {
            name: parameter.name.clone(),
            var: parameter.var.clone(),
            learning_rate: spec.learning_rate
                * schedule::layer_factor(spec.layer_decay, parameter.height, self.top),
            weight_decay: if parameter.kind == Kind::Matrix { spec.weight_decay } else { 0.0 },
        });
        encoder.chain(self.trained_head(spec)).collect()
    }

    /// Returns the trained variables of the classifier: its weight and its bias.
    pub(super) fn trained_head(&self, spec: &FineTuningSpec) -> Vec<Trained> {
        let head =
            [("head.weight", &self.weight, spec.weight_decay), ("head.bias", &self.bias, 0.0)];
        let trained = |(name, var, weight_decay): (&str, &Var, f64)| Trained {
            name: name.to_owned(),
            var: var.clone(),
            learning_rate: spec.head_learning_rate,
            weight_decay,
        };
        head.map(trained).into()
    }

    /// Allocates the gradients of all trained variables, in the order of [`Classifier::trained`].
    pub(super) fn gradients(&self) -> Vec<Gradient> {
        let head = [&self.weight, &self.bias].map(|var| Gradient::of(var));
        self.network.gradients().into_iter().chain(head).collect()
    }

    /// Returns the scores [n_texts, n_classes] of a batch with dropout, and the values that the backward pass needs.
    pub(super) fn train(&self, batch: Packed, dropout: Dropout) -> Result<(Tensor, Pass)> {
        let pass = self.network.train(batch, Some(dropout))?;
        Ok((self.head(&pass.dropped()?)?, pass))
    }

    /// Adds the gradients of `loss`, a scalar computed from the scores of `pass`, to `gradients`.
    pub(super) fn add_gradients(
        &self,
        loss: &Tensor,
        pass: Pass,
        gradients: &mut [Gradient],
    ) -> Result<()> {
        let mut found = loss.backward()?;
        let n_encoder = gradients.len() - 2;
        let (encoder, head) = gradients.split_at_mut(n_encoder);
        for (gradient, var) in head.iter_mut().zip([&self.weight, &self.bias]) {
            gradient.add(var, &mut found)?;
        }
        self.network.add_gradients(pass, &mut found, encoder)
    }

    /// Returns the scores [n_texts, n_classes] of pooled vectors [n_texts, hidden_size].
    pub(super) fn head(&self, pooled: &Tensor) -> Result<Tensor> {
        pooled.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }

    /// Returns the pooled vectors [n_texts, hidden_size] of a batch, without dropout.
    pub(super) fn pooled(&self, batch: &Packed) -> Result<Tensor> {
        self.network.infer(batch)
    }

    /// Returns the weights of the encoder, and the weight and bias of the classifier.
    pub(super) fn weights(
        &self,
    ) -> Result<(Vec<botops_features::EncoderTensor>, Vec<f32>, Vec<f32>)> {
        Ok((self.network.tensors()?, self.weight.flatten_all()?.to_vec1()?, self.bias.to_vec1()?))
    }
}

/// Draws from the standard normal distribution.
///
/// Source: Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
fn normal(random: &mut Random) -> f64 {
    // 1 - u is in (0, 1], so its logarithm is finite.
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}
