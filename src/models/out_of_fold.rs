//! The one way to scores of records by models that never saw them.

use super::{ModelSpec, Progress, Resources, folds, head::HeadScratch, table::Table, train};
use crate::findings::Result;
use rayon::prelude::*;

/// Which records are scored together, by a model that learns from all the others.
///
/// - `of_row` holds a number below `n` for each record that trains
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folds {
    of_row: Vec<u32>,
    n: u32,
}

impl Folds {
    /// Deals the records of `table` into `n` folds: stratified, the same utterance never in two.
    pub(super) fn deal(table: &Table<'_>, n: usize, seed: u64) -> Self {
        let of_row = folds::assign(table.data.inside(), &table.data.y, n, seed);
        Self { of_row, n: n as u32 }
    }

    /// Returns the number of folds.
    pub(super) fn len(&self) -> usize {
        self.n as usize
    }
}

/// Scores of records by models that never saw them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OutOfFold {
    /// Number of intents.
    pub(super) n_classes: usize,
    /// The records scored, rising: numbers among those that train.
    pub(super) rows: Vec<u32>,
    /// Raw scores `[rows, n_classes]`, row by row.
    pub(super) scores: Vec<f64>,
    /// The intent of each of `rows`.
    pub(super) truth: Vec<usize>,
    /// The fold of each of `rows`.
    pub(super) folds: Vec<u32>,
    /// Raw scores of all records out of scope `[n_outside, n_classes]`, which no model ever sees: the first fold's
    /// model scores the first, the second fold's the second, and so on in turn.
    pub(super) outside: Vec<f64>,
}

impl OutOfFold {
    /// Returns the share of `rows` whose intent has the largest score; 0 for no rows.
    pub(super) fn accuracy(&self) -> f64 {
        let right = self
            .scores
            .chunks_exact(self.n_classes)
            .zip(&self.truth)
            .filter(|(scores, truth)| train::largest(scores) == **truth)
            .count();
        right as f64 / self.truth.len().max(1) as f64
    }
}

/// Fits `spec` on `table` without the first fold, then without the second, and so on for `n_fits` folds, and returns
/// the scores of the records left out: of all records, in their order, when `n_fits` is the number of folds.
///
/// It works for heads and features of every kind. `table` may serve any number of specs with the same features.
///
/// # Errors
/// Those of fitting the head.
pub(super) fn out_of_fold(
    table: &Table<'_>,
    spec: &ModelSpec,
    resources: Resources<'_>,
    folds: &Folds,
    n_fits: usize,
    progress: &dyn Progress,
) -> Result<OutOfFold> {
    let (n_classes, n_inside) = (table.data.n_classes(), table.data.n_inside());
    let n_fits = n_fits.min(folds.len()).max(1) as u32;
    let n_all = table.data.texts.len();
    let mut scores = vec![0.0; n_all * n_classes];
    for fold in 0..n_fits {
        let (held, rows): (Vec<u32>, Vec<u32>) =
            (0..n_inside as u32).partition(|&row| folds.of_row[row as usize] == fold);
        let outside = (n_inside as u32..n_all as u32)
            .filter(|row| (*row as usize - n_inside) as u32 % n_fits == fold);
        let held: Vec<u32> = held.into_iter().chain(outside).collect();
        let matrix = table.matrix(&rows);
        let fitted =
            train::fit(&matrix, &rows, &table.data.y, n_classes, spec, resources, progress)?;
        let part: Vec<Vec<f64>> = held
            .par_iter()
            .map_init(HeadScratch::default, |scratch, &row| {
                let (columns, values) = matrix.row(row as usize);
                let row: Vec<(u32, f32)> =
                    columns.iter().copied().zip(values.iter().copied()).collect();
                let mut scores = vec![0.0; n_classes];
                fitted.head.scores(&row, scratch, &mut scores);
                scores
            })
            .collect();
        for (row, part) in held.iter().zip(part) {
            scores[*row as usize * n_classes..][..n_classes].copy_from_slice(&part);
        }
    }
    let outside = scores.split_off(n_inside * n_classes);
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
        scores,
        rows,
        outside,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        labels::OOS,
        models::{HeadKind, HeadSpec, Sample, Silent},
        stats::random::Random,
    };

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
}
