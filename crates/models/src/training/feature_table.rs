//! Records as numbers: what is fitted once, however many heads and folds learn from it.

use crate::{HeadKind, ModelSpec, Progress, Resources, Sample, training::samples::Data};
use botops_features::{Counts, Encoder, FeatureMatrix, Tfidf};
use botops_findings::{Fault, Result};
use std::{ops::Deref, sync::Arc};

/// Records with their features.
///
/// Rows are those of [`Data`]: first the records that train, then those out of scope. Terms are those of all that
/// train; how much each says, and whether it is selected, is decided row set by row set, by [`Table::matrix`]. A text is
/// embedded once.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) data: Data<'a>,
    /// What is fitted on all records that train, terms selected among them.
    pub(crate) tfidf: Tfidf,
    counts: Counts,
    /// The same before terms were selected, where any are: cross-fitting selects them anew.
    unselected: Option<(Tfidf, Counts)>,
    /// The encoder, and the embeddings `[n_samples, dim]` by it as it is; when it is to be fine-tuned, none.
    encoder: Option<(Arc<Encoder>, Vec<f32>)>,
    /// What an embedding is multiplied with, so that it stands beside terms.
    dense_weight: f32,
}

/// Records as a model reads them: the columns of terms, then those of the embedding.
///
/// - there is one row for each record of the table, in its order
/// - columns below `n_sparse` are terms
#[derive(Debug)]
pub(crate) struct Rows<'t> {
    pub(crate) table: &'t Table<'t>,
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
    /// Returns whether anything of `row` is known: a term, or a token to the encoder.
    pub(crate) fn understood(&self, row: u32) -> bool {
        let has_term =
            |columns: &[u32]| columns.first().is_some_and(|c| (*c as usize) < self.n_sparse);
        let knows = |encoder: &Arc<Encoder>| encoder.knows(self.table.data.texts[row as usize]);
        has_term(self.x.row(row as usize).0) || self.table.encoder().is_some_and(knows)
    }

    /// Returns the terms alone.
    pub(crate) fn terms(&self) -> Self {
        Self { x: self.x.columns(0..self.n_sparse), ..*self }
    }

    /// Returns the embedding alone.
    pub(crate) fn embeddings(&self) -> Self {
        Self { x: self.x.columns(self.n_sparse..self.x.n_features()), n_sparse: 0, ..*self }
    }
}

impl<'a> Table<'a> {
    /// Checks spec and records, and fits what `spec.features` ask for.
    ///
    /// # Errors
    /// `BOT-7010`, `BOT-7014` a spec out of range (exit 2); `BOT-2110` fewer than two intents (exit 3); `BOT-7011`
    /// fewer than 2 records of an intent or 10 in all (exit 4); `BOT-7012` no term is left to learn from (exit 3);
    /// `BOT-7050` no encoder where one is wanted (exit 2).
    pub(crate) fn fit(
        samples: &[Sample<'a>],
        spec: &ModelSpec,
        resources: Resources<'_>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        spec.check()?;
        let data = Data::new(samples)?;
        let encoder = match spec.features.kind.is_dense() {
            true => Some(resources.encoder.ok_or_else(no_encoder)?),
            false => None,
        };
        progress.begin("features", data.texts.len() as u64);
        let advance = |n| progress.advance(n);
        let sparse = spec.features.tfidf();
        let (tfidf, mut counts) = Tfidf::fit(data.inside(), &sparse, advance)?;
        counts.append(&tfidf.count_many(&data.texts[data.n_inside()..], advance));
        let unselected = sparse.select.map(|_| (tfidf.clone(), counts.clone()));
        let inside: Vec<u32> = (0..data.n_inside() as u32).collect();
        let (tfidf, counts) = tfidf.select(counts, &inside, &data.y, data.n_classes());
        progress.finish();
        let embed = |encoder: &Arc<Encoder>| {
            progress.begin("embed", data.texts.len() as u64);
            let embeddings = resources.embed(encoder, &data.texts, &advance)?;
            progress.finish();
            Ok((Arc::clone(encoder), embeddings))
        };
        let encoder = match spec.head.kind {
            HeadKind::FineTuned => encoder.map(|encoder| (Arc::clone(encoder), Vec::new())),
            _ => encoder.map(embed).transpose()?,
        };
        Ok(Self {
            data,
            tfidf,
            counts,
            unselected,
            encoder,
            dense_weight: spec.features.dense_weight(),
        })
    }

    /// Returns the rows that train.
    pub(crate) fn inside(&self) -> Vec<u32> {
        (0..self.data.n_inside() as u32).collect()
    }

    /// Returns the encoder, as it was given.
    pub(crate) fn encoder(&self) -> Option<&Arc<Encoder>> {
        self.encoder.as_ref().map(|(encoder, _)| encoder)
    }

    /// Returns all rows, in the columns of `tfidf`, then those of the embedding.
    pub(crate) fn whole(&self) -> Rows<'_> {
        self.with_embeddings(self.tfidf.weigh(&self.counts, self.tfidf.idf()))
    }

    /// Returns all rows, terms weighted and selected as they stand in `rows`.
    ///
    /// It is what fitting on these rows alone would give, the columns of all terms kept: nothing of the other rows is
    /// in it, nor of those of `rows` that are out of scope.
    pub(crate) fn matrix(&self, rows: &[u32]) -> Rows<'_> {
        let n_inside = self.data.n_inside() as u32;
        let rows: Vec<u32> = rows.iter().copied().filter(|row| *row < n_inside).collect();
        let (tfidf, counts) = match &self.unselected {
            Some((tfidf, counts)) => (tfidf, counts),
            None => (&self.tfidf, &self.counts),
        };
        self.with_embeddings(tfidf.weigh_as_of(counts, &rows, &self.data.y, self.data.n_classes()))
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
    Fault::usage("BOT-7050", "the features ask for an encoder, and none was given")
        .hint("read the encoder of `features.encoder` first, and pass it to the training")
}
