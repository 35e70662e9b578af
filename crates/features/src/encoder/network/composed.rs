//! The network built from candle's operations, which run on any device and differentiate themselves.
//!
//! It fine-tunes on a GPU (the feature `cuda`), and it is the reference that the tests compare `fused.rs`
//! with. Builds without `cuda` do not contain it.
//!
//! candle's fast layer norm and softmax have no backward pass, and the derivative of its GELU is rounded to
//! six digits. So these are built from operations that have an exact one.

use super::{
    super::{Activation, Pooling},
    dropout::{Dropout, Mask, Site, apply_to_tensor},
    packed::{Packed, Span},
    parameters::{Indices, LayerPart, Parameter, Parameters},
};
use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax;
use std::collections::BTreeMap;

/// Whether a forward pass can be differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It can, with respect to the trained parameters.
    Train,
    /// It cannot.
    Infer,
}

/// The parameters and the sizes of the network.
pub(super) struct Composed<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) activation: Activation,
    pub(super) n_layers: usize,
    pub(super) n_heads: usize,
    pub(super) eps: f64,
    pub(super) pooling: Pooling,
    pub(super) device: &'a Device,
    pub(super) purpose: Purpose,
}

/// The embeddings whose sum, normalized, is the first vector of a token.
struct Embeddings {
    word: Tensor,
    position: Tensor,
    token_type: Option<Tensor>,
    norm: Tensor,
}

impl Composed<'_> {
    /// Returns the pooled vectors [n_texts, width] of a batch.
    pub(super) fn forward(&self, batch: &Packed, dropout: Option<&Dropout>) -> Result<Tensor> {
        let mask = |site| dropout.and_then(|dropout| dropout.mask(site));
        let keys = &batch.row_keys;
        let norm = |x: &Tensor, r: &Tensor, norm: &Tensor, mask| {
            add_norm(x, r, norm, self.eps, mask, keys)
        };
        let tables = self.embeddings();
        let (words, places) = look_up(&tables, batch, self.device)?;
        let x = norm(&words, &places, &tables.norm, None)?;
        let mut x = apply_to_tensor(mask(Site::Embeddings), keys, &x)?;
        for layer in 0..self.n_layers {
            let part = |part| self.tensor(self.parameters.indices().of_layer(layer, part));
            let linear = |x: &Tensor, weight, bias| linear(x, &part(weight), &part(bias));
            let qkv = linear(&x, LayerPart::QkvWeight, LayerPart::QkvBias)?;
            let context = attention(&qkv, batch, self.n_heads, mask(Site::Attention(layer)))?;
            let attended = linear(&context, LayerPart::OutputWeight, LayerPart::OutputBias)?;
            let y = norm(
                &attended,
                &x,
                &part(LayerPart::AttentionNorm),
                mask(Site::AttentionOutput(layer)),
            )?;
            let wide = linear(&y, LayerPart::UpWeight, LayerPart::UpBias)?;
            let active = activate(&wide, self.activation)?;
            let added = linear(&active, LayerPart::DownWeight, LayerPart::DownBias)?;
            x = norm(&added, &y, &part(LayerPart::OutputNorm), mask(Site::LayerOutput(layer)))?;
        }
        pool(&x, batch, self.pooling)
    }

    fn embeddings(&self) -> Embeddings {
        let indices = self.parameters.indices();
        Embeddings {
            word: self.tensor(Indices::WORD),
            position: self.tensor(Indices::POSITION),
            token_type: indices.token_type().map(|index| self.tensor(index)),
            norm: self.tensor(indices.embedding_norm()),
        }
    }

    /// Returns the tensor of a parameter, detached from its variable if it is not differentiated.
    fn tensor(&self, index: usize) -> Tensor {
        let Parameter { var, trained, .. } = &self.parameters.all()[index];
        match (self.purpose, trained) {
            (Purpose::Train, true) => var.as_tensor().clone(),
            _ => var.as_detached_tensor(),
        }
    }
}

/// Returns x W^T + b [n_rows, outputs] of x [n_rows, inputs].
fn linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.matmul(&w.t()?)?.broadcast_add(b)
}

/// Returns the activation of each value.
fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::GeluErf => {
            ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)?.mul(&(x * 0.5)?)
        }
        Activation::GeluTanh => {
            let cubed = x.mul(x)?.mul(x)?;
            let u = ((x + (cubed * 0.044_715)?)? * (2.0 / std::f64::consts::PI).sqrt())?;
            (u.tanh()? + 1.0)?.mul(&(x * 0.5)?)
        }
        Activation::Relu => x.relu(),
    }
}

/// Returns the word embeddings of the tokens, and the sums of their position and token-type embeddings.
fn look_up(tables: &Embeddings, batch: &Packed, device: &Device) -> Result<(Tensor, Tensor)> {
    let rows = |table: &Tensor, numbers: &[u32]| {
        table.index_select(&Tensor::from_slice(numbers, numbers.len(), device)?, 0)
    };
    let words = rows(&tables.word, &batch.ids)?;
    let mut places = rows(&tables.position, &batch.positions)?;
    if let Some(types) = &tables.token_type {
        // Every token has the first token type.
        places = places.broadcast_add(&types.get(0)?)?;
    }
    Ok((words, places))
}

/// Returns the layer norm of mask(x) + r, row by row; `norm` is weight and bias, [2, width].
fn add_norm(
    x: &Tensor,
    r: &Tensor,
    norm: &Tensor,
    eps: f64,
    mask: Option<Mask>,
    keys: &[u64],
) -> Result<Tensor> {
    let s = (apply_to_tensor(mask, keys, x)? + r)?;
    let centered = s.broadcast_sub(&s.mean_keepdim(D::Minus1)?)?;
    let variance = centered.sqr()?.mean_keepdim(D::Minus1)?;
    centered
        .broadcast_div(&(variance + eps)?.sqrt()?)?
        .broadcast_mul(&norm.get(0)?)?
        .broadcast_add(&norm.get(1)?)
}

/// Returns the attention of each text, [n_rows, width], of qkv [n_rows, 3 width].
///
/// Texts of the same length are processed together, so there is no padding.
fn attention(qkv: &Tensor, batch: &Packed, n_heads: usize, mask: Option<Mask>) -> Result<Tensor> {
    let (n_rows, triple) = qkv.dims2()?;
    let (width, size) = (triple / 3, triple / 3 / n_heads);
    let mut by_length: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
    for &span in batch.spans.iter() {
        by_length.entry(span.len).or_default().push(span);
    }
    let mut parts = Vec::with_capacity(by_length.len());
    // The new index of each row, to restore the order of the batch at the end.
    let (mut place, mut next) = (vec![0_u32; n_rows], 0);
    for (len, spans) in by_length {
        let rows: Vec<u32> =
            spans.iter().flat_map(|span| span.start as u32..(span.start + len) as u32).collect();
        for &row in &rows {
            place[row as usize] = next;
            next += 1;
        }
        let n = spans.len();
        let rows = Tensor::from_vec(rows, n * len, qkv.device())?;
        let heads = qkv.index_select(&rows, 0)?.reshape((n, len, 3, n_heads, size))?;
        let part = |i: usize| heads.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let scores = (q.matmul(&k.t()?.contiguous()?)? * (1.0 / (size as f64).sqrt()))?;
        let mut weights = softmax(&scores, D::Minus1)?;
        if let Some(mask) = mask {
            let keys: Vec<u64> = spans
                .iter()
                .flat_map(|span| (0..n_heads as u64).map(|head| span.key * n_heads as u64 + head))
                .collect();
            let factors = mask.factors(&keys, len * len);
            weights =
                weights.mul(&Tensor::from_vec(factors, weights.shape(), weights.device())?)?;
        }
        parts.push(weights.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((n * len, width))?);
    }
    let place = Tensor::from_vec(place, n_rows, qkv.device())?;
    Tensor::cat(&parts, 0)?.index_select(&place, 0)
}

/// Returns one vector of each text, [n_texts, width], of x [n_rows, width].
fn pool(x: &Tensor, batch: &Packed, pooling: Pooling) -> Result<Tensor> {
    match pooling {
        Pooling::Cls => {
            let first: Vec<u32> = batch.spans.iter().map(|span| span.start as u32).collect();
            x.index_select(&Tensor::from_vec(first, batch.spans.len(), x.device())?, 0)
        }
        Pooling::Mean => {
            // A matrix product with the shares [n_texts, n_rows], which is small for a batch.
            let n_rows = x.dim(0)?;
            let mut shares = vec![0.0_f32; batch.spans.len() * n_rows];
            for (shares, span) in shares.chunks_mut(n_rows).zip(batch.spans.iter()) {
                shares[span.start..span.start + span.len].fill(1.0 / span.len as f32);
            }
            Tensor::from_vec(shares, (batch.spans.len(), n_rows), x.device())?.matmul(x)
        }
    }
}
