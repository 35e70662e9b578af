//! The operations of the network out of candle's own: for devices other than the processor, and as the reference
//! that the fused operations are tested against.
//!
//! candle's fast layer norm and softmax have no backward pass, and its GELU's derivative is rounded to six
//! digits; these are built of operations that have one.

use super::{
    super::{Activation, Pooling},
    dropout::Mask,
    packed::{Packed, Span},
    parameters::Embeddings,
};
use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax;
use std::collections::BTreeMap;

pub(super) fn linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.matmul(&w.t()?)?.broadcast_add(b)
}

pub(super) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
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

/// Returns the rows of the tokens' words, and those of their positions and type.
pub(super) fn look_up(
    tables: &Embeddings,
    batch: &Packed,
    device: &Device,
) -> Result<(Tensor, Tensor)> {
    let rows = |table: &Tensor, numbers: &[u32]| {
        table.index_select(&Tensor::from_slice(numbers, numbers.len(), device)?, 0)
    };
    let words = rows(&tables.word, &batch.ids)?;
    let mut places = rows(&tables.position, &batch.positions)?;
    if let Some(types) = &tables.token_type {
        // One text, one type: the first.
        places = places.broadcast_add(&types.get(0)?)?;
    }
    Ok((words, places))
}

/// Multiplies x [n_rows, width] by the mask.
pub(super) fn apply_mask(x: &Tensor, mask: Option<Mask>, keys: &[u64]) -> Result<Tensor> {
    match mask {
        None => Ok(x.clone()),
        Some(mask) => {
            let factors = mask.factors(keys, x.dim(1)?);
            x.mul(&Tensor::from_vec(factors, x.shape(), x.device())?)
        }
    }
}

pub(super) fn add_norm(
    x: &Tensor,
    r: &Tensor,
    norm: &Tensor,
    eps: f64,
    mask: Option<Mask>,
    keys: &[u64],
) -> Result<Tensor> {
    let s = (apply_mask(x, mask, keys)? + r)?;
    let centered = s.broadcast_sub(&s.mean_keepdim(D::Minus1)?)?;
    let variance = centered.sqr()?.mean_keepdim(D::Minus1)?;
    centered
        .broadcast_div(&(variance + eps)?.sqrt()?)?
        .broadcast_mul(&norm.get(0)?)?
        .broadcast_add(&norm.get(1)?)
}

/// Attention by groups of texts of one length, so that no position is padded.
pub(super) fn attention(
    qkv: &Tensor,
    batch: &Packed,
    n_heads: usize,
    mask: Option<Mask>,
) -> Result<Tensor> {
    let (n_rows, triple) = qkv.dims2()?;
    let (width, size) = (triple / 3, triple / 3 / n_heads);
    let mut by_length: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
    for &span in batch.spans.iter() {
        by_length.entry(span.len).or_default().push(span);
    }
    let mut parts = Vec::with_capacity(by_length.len());
    // Where each row went: the inverse brings the rows back into the order of the batch.
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

pub(super) fn pool(x: &Tensor, batch: &Packed, pooling: Pooling) -> Result<Tensor> {
    match pooling {
        Pooling::Cls => {
            let first: Vec<u32> = batch.spans.iter().map(|span| span.start as u32).collect();
            x.index_select(&Tensor::from_vec(first, batch.n_texts(), x.device())?, 0)
        }
        Pooling::Mean => {
            // A product with the texts' shares: [n_texts, n_rows] of a batch is small.
            let n_rows = x.dim(0)?;
            let mut shares = vec![0.0_f32; batch.n_texts() * n_rows];
            for (shares, span) in shares.chunks_mut(n_rows).zip(batch.spans.iter()) {
                shares[span.start..span.start + span.len].fill(1.0 / span.len as f32);
            }
            Tensor::from_vec(shares, (batch.n_texts(), n_rows), x.device())?.matmul(x)
        }
    }
}
