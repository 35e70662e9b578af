//! A trained model, its file and its measurements.

use botops_digest::Digest;
use botops_evaluation::{EvaluationReport, Metric, SeedSpread};
use botops_experiments::Cost;
use botops_models::IntentModel;
use std::collections::BTreeMap;

/// A trained model, its file and its measurements.
pub(super) struct Trained {
    pub(super) model: IntentModel,
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) evaluation: Option<EvaluationReport>,
    pub(super) seeds: Option<SeedSpread>,
    pub(super) costs: Vec<Cost>,
}

impl Trained {
    pub(super) fn metrics(&self) -> BTreeMap<String, Metric> {
        self.evaluation.as_ref().map(|report| report.metrics.clone()).unwrap_or_default()
    }
}
