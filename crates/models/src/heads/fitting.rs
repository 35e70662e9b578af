//! Fits the head that a spec names, stacked or not.

use super::{fit_request::FitRequest, fitted::Fitted, plain, stacked};
use crate::ModelSpec;
use botops_features::FeatureKind;
use botops_findings::Result;

/// Fits the head that `request.spec` names; for stacked features, both heads and their pool.
///
/// # Errors
/// `BOT-7012` no feature to grow a tree on (exit 3); `BOT-7013` smartcore refused a node, a bug of the forest (exit 1);
/// `BOT-7051` the logistic regression did not converge (exit 1); those of fine-tuning.
pub(crate) fn fit(request: FitRequest<'_>) -> Result<Fitted> {
    match is_stacked(request.spec) {
        true => stacked::fit(request),
        false => plain::fit(request),
    }
}

/// Fits as [`fit`] does, and returns the scores `[held, n_classes]` of the rows `held`, in their order.
///
/// # Errors
/// Those of [`fit`].
pub(crate) fn fit_and_score(request: FitRequest<'_>, held: &[u32]) -> Result<Vec<f64>> {
    match is_stacked(request.spec) {
        true => Ok(stacked::fit(request)?.scores(request.x, held)),
        false => plain::fit_and_score(request, held),
    }
}

/// Returns the largest number of steps that fitting on `n_samples` rows reports.
pub(crate) fn steps(spec: &ModelSpec, n_classes: usize, n_samples: usize) -> u64 {
    if !is_stacked(spec) {
        return plain::steps(spec, n_classes);
    }
    let once: u64 = stacked::parts(spec).iter().map(|part| plain::steps(part, n_classes)).sum();
    once * stacked::n_fits(n_samples) as u64
}

fn is_stacked(spec: &ModelSpec) -> bool {
    spec.features.kind == FeatureKind::Stacked
}
