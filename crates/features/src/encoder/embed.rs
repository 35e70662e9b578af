//! Embeddings of texts: many at once on all cores, or one at a time for serving.

use super::{Encoder, EncoderScratch};
use rayon::prelude::*;

/// The most tokens in one pass of the network.
///
/// The weights do not fit a cache and are read once per pass, so a pass should be large; with smaller
/// passes every core has work.
const PACK_TOKENS: usize = 252;

/// The least number of tokens in one pass; below it, reading the weights costs more than a second core gains.
const LEAST_TOKENS: usize = 48;

impl Encoder {
    /// Returns the embeddings of `texts`, row-major [n_samples, dim].
    ///
    /// `advance` is called with the number of texts finished since its last call. The embedding of a text
    /// depends on that text only, bit for bit: not on the other texts, their order or the number of threads.
    #[must_use]
    pub fn embed(&self, texts: &[&str], advance: &(dyn Fn(u64) + Sync)) -> Vec<f32> {
        self.embed_tokens(&self.tokenise(texts), advance)
    }

    /// Returns the embeddings of texts tokenized by [`Encoder::tokenise`], row-major [n_samples, dim].
    ///
    /// `advance` is as in [`Encoder::embed`].
    ///
    /// # Panics
    /// If a text has no token, more tokens than positions, or a token outside the vocabulary.
    #[must_use]
    pub fn embed_tokens(&self, tokens: &[Vec<u32>], advance: &(dyn Fn(u64) + Sync)) -> Vec<f32> {
        let config = self.config();
        let fits = |tokens: &Vec<u32>| {
            (1..=config.max_positions).contains(&tokens.len())
                && tokens.iter().all(|token| (*token as usize) < config.vocab_size)
        };
        assert!(tokens.iter().all(fits), "the tokens are those of this encoder's tokenizer");
        let mut out = vec![0.0; tokens.len() * self.dim()];
        let mut left = &mut out[..];
        let work: Vec<(&[Vec<u32>], &mut [f32])> = packs(tokens, rayon::current_num_threads())
            .into_iter()
            .map(|pack| {
                let (mine, rest) = std::mem::take(&mut left).split_at_mut(pack.len() * self.dim());
                left = rest;
                (pack, mine)
            })
            .collect();
        work.into_par_iter().for_each_init(EncoderScratch::default, |scratch, (pack, out)| {
            let pack: Vec<&[u32]> = pack.iter().map(Vec::as_slice).collect();
            self.embed_pack(&pack, out, scratch);
            advance(pack.len() as u64);
        });
        out
    }

    /// Returns the embedding `[dim]` of one text, the same bits as [`Encoder::embed`] returns.
    ///
    /// It is stored in `scratch`. Once `scratch` has grown, only the tokenizer allocates memory.
    pub fn embed_one<'s>(&self, text: &str, scratch: &'s mut EncoderScratch) -> &'s [f32] {
        let tokens = self.tokens_of(text);
        let mut embedding = std::mem::take(&mut scratch.embedding);
        embedding.resize(self.dim(), 0.0);
        self.embed_pack(&[&tokens], &mut embedding, scratch);
        scratch.embedding = embedding;
        &scratch.embedding
    }

    fn embed_pack(&self, pack: &[&[u32]], out: &mut [f32], scratch: &mut EncoderScratch) {
        self.network().embed(pack, self.pooling(), out, scratch);
        if self.normalise() {
            out.chunks_exact_mut(self.dim()).for_each(normalise);
        }
    }
}

/// Scales `embedding` to length 1, unless its length is 0.
fn normalise(embedding: &mut [f32]) {
    let square: f64 = embedding.iter().map(|value| f64::from(*value).powi(2)).sum();
    if square > 0.0 {
        let scale = 1.0 / square.sqrt();
        embedding.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    }
}

/// Splits `texts` into packs of consecutive texts: as many as fit, and at least one.
fn packs(texts: &[Vec<u32>], n_threads: usize) -> Vec<&[Vec<u32>]> {
    let n_tokens: usize = texts.iter().map(Vec::len).sum();
    // With few tokens, packs are smaller, so that all cores share the work.
    let most = (n_tokens / n_threads.max(1)).clamp(LEAST_TOKENS, PACK_TOKENS);
    let (mut packs, mut rest) = (Vec::new(), texts);
    while !rest.is_empty() {
        let mut held = 0;
        let fitting = rest
            .iter()
            .take_while(|text| {
                held += text.len();
                held <= most
            })
            .count();
        let (pack, others) = rest.split_at(fitting.max(1));
        packs.push(pack);
        rest = others;
    }
    packs
}
