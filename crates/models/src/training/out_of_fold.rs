//! The one way to scores of records by models that never saw them.

use super::{folds, train};
use crate::{
    ModelSpec, Progress, Resources,
    training::{feature_table::Table, samples::Data},
};
use botops_findings::Result;

/// Which records are scored together, by a model that learns from all the others.
///
/// - `of_row` holds a number below `n` for each record that trains
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folds {
    of_row: Vec<u32>,
    n: u32,
}

impl Folds {
    /// Deals the records of `table` into `n` folds: stratified, near duplicates never in two.
    pub(crate) fn deal(table: &Table<'_>, n: usize, seed: u64) -> Self {
        let groups = folds::groups(table.data.inside(), &table.data.y);
        let of_row = folds::assign(&groups, &table.data.y, n, seed);
        Self { of_row, n: n as u32 }
    }

    /// Returns the fold of a record that trains.
    pub(crate) fn of(&self, row: u32) -> u32 {
        self.of_row[row as usize]
    }

    /// Returns the number of folds.
    pub(crate) fn len(&self) -> usize {
        self.n as usize
    }
}

/// What becomes of the records that are out of scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outside {
    /// No model learns from them.
    Unseen,
    /// They are one class more, after the intents; each is scored by a model that learned from others.
    Class,
}

impl Outside {
    /// Returns the number of scores that a record gets.
    pub(crate) fn n_scores(self, n_intents: usize) -> usize {
        n_intents + usize::from(self == Self::Class)
    }

    /// Returns the number of records that are learned from: the first of `data`.
    pub(crate) fn n_rows(self, data: &Data<'_>) -> usize {
        match self {
            Self::Unseen => data.n_inside(),
            Self::Class => data.texts.len(),
        }
    }
}

/// Scores of records by models that never saw them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutOfFold {
    /// Number of intents, and of the class of what is out of scope where that is learned.
    pub(crate) n_classes: usize,
    /// The records scored, rising: numbers among those that train.
    pub(crate) rows: Vec<u32>,
    /// Raw scores `[rows, n_classes]`, row by row.
    pub(crate) scores: Vec<f64>,
    /// The intent of each of `rows`.
    pub(crate) truth: Vec<usize>,
    /// The fold of each of `rows`.
    pub(crate) folds: Vec<u32>,
    /// Raw scores of all records out of scope `[n_outside, n_classes]`. Where no model ever sees them, the first
    /// fold's model scores the first, the second fold's the second, and so on in turn.
    pub(crate) outside: Vec<f64>,
    /// Of each of `rows`, whether anything of it is known to the model that scored it.
    pub(crate) understood: Vec<bool>,
    /// The same of all records out of scope.
    pub(crate) outside_understood: Vec<bool>,
}

impl OutOfFold {
    /// Returns the share of `rows` whose intent has the largest score; 0 for no rows.
    pub(crate) fn accuracy(&self) -> f64 {
        let right = self
            .scores
            .chunks_exact(self.n_classes)
            .zip(&self.truth)
            .filter(|(scores, truth)| train::largest(scores) == **truth)
            .count();
        right as f64 / self.truth.len().max(1) as f64
    }
}

/// What one model says of rows that it did not learn from.
pub(crate) struct LeftOut {
    /// Raw scores `[held, n_classes]`, row by row.
    pub(crate) scores: Vec<f64>,
    /// Of each of `held`, whether anything of it is known to the model.
    pub(crate) understood: Vec<bool>,
}

/// Fits `spec` on `rows` of `table`, and returns the scores of `held`; records out of scope are among `rows` only where
/// `outside` makes them a class.
///
/// # Errors
/// Those of fitting the head.
pub(crate) fn scores_of(
    outside: Outside,
    table: &Table<'_>,
    spec: &ModelSpec,
    resources: Resources<'_>,
    rows: &[u32],
    held: &[u32],
    progress: &dyn Progress,
) -> Result<LeftOut> {
    let n_classes = outside.n_scores(table.data.n_classes());
    let matrix = table.matrix(rows);
    let y = table.data.y_with_outside();
    let scores =
        train::fit_and_score(&matrix, rows, held, &y, n_classes, spec, resources, progress)?;
    Ok(LeftOut { scores, understood: held.iter().map(|&row| matrix.understood(row)).collect() })
}

/// Fits `spec` on `table` without the first fold, then without the second, and so on for `n_fits` folds, and returns
/// the scores of the records left out: of all records, in their order, when `n_fits` is the number of folds.
///
/// It works for heads and features of every kind. `table` may serve any number of specs with the same features.
///
/// # Errors
/// Those of fitting the head.
pub(crate) fn out_of_fold(
    table: &Table<'_>,
    spec: &ModelSpec,
    resources: Resources<'_>,
    folds: &Folds,
    n_fits: usize,
    progress: &dyn Progress,
) -> Result<OutOfFold> {
    out_of_fold_with(Outside::Unseen, table, spec, resources, folds, n_fits, progress)
}

/// As [`out_of_fold`], with a word on the records that are out of scope.
///
/// # Errors
/// Those of fitting the head.
pub(crate) fn out_of_fold_with(
    outside: Outside,
    table: &Table<'_>,
    spec: &ModelSpec,
    resources: Resources<'_>,
    folds: &Folds,
    n_fits: usize,
    progress: &dyn Progress,
) -> Result<OutOfFold> {
    let (n_classes, n_inside) = (outside.n_scores(table.data.n_classes()), table.data.n_inside());
    let n_fits = n_fits.min(folds.len()).max(1) as u32;
    let n_all = table.data.texts.len();
    let n_learned = outside.n_rows(&table.data);
    let texts = table.data.outside();
    let outside_folds = match outside {
        Outside::Unseen => (0..texts.len() as u32).map(|row| row % n_fits).collect(),
        Outside::Class => {
            let y = vec![0; texts.len()];
            folds::assign(&folds::groups(texts, &y), &y, n_fits as usize, spec.seed)
        }
    };
    let fold_of = |row: u32| match (row as usize).checked_sub(n_inside) {
        Some(row) => outside_folds[row],
        None => folds.of_row[row as usize],
    };
    let mut scores = vec![0.0; n_all * n_classes];
    let mut understood = vec![false; n_all];
    for fold in 0..n_fits {
        let (held, others): (Vec<u32>, Vec<u32>) =
            (0..n_all as u32).partition(|&row| fold_of(row) == fold);
        let rows: Vec<u32> = others.into_iter().filter(|&row| (row as usize) < n_learned).collect();
        let part = scores_of(outside, table, spec, resources, &rows, &held, progress)?;
        for (row, known) in held.iter().zip(part.understood) {
            understood[*row as usize] = known;
        }
        let part = part.scores.chunks_exact(n_classes);
        for (row, part) in held.iter().zip(part) {
            scores[*row as usize * n_classes..][..n_classes].copy_from_slice(part);
        }
    }
    let outside = scores.split_off(n_inside * n_classes);
    let outside_understood = understood.split_off(n_inside);
    let scored = |row: &u32| folds.of_row[*row as usize] < n_fits;
    let rows: Vec<u32> = (0..n_inside as u32).filter(scored).collect();
    let scores = rows
        .iter()
        .flat_map(|&row| &scores[row as usize * n_classes..][..n_classes])
        .copied()
        .collect();
    Ok(OutOfFold {
        n_classes,
        truth: rows.iter().map(|&row| table.data.y[row as usize] as usize).collect(),
        folds: rows.iter().map(|&row| folds.of_row[row as usize]).collect(),
        understood: rows.iter().map(|&row| understood[row as usize]).collect(),
        scores,
        rows,
        outside,
        outside_understood,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeadKind, HeadSpec, Sample, Silent};
    use botops_labels::OOS;
    use botops_stats::random::Random;

    /// Texts whose words say nothing of their intents: what is right about them was learned by heart.
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
    fn scores_are_those_of_models_that_never_saw_the_record() {
        let rows = noise();
        let samples: Vec<Sample<'_>> =
            rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
        for kind in [HeadKind::LinearSvm, HeadKind::LogisticRegression, HeadKind::RandomForest] {
            let head = HeadSpec { kind, n_trees: Some(10), ..HeadSpec::default() };
            let spec = ModelSpec { head, ..ModelSpec::default() };
            let table = Table::fit(&samples, &spec, Resources::default(), &Silent).unwrap();
            let folds = Folds::deal(&table, 4, 1);
            let of =
                |n| out_of_fold(&table, &spec, Resources::default(), &folds, n, &Silent).unwrap();
            let all = of(4);
            assert_eq!(all.rows, table.inside());
            assert_eq!((all.scores.len(), all.outside.len()), (200 * 2, 2 * 2));
            assert!(all.scores.chunks(2).all(|scores| *scores != [0.0; 2]), "{kind:?}");
            assert!((0.3..0.7).contains(&all.accuracy()), "{kind:?} {}", all.accuracy());
            // The first fold alone: its records, with the scores they have among all.
            let first = of(1);
            assert!(first.folds.iter().all(|&fold| fold == 0));
            assert!((45..=55).contains(&first.rows.len()));
            for (i, &row) in first.rows.iter().enumerate() {
                assert_eq!(first.scores[2 * i..][..2], all.scores[2 * row as usize..][..2]);
                assert_eq!(first.truth[i], table.data.y[row as usize] as usize);
            }
            assert_eq!(first.outside[..2], all.outside[..2]);
        }
    }

    #[test]
    fn a_record_out_of_scope_is_scored_by_models_that_learned_from_others() {
        // Its own word says what it is, and nothing else does: only a model that saw it would know.
        let mut rows = noise();
        rows.extend((0..40).map(|i| (format!("w{i} o{i} {}", i % 30), OOS)));
        let samples: Vec<Sample<'_>> =
            rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
        for kind in [HeadKind::LinearSvm, HeadKind::LogisticRegression] {
            let spec = ModelSpec {
                head: HeadSpec { kind, ..HeadSpec::default() },
                ..ModelSpec::default()
            };
            let table = Table::fit(&samples, &spec, Resources::default(), &Silent).unwrap();
            let folds = Folds::deal(&table, 4, 1);
            let of = |outside| {
                let resources = Resources::default();
                out_of_fold_with(outside, &table, &spec, resources, &folds, 4, &Silent).unwrap()
            };
            let (plain, class) = (of(Outside::Unseen), of(Outside::Class));
            assert_eq!((plain.n_classes, class.n_classes), (2, 3));
            assert_eq!((class.scores.len(), class.outside.len()), (200 * 3, 42 * 3));
            let seen_as_outside =
                class.outside.chunks(3).filter(|scores| train::largest(scores) == 2).count();
            assert!(seen_as_outside < 30, "{kind:?}: {seen_as_outside} of 42");
            assert_ne!(class.scores[..2], plain.scores[..2]);
        }
    }
}
