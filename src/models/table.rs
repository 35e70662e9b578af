//! Records as numbers: what is fitted once, however many heads and folds learn from it.

use super::{ModelSpec, Progress, Resources, Sample, data::Data};
use crate::{
    features::{Counts, FeatureMatrix, Tfidf},
    findings::Result,
};

/// Records with their features.
///
/// Rows are those of [`Data`]: first the records that train, then those out of scope. Terms are those of all that
/// train; how much each says, and whether it is selected, is decided row set by row set, by [`Table::matrix`].
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) data: Data<'a>,
    /// What is fitted on all records that train, terms selected among them.
    pub(super) tfidf: Tfidf,
    counts: Counts,
    /// The same before terms were selected, where any are: cross-fitting selects them anew.
    unselected: Option<(Tfidf, Counts)>,
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
        let sparse = spec.features.tfidf();
        let (tfidf, mut counts) = Tfidf::fit(data.inside(), &sparse, advance)?;
        counts.append(&tfidf.count_many(&data.texts[data.n_inside()..], advance));
        let unselected = sparse.select.map(|_| (tfidf.clone(), counts.clone()));
        let inside: Vec<u32> = (0..data.n_inside() as u32).collect();
        let (tfidf, counts) = tfidf.select(counts, &inside, &data.y, data.n_classes());
        progress.finish();
        Ok(Self { data, tfidf, counts, unselected })
    }

    /// Returns the rows that train.
    pub(super) fn inside(&self) -> Vec<u32> {
        (0..self.data.n_inside() as u32).collect()
    }

    /// Returns all rows, in the columns of `tfidf`.
    pub(super) fn whole(&self) -> FeatureMatrix {
        self.tfidf.weigh(&self.counts, self.tfidf.idf())
    }

    /// Returns all rows, terms weighted and selected as they stand in `rows`, which are among those that train.
    ///
    /// It is what fitting on these rows alone would give, the columns of all terms kept: nothing of the other rows is
    /// in it.
    pub(super) fn matrix(&self, rows: &[u32]) -> FeatureMatrix {
        let (tfidf, counts) = match &self.unselected {
            Some((tfidf, counts)) => (tfidf, counts),
            None => (&self.tfidf, &self.counts),
        };
        tfidf.weigh_as_of(counts, rows, &self.data.y, self.data.n_classes())
    }
}
