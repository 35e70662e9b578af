//! Cross-validation of one spec in one call.

use super::{
    context::TrainingContext,
    feature_table::FeatureTable,
    out_of_fold::{Folds, N_FOLDS, OosRole, OutOfFold, out_of_fold},
};
use crate::{ModelSpec, Progress, Resources, Sample, heads::fitting::steps};
use botops_findings::Result;
use botops_spec::Checked;
use botops_stats::calibration::{fit_temperature, negative_log_likelihood};

/// The result of cross-validating a spec.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossValidation {
    /// Share of rows whose intent was predicted by a model that never saw them, in [0, 1].
    pub accuracy: f64,
    /// Mean negative log likelihood at the best temperature, in nats.
    pub log_loss: f64,
    /// The best temperature.
    pub temperature: f64,
    /// Number of rows predicted.
    pub n: usize,
}

/// Cross-validates `spec` on `samples` over 5 folds, stratified, near duplicates never in two.
///
/// # Errors
/// Those of [`crate::train`].
pub fn cross_validate(
    samples: &[Sample<'_>],
    spec: &Checked<ModelSpec>,
    resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<CrossValidation> {
    let table = FeatureTable::fit(samples, spec, resources, progress)?;
    let context = TrainingContext { table: &table, spec, resources, progress };
    let folds = Folds::deal(&table, N_FOLDS, spec.seed);
    let n_in_scope = table.samples.n_in_scope();
    let n_others = n_in_scope - n_in_scope.div_ceil(N_FOLDS);
    let steps = steps(spec, table.samples.n_classes(), n_others);
    progress.begin("cross-validate", N_FOLDS as u64 * steps);
    let unseen = out_of_fold(OosRole::Unseen, context, &folds, N_FOLDS)?;
    progress.finish();
    let OutOfFold { n_classes, scores, truth, .. } = &unseen;
    let temperature = fit_temperature(scores, *n_classes, truth);
    Ok(CrossValidation {
        accuracy: unseen.accuracy(),
        log_loss: negative_log_likelihood(scores, *n_classes, truth, temperature),
        temperature,
        n: truth.len(),
    })
}
