//! A fitted head.

use super::head::{Head, HeadScratch};
use crate::training::feature_table::Rows;
use botops_features::Encoder;
use rayon::prelude::*;
use std::sync::Arc;

/// A fitted head.
pub(crate) struct Fitted {
    pub(crate) head: Box<dyn Head>,
    /// The fine-tuned encoder, which replaces the encoder that it started from.
    pub(crate) encoder: Option<Arc<Encoder>>,
    /// Scores of rows that the head did not see. If fitting produces them, calibration uses them and fits no folds.
    pub(crate) held_out: Option<HeldOut>,
}

/// Scores `[rows, n_classes]` of `rows`, in any order, which the head did not see.
#[derive(Clone)]
pub(crate) struct HeldOut {
    pub(crate) rows: Vec<u32>,
    pub(crate) scores: Vec<f64>,
}

impl Fitted {
    /// Wraps a head that saw all of its rows and did not change an encoder.
    pub(crate) fn plain(head: impl Head + 'static) -> Self {
        Self { head: Box::new(head), encoder: None, held_out: None }
    }

    /// Returns the raw scores `[rows, n_classes]` of `rows` of `x`, whose columns are those that the head was fitted on.
    pub(crate) fn scores(&self, x: &Rows<'_>, rows: &[u32]) -> Vec<f64> {
        // A feature table holds no embeddings of a fine-tuned encoder.
        let embedded = self.encoder.as_ref().map(|encoder| {
            let texts: Vec<&str> =
                rows.iter().map(|&r| x.table.samples.texts[r as usize]).collect();
            (encoder.embed(&texts, &|_| ()), encoder.dim())
        });
        let scored: Vec<Vec<f64>> = (0..rows.len())
            .into_par_iter()
            .map_init(HeadScratch::default, |scratch, i| {
                let (columns, values) = x.row(rows[i] as usize);
                let mut row: Vec<(u32, f32)> =
                    columns.iter().copied().zip(values.iter().copied()).collect();
                if let Some((embeddings, dim)) = &embedded {
                    let own = embeddings[i * dim..][..*dim].iter().copied();
                    row.extend((x.n_sparse as u32..).zip(own));
                }
                let mut scores = vec![0.0; self.head.n_classes()];
                self.head.scores(&row, scratch, &mut scores);
                scores
            })
            .collect();
        scored.into_iter().flatten().collect()
    }
}
