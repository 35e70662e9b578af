//! A linear layer, packed once for the products of the forward pass.

use super::{
    Activation,
    kernels::{LANES, Line, Product, Start},
};

/// x -> x W^T + b, of weights W [n_out, n_in] packed as the columns of W^T.
pub(super) struct Linear {
    panels: Vec<Line>,
    bias: Vec<Line>,
    n_in: usize,
    n_out: usize,
}

/// What a layer's output is added to.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Into {
    /// Nothing: the output is written.
    Fresh,
    /// What is there already: the residual connection.
    Residual,
}

impl Linear {
    /// Packs layers that read the same input, one below the other: weights [n_out, n_in] and bias [n_out] of each.
    pub(super) fn pack(layers: &[(&[f32], &[f32])], n_in: usize) -> Self {
        let n_out = layers.iter().map(|(_, bias)| bias.len()).sum::<usize>();
        let n_panels = n_out.div_ceil(LANES);
        let mut panels = vec![Line::ZERO; n_panels * n_in];
        let mut bias = vec![Line::ZERO; n_panels];
        let rows = layers.iter().flat_map(|(weight, bias)| weight.chunks_exact(n_in).zip(*bias));
        for (out, (row, shift)) in rows.enumerate() {
            let (panel, lane) = (out / LANES, out % LANES);
            bias[panel].0[lane] = *shift;
            for (line, value) in panels[panel * n_in..].iter_mut().zip(row) {
                line.0[lane] = *value;
            }
        }
        Self { panels, bias, n_in, n_out }
    }

    /// Returns weights [n_rows, n_in] and bias [n_rows] of the outputs from `first` on, as they were packed.
    pub(super) fn unpack(&self, first: usize, n_rows: usize) -> (Vec<f32>, Vec<f32>) {
        let mut weight = Vec::with_capacity(n_rows * self.n_in);
        let mut bias = Vec::with_capacity(n_rows);
        for out in first..first + n_rows {
            let (panel, lane) = (out / LANES, out % LANES);
            weight.extend(
                self.panels[panel * self.n_in..][..self.n_in].iter().map(|line| line.0[lane]),
            );
            bias.push(self.bias[panel].0[lane]);
        }
        (weight, bias)
    }

    /// Applies the layer to each row of `input` [n_rows, n_in], into `output` [n_rows, n_out].
    pub(super) fn apply(
        &self,
        input: &[f32],
        output: &mut [f32],
        into: Into,
        activation: Option<Activation>,
    ) {
        let n_rows = input.len() / self.n_in;
        Product {
            a: input,
            a_stride: self.n_in,
            n_rows,
            panels: &self.panels,
            depth: self.n_in,
            n_columns: self.n_out,
            c: output,
            c_stride: self.n_out,
            start: match into {
                Into::Fresh => Start::Bias(&self.bias),
                Into::Residual => Start::Residual(&self.bias),
            },
            activation,
        }
        .compute();
    }
}
