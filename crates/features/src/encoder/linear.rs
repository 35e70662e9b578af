//! Linear layers, packed once for the matrix products of the forward pass.

use super::{
    Activation,
    kernels::{LANES, Line, Product, Start},
};

/// A layer x W^T + b; the weights W [n_out, n_in] are packed as the columns of W^T.
pub(super) struct Linear {
    panels: Vec<Line>,
    bias: Vec<Line>,
    n_in: usize,
    n_out: usize,
}

/// How a layer stores its output.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Output {
    /// It overwrites the values.
    Overwrite,
    /// It adds to the values: the residual connection.
    Add,
}

impl Linear {
    /// Packs layers that read the same input into one: weights [n_out, n_in] and bias [n_out] of each.
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

    /// Returns the weights [n_rows, n_in] and bias [n_rows] of the outputs from `first` on, bit for bit.
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

    /// Applies the layer to each row of `input` [n_rows, n_in] and stores the result in `output` [n_rows, n_out].
    pub(super) fn apply(
        &self,
        input: &[f32],
        output: &mut [f32],
        mode: Output,
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
            start: match mode {
                Output::Overwrite => Start::Bias(&self.bias),
                Output::Add => Start::Residual(&self.bias),
            },
            activation,
        }
        .compute();
    }
}
