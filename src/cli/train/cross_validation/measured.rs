//! The measurements of a cross-validation.

use botops_evaluation::{CrossValidation, LearningCurve, SeedSpread, SpecComparison};

/// The measurements of a cross-validation.
pub(super) struct Measured {
    /// One result for each configuration, in order.
    pub(super) results: Vec<CrossValidation>,
    /// Each configuration but the first, compared with the first.
    pub(super) comparisons: Vec<SpecComparison>,
    /// One curve for each configuration, if `--learning-curve` is set.
    pub(super) curves: Vec<LearningCurve>,
    /// The spread over seeds, if `--repeat` is set.
    pub(super) spread: Option<SeedSpread>,
}
