//! How sure a model is, and what follows from it: temperature, fallback rule, sets of intents.
//!
//! In come scores of records by models that never saw them ([`Unseen`]) and what is wanted ([`FallbackSpec`],
//! [`ConformalSpec`]); out comes [`Confidence`], which a model stores and applies to every message. Pure.

mod centroids;
mod choice;
mod score;
mod sets;
mod spec;
mod threshold;
mod unseen;

pub(super) use centroids::Centroids;
pub use choice::ScoreComparison;
pub use score::{Evidence, OosScore};
pub use sets::PredictionSets;
pub use spec::{ConformalMethod, ConformalSpec, FallbackSpec, ScoreChoice};
pub use threshold::Guarantee;
pub(super) use unseen::Unseen;

use super::ModelSpec;
use crate::heads::head::malformed;
use botops_findings::{Finding, Result, Severity};
use botops_stats::bootstrap::Resampling;
use choice::{Candidate, best, compare};
use serde::{Deserialize, Serialize};
use unseen::Judged;

/// How sure a model is, and what follows from it.
///
/// - `temperature` is above 0; numbers have nine decimals, so that JSON gives back what was written
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confidence {
    /// What raw scores are divided by.
    pub(super) temperature: f64,
    /// When to fall back; none: below the confidence that the spec states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback: Option<FallbackRule>,
    /// How the scores did from which the deciding one was chosen; empty when none had to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    comparison: Vec<ScoreComparison>,
    /// What makes sets of intents, where the spec asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sets: Option<PredictionSets>,
    /// Out-of-scope records of the training data, where they were to tell scores apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    n_oos: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// When to fall back: below `threshold` of `score`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackRule {
    /// What is held against the threshold.
    pub score: OosScore,
    /// A message is answered when its score is this or more.
    pub threshold: f64,
    /// What shows that the stated accuracy holds, where one was stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<Guarantee>,
}

impl Confidence {
    /// Fits everything that `spec` asks for.
    ///
    /// `plain` are scores of models that learn the intents, `with_oos` of models that learn one class more from the
    /// out-of-scope records; either is there where [`FallbackSpec`] may choose it. Temperature and quantiles are
    /// fitted on all in-scope records. With a target, score and order of thresholds are chosen on one half of the
    /// records, and the threshold by the other. The one temperature is fitted on both: what that costs is measured
    /// in the tests, and too little to be seen.
    ///
    /// # Errors
    /// `BOT-7060` (exit 4) when the target cannot be shown.
    pub(super) fn fit(
        spec: &ModelSpec,
        plain: Option<&Unseen>,
        with_oos: Option<&Unseen>,
        n_oos: usize,
    ) -> Result<Self> {
        Self::fit_with(spec, plain, with_oos, n_oos, &Resampling::default())
    }

    fn fit_with(
        spec: &ModelSpec,
        plain: Option<&Unseen>,
        with_oos: Option<&Unseen>,
        n_oos: usize,
        resampling: &Resampling,
    ) -> Result<Self> {
        let fallback = &spec.fallback;
        let judged = |unseen: Option<&Unseen>| -> Option<(f64, Vec<Judged>)> {
            let unseen = unseen?;
            let temperature = storable(unseen.temperature());
            Some((temperature, unseen.judged(temperature)))
        };
        let fits = [judged(plain), judged(with_oos)];
        let choosing: Vec<Option<Vec<Judged>>> = fits
            .iter()
            .map(|fit| {
                let (_, judged) = fit.as_ref()?;
                let keep = |j: &&Judged| fallback.target_accuracy.is_none() || j.chooses;
                Some(judged.iter().filter(keep).copied().collect())
            })
            .collect();
        let mut comparison = Vec::new();
        let score = match fallback.score.named() {
            Some(score) => score,
            None if fallback.compares(n_oos) => {
                let candidates: Vec<Candidate<'_>> = OosScore::ALL
                    .into_iter()
                    .filter_map(|score| {
                        let at = usize::from(score == OosScore::OosClass);
                        let (temperature, _) = fits[at].as_ref()?;
                        let judged = choosing[at].as_deref()?;
                        Some(Candidate { score, temperature: *temperature, judged })
                    })
                    .collect();
                comparison = compare(&candidates, resampling);
                best(&comparison, fallback).unwrap_or(OosScore::MaxProbability)
            }
            None => OosScore::MaxProbability,
        };
        let at = usize::from(score == OosScore::OosClass);
        let unseen = [plain, with_oos][at].expect("the scores that may be chosen were made");
        let (temperature, judged) = fits[at].as_ref().expect("the scores were judged");
        let value = |judged: &Judged| {
            judged.evidence.score(score, *temperature).expect("the score's parts were measured")
        };
        let (threshold, guarantee) = match fallback.target_accuracy {
            Some(target) => {
                // What is not understood is declined whatever its score.
                let samples = |of: fn(&Judged) -> bool| -> Vec<threshold::Sample> {
                    let of = judged.iter().filter(|judged| judged.understood && of(judged));
                    of.map(|judged| (value(judged), judged.wrong)).collect()
                };
                let (chooses, tests) = (samples(|j| j.chooses), samples(|j| j.tests));
                let (threshold, guarantee) = threshold::find(&chooses, &tests, target)?;
                let n_samples = judged.iter().filter(|judged| judged.tests).count() as u64;
                (threshold, Some(Guarantee { n_samples, ..guarantee }))
            }
            None if score == OosScore::MaxProbability => (fallback.threshold, None),
            None => {
                let inside = judged.iter().filter(|judged| judged.in_scope && judged.understood);
                let inside: Vec<&Judged> = inside.collect();
                let confidences: Vec<f64> = inside.iter().map(|j| j.evidence.confidence).collect();
                let scores: Vec<f64> = inside.iter().map(|judged| value(judged)).collect();
                (threshold::as_often(fallback.threshold, &confidences, &scores), None)
            }
        };
        let (proba, truth) = unseen.probabilities(*temperature);
        Ok(Self {
            temperature: *temperature,
            // A stated confidence stands in the spec, and there alone.
            fallback: (score != OosScore::MaxProbability || guarantee.is_some())
                .then_some(FallbackRule { score, threshold, guarantee }),
            comparison,
            sets: spec
                .conformal
                .map(|sets| PredictionSets::fit(&sets, &proba, unseen.n_classes, &truth)),
            n_oos: if fallback.score == ScoreChoice::Auto { n_oos as u64 } else { 0 },
        })
    }

    /// Returns what raw scores are divided by.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Returns when to fall back; `stated` is the threshold of the spec.
    pub(super) fn rule(&self, stated: f64) -> FallbackRule {
        self.fallback.unwrap_or(FallbackRule {
            score: OosScore::MaxProbability,
            threshold: stated,
            guarantee: None,
        })
    }

    /// Returns how the scores did from which the deciding one was chosen; empty when none had to be.
    #[must_use]
    pub fn comparison(&self) -> &[ScoreComparison] {
        &self.comparison
    }

    /// Returns what makes sets of intents, where the spec asked for them.
    #[must_use]
    pub fn sets(&self) -> Option<&PredictionSets> {
        self.sets.as_ref()
    }

    /// Returns what whoever trained with `spec` should know.
    pub(super) fn findings(&self, spec: &FallbackSpec) -> Vec<Finding> {
        let auto = spec.score == ScoreChoice::Auto;
        let left_out = OosScore::ALL
            .into_iter()
            .filter(|score| !self.comparison.iter().any(|row| row.score == *score))
            .map(|score| format!("`{}`", score.name()))
            .collect::<Vec<_>>()
            .join(" and ");
        if auto && !self.comparison.is_empty() && !left_out.is_empty() {
            return vec![Finding::new(
                "BOT-7063",
                Severity::Warning,
                format!(
                    "`fallback.score: auto` left out {left_out}, which a fine-tuned encoder has not, or not without \
                     fine-tuning it anew"
                ),
                "nothing has to be done; `fallback.score: oos_class` tries that class, at the price of another fine-tuning",
            )];
        }
        let fell_back = auto && self.comparison.is_empty();
        let message = || {
            format!(
                "`fallback.score: auto` has {} out-of-scope records to compare scores on, and needs {}: the confidence \
                 decides (`max_probability`)",
                self.n_oos,
                spec.fewest_to_compare()
            )
        };
        fell_back
            .then(|| {
                Finding::new(
                    "BOT-7062",
                    Severity::Warning,
                    message(),
                    "label more of what is out of scope `oos`, or name the score",
                )
            })
            .into_iter()
            .collect()
    }

    /// Checks what a file says.
    ///
    /// # Errors
    /// `BOT-7003` (exit 3).
    pub(super) fn check(&self, n_classes: usize) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(malformed("has a temperature that is not above 0"));
        }
        if self.fallback.is_some_and(|rule| !rule.threshold.is_finite()) {
            return Err(malformed("has a threshold that is no number"));
        }
        self.sets.as_ref().map_or(Ok(()), |sets| sets.check(n_classes))
    }
}

/// Rounds to nine decimals: numbers so short are read from JSON as they were written.
pub(super) fn storable(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// As [`storable`], downwards.
fn storable_below(value: f64) -> f64 {
    (value * 1e9).floor() / 1e9
}

/// As [`storable`], upwards.
fn storable_above(value: f64) -> f64 {
    (value * 1e9).ceil() / 1e9
}

#[cfg(test)]
mod tests;
