//! Scores of records by models that never saw them.

use super::{context::TrainingContext, feature_table::FeatureTable, folds, samples::Samples};
use crate::heads::fitting;
use botops_findings::Result;
use botops_stats::argmax::argmax;

/// The number of folds of cross-fitting for calibration, and of [`crate::cross_validate`].
pub(crate) const N_FOLDS: usize = 5;

/// The fold of each in-scope record; a fold is scored by a model that learns from the others.
///
/// - `of_row` holds a number below `n` for each in-scope record
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folds {
    of_row: Vec<u32>,
    n: u32,
}

impl Folds {
    /// Deals the records of `table` into `n` folds: stratified, near duplicates never in two.
    pub(crate) fn deal(table: &FeatureTable<'_>, n: usize, seed: u64) -> Self {
        let groups = folds::groups(table.samples.in_scope(), &table.samples.y);
        let of_row = folds::assign(&groups, &table.samples.y, n, seed);
        Self { of_row, n: n as u32 }
    }

    /// Returns the fold of an in-scope record.
    pub(crate) fn of(&self, row: u32) -> u32 {
        self.of_row[row as usize]
    }

    /// Returns the number of folds.
    pub(crate) fn len(&self) -> usize {
        self.n as usize
    }
}

/// The role of out-of-scope records in a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OosRole {
    /// No model learns from them.
    Unseen,
    /// They form one class after the intents; each is scored by a model that learned from other records.
    Class,
}

impl OosRole {
    /// Returns the number of scores of a record.
    pub(crate) fn n_scores(self, n_intents: usize) -> usize {
        n_intents + usize::from(self == Self::Class)
    }

    /// Returns the number of records that models learn from; they are the first records of `samples`.
    pub(crate) fn n_rows(self, samples: &Samples<'_>) -> usize {
        match self {
            Self::Unseen => samples.n_in_scope(),
            Self::Class => samples.texts.len(),
        }
    }
}

/// Scores of records by models that never saw them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutOfFold {
    /// Number of classes: the intents, and the out-of-scope class if it is learned.
    pub(crate) n_classes: usize,
    /// The scored in-scope records, rising.
    pub(crate) rows: Vec<u32>,
    /// Raw scores `[rows, n_classes]`, row by row.
    pub(crate) scores: Vec<f64>,
    /// The intent of each of `rows`.
    pub(crate) truth: Vec<usize>,
    /// The fold of each of `rows`.
    pub(crate) folds: Vec<u32>,
    /// Raw scores of all out-of-scope records `[n_oos, n_classes]`. If no model learns from them, the models of the
    /// folds score them in turn.
    pub(crate) oos_scores: Vec<f64>,
    /// For each of `rows`, whether the model that scored it knows anything in it.
    pub(crate) understood: Vec<bool>,
    /// The same for all out-of-scope records.
    pub(crate) oos_understood: Vec<bool>,
}

impl OutOfFold {
    /// Returns the share of `rows` whose intent has the largest score; 0 without rows.
    pub(crate) fn accuracy(&self) -> f64 {
        let right = self
            .scores
            .chunks_exact(self.n_classes)
            .zip(&self.truth)
            .filter(|(scores, truth)| argmax(scores) == **truth)
            .count();
        right as f64 / self.truth.len().max(1) as f64
    }
}

/// Scores of rows by one model that did not learn from them.
pub(crate) struct ScoredRows {
    /// Raw scores `[held, n_classes]`, row by row.
    pub(crate) scores: Vec<f64>,
    /// For each row, whether the model knows anything in it.
    pub(crate) understood: Vec<bool>,
}

/// Fits the spec of `context` on `rows`, and returns the scores of `held`; `rows` contains out-of-scope records only if
/// `role` makes them a class.
///
/// # Errors
/// Those of fitting the head.
pub(crate) fn fit_and_score(
    role: OosRole,
    context: TrainingContext<'_>,
    rows: &[u32],
    held: &[u32],
) -> Result<ScoredRows> {
    let samples = &context.table.samples;
    let n_classes = role.n_scores(samples.n_classes());
    let matrix = context.table.matrix(rows);
    let y = samples.y_with_oos();
    let scores = fitting::fit_and_score(context.request(&matrix, rows, &y, n_classes), held)?;
    Ok(ScoredRows { scores, understood: held.iter().map(|&row| matrix.understood(row)).collect() })
}

/// Fits the spec of `context` without each of the first `n_fits` folds in turn, and returns the scores of the records
/// left out; these are all records if `n_fits` is the number of folds.
///
/// It supports heads and features of every kind. One table can serve any number of specs with the same features.
///
/// # Errors
/// Those of fitting the head.
pub(crate) fn out_of_fold(
    role: OosRole,
    context: TrainingContext<'_>,
    folds: &Folds,
    n_fits: usize,
) -> Result<OutOfFold> {
    let samples = &context.table.samples;
    let (n_classes, n_in_scope) = (role.n_scores(samples.n_classes()), samples.n_in_scope());
    let n_fits = n_fits.min(folds.len()).max(1) as u32;
    let n_all = samples.texts.len();
    let n_learned = role.n_rows(samples);
    let oos_texts = samples.out_of_scope();
    let oos_folds = match role {
        OosRole::Unseen => (0..oos_texts.len() as u32).map(|row| row % n_fits).collect(),
        OosRole::Class => {
            let y = vec![0; oos_texts.len()];
            let groups = folds::groups(oos_texts, &y);
            folds::assign(&groups, &y, n_fits as usize, context.spec.seed)
        }
    };
    let fold_of = |row: u32| match (row as usize).checked_sub(n_in_scope) {
        Some(row) => oos_folds[row],
        None => folds.of(row),
    };
    let mut scores = vec![0.0; n_all * n_classes];
    let mut understood = vec![false; n_all];
    for fold in 0..n_fits {
        let (held, others): (Vec<u32>, Vec<u32>) =
            (0..n_all as u32).partition(|&row| fold_of(row) == fold);
        let rows: Vec<u32> = others.into_iter().filter(|&row| (row as usize) < n_learned).collect();
        let scored = fit_and_score(role, context, &rows, &held)?;
        for (row, known) in held.iter().zip(scored.understood) {
            understood[*row as usize] = known;
        }
        for (row, row_scores) in held.iter().zip(scored.scores.chunks_exact(n_classes)) {
            scores[*row as usize * n_classes..][..n_classes].copy_from_slice(row_scores);
        }
    }
    let oos_scores = scores.split_off(n_in_scope * n_classes);
    let oos_understood = understood.split_off(n_in_scope);
    let is_scored = |row: &u32| folds.of(*row) < n_fits;
    let rows: Vec<u32> = (0..n_in_scope as u32).filter(is_scored).collect();
    let scores = rows
        .iter()
        .flat_map(|&row| &scores[row as usize * n_classes..][..n_classes])
        .copied()
        .collect();
    Ok(OutOfFold {
        n_classes,
        truth: rows.iter().map(|&row| samples.y[row as usize] as usize).collect(),
        folds: rows.iter().map(|&row| folds.of(row)).collect(),
        understood: rows.iter().map(|&row| understood[row as usize]).collect(),
        scores,
        rows,
        oos_scores,
        oos_understood,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeadKind, HeadSpec, ModelSpec, Resources, Sample, Silent};
    use botops_labels::OOS;
    use botops_stats::random::Random;

    /// Returns texts whose words do not depend on the intents, so only a model that memorised a text predicts it.
    fn noise() -> Vec<(String, &'static str)> {
        let mut random = Random::new(7);
        let mut rows: Vec<(String, &str)> = (0..200)
            .map(|i| (format!("w{i} {}", random.below(30)), ["a", "b"][random.below(2)]))
            .collect();
        rows.insert(50, ("somewhere else".to_owned(), OOS));
        rows.insert(120, ("w1 and beyond".to_owned(), OOS));
        rows
    }

    #[test]
    fn scores_come_from_models_that_never_saw_the_record() {
        let rows = noise();
        let samples: Vec<Sample<'_>> =
            rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
        for kind in [HeadKind::LinearSvm, HeadKind::LogisticRegression, HeadKind::RandomForest] {
            let head = HeadSpec { kind, n_trees: Some(10), ..HeadSpec::default() };
            let spec = ModelSpec { head, ..ModelSpec::default() };
            let resources = Resources::default();
            let table = FeatureTable::fit(&samples, &spec, resources, &Silent).unwrap();
            let context =
                TrainingContext { table: &table, spec: &spec, resources, progress: &Silent };
            let folds = Folds::deal(&table, 4, 1);
            let with_fits = |n| out_of_fold(OosRole::Unseen, context, &folds, n).unwrap();
            let all = with_fits(4);
            assert_eq!(all.rows, table.in_scope_rows());
            assert_eq!((all.scores.len(), all.oos_scores.len()), (200 * 2, 2 * 2));
            assert!(all.scores.chunks(2).all(|scores| *scores != [0.0; 2]), "{kind:?}");
            assert!((0.3..0.7).contains(&all.accuracy()), "{kind:?} {}", all.accuracy());
            // With one fit: the records of the first fold, with the same scores as with all fits.
            let first = with_fits(1);
            assert!(first.folds.iter().all(|&fold| fold == 0));
            assert!((45..=55).contains(&first.rows.len()));
            for (i, &row) in first.rows.iter().enumerate() {
                assert_eq!(first.scores[2 * i..][..2], all.scores[2 * row as usize..][..2]);
                assert_eq!(first.truth[i], table.samples.y[row as usize] as usize);
            }
            assert_eq!(first.oos_scores[..2], all.oos_scores[..2]);
        }
    }

    #[test]
    fn a_record_out_of_scope_is_scored_by_models_that_learned_from_others() {
        // Only the record's own word identifies it, so only a model that saw the record could recognise it.
        let mut rows = noise();
        rows.extend((0..40).map(|i| (format!("w{i} o{i} {}", i % 30), OOS)));
        let samples: Vec<Sample<'_>> =
            rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
        for kind in [HeadKind::LinearSvm, HeadKind::LogisticRegression] {
            let spec = ModelSpec {
                head: HeadSpec { kind, ..HeadSpec::default() },
                ..ModelSpec::default()
            };
            let resources = Resources::default();
            let table = FeatureTable::fit(&samples, &spec, resources, &Silent).unwrap();
            let context =
                TrainingContext { table: &table, spec: &spec, resources, progress: &Silent };
            let folds = Folds::deal(&table, 4, 1);
            let with_role = |role| out_of_fold(role, context, &folds, 4).unwrap();
            let (plain, class) = (with_role(OosRole::Unseen), with_role(OosRole::Class));
            assert_eq!((plain.n_classes, class.n_classes), (2, 3));
            assert_eq!((class.scores.len(), class.oos_scores.len()), (200 * 3, 42 * 3));
            let recognised =
                class.oos_scores.chunks(3).filter(|scores| argmax(scores) == 2).count();
            assert!(recognised < 30, "{kind:?}: {recognised} of 42");
            assert_ne!(class.scores[..2], plain.scores[..2]);
        }
    }
}
