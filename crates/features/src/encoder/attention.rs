//! Self-attention within one text; texts are not padded, so there is no mask.

use super::kernels::{LANES, Line, Product, Start, softmax};

/// Queries scored together; for a text of 512 tokens their scores take 96 KiB.
const QUERY_BLOCK: usize = 48;

/// Working memory for one head of one text.
#[derive(Debug, Default)]
pub(super) struct AttentionScratch {
    keys: Vec<Line>,
    values: Vec<Line>,
    scores: Vec<f32>,
}

/// Writes softmax(Q K^T / sqrt(head_size)) V of each head into `context` [n_tokens, hidden_size].
///
/// `qkv` is [n_tokens, 3 * hidden_size]: the queries, keys and values of a token, each head by head.
pub(super) fn attend(
    qkv: &[f32],
    context: &mut [f32],
    n_heads: usize,
    head_size: usize,
    scratch: &mut AttentionScratch,
) {
    let hidden = n_heads * head_size;
    let stride = 3 * hidden;
    let n_tokens = qkv.len() / stride;
    let padded = n_tokens.next_multiple_of(LANES);
    let scale = 1.0 / (head_size as f32).sqrt();
    let AttentionScratch { keys, values, scores } = scratch;
    for head in 0..n_heads {
        let at = head * head_size;
        pack_keys(&qkv[hidden + at..], stride, n_tokens, head_size, keys);
        pack_values(&qkv[2 * hidden + at..], stride, n_tokens, head_size, values);
        for first in (0..n_tokens).step_by(QUERY_BLOCK) {
            let n_rows = QUERY_BLOCK.min(n_tokens - first);
            scores.resize(n_rows * padded, 0.0);
            Product {
                a: &qkv[first * stride + at..],
                a_stride: stride,
                n_rows,
                panels: keys,
                depth: head_size,
                n_columns: padded,
                c: scores,
                c_stride: padded,
                start: Start::Zero,
                activation: None,
            }
            .compute();
            softmax(scores, padded, n_tokens, scale);
            Product {
                a: scores,
                a_stride: padded,
                n_rows,
                panels: values,
                depth: n_tokens,
                n_columns: head_size,
                c: &mut context[first * hidden + at..],
                c_stride: hidden,
                start: Start::Zero,
                activation: None,
            }
            .compute();
        }
    }
}

/// Packs K^T [head_size, n_tokens]; a panel holds `LANES` tokens.
fn pack_keys(
    keys: &[f32],
    stride: usize,
    n_tokens: usize,
    head_size: usize,
    packed: &mut Vec<Line>,
) {
    packed.clear();
    packed.resize(n_tokens.div_ceil(LANES) * head_size, Line::ZERO);
    for token in 0..n_tokens {
        let (panel, lane) = (token / LANES, token % LANES);
        let key = &keys[token * stride..][..head_size];
        for (line, value) in packed[panel * head_size..][..head_size].iter_mut().zip(key) {
            line.0[lane] = *value;
        }
    }
}

/// Packs V [n_tokens, head_size]; a panel holds `LANES` columns of the head.
fn pack_values(
    values: &[f32],
    stride: usize,
    n_tokens: usize,
    head_size: usize,
    packed: &mut Vec<Line>,
) {
    packed.clear();
    packed.resize(head_size.div_ceil(LANES) * n_tokens, Line::ZERO);
    for token in 0..n_tokens {
        let value = &values[token * stride..][..head_size];
        for (panel, part) in value.chunks(LANES).enumerate() {
            packed[panel * n_tokens + token].0[..part.len()].copy_from_slice(part);
        }
    }
}
