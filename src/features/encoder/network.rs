//! The differentiable forward pass of an encoder: what fine-tuning trains.
//!
//! In comes a [`Packed`] batch of tokens, out come the pooled vectors of its texts, with the graph behind them
//! that candle differentiates. Texts are packed without padding: linear layers, norms and activations see one
//! matrix of all tokens, attention each text for itself. On the processor the operations are fused ones of ours,
//! with their own backward passes; on any other device they are composed of candle's.

mod activation;
mod attention;
mod composed;
mod dropout;
mod linear;
mod norm;
mod packed;
mod parameters;
mod pool;
mod slices;
#[cfg(test)]
mod tests;

pub(crate) use dropout::{Dropout, Site};
pub(crate) use packed::Packed;
pub(crate) use parameters::{Kind, Parameter};

use super::{Activation, EncoderConfig, EncoderTensor, Pooling};
use candle_core::{Device, Result, Tensor};
use parameters::{LayerPart, Parameters};

/// Returns the device to compute on: the first GPU when built with the feature `cuda` and one is there, else the
/// processor. The only place that chooses.
pub(crate) fn device() -> Device {
    #[cfg(feature = "cuda")]
    if let Ok(device) = Device::new_cuda(0) {
        return device;
    }
    Device::Cpu
}

/// Names a device as messages and records do.
pub(crate) fn device_name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

/// Which of the weights are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frozen {
    /// None is left out.
    Nothing,
    /// The tables of words, positions and token types, and their norm, stay as they are.
    Embeddings,
}

/// Whether a forward pass keeps what a backward pass needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
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
pub(crate) struct Network {
    parameters: Parameters,
    activation: Activation,
    n_layers: usize,
    n_heads: usize,
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
    pub(crate) fn new(
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
            eps: config.layer_norm_eps,
            pooling,
            path: if device.is_cpu() { Path::Fused } else { Path::Composed },
            device: device.clone(),
        })
    }

    /// Returns every parameter, trained or not, in an order that the config decides.
    pub(crate) fn parameters(&self) -> &[Parameter] {
        self.parameters.all()
    }

    /// Returns the weights, under the encoder's names.
    ///
    /// # Errors
    /// When they cannot be read from the device.
    pub(crate) fn tensors(&self) -> Result<Vec<EncoderTensor>> {
        self.parameters.tensors()
    }

    /// Returns the pooled vectors [n_texts, hidden_size] of a batch, not scaled to length 1.
    ///
    /// # Errors
    /// When the device has no room.
    pub(crate) fn forward(
        &self,
        batch: &Packed,
        purpose: Purpose,
        dropout: Option<&Dropout>,
    ) -> Result<Tensor> {
        let mut x = self.embed(batch, purpose, dropout)?;
        for layer in 0..self.n_layers {
            let part = |part| self.parameters.of_layer(layer, part, purpose);
            let mask = |site| dropout.and_then(|dropout| dropout.mask(site));
            let qkv = self.linear(&x, &part(LayerPart::QkvWeight), &part(LayerPart::QkvBias))?;
            let attended = self.attention(&qkv, batch, mask(Site::Attention(layer)))?;
            drop(qkv);
            let attended = self.linear(
                &attended,
                &part(LayerPart::OutputWeight),
                &part(LayerPart::OutputBias),
            )?;
            let norm = part(LayerPart::AttentionNorm);
            let y =
                self.add_norm(&attended, &x, &norm, batch, mask(Site::AttentionOutput(layer)))?;
            drop((attended, x));
            let wide = self.linear(&y, &part(LayerPart::UpWeight), &part(LayerPart::UpBias))?;
            let wide = self.activate(&wide)?;
            let added =
                self.linear(&wide, &part(LayerPart::DownWeight), &part(LayerPart::DownBias))?;
            let norm = part(LayerPart::OutputNorm);
            x = self.add_norm(&added, &y, &norm, batch, mask(Site::LayerOutput(layer)))?;
        }
        self.pool(&x, batch)
    }

    /// Returns x W^T + b, as a head over the pooled vectors needs it; `site` is dropped from x before.
    ///
    /// # Errors
    /// When the device has no room.
    pub(crate) fn head(
        &self,
        x: &Tensor,
        batch: &Packed,
        (weight, bias): (&Tensor, &Tensor),
        dropout: Option<&Dropout>,
    ) -> Result<Tensor> {
        let mask = dropout.and_then(|dropout| dropout.mask(Site::Head));
        let x = self.apply_mask(x, mask, &batch.text_keys)?;
        self.linear(&x, weight, bias)
    }

    fn embed(&self, batch: &Packed, purpose: Purpose, dropout: Option<&Dropout>) -> Result<Tensor> {
        let row_numbers =
            |numbers: &[u32]| Tensor::from_slice(numbers, numbers.len(), &self.device);
        let tables = self.parameters.embeddings(purpose);
        let words = tables.word.index_select(&row_numbers(&batch.ids)?, 0)?;
        let mut places = tables.position.index_select(&row_numbers(&batch.positions)?, 0)?;
        if let Some(types) = tables.token_type {
            // One text, one type: the first.
            places = places.broadcast_add(&types.get(0)?)?;
        }
        let x = self.add_norm(&words, &places, &tables.norm, batch, None)?;
        let mask = dropout.and_then(|dropout| dropout.mask(Site::Embeddings));
        self.apply_mask(&x, mask, &batch.row_keys)
    }

    fn linear(&self, x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
        match self.path {
            Path::Fused => x.apply_op3(w, b, linear::Linear),
            Path::Composed => composed::linear(x, w, b),
        }
    }

    fn activate(&self, x: &Tensor) -> Result<Tensor> {
        match self.path {
            Path::Fused => x.apply_op1(activation::Activate(self.activation)),
            Path::Composed => composed::activate(x, self.activation),
        }
    }

    fn add_norm(
        &self,
        x: &Tensor,
        r: &Tensor,
        norm: &Tensor,
        batch: &Packed,
        mask: Option<dropout::Mask>,
    ) -> Result<Tensor> {
        match self.path {
            Path::Fused => {
                let keys = batch.row_keys.clone();
                x.apply_op3(r, norm, norm::AddNorm { eps: self.eps as f32, mask, keys })
            }
            Path::Composed => composed::add_norm(x, r, norm, self.eps, mask, &batch.row_keys),
        }
    }

    fn attention(
        &self,
        qkv: &Tensor,
        batch: &Packed,
        mask: Option<dropout::Mask>,
    ) -> Result<Tensor> {
        let n_heads = self.n_heads;
        match self.path {
            Path::Fused => {
                qkv.apply_op1(attention::Attention { spans: batch.spans.clone(), n_heads, mask })
            }
            Path::Composed => composed::attention(qkv, batch, n_heads, mask),
        }
    }

    fn apply_mask(
        &self,
        x: &Tensor,
        mask: Option<dropout::Mask>,
        keys: &std::sync::Arc<[u64]>,
    ) -> Result<Tensor> {
        match (self.path, mask) {
            (Path::Fused, Some(mask)) => {
                x.apply_op1(dropout::ApplyMask { mask, keys: keys.clone() })
            }
            _ => composed::apply_mask(x, mask, keys),
        }
    }

    fn pool(&self, x: &Tensor, batch: &Packed) -> Result<Tensor> {
        match self.path {
            Path::Fused => {
                x.apply_op1(pool::Pool { spans: batch.spans.clone(), pooling: self.pooling })
            }
            Path::Composed => composed::pool(x, batch, self.pooling),
        }
    }
}
