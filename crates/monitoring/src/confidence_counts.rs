//! How sure a model was in a window: counts by predicted intent and confidence, with the labels where there are any.

use crate::{judgements::Judgements, names::Names};
use botops_labels::OOS;
use botops_predictions::Record;
use std::collections::BTreeMap;

/// The number of bins of confidence.
const BINS: usize = 1_000;

/// Records of one predicted intent and nearly one confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ConfidenceCell {
    pub(crate) n: u64,
    /// The sum of the confidences, in millionths.
    pub(crate) sum: u64,
    /// The records with a label, the sum of their confidences, and the right ones of them.
    pub(crate) labelled: u64,
    pub(crate) labelled_sum: u64,
    pub(crate) right: u64,
    /// The labelled records whose true intent is out of scope, and the sum of their confidences.
    pub(crate) oos: u64,
    pub(crate) oos_sum: u64,
}

/// The label of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The predicted intent is the true one.
    Right,
    /// Another intent is the true one.
    Wrong,
    /// The message is out of scope.
    OutOfScope,
}

/// The confidences of the records of one model in a window; the order in which they are added does not matter.
///
/// Memory: at most 1,000 cells for each predicted intent.
#[derive(Debug, Clone, Default)]
pub struct ConfidenceCounts {
    names: Names,
    cells: BTreeMap<(u32, u16), ConfidenceCell>,
    declined: u64,
}

impl ConfidenceCounts {
    /// Counts a record, and its label if it has one. All records must be of one model.
    pub fn add(&mut self, record: &Record, judgements: &Judgements) {
        let told = judgements.labels.get(&record.key()).map(|label| match &label.intent {
            intent if *intent == record.intent => Told::Right,
            intent if intent == OOS => Told::OutOfScope,
            _ => Told::Wrong,
        });
        self.add_prediction(&record.intent, record.confidence, record.fallback, told);
    }

    /// Counts a prediction: whether the model declined, and the label if it has one.
    pub fn add_prediction(
        &mut self,
        intent: &str,
        confidence: f64,
        declined: bool,
        told: Option<Told>,
    ) {
        let confidence = confidence.clamp(0.0, 1.0);
        let bin = ((confidence * BINS as f64) as usize).min(BINS - 1) as u16;
        let micro = (confidence * 1e6).round() as u64;
        let intent = self.names.number(intent);
        let cell = self.cells.entry((intent, bin)).or_default();
        cell.n += 1;
        cell.sum += micro;
        if let Some(told) = told {
            cell.labelled += 1;
            cell.labelled_sum += micro;
            cell.right += u64::from(told == Told::Right);
            if told == Told::OutOfScope {
                cell.oos += 1;
                cell.oos_sum += micro;
            }
        }
        self.declined += u64::from(declined);
    }

    /// Returns the number of records.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.cells.values().map(|cell| cell.n).sum()
    }

    /// Returns the number of labelled records that are out of scope, and that of all labelled ones.
    pub(crate) fn labelled_oos(&self) -> [u64; 2] {
        let sum = |of: fn(&ConfidenceCell) -> u64| self.cells.values().map(of).sum();
        [sum(|cell| cell.oos), sum(|cell| cell.labelled)]
    }

    /// Leaves the labels of messages out of scope out.
    pub(crate) fn in_scope(&self) -> Self {
        let mut counts = self.clone();
        for cell in counts.cells.values_mut() {
            cell.labelled -= cell.oos;
            cell.labelled_sum -= cell.oos_sum;
            (cell.oos, cell.oos_sum) = (0, 0);
        }
        counts
    }

    /// Returns the number of records that the model declined.
    #[must_use]
    pub fn declined(&self) -> u64 {
        self.declined
    }

    /// Returns the cells with the names of their intents, in an order that does not depend on that of the records.
    pub(crate) fn cells(&self) -> Vec<(&str, ConfidenceCell)> {
        let mut cells: Vec<(&str, u16, ConfidenceCell)> = self
            .cells
            .iter()
            .map(|(&(intent, bin), &cell)| (self.names.of(intent), bin, cell))
            .collect();
        cells.sort_by_key(|&(intent, bin, _)| (intent, bin));
        cells.into_iter().map(|(intent, _, cell)| (intent, cell)).collect()
    }
}
