//! Records as numbers: what is fitted once, however many heads and folds learn from it.

use super::{ModelSpec, Progress, Resources, Sample, data::Data};
use crate::{
    features::{Counts, FeatureMatrix, Tfidf},
    findings::Result,
};

/// Records with their features.
///
/// Rows are those of [`Data`]: first the records that train, then those out of scope. Terms are those of all that
/// train; how much each says is decided row set by row set, by [`Table::matrix`].
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) data: Data<'a>,
    pub(super) tfidf: Tfidf,
    counts: Counts,
}

impl<'a> Table<'a> {
    /// Checks spec and records, and fits what `spec.features` ask for.
    ///
    /// # Errors
    /// `BOT-7010`, `BOT-7014` a spec out of range (exit 2); `BOT-2110` fewer than two intents (exit 3); `BOT-7011`
    /// fewer than 2 records of an intent or 10 in all (exit 4); `BOT-7012` no term is left to learn from (exit 3).
    pub(super) fn fit(
        samples: &[Sample<'a>],
        spec: &ModelSpec,
        _resources: Resources<'_>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        spec.check()?;
        let data = Data::new(samples)?;
        progress.begin("features", data.texts.len() as u64);
        let advance = |n| progress.advance(n);
        let (tfidf, mut counts) = Tfidf::fit(data.inside(), &spec.features.tfidf(), advance)?;
        counts.append(&tfidf.count_many(&data.texts[data.n_inside()..], advance));
        progress.finish();
        Ok(Self { data, tfidf, counts })
    }

    /// Returns the rows that train.
    pub(super) fn inside(&self) -> Vec<u32> {
        (0..self.data.n_inside() as u32).collect()
    }

    /// Returns all rows, terms weighted as they stand in `rows`, which are among those that train.
    ///
    /// It is what fitting on these rows alone would give, the same columns kept: nothing of the other rows is in it.
    pub(super) fn matrix(&self, rows: &[u32]) -> FeatureMatrix {
        self.tfidf.weigh(&self.counts, &self.tfidf.idf_of(&self.counts, rows))
    }
}
