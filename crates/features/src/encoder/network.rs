//! The differentiable forward pass of an encoder: what fine-tuning trains.
//!
//! In comes a [`Packed`] batch of tokens, out come the pooled vectors of its texts, ready to be differentiated.
//! Texts are packed without padding: linear layers, norms and activations see one matrix of all tokens, attention
//! each text for itself. On the processor the operations are fused ones of ours, with their own way back
//! (`fused.rs`), and candle differentiates what is on top; on any other device all is composed of candle's.

mod activation;
mod attention;
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
pub use parameters::{Kind, Parameter};

use super::{Activation, EncoderConfig, EncoderTensor, Pooling};
use candle_core::{Device, Error, Result, Tensor, Var, backprop::GradStore};
use dropout::Site;
use parameters::{LayerPart, Parameters};

/// Returns the device to compute on: the first GPU when built with the feature `cuda` and one is there, else the
/// processor. The only place that chooses.
pub fn device() -> Device {
    #[cfg(feature = "cuda")]
    if let Ok(device) = Device::new_cuda(0) {
        return device;
    }
    Device::Cpu
}

/// Names a device as messages and records do.
pub fn device_name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

/// Which of the weights are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frozen {
    /// None is left out.
    Nothing,
    /// The tables of words, positions and token types, and their norm, stay as they are.
    Embeddings,
}

/// Whether a forward pass keeps what the way back needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It does, for what is trained.
    Train,
    /// It does not; nothing can be differentiated.
    Infer,
}

/// How operations are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// Ours, in the processor's memory.
    Fused,
    /// candle's, on any device.
    Composed,
}

/// An encoder's weights as variables, and its forward pass.
pub struct Network {
    parameters: Parameters,
    activation: Activation,
    n_layers: usize,
    n_heads: usize,
    hidden_size: usize,
    eps: f64,
    pooling: Pooling,
    path: Path,
    device: Device,
}

impl Network {
    /// Makes the network of an encoder's weights, which were checked against `config`.
    ///
    /// # Errors
    /// When the device has no room.
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
            path: if device.is_cpu() { Path::Fused } else { Path::Composed },
            device: device.clone(),
        })
    }

    /// Returns every parameter, trained or not, in an order that the config decides.
    pub fn parameters(&self) -> &[Parameter] {
        self.parameters.all()
    }

    /// Returns the weights, under the encoder's names.
    ///
    /// # Errors
    /// When they cannot be read from the device.
    pub fn tensors(&self) -> Result<Vec<EncoderTensor>> {
        self.parameters.tensors()
    }

    /// Returns the pooled vectors [n_texts, hidden_size] of a batch, not scaled to length 1; nothing is dropped, and
    /// nothing can be differentiated.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn infer(&self, batch: &Packed) -> Result<Tensor> {
        match self.path {
            Path::Fused => self
                .fused(|fused| fused.forward(batch, None, false))
                .and_then(|(y, _)| self.pooled(y)),
            Path::Composed => self.compose(batch, Purpose::Infer, None),
        }
    }

    /// Computes the pooled vectors of a batch as one step of training does.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn train(&self, batch: Packed, dropout: Option<Dropout>) -> Result<Pass> {
        match self.path {
            Path::Fused => {
                let (y, tape) =
                    self.fused(|fused| fused.forward(&batch, dropout.as_ref(), true))?;
                // A variable of its own: candle differentiates down to here, the tape goes on.
                let pooled = Var::from_tensor(&self.pooled(y)?)?.into_inner();
                Ok(Pass { pooled, batch, dropout, tape: Some(tape) })
            }
            Path::Composed => {
                let pooled = self.compose(&batch, Purpose::Train, dropout.as_ref())?;
                Ok(Pass { pooled, batch, dropout, tape: None })
            }
        }
    }

    /// Makes room for the gradient of each parameter that is trained, in their order.
    pub fn gradients(&self) -> Vec<Gradient> {
        let trained = self.parameters().iter().filter(|parameter| parameter.trained);
        trained.map(|parameter| Gradient::of(&parameter.var)).collect()
    }

    /// Adds the gradients of a pass to `gradients`, as [`Network::gradients`] made them; `found` is what candle's
    /// `backward` found of a value computed from the pooled vectors.
    ///
    /// # Errors
    /// When the value was not computed from them, or the device has no room.
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
            .ok_or_else(|| Error::Msg("nothing hangs on the pooled vectors".into()))?
            .contiguous()?;
        let (storage, layout) = d_pooled.storage_and_layout();
        let d_pooled = slices::numbers(&storage, layout)?;
        let mut gradients = gradients.iter_mut();
        let sums = self.parameters().iter().map(|parameter| match parameter.trained {
            true => gradients.next().and_then(Gradient::sum),
            false => None,
        });
        let sums = fused::Sums(sums.collect());
        self.fused(|fused| fused.back(tape, &pass.batch, pass.dropout.as_ref(), d_pooled, sums))
    }

    fn pooled(&self, values: Vec<f32>) -> Result<Tensor> {
        let n_texts = values.len() / self.hidden_size;
        Tensor::from_vec(values, (n_texts, self.hidden_size), &self.device)
    }

    /// Lends the parameters' values to `work`.
    fn fused<R>(&self, work: impl FnOnce(fused::Fused<'_>) -> R) -> Result<R> {
        let held: Vec<_> =
            self.parameters().iter().map(|parameter| parameter.var.storage_and_layout()).collect();
        let values = held
            .iter()
            .map(|(storage, layout)| slices::numbers(storage, layout))
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

    /// The forward pass out of candle's operations.
    fn compose(
        &self,
        batch: &Packed,
        purpose: Purpose,
        dropout: Option<&Dropout>,
    ) -> Result<Tensor> {
        let mask = |site| dropout.and_then(|dropout| dropout.mask(site));
        let keys = &batch.row_keys;
        let norm = |x: &Tensor, r: &Tensor, norm: &Tensor, mask| {
            composed::add_norm(x, r, norm, self.eps, mask, keys)
        };
        let tables = self.parameters.embeddings(purpose);
        let (words, places) = composed::look_up(&tables, batch, &self.device)?;
        let x = norm(&words, &places, &tables.norm, None)?;
        let mut x = composed::apply_mask(&x, mask(Site::Embeddings), keys)?;
        for layer in 0..self.n_layers {
            let part = |part| self.parameters.of_layer(layer, part, purpose);
            let linear = |x: &Tensor, weight, bias| composed::linear(x, &part(weight), &part(bias));
            let qkv = linear(&x, LayerPart::QkvWeight, LayerPart::QkvBias)?;
            let context =
                composed::attention(&qkv, batch, self.n_heads, mask(Site::Attention(layer)))?;
            let attended = linear(&context, LayerPart::OutputWeight, LayerPart::OutputBias)?;
            let y = norm(
                &attended,
                &x,
                &part(LayerPart::AttentionNorm),
                mask(Site::AttentionOutput(layer)),
            )?;
            let wide = linear(&y, LayerPart::UpWeight, LayerPart::UpBias)?;
            let active = composed::activate(&wide, self.activation)?;
            let added = linear(&active, LayerPart::DownWeight, LayerPart::DownBias)?;
            x = norm(&added, &y, &part(LayerPart::OutputNorm), mask(Site::LayerOutput(layer)))?;
        }
        composed::pool(&x, batch, self.pooling)
    }
}

/// A forward pass that can be differentiated.
pub struct Pass {
    /// The pooled vectors [n_texts, hidden_size], not scaled to length 1.
    pub(crate) pooled: Tensor,
    batch: Packed,
    dropout: Option<Dropout>,
    /// What the fused way back needs; none where candle's graph has it.
    tape: Option<fused::Tape>,
}

impl Pass {
    /// Returns the pooled vectors with a share of them dropped, as a classifier on top is trained with.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn dropped(&self) -> Result<Tensor> {
        let mask = self.dropout.and_then(|dropout| dropout.mask(Site::Head));
        composed::apply_mask(&self.pooled, mask, &self.batch.text_keys)
    }
}
