//! The features of all records, computed once and shared by all heads and folds.

use crate::{HeadKind, ModelSpec, Progress, Resources, Sample, training::samples::Samples};
use botops_features::{Counts, Encoder, FeatureMatrix, Tfidf};
use botops_findings::{Fault, Result};
use botops_spec::Spec as _;
use std::{ops::Deref, sync::Arc};

/// Records with their features.
///
/// Rows are those of [`Samples`]: in-scope records, then out-of-scope records. The terms are those of all in-scope
/// records; [`FeatureTable::matrix`] weighs and selects them for each set of rows. A text is embedded once.
#[derive(Debug)]
pub(crate) struct FeatureTable<'a> {
    pub(crate) samples: Samples<'a>,
    /// Fitted on all in-scope records, with the terms selected among them.
    pub(crate) tfidf: Tfidf,
    counts: Counts,
    /// The same before the selection of terms, if there is one: cross-fitting repeats the selection.
    unselected: Option<(Tfidf, Counts)>,
    /// The encoder, and its embeddings `[n_samples, dim]`; these are empty if the encoder is to be fine-tuned.
    encoder: Option<(Arc<Encoder>, Vec<f32>)>,
    /// The factor of embeddings, which balances them against terms.
    dense_weight: f32,
}

/// Records as rows of features: the columns of terms, then those of the embedding.
///
/// - there is one row for each record of the table, in its order
/// - columns below `n_sparse` are terms
#[derive(Debug)]
pub(crate) struct Rows<'t> {
    pub(crate) table: &'t FeatureTable<'t>,
    pub(crate) n_sparse: usize,
    x: FeatureMatrix,
}

impl Deref for Rows<'_> {
    type Target = FeatureMatrix;

    fn deref(&self) -> &FeatureMatrix {
        &self.x
    }
}

impl Rows<'_> {
    /// Returns whether anything in `row` is known: a term, or a token of the encoder.
    pub(crate) fn understood(&self, row: u32) -> bool {
        let has_term =
            |columns: &[u32]| columns.first().is_some_and(|c| (*c as usize) < self.n_sparse);
        let knows = |encoder: &Arc<Encoder>| encoder.knows(self.table.samples.texts[row as usize]);
        has_term(self.x.row(row as usize).0) || self.table.encoder().is_some_and(knows)
    }

    /// Returns the columns of the terms.
    pub(crate) fn terms(&self) -> Self {
        Self { x: self.x.columns(0..self.n_sparse), ..*self }
    }

    /// Returns the columns of the embedding.
    pub(crate) fn embeddings(&self) -> Self {
        Self { x: self.x.columns(self.n_sparse..self.x.n_features()), n_sparse: 0, ..*self }
    }
}

impl<'a> FeatureTable<'a> {
    /// Checks records, and computes the features of `spec.features`.
    ///
    /// # Errors
    /// `BOT-2110` fewer than two intents (exit 3); `BOT-7011`
    /// fewer than 2 records of an intent or 10 in all (exit 4); `BOT-7012` no term is left to learn from (exit 3);
    /// `BOT-7050` the features need an encoder, and `resources` has none (exit 2).
    pub(crate) fn fit(
        samples: &[Sample<'a>],
        spec: &ModelSpec,
        resources: Resources<'_>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let samples = Samples::new(samples)?;
        let encoder = match spec.features.kind.is_dense() {
            true => Some(resources.encoder.ok_or_else(no_encoder)?),
            false => None,
        };
        progress.begin("features", samples.texts.len() as u64);
        let advance = |n| progress.advance(n);
        let sparse = spec.features.tfidf().check()?;
        let (tfidf, mut counts) = Tfidf::fit(samples.in_scope(), &sparse, advance)?;
        counts.append(&tfidf.count_many(samples.out_of_scope(), advance));
        let unselected = sparse.select.map(|_| (tfidf.clone(), counts.clone()));
        let in_scope: Vec<u32> = (0..samples.n_in_scope() as u32).collect();
        let (tfidf, counts) = tfidf.select(counts, &in_scope, &samples.y, samples.n_classes());
        progress.finish();
        let embed = |encoder: &Arc<Encoder>| {
            progress.begin("embed", samples.texts.len() as u64);
            let embeddings = resources.embed(encoder, &samples.texts, &advance)?;
            progress.finish();
            Ok((Arc::clone(encoder), embeddings))
        };
        let encoder = match spec.head.kind {
            HeadKind::FineTuned => encoder.map(|encoder| (Arc::clone(encoder), Vec::new())),
            _ => encoder.map(embed).transpose()?,
        };
        Ok(Self {
            samples,
            tfidf,
            counts,
            unselected,
            encoder,
            dense_weight: spec.features.dense_weight(),
        })
    }

    /// Returns the in-scope rows.
    pub(crate) fn in_scope_rows(&self) -> Vec<u32> {
        (0..self.samples.n_in_scope() as u32).collect()
    }

    /// Returns the encoder, before any fine-tuning.
    pub(crate) fn encoder(&self) -> Option<&Arc<Encoder>> {
        self.encoder.as_ref().map(|(encoder, _)| encoder)
    }

    /// Removes the embeddings `[n_samples, dim]` and returns them; none without an encoder, or if it is fine-tuned.
    pub(crate) fn take_embeddings(&mut self) -> Vec<f32> {
        self.encoder.as_mut().map_or_else(Vec::new, |(_, embeddings)| std::mem::take(embeddings))
    }

    /// Returns all rows, with the columns of `tfidf`, then those of the embedding.
    pub(crate) fn whole(&self) -> Rows<'_> {
        self.with_embeddings(self.tfidf.weigh(&self.counts, self.tfidf.idf()))
    }

    /// Returns all rows, with terms weighted and selected by the in-scope records among `rows`.
    ///
    /// The result is the same as that of fitting on these records alone, except that the columns of all terms are kept:
    /// no other record affects it.
    pub(crate) fn matrix(&self, rows: &[u32]) -> Rows<'_> {
        let n_in_scope = self.samples.n_in_scope() as u32;
        let rows: Vec<u32> = rows.iter().copied().filter(|row| *row < n_in_scope).collect();
        let (tfidf, counts) = match &self.unselected {
            Some((tfidf, counts)) => (tfidf, counts),
            None => (&self.tfidf, &self.counts),
        };
        self.with_embeddings(tfidf.weigh_as_of(
            counts,
            &rows,
            &self.samples.y,
            self.samples.n_classes(),
        ))
    }

    fn with_embeddings(&self, terms: FeatureMatrix) -> Rows<'_> {
        let n_sparse = terms.n_features();
        let x = match &self.encoder {
            Some((_, embeddings)) if !embeddings.is_empty() => {
                terms.beside(embeddings, self.dense_weight)
            }
            _ => terms,
        };
        Rows { table: self, n_sparse, x }
    }
}

fn no_encoder() -> Fault {
    Fault::usage("BOT-7050", "the features need an encoder, and none was given")
        .hint("load the encoder of `features.encoder` first, and pass it to the training")
}
