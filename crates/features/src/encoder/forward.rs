//! The forward pass for embedding: the tokens of many texts, packed one text after another without padding.

use super::{
    Architecture, EncoderConfig, EncoderTensor, Pooling,
    attention::{AttentionScratch, attend},
    kernels::Norm,
    linear::{Linear, Output},
};

/// The weights of an encoder, packed for the forward pass.
pub(super) struct Network {
    config: EncoderConfig,
    word: Vec<f32>,
    position: Vec<f32>,
    /// Empty if the family has no token types.
    token_type: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// The query, key and value layers as one.
    qkv: Linear,
    output: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    output_norm: Norm,
}

/// Working memory of the forward pass, reused between texts.
///
/// It works with any encoder, and grows to the largest pack.
#[derive(Debug, Default)]
pub struct EncoderScratch {
    hidden: Vec<f32>,
    qkv: Vec<f32>,
    context: Vec<f32>,
    wide: Vec<f32>,
    attention: AttentionScratch,
    pub(super) embedding: Vec<f32>,
}

/// Rows that pass through the feed-forward block together; it bounds the memory for their wide values.
const ROW_BLOCK: usize = 252;

impl Network {
    /// Packs the tensors of [`super::weights::expected`], which are checked and in that order.
    pub(super) fn new(config: EncoderConfig, tensors: Vec<EncoderTensor>) -> Self {
        let mut tensors = tensors.into_iter().map(|tensor| tensor.values);
        let mut next = || tensors.next().expect("the tensors were checked to be complete");
        let epsilon = config.layer_norm_eps as f32;
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let (word, position) = (next(), next());
        let token_type = match config.architecture {
            Architecture::Bert => next(),
            Architecture::DistilBert => Vec::new(),
        };
        let norm = Norm { weight: next(), bias: next(), epsilon };
        let layers = (0..config.n_layers)
            .map(|_| {
                let [query, key, value, output] = std::array::from_fn(|_| (next(), next()));
                let attention_norm = Norm { weight: next(), bias: next(), epsilon };
                let [up, down] = std::array::from_fn(|_| (next(), next()));
                let output_norm = Norm { weight: next(), bias: next(), epsilon };
                let pack = |layers: &[&(Vec<f32>, Vec<f32>)], n_in| {
                    let layers: Vec<(&[f32], &[f32])> =
                        layers.iter().map(|(weight, bias)| (&weight[..], &bias[..])).collect();
                    Linear::pack(&layers, n_in)
                };
                Layer {
                    qkv: pack(&[&query, &key, &value], hidden),
                    output: pack(&[&output], hidden),
                    attention_norm,
                    up: pack(&[&up], hidden),
                    down: pack(&[&down], wide),
                    output_norm,
                }
            })
            .collect();
        Self { config, word, position, token_type, norm, layers }
    }

    /// Returns the config of the encoder.
    pub(super) fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Iterates over the values of the tensors of [`super::weights::expected`], in that order, bit for bit.
    pub(super) fn values(&self) -> impl Iterator<Item = Vec<f32>> {
        let EncoderConfig { hidden_size: hidden, intermediate_size: wide, .. } = self.config;
        let token_type = (!self.token_type.is_empty()).then(|| self.token_type.clone());
        let norm = |norm: &Norm| [norm.weight.clone(), norm.bias.clone()];
        let linear =
            move |linear: &Linear, first, n_out| <[Vec<f32>; 2]>::from(linear.unpack(first, n_out));
        let embeddings = [self.word.clone(), self.position.clone()];
        embeddings.into_iter().chain(token_type).chain(norm(&self.norm)).chain(
            self.layers.iter().flat_map(move |layer| {
                (0..3)
                    .flat_map(move |part| linear(&layer.qkv, part * hidden, hidden))
                    .chain(linear(&layer.output, 0, hidden))
                    .chain(norm(&layer.attention_norm))
                    .chain(linear(&layer.up, 0, wide))
                    .chain(linear(&layer.down, 0, hidden))
                    .chain(norm(&layer.output_norm))
            }),
        )
    }

    /// Writes the embedding of each text of `tokens` into `out` [n_texts, hidden_size], before any scaling to length 1.
    pub(super) fn embed(
        &self,
        tokens: &[&[u32]],
        pooling: Pooling,
        out: &mut [f32],
        scratch: &mut EncoderScratch,
    ) {
        let hidden = self.config.hidden_size;
        self.hidden(tokens, scratch);
        let mut rows = &scratch.hidden[..];
        for (tokens, out) in tokens.iter().zip(out.chunks_exact_mut(hidden)) {
            let (text, rest) = rows.split_at(tokens.len() * hidden);
            rows = rest;
            match pooling {
                Pooling::Cls => out.copy_from_slice(&text[..hidden]),
                Pooling::Mean => {
                    out.fill(0.0);
                    for token in text.chunks_exact(hidden) {
                        for (sum, value) in out.iter_mut().zip(token) {
                            *sum += value;
                        }
                    }
                    let share = 1.0 / tokens.len() as f32;
                    out.iter_mut().for_each(|value| *value *= share);
                }
            }
        }
    }

    /// Fills `scratch.hidden` with the vectors of all tokens after the last layer, text after text.
    fn hidden(&self, tokens: &[&[u32]], scratch: &mut EncoderScratch) {
        let EncoderConfig { hidden_size: hidden, intermediate_size: wide, n_heads, .. } =
            self.config;
        let n_tokens: usize = tokens.iter().map(|tokens| tokens.len()).sum();
        let EncoderScratch { hidden: rows, qkv, context, wide: wides, attention, .. } = scratch;
        rows.clear();
        for tokens in tokens {
            self.embeddings(tokens, rows);
        }
        self.norm.apply(rows);
        qkv.resize(n_tokens * 3 * hidden, 0.0);
        context.resize(n_tokens * hidden, 0.0);
        wides.resize(ROW_BLOCK.min(n_tokens) * wide, 0.0);
        for layer in &self.layers {
            layer.qkv.apply(rows, qkv, Output::Overwrite, None);
            let mut first = 0;
            for tokens in tokens {
                let text = first..first + tokens.len();
                attend(
                    &qkv[text.start * 3 * hidden..text.end * 3 * hidden],
                    &mut context[text.start * hidden..text.end * hidden],
                    n_heads,
                    self.config.head_size(),
                    attention,
                );
                first = text.end;
            }
            for (rows, context) in
                rows.chunks_mut(ROW_BLOCK * hidden).zip(context.chunks(ROW_BLOCK * hidden))
            {
                layer.output.apply(context, rows, Output::Add, None);
                layer.attention_norm.apply(rows);
                let wides = &mut wides[..rows.len() / hidden * wide];
                layer.up.apply(rows, wides, Output::Overwrite, Some(self.config.activation));
                layer.down.apply(wides, rows, Output::Add, None);
                layer.output_norm.apply(rows);
            }
        }
    }

    /// Appends the sum of each token's embeddings: word, position, and the first token type.
    fn embeddings(&self, tokens: &[u32], rows: &mut Vec<f32>) {
        let hidden = self.config.hidden_size;
        let token_type = self.token_type.get(..hidden);
        for (token, position) in tokens.iter().zip(self.position.chunks_exact(hidden)) {
            let word = &self.word[*token as usize * hidden..][..hidden];
            match token_type {
                Some(token_type) => {
                    let terms = word.iter().zip(token_type).zip(position);
                    rows.extend(
                        terms.map(|((word, token_type), position)| word + token_type + position),
                    );
                }
                None => {
                    rows.extend(word.iter().zip(position).map(|(word, position)| word + position))
                }
            }
        }
    }
}
