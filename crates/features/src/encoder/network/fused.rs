//! The network on the CPU: a forward pass that records a tape, and a backward pass that reads it.
//!
//! It works on slices, without candle. candle's automatic differentiation adds each gradient to zeros, one
//! operation at a time, on threads that spin while they wait: with the same fused operations in candle, a
//! step of MiniLM-L6 took a third more CPU time. The tests compare the results with candle's.

use super::{
    super::{Activation, Pooling},
    Dropout, Site, activation,
    attention::Attention,
    dropout::{self, Mask},
    gradients::Sum,
    linear::{self, Linear},
    norm::AddNorm,
    packed::Packed,
    parameters::{Indices, LayerPart},
    pool,
};

/// The sizes of the network and the values of its parameters, in order.
pub(super) struct Fused<'a> {
    pub(super) values: Vec<&'a [f32]>,
    pub(super) indices: Indices,
    pub(super) activation: Activation,
    pub(super) n_layers: usize,
    pub(super) n_heads: usize,
    pub(super) eps: f32,
    pub(super) pooling: Pooling,
    pub(super) width: usize,
}

/// The values of a forward pass that the backward pass needs, each [n_rows, ..].
pub(super) struct Tape {
    words: Vec<f32>,
    places: Vec<f32>,
    layers: Vec<LayerTape>,
}

/// The values of one layer.
struct LayerTape {
    /// The input of the layer.
    x: Vec<f32>,
    qkv: Vec<f32>,
    context: Vec<f32>,
    /// The output of the attention block, which is added to `x`.
    attended: Vec<f32>,
    /// The input of the feed-forward block.
    y: Vec<f32>,
    wide: Vec<f32>,
    active: Vec<f32>,
    /// The output of the feed-forward block, which is added to `y`.
    added: Vec<f32>,
}

impl<'a> Fused<'a> {
    fn of_layer(&self, layer: usize, part: LayerPart) -> &'a [f32] {
        self.values[self.indices.of_layer(layer, part)]
    }

    fn linear(&self, layer: usize, weight: LayerPart, bias: LayerPart) -> Linear<'a> {
        Linear::new(self.of_layer(layer, weight), self.of_layer(layer, bias))
    }

    fn add_norm<'b>(&self, norm: &'b [f32], mask: Option<Mask>, batch: &'b Packed) -> AddNorm<'b>
    where
        'a: 'b,
    {
        AddNorm { norm, eps: self.eps, mask, keys: &batch.row_keys }
    }

    /// Returns the pooled vectors [n_texts, width] and the tape, which has layers only if `record` is set.
    pub(super) fn forward(
        &self,
        batch: &Packed,
        dropout: Option<&Dropout>,
        record: bool,
    ) -> (Vec<f32>, Tape) {
        let mask = |site| dropout.and_then(|dropout| dropout.mask(site));
        let (words, places) = self.look_up(batch);
        let norm = self.values[self.indices.embedding_norm()];
        let mut x = self.add_norm(norm, None, batch).forward(&words, &places);
        dropout::apply(mask(Site::Embeddings), &batch.row_keys, &mut x);
        let mut tape = Tape { words, places, layers: Vec::new() };
        for layer in 0..self.n_layers {
            let qkv = self.linear(layer, LayerPart::QkvWeight, LayerPart::QkvBias).forward(&x);
            let context = self.attention(layer, batch, dropout).forward(&qkv, self.width);
            let attended = self
                .linear(layer, LayerPart::OutputWeight, LayerPart::OutputBias)
                .forward(&context);
            let norm = self.of_layer(layer, LayerPart::AttentionNorm);
            let y = self
                .add_norm(norm, mask(Site::AttentionOutput(layer)), batch)
                .forward(&attended, &x);
            let wide = self.linear(layer, LayerPart::UpWeight, LayerPart::UpBias).forward(&y);
            let active = activation::forward(self.activation, &wide);
            let added =
                self.linear(layer, LayerPart::DownWeight, LayerPart::DownBias).forward(&active);
            let norm = self.of_layer(layer, LayerPart::OutputNorm);
            let next =
                self.add_norm(norm, mask(Site::LayerOutput(layer)), batch).forward(&added, &y);
            let x = std::mem::replace(&mut x, next);
            if record {
                tape.layers.push(LayerTape { x, qkv, context, attended, y, wide, active, added });
            }
        }
        (pool::forward(self.pooling, &batch.spans, &x, self.width), tape)
    }

    /// Adds the gradients of the trained parameters to `sums`, given the gradient of the pooled vectors.
    pub(super) fn back(
        &self,
        tape: Tape,
        batch: &Packed,
        dropout: Option<&Dropout>,
        d_pooled: &[f32],
        mut sums: Sums<'_>,
    ) {
        let mask = |site| dropout.and_then(|dropout| dropout.mask(site));
        let mut dx = pool::back(self.pooling, &batch.spans, d_pooled, batch.row_keys.len());
        for (layer, tape) in tape.layers.into_iter().enumerate().rev() {
            let at = |part| self.indices.of_layer(layer, part);
            let norm = self.of_layer(layer, LayerPart::OutputNorm);
            let back = self.add_norm(norm, mask(Site::LayerOutput(layer)), batch).back(
                &tape.added,
                &tape.y,
                &dx,
                sums.of(at(LayerPart::OutputNorm)),
            );
            let mut dy = back.dr;
            let d_added = back.dx.as_ref().unwrap_or(&dy);
            sums.add([LayerPart::DownWeight, LayerPart::DownBias].map(at), d_added, &tape.active);
            let down = self.linear(layer, LayerPart::DownWeight, LayerPart::DownBias);
            let mut d_wide = down.back(d_added);
            activation::back(self.activation, &tape.wide, &mut d_wide);
            sums.add([LayerPart::UpWeight, LayerPart::UpBias].map(at), &d_wide, &tape.y);
            let up = self.linear(layer, LayerPart::UpWeight, LayerPart::UpBias);
            up.add_back(&d_wide, 1.0, &mut dy);
            drop(d_wide);

            let norm = self.of_layer(layer, LayerPart::AttentionNorm);
            let back = self.add_norm(norm, mask(Site::AttentionOutput(layer)), batch).back(
                &tape.attended,
                &tape.x,
                &dy,
                sums.of(at(LayerPart::AttentionNorm)),
            );
            dx = back.dr;
            let d_attended = back.dx.as_ref().unwrap_or(&dx);
            sums.add(
                [LayerPart::OutputWeight, LayerPart::OutputBias].map(at),
                d_attended,
                &tape.context,
            );
            let output = self.linear(layer, LayerPart::OutputWeight, LayerPart::OutputBias);
            let d_context = output.back(d_attended);
            let d_qkv =
                self.attention(layer, batch, dropout).back(&tape.qkv, &d_context, self.width);
            sums.add([LayerPart::QkvWeight, LayerPart::QkvBias].map(at), &d_qkv, &tape.x);
            if layer > 0 || sums.include_embeddings(self.indices) {
                let qkv = self.linear(layer, LayerPart::QkvWeight, LayerPart::QkvBias);
                qkv.add_back(&d_qkv, 1.0, &mut dx);
            }
        }
        if sums.include_embeddings(self.indices) {
            dropout::apply(mask(Site::Embeddings), &batch.row_keys, &mut dx);
            self.back_to_tables(&tape.words, &tape.places, batch, &dx, sums);
        }
    }

    /// Returns the word embeddings of the tokens, and the sums of their position and token-type embeddings.
    fn look_up(&self, batch: &Packed) -> (Vec<f32>, Vec<f32>) {
        let rows = |table: &[f32], numbers: &[u32]| -> Vec<f32> {
            let row = |&number: &u32| &table[number as usize * self.width..][..self.width];
            numbers.iter().flat_map(row).copied().collect()
        };
        let words = rows(self.values[Indices::WORD], &batch.ids);
        let mut places = rows(self.values[Indices::POSITION], &batch.positions);
        if let Some(types) = self.indices.token_type() {
            // Every token has the first token type.
            for row in places.chunks_exact_mut(self.width) {
                row.iter_mut().zip(self.values[types]).for_each(|(place, kind)| *place += kind);
            }
        }
        (words, places)
    }

    /// Adds the gradients of the embeddings and their norm: the backward pass of [`Fused::look_up`].
    fn back_to_tables(
        &self,
        words: &[f32],
        places: &[f32],
        batch: &Packed,
        dx: &[f32],
        mut sums: Sums<'_>,
    ) {
        let norm = self.indices.embedding_norm();
        let back =
            self.add_norm(self.values[norm], None, batch).back(words, places, dx, sums.of(norm));
        let mut scatter = |table: usize, numbers: &mut dyn Iterator<Item = u32>| {
            let Some(sum) = sums.of(table) else { return };
            let (_, sum) = sum.begin_at_zero();
            for (number, d) in numbers.zip(back.dr.chunks_exact(self.width)) {
                let row = &mut sum[number as usize * self.width..][..self.width];
                row.iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
            }
        };
        scatter(Indices::WORD, &mut batch.ids.iter().copied());
        scatter(Indices::POSITION, &mut batch.positions.iter().copied());
        if let Some(types) = self.indices.token_type() {
            scatter(types, &mut std::iter::repeat(0));
        }
    }

    fn attention<'b>(
        &self,
        layer: usize,
        batch: &'b Packed,
        dropout: Option<&Dropout>,
    ) -> Attention<'b> {
        let mask = dropout.and_then(|dropout| dropout.mask(Site::Attention(layer)));
        Attention { spans: &batch.spans, n_heads: self.n_heads, mask }
    }
}

/// The sums of the gradients, one for each parameter in order; `None` for parameters that are not trained.
pub(super) struct Sums<'a>(pub(super) Vec<Option<&'a mut Sum>>);

impl Sums<'_> {
    fn of(&mut self, parameter: usize) -> Option<&mut Sum> {
        self.0[parameter].as_deref_mut()
    }

    /// Adds the gradients of a linear layer's weight and bias.
    fn add(&mut self, layer: [usize; 2], dy: &[f32], x: &[f32]) {
        if let Ok([Some(weight), Some(bias)]) = self.0.get_disjoint_mut(layer) {
            linear::add_gradients(dy, x, weight, bias);
        }
    }

    /// Returns whether the embeddings or their norm are trained.
    fn include_embeddings(&self, indices: Indices) -> bool {
        self.0[..=indices.embedding_norm()].iter().any(Option::is_some)
    }
}
