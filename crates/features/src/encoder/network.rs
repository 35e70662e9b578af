//! The forward and backward pass of an encoder in fine-tuning.
//!
//! Input: a [`Packed`] batch of tokens. Output: the pooled vectors of its texts, which can be differentiated.
//! Texts are packed without padding: linear layers, norms and activations process one matrix of all tokens,
//! attention processes one text at a time.
//!
//! On the CPU, `fused.rs` computes both passes, and candle differentiates only the layers on top of the
//! pooled vectors. On a GPU (the feature `cuda`), `composed.rs` builds the network from candle's operations.
//! The default build does not contain `composed.rs`; the tests compare `fused.rs` with it.

mod activation;
mod attention;
#[cfg(any(test, feature = "cuda"))]
mod composed;
mod dropout;
mod fused;
mod gradients;
mod linear;
mod norm;
mod packed;
mod parameters;
mod pool;
mod slices;
#[cfg(test)]
mod tests;

pub use dropout::Dropout;
pub use gradients::Gradient;
pub use packed::Packed;
pub use parameters::{Frozen, Kind, Parameter};

use super::{Activation, EncoderConfig, EncoderTensor, Pooling};
use candle_core::{Device, Error, Result, Tensor, Var, backprop::GradStore};
use dropout::Site;
use parameters::Parameters;

/// Returns the device for fine-tuning: the first GPU, if the feature `cuda` is on and one is present, else the CPU.
pub fn device() -> Device {
    #[cfg(feature = "cuda")]
    if let Ok(device) = Device::new_cuda(0) {
        return device;
    }
    Device::Cpu
}

/// Returns the name of a device, as in messages and records.
pub fn device_name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

/// The implementation of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Implementation {
    /// `fused.rs`, on the CPU.
    Fused,
    /// `composed.rs`, on any device.
    #[cfg(any(test, feature = "cuda"))]
    Composed,
}

impl Implementation {
    #[cfg_attr(
        not(any(test, feature = "cuda")),
        expect(unused_variables, reason = "without `cuda` the CPU is the only device")
    )]
    fn of(device: &Device) -> Self {
        #[cfg(any(test, feature = "cuda"))]
        if !device.is_cpu() {
            return Self::Composed;
        }
        Self::Fused
    }
}

/// The weights of an encoder as variables, with its forward and backward pass.
pub struct Network {
    parameters: Parameters,
    activation: Activation,
    n_layers: usize,
    n_heads: usize,
    hidden_size: usize,
    eps: f64,
    pooling: Pooling,
    implementation: Implementation,
    device: Device,
}

impl Network {
    /// Makes a network of the weights of an encoder, which were checked against `config`.
    ///
    /// # Errors
    /// If the device runs out of memory.
    pub fn new(
        config: &EncoderConfig,
        tensors: &[EncoderTensor],
        pooling: Pooling,
        frozen: Frozen,
        device: &Device,
    ) -> Result<Self> {
        Ok(Self {
            parameters: Parameters::new(config, tensors, frozen, device)?,
            activation: config.activation,
            n_layers: config.n_layers,
            n_heads: config.n_heads,
            hidden_size: config.hidden_size,
            eps: config.layer_norm_eps,
            pooling,
            implementation: Implementation::of(device),
            device: device.clone(),
        })
    }

    /// Returns every parameter, trained or not: the embeddings, then layer by layer.
    pub fn parameters(&self) -> &[Parameter] {
        self.parameters.all()
    }

    /// Returns the weights, with the names of [`super::Encoder::tensors`].
    ///
    /// # Errors
    /// If they cannot be read from the device.
    pub fn tensors(&self) -> Result<Vec<EncoderTensor>> {
        self.parameters.tensors()
    }

    /// Returns the pooled vectors [n_texts, hidden_size] of a batch, not scaled to length 1.
    ///
    /// There is no dropout, and the result cannot be differentiated.
    ///
    /// # Errors
    /// If the device runs out of memory.
    pub fn infer(&self, batch: &Packed) -> Result<Tensor> {
        match self.implementation {
            Implementation::Fused => self
                .fused(|fused| fused.forward(batch, None, false))
                .and_then(|(y, _)| self.pooled(y)),
            #[cfg(any(test, feature = "cuda"))]
            Implementation::Composed => {
                self.composed(composed::Purpose::Infer).forward(batch, None)
            }
        }
    }

    /// Returns a forward pass of a training step, which can be differentiated.
    ///
    /// # Errors
    /// If the device runs out of memory.
    pub fn train(&self, batch: Packed, dropout: Option<Dropout>) -> Result<Pass> {
        match self.implementation {
            Implementation::Fused => {
                let (y, tape) =
                    self.fused(|fused| fused.forward(&batch, dropout.as_ref(), true))?;
                // A new variable: candle differentiates down to it, and the tape continues from there.
                let pooled = Var::from_tensor(&self.pooled(y)?)?.into_inner();
                Ok(Pass { pooled, batch, dropout, tape: Some(tape) })
            }
            #[cfg(any(test, feature = "cuda"))]
            Implementation::Composed => {
                let network = self.composed(composed::Purpose::Train);
                let pooled = network.forward(&batch, dropout.as_ref())?;
                Ok(Pass { pooled, batch, dropout, tape: None })
            }
        }
    }

    /// Returns empty gradients, one for each trained parameter, in order.
    pub fn gradients(&self) -> Vec<Gradient> {
        let trained = self.parameters().iter().filter(|parameter| parameter.trained);
        trained.map(|parameter| Gradient::of(&parameter.var)).collect()
    }

    /// Adds the gradients of a pass to `gradients`, which [`Network::gradients`] made.
    ///
    /// `found` is the result of candle's `backward` on a value computed from the pooled vectors.
    ///
    /// # Errors
    /// If the value was not computed from the pooled vectors, or the device runs out of memory.
    pub fn add_gradients(
        &self,
        pass: Pass,
        found: &mut GradStore,
        gradients: &mut [Gradient],
    ) -> Result<()> {
        let trained = self.parameters().iter().filter(|parameter| parameter.trained);
        let Some(tape) = pass.tape else {
            return trained
                .zip(gradients)
                .try_for_each(|(parameter, gradient)| gradient.add(&parameter.var, found));
        };
        let d_pooled = found
            .remove(&pass.pooled)
            .ok_or_else(|| Error::Msg("the value does not depend on the pooled vectors".into()))?
            .contiguous()?;
        let (storage, layout) = d_pooled.storage_and_layout();
        let d_pooled = slices::values(&storage, layout)?;
        let mut gradients = gradients.iter_mut();
        let sums = self.parameters().iter().map(|parameter| match parameter.trained {
            true => gradients.next().and_then(Gradient::sum),
            false => None,
        });
        let sums = fused::Sums(sums.collect());
        self.fused(|fused| fused.back(tape, &pass.batch, pass.dropout.as_ref(), d_pooled, sums))
    }

    /// Returns `values` [n_texts, hidden_size] as a tensor.
    fn pooled(&self, values: Vec<f32>) -> Result<Tensor> {
        let n_texts = values.len() / self.hidden_size;
        Tensor::from_vec(values, (n_texts, self.hidden_size), &self.device)
    }

    /// Calls `work` with the values of the parameters, which are in CPU memory.
    fn fused<R>(&self, work: impl FnOnce(fused::Fused<'_>) -> R) -> Result<R> {
        let held: Vec<_> =
            self.parameters().iter().map(|parameter| parameter.var.storage_and_layout()).collect();
        let values = held
            .iter()
            .map(|(storage, layout)| slices::values(storage, layout))
            .collect::<Result<_>>()?;
        Ok(work(fused::Fused {
            values,
            indices: self.parameters.indices(),
            activation: self.activation,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            eps: self.eps as f32,
            pooling: self.pooling,
            width: self.hidden_size,
        }))
    }

    /// Returns the network built from candle's operations.
    #[cfg(any(test, feature = "cuda"))]
    fn composed(&self, purpose: composed::Purpose) -> composed::Composed<'_> {
        composed::Composed {
            parameters: &self.parameters,
            activation: self.activation,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            eps: self.eps,
            pooling: self.pooling,
            device: &self.device,
            purpose,
        }
    }
}

/// A forward pass of a training step, which can be differentiated.
pub struct Pass {
    /// The pooled vectors [n_texts, hidden_size], not scaled to length 1.
    pub(crate) pooled: Tensor,
    batch: Packed,
    dropout: Option<Dropout>,
    /// The values for the backward pass of `fused.rs`; `None` if candle's graph holds them.
    tape: Option<fused::Tape>,
}

impl Pass {
    /// Returns the pooled vectors after dropout, for training a classifier on top.
    ///
    /// # Errors
    /// If the device runs out of memory.
    pub fn dropped(&self) -> Result<Tensor> {
        let mask = self.dropout.and_then(|dropout| dropout.mask(Site::Head));
        dropout::apply_to_tensor(mask, &self.batch.text_keys, &self.pooled)
    }
}
