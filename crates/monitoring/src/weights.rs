//! Weights of labelled records: a labelled record counts for the records that are as sure as it is.

use crate::accuracy::Selection;
use botops_evaluation::Metric;
use botops_stats::{
    homogeneity::{chi2_homogeneity, pool_rare, regroup},
    intervals::{LEVEL, wilson, wilson_weighted},
};

/// The upper ends of the strata of confidence but the last; a calibrated model is mostly sure, so that they are narrower there.
const BOUNDS: [f64; 7] = [0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99];
/// The number of strata.
pub(crate) const STRATA: usize = BOUNDS.len() + 1;
/// The level of the test of selection.
const ALPHA: f64 = 0.01;
/// The smallest expected count of the test.
const LEAST_EXPECTED: f64 = 5.0;

/// Returns the stratum of a confidence.
pub(crate) fn stratum_of(confidence: f64) -> usize {
    BOUNDS.iter().filter(|&&bound| confidence > bound).count()
}

/// Counts of one stratum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stratum {
    n: u64,
    answered: u64,
    labelled: u64,
    /// Labelled records in scope: all, and those that are right; then the answered ones of both.
    in_scope: u64,
    right: u64,
    answered_in_scope: u64,
    answered_right: u64,
}

/// Counts of a group of records, by stratum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally([Stratum; STRATA]);

impl Tally {
    /// Counts a record; `right` is whether the predicted intent is the true one, of a label in scope.
    pub(crate) fn add(
        &mut self,
        stratum: usize,
        answered: bool,
        labelled: bool,
        right: Option<bool>,
    ) {
        let it = &mut self.0[stratum];
        it.n += 1;
        it.answered += u64::from(answered);
        it.labelled += u64::from(labelled);
        if let Some(right) = right {
            it.in_scope += 1;
            it.right += u64::from(right);
            it.answered_in_scope += u64::from(answered);
            it.answered_right += u64::from(answered && right);
        }
    }

    fn sum(&self, of: impl Fn(&Stratum) -> u64) -> u64 {
        self.0.iter().map(of).sum()
    }

    pub(crate) fn n(&self) -> u64 {
        self.sum(|it| it.n)
    }

    pub(crate) fn labelled(&self) -> u64 {
        self.sum(|it| it.labelled)
    }

    pub(crate) fn in_scope(&self) -> u64 {
        self.sum(|it| it.in_scope)
    }

    pub(crate) fn right(&self) -> u64 {
        self.sum(|it| it.right)
    }

    /// Returns the share of the records that were answered.
    pub(crate) fn coverage(&self) -> Metric {
        proportion(self.sum(|it| it.answered), self.n())
    }
}

/// Returns a share with its Wilson interval; 0 of none.
pub(crate) fn proportion(part: u64, n: u64) -> Metric {
    let value = if n == 0 { 0.0 } else { part as f64 / n as f64 };
    Metric { value, ci95: wilson(part, n, LEVEL), n }
}

/// The weight of a labelled record of each stratum.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    weights: [f64; STRATA],
    selection: Selection,
}

impl Weights {
    /// Compares the labelled records of a window with the others.
    pub(crate) fn of(all: &Tally) -> Self {
        let (n, labelled) = (all.n(), all.labelled());
        let with: Vec<u64> = all.0.iter().map(|it| it.labelled).collect();
        let without: Vec<u64> = all.0.iter().map(|it| it.n - it.labelled).collect();
        let groups = pool_rare(&with, &without, LEAST_EXPECTED);
        let p_value = match labelled == 0 || labelled == n {
            true => 1.0,
            false => {
                chi2_homogeneity(&regroup(&with, &groups), &regroup(&without, &groups)).p_value
            }
        };
        let weighted = p_value < ALPHA;
        let uncovered = all.sum(|it| if it.labelled == 0 { it.n } else { 0 });
        let uncovered = if n == 0 { 0.0 } else { uncovered as f64 / n as f64 };
        let weights = std::array::from_fn(|stratum| {
            let it = all.0[stratum];
            match weighted && it.labelled > 0 {
                true => it.n as f64 / it.labelled as f64,
                false => 1.0,
            }
        });
        let note = match (labelled, weighted) {
            (0, _) => "no record has a label".to_owned(),
            (_, _) if labelled == n => "every record has a label".to_owned(),
            (_, true) => format!(
                "the labels are not a random sample of the records: they differ in confidence; labelled records are weighted by the share of their confidence in the window, which corrects no other selection; {:.1} % of the records are in ranges of confidence without a label",
                100.0 * uncovered
            ),
            (_, false) => "the labels do not differ from the other records in confidence, and are not weighted; a selection by anything else would not be seen".to_owned(),
        };
        Self { weights, selection: Selection { p_value, weighted, uncovered, note } }
    }

    pub(crate) fn selection(&self) -> &Selection {
        &self.selection
    }

    pub(crate) fn weight(&self, stratum: u8) -> f64 {
        self.weights[usize::from(stratum)]
    }

    /// Returns the share of the labelled records in scope that are right.
    pub(crate) fn accuracy(&self, tally: &Tally) -> Option<Metric> {
        self.share(tally, |it| (it.right, it.in_scope))
    }

    /// Returns the same of the answered records.
    pub(crate) fn answered_accuracy(&self, tally: &Tally) -> Option<Metric> {
        self.share(tally, |it| (it.answered_right, it.answered_in_scope))
    }

    fn share(&self, tally: &Tally, of: impl Fn(&Stratum) -> (u64, u64)) -> Option<Metric> {
        let (mut part, mut total) = (0_u64, 0_u64);
        let (mut weighted, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (stratum, weight) in tally.0.iter().zip(self.weights) {
            let (k, n) = of(stratum);
            part += k;
            total += n;
            weighted += weight * k as f64;
            sum += weight * n as f64;
            squares += weight * weight * n as f64;
        }
        if total == 0 {
            return None;
        }
        if !self.selection.weighted {
            return Some(proportion(part, total));
        }
        let value = (weighted / sum).clamp(0.0, 1.0);
        let ci95 = wilson_weighted(value, sum * sum / squares, LEVEL);
        Some(Metric { value, ci95, n: total })
    }
}
