//! The inputs of one fit.

use crate::{ModelSpec, Progress, Resources, training::feature_table::Rows};
use botops_features::FeatureMatrix;

/// The rows that a classifier learns from.
///
/// - `rows` are indices into `x` and `y`
/// - `y[row]`, the class of a row, is below `n_classes`
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrainingSet<'a> {
    pub(crate) x: &'a FeatureMatrix,
    pub(crate) rows: &'a [u32],
    pub(crate) y: &'a [u32],
    pub(crate) n_classes: usize,
}

impl<'a> TrainingSet<'a> {
    /// Iterates over the classes of the rows, in their order.
    pub(crate) fn classes(self) -> impl Iterator<Item = u32> + 'a {
        let Self { rows, y, .. } = self;
        rows.iter().map(move |&row| y[row as usize])
    }
}

/// A request to fit the head of `spec` on `rows` of `x`, whose classes are `y[row]`.
#[derive(Clone, Copy)]
pub(crate) struct FitRequest<'a> {
    pub(crate) x: &'a Rows<'a>,
    pub(crate) rows: &'a [u32],
    pub(crate) y: &'a [u32],
    pub(crate) n_classes: usize,
    pub(crate) spec: &'a ModelSpec,
    pub(crate) resources: Resources<'a>,
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> FitRequest<'a> {
    /// Returns the rows, without their texts.
    pub(crate) fn training_set(&self) -> TrainingSet<'a> {
        TrainingSet { x: self.x, rows: self.rows, y: self.y, n_classes: self.n_classes }
    }

    /// Returns the utterances of the rows.
    pub(crate) fn texts(&self) -> Vec<&'a str> {
        self.rows.iter().map(|&row| self.x.table.samples.texts[row as usize]).collect()
    }
}
