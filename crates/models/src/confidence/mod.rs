//! The confidence of a model: temperature, fallback rule and prediction sets.
//!
//! The input is scores of records by models that never saw them, and the specs ([`FallbackSpec`], [`ConformalSpec`]).
//! The output is a [`Confidence`], which a model stores and applies to every message. This module does no I/O.

mod centroids;
mod choice;
mod decision;
mod rounding;
mod score;
mod sets;
mod spec;
mod threshold;
mod traffic;
mod unseen;

pub(super) use centroids::Centroids;
pub use choice::ScoreComparison;
pub(super) use decision::Facts;
pub(super) use rounding::storable;
pub use score::{Evidence, OosScore};
pub use sets::PredictionSets;
pub use spec::{ConformalMethod, ConformalSpec, FallbackSpec, ScoreChoice};
pub use threshold::Guarantee;
pub use traffic::OosDeclined;
pub(super) use unseen::{CalibrationScores, UnseenScores};

use crate::heads::head::malformed;
use botops_findings::{Finding, Result, Severity};
use botops_stats::bootstrap::Resampling;
use choice::{Candidate, best, compare};
use serde::{Deserialize, Serialize};
use traffic::Scored;
use unseen::JudgedRecord;

/// Temperature, fallback rule and prediction sets of a model.
///
/// - `temperature` is above 0
/// - numbers have nine decimals, so JSON reads them as they were written
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confidence {
    /// The divisor of raw scores.
    temperature: f64,
    /// The fallback rule; `None`: fall back below the confidence threshold of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback: Option<FallbackRule>,
    /// The comparison from which the score was chosen; empty if there was no comparison.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    comparison: Vec<ScoreComparison>,
    /// The prediction sets, if the spec has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sets: Option<PredictionSets>,
    /// Number of out-of-scope records of the training data, if the score was to be chosen automatically.
    #[serde(default, skip_serializing_if = "is_zero")]
    n_oos: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The fallback rule: fall back if `score` is below `threshold`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackRule {
    /// The score that is compared with the threshold.
    pub score: OosScore,
    /// A message is answered if its score is at least this.
    pub threshold: f64,
    /// The guarantee of the target accuracy, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<Guarantee>,
    /// The share of out-of-scope records that the threshold declines, if it was chosen by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oos_declined: Option<OosDeclined>,
}

impl FallbackRule {
    /// Returns the rule that falls back below `threshold`, without a guarantee.
    #[must_use]
    pub fn at(score: OosScore, threshold: f64) -> Self {
        Self { score, threshold, guarantee: None, oos_declined: None }
    }

    /// Returns whether the held-out records are answered without exception, or nearly so, and nobody stated the
    /// out-of-scope share of the traffic.
    fn answers_everything(&self) -> bool {
        self.guarantee.is_some_and(|guarantee| {
            guarantee.oos_share.is_none()
                && guarantee.n_answered * 1_000 >= guarantee.n_samples * NEARLY_ALL
        })
    }
}

/// The records in 1,000 from which a threshold counts as answering everything.
const NEARLY_ALL: u64 = 995;

impl Confidence {
    /// Fits temperature, fallback rule and, if `conformal` is present, prediction sets.
    ///
    /// Temperature and quantiles are fitted on all in-scope records. With a target accuracy, score and order of thresholds
    /// are chosen on one half of the records, and the threshold is tested on the other. The temperature is fitted on both
    /// halves; a test measures that this does not break the guarantee.
    ///
    /// # Errors
    /// `BOT-7060` (exit 4) if no threshold reaches the target accuracy.
    pub(super) fn fit(
        fallback: &FallbackSpec,
        conformal: Option<&ConformalSpec>,
        scores: CalibrationScores<'_>,
    ) -> Result<Self> {
        Self::fit_with(fallback, conformal, scores, &Resampling::default())
    }

    /// Fits as [`Self::fit`] does, with the given bootstrap settings.
    fn fit_with(
        fallback: &FallbackSpec,
        conformal: Option<&ConformalSpec>,
        scores: CalibrationScores<'_>,
        resampling: &Resampling,
    ) -> Result<Self> {
        let CalibrationScores { plain, with_class, n_oos } = scores;
        let calibrated = [plain, with_class].map(|scores| scores.map(CalibratedScores::new));
        let mut comparison = Vec::new();
        let score = match fallback.score.named() {
            Some(score) => score,
            None if fallback.compares(n_oos) => {
                comparison = compare_scores(&calibrated, fallback, resampling);
                best(&comparison, fallback).unwrap_or(OosScore::MaxProbability)
            }
            None => OosScore::MaxProbability,
        };
        let decisive = calibrated[model_index(score)].as_ref();
        let decisive = decisive.expect("models of every score that can be chosen were fitted");
        let rule = decisive.rule(score, fallback)?;
        let CalibratedScores { unseen, temperature, .. } = decisive;
        let (proba, truth) = unseen.probabilities(*temperature);
        Ok(Self {
            temperature: *temperature,
            // A fixed threshold of the confidence is stored in the spec only.
            fallback: (score != OosScore::MaxProbability
                || rule.guarantee.is_some()
                || rule.oos_declined.is_some())
            .then_some(rule),
            comparison,
            sets: conformal.map(|spec| PredictionSets::fit(spec, &proba, unseen.n_classes, &truth)),
            n_oos: if fallback.score == ScoreChoice::Auto { n_oos as u64 } else { 0 },
        })
    }

    /// Returns the divisor of raw scores.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Returns the fallback rule; `default` is the confidence threshold of the spec.
    pub(super) fn rule(&self, default: f64) -> FallbackRule {
        self.fallback.unwrap_or(FallbackRule::at(OosScore::MaxProbability, default))
    }

    /// Returns the comparison from which the score was chosen; empty if there was no comparison.
    #[must_use]
    pub fn comparison(&self) -> &[ScoreComparison] {
        &self.comparison
    }

    /// Returns the prediction sets, if the model has them.
    #[must_use]
    pub fn sets(&self) -> Option<&PredictionSets> {
        self.sets.as_ref()
    }

    /// Returns warnings about the threshold and the choice of a score under `spec`.
    pub(super) fn findings(&self, spec: &FallbackSpec) -> Vec<Finding> {
        let mut findings = self.findings_on_scores(spec);
        if let Some((rule, guarantee)) =
            self.fallback.and_then(|rule| Some((rule, rule.guarantee?)))
            && rule.answers_everything()
        {
            let message = format!(
                "the threshold {:.3} answers {} of {} held-out records: with as few out-of-scope messages as in the training \
                 data, {} of the answers are right without declining any",
                rule.threshold,
                guarantee.n_answered,
                guarantee.n_samples,
                guarantee.target_accuracy
            );
            let help = "state the share of out-of-scope messages in traffic, such as `fallback: { oos_share: 0.15, \
                        target_accuracy: 0.9 }`, or the share of them to decline, `min_oos_declined: 0.8`";
            findings.push(Finding::new("BOT-3040", Severity::Warning, message, help));
        }
        findings
    }

    /// Returns warnings about the automatic choice of a score under `spec`.
    fn findings_on_scores(&self, spec: &FallbackSpec) -> Vec<Finding> {
        let auto = spec.score == ScoreChoice::Auto;
        let skipped = OosScore::ALL
            .into_iter()
            .filter(|score| !self.comparison.iter().any(|row| row.score == *score))
            .map(|score| format!("`{}`", score.name()))
            .collect::<Vec<_>>()
            .join(" and ");
        if auto && !self.comparison.is_empty() && !skipped.is_empty() {
            return vec![Finding::new(
                "BOT-7063",
                Severity::Warning,
                format!(
                    "`fallback.score: auto` skipped {skipped}: for a fine-tuned encoder they are unavailable or need \
                     another fine-tuning"
                ),
                "no action is needed; `fallback.score: oos_class` fine-tunes once more and uses that score",
            )];
        }
        if !auto || !self.comparison.is_empty() {
            return Vec::new();
        }
        let message = format!(
            "`fallback.score: auto` has {} out-of-scope records and needs {} to compare scores: it uses \
             `max_probability`",
            self.n_oos,
            spec.fewest_to_compare()
        );
        vec![Finding::new(
            "BOT-7062",
            Severity::Warning,
            message,
            "label more out-of-scope records `oos`, or name a score",
        )]
    }

    /// Checks values that were read from a file.
    ///
    /// # Errors
    /// `BOT-7003` (exit 3) if they are inconsistent.
    pub(super) fn check(&self, n_classes: usize) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(malformed("has a temperature that is not above 0"));
        }
        if self.fallback.is_some_and(|rule| !rule.threshold.is_finite()) {
            return Err(malformed("has a threshold that is not finite"));
        }
        self.sets.as_ref().map_or(Ok(()), |sets| sets.check(n_classes))
    }
}

/// Scores of one kind of models, with the temperature fitted on them.
struct CalibratedScores<'a> {
    unseen: &'a UnseenScores,
    temperature: f64,
    judged: Vec<JudgedRecord>,
}

impl<'a> CalibratedScores<'a> {
    fn new(unseen: &'a UnseenScores) -> Self {
        let temperature = storable(unseen.temperature());
        Self { unseen, temperature, judged: unseen.judged(temperature) }
    }

    /// Returns the rule on `score`, with the evidence for its threshold if `fallback` has a target.
    fn rule(&self, score: OosScore, fallback: &FallbackSpec) -> Result<FallbackRule> {
        let value = |record: &JudgedRecord| {
            let value = record.evidence.score(score, self.temperature);
            value.expect("the quantities that the score needs were measured")
        };
        let scored = |part: fn(&JudgedRecord) -> bool| -> Vec<Scored> {
            let records = self.judged.iter().filter(|record| part(record));
            records
                .map(|record| Scored {
                    score: if record.understood { value(record) } else { f64::NEG_INFINITY },
                    in_scope: record.in_scope,
                    wrong: record.wrong,
                })
                .collect()
        };
        if let Some(min) = fallback.min_oos_declined {
            let (threshold, declined) = traffic::declining(&scored(|_| true), min)?;
            return Ok(FallbackRule {
                oos_declined: Some(declined),
                ..FallbackRule::at(score, threshold)
            });
        }
        let Some(target) = fallback.target_accuracy else {
            if score == OosScore::MaxProbability {
                return Ok(FallbackRule::at(score, fallback.threshold));
            }
            let in_scope =
                || self.judged.iter().filter(|record| record.in_scope && record.understood);
            let confidences: Vec<f64> =
                in_scope().map(|record| record.evidence.confidence).collect();
            let scores: Vec<f64> = in_scope().map(value).collect();
            let threshold = threshold::equivalent(fallback.threshold, &confidences, &scores);
            return Ok(FallbackRule::at(score, threshold));
        };
        if let Some(share) = fallback.oos_share {
            let (chooses, tests) = (scored(|r| r.chooses), scored(|r| r.tests));
            let (threshold, guarantee) = traffic::find(&chooses, &tests, target, share)?;
            return Ok(FallbackRule {
                guarantee: Some(guarantee),
                ..FallbackRule::at(score, threshold)
            });
        }
        // A record in which the model knows nothing is declined for any score.
        let samples = |part: fn(&JudgedRecord) -> bool| -> Vec<threshold::Sample> {
            let records = self.judged.iter().filter(|record| record.understood && part(record));
            records.map(|record| (value(record), record.wrong)).collect()
        };
        let (chooses, tests) = (samples(|r| r.chooses), samples(|r| r.tests));
        let (threshold, guarantee) = threshold::find(&chooses, &tests, target)?;
        let n_samples = self.judged.iter().filter(|record| record.tests).count() as u64;
        let guarantee = Some(Guarantee { n_samples, ..guarantee });
        Ok(FallbackRule { guarantee, ..FallbackRule::at(score, threshold) })
    }
}

/// Returns the index of the models that produce `score`: 0 for models of the intents, 1 for those with an out-of-scope
/// class.
fn model_index(score: OosScore) -> usize {
    usize::from(score == OosScore::OosClass)
}

/// Measures all scores that the models produce; with a target accuracy, on the half of the records that chooses.
fn compare_scores(
    calibrated: &[Option<CalibratedScores<'_>>; 2],
    fallback: &FallbackSpec,
    resampling: &Resampling,
) -> Vec<ScoreComparison> {
    let is_used = |record: &&JudgedRecord| fallback.target_accuracy.is_none() || record.chooses;
    let records: Vec<Option<Vec<JudgedRecord>>> = calibrated
        .iter()
        .map(|scores| Some(scores.as_ref()?.judged.iter().filter(is_used).copied().collect()))
        .collect();
    let candidates: Vec<Candidate<'_>> = OosScore::ALL
        .into_iter()
        .filter_map(|score| {
            let i = model_index(score);
            let temperature = calibrated[i].as_ref()?.temperature;
            Some(Candidate { score, temperature, judged: records[i].as_deref()? })
        })
        .collect();
    compare(&candidates, resampling)
}

#[cfg(test)]
mod tests;
