//! The accuracy of the canary, estimated from its confidence beside that of the champion.

use crate::{
    confidence_counts::ConfidenceCounts,
    estimate::{AccuracyEstimate, EstimateReference, EstimateSpec},
    estimation::estimate_accuracy,
    monitored_model::MonitoredModel,
    reference::ReferenceProfile,
};
use botops_findings::Result;
use botops_models::IntentModel;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The arm of the canary.
pub(crate) const CANARY: &str = "canary";

/// The challenger of a rollout that is under way.
#[derive(Clone)]
pub struct Canary {
    /// The version.
    pub model: MonitoredModel,
    /// The model, for its reference profile.
    pub loaded: Arc<IntentModel>,
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canary").field("model", &self.model).finish_non_exhaustive()
    }
}

/// The accuracy of the canary in a window. The one from verdicts stands among those of the arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CanaryAccuracy {
    /// The version.
    pub model: MonitoredModel,
    /// The number of its records on the arm `canary`.
    pub n: u64,
    /// The accuracy estimated from its confidence; `None` if there is nothing to estimate it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<AccuracyEstimate>,
    /// The reason why there is no estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Estimates the accuracy of `canary` from its records in a window.
///
/// # Errors
/// Those of its reference profile and of the estimate, but for those that say that there is too little.
pub(crate) fn canary_accuracy(
    canary: &Canary,
    profile: Option<&ReferenceProfile>,
    counts: &ConfidenceCounts,
) -> Result<CanaryAccuracy> {
    let estimated = match profile {
        Some(profile) => estimated(profile, counts, None)?,
        None => Err("the model has no reference profile: train it again".to_owned()),
    };
    let (estimate, reason) = match estimated {
        Ok(estimate) => (Some(estimate), None),
        Err(reason) => (None, Some(reason)),
    };
    Ok(CanaryAccuracy { model: canary.model.clone(), n: counts.n(), estimate, reason })
}

/// Estimates the accuracy of a model from its confidence; the inner error is the reason why there is no estimate.
pub(crate) fn estimated(
    profile: &ReferenceProfile,
    counts: &ConfidenceCounts,
    new_input: Option<&str>,
) -> Result<std::result::Result<AccuracyEstimate, String>> {
    if profile.judged.is_empty() {
        let reason = profile.not_judged.clone();
        let reason = reason.unwrap_or_else(|| "the reference has no truths".to_owned());
        return Ok(Err(reason));
    }
    let reference =
        EstimateReference { intents: &profile.labels, judged: &profile.judged, declined: None };
    match estimate_accuracy(&reference, counts, new_input, &EstimateSpec::default()) {
        Ok(estimate) => Ok(Ok(estimate)),
        Err(fault) if fault.code() == "BOT-2292" => Ok(Err(fault.message().to_owned())),
        Err(fault) => Err(fault),
    }
}
