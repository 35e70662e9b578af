//! What a model's confidence is worth: who is declined, how often answers are right, whether sets hold the truth.

use super::{
    Metric, OosScoreReport, SelectiveReport, SetReport, SetsSummary,
    measurement::{Outcome, estimate, proportion},
};
use crate::{
    models::{
        IntentModel,
        confidence::{Evidence, FallbackRule, OosScore},
    },
    stats::{
        bootstrap::{Resampling, percentile_intervals},
        selective::RiskCoverage,
        separation::{Estimate, separation},
    },
};

/// What a model's confidence does, and the sets it gave; beside the outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Stated {
    /// When the model declines.
    pub rule: FallbackRule,
    /// What its raw scores are divided by.
    pub temperature: f64,
    /// What its sets of intents promise; none: it makes none.
    pub sets: Option<SetsSummary>,
    /// The set of each outcome, in their order; empty when it makes none.
    pub outcomes: Vec<SetOutcome>,
}

/// The set of intents that one message may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetOutcome {
    /// How many intents are in it.
    pub size: usize,
    /// Whether the truth is.
    pub holds: bool,
}

impl Stated {
    /// Takes the rules of `model`, before it was asked about anything.
    #[must_use]
    pub fn of(model: &IntentModel) -> Self {
        Self {
            rule: model.fallback(),
            temperature: model.temperature(),
            sets: model.confidence().sets().map(|sets| SetsSummary {
                alpha: sets.alpha,
                method: sets.method,
                class_conditional: sets.is_class_conditional(),
            }),
            outcomes: Vec::new(),
        }
    }
}

/// Returns the value of `score` for a prediction, where the model has what it is made of.
fn value(outcome: &Outcome<'_>, score: OosScore, stated: &Stated) -> Option<f64> {
    let prediction = &outcome.prediction;
    if score == stated.rule.score {
        return Some(prediction.score);
    }
    let (confidence, logit) = (prediction.confidence, prediction.logit);
    Evidence { confidence, logit, oos_logit: None, cosine: None }.score(score, stated.temperature)
}

/// Measures how well each score that the model has tells in-scope from out-of-scope records.
pub(super) fn oos_scores(
    in_scope: &[&Outcome<'_>],
    out: &[&Outcome<'_>],
    stated: &Stated,
    resampling: &Resampling,
) -> Vec<OosScoreReport> {
    let n = (in_scope.len() + out.len()) as u64;
    let metric = |Estimate { value, ci95 }| Metric { value, ci95, n };
    let measured = |score: OosScore| {
        let side = |outcomes: &[&Outcome<'_>]| -> Option<Vec<f64>> {
            outcomes.iter().map(|outcome| value(outcome, score, stated)).collect()
        };
        let found = separation(&side(in_scope)?, &side(out)?, resampling)?;
        Some(OosScoreReport {
            score,
            in_use: score == stated.rule.score,
            auroc: metric(found.auroc),
            aupr: metric(found.aupr),
            aupr_oos: metric(found.aupr_negative),
            fpr95: metric(found.fpr95),
        })
    };
    OosScore::ALL.into_iter().filter_map(measured).collect()
}

/// Measures what is answered: every record, an answered out-of-scope one being wrong.
pub(super) fn selective(
    in_scope: &[&Outcome<'_>],
    out: &[&Outcome<'_>],
    stated: &Stated,
    resampling: &Resampling,
) -> SelectiveReport {
    let all = || in_scope.iter().chain(out);
    let wrong = |outcome: &Outcome<'_>| outcome.truth != Some(outcome.prediction.intent);
    let n = all().count() as u64;
    let answered = all().filter(|outcome| !outcome.prediction.fallback).count() as u64;
    let right =
        all().filter(|outcome| !outcome.prediction.fallback && !wrong(outcome)).count() as u64;
    let samples: Vec<(f64, bool)> =
        all().map(|outcome| (outcome.prediction.score, wrong(outcome))).collect();
    let curve = RiskCoverage::of(&samples);
    let [interval] = percentile_intervals(
        &[in_scope.len(), out.len()],
        resampling,
        || (),
        |(), counts| [curve.area(counts)],
    );
    SelectiveReport {
        score: stated.rule.score,
        threshold: stated.rule.threshold,
        target_accuracy: stated.rule.guarantee.map(|guarantee| guarantee.target_accuracy),
        answered: proportion(answered, n),
        accuracy: proportion(right, answered),
        aurc: estimate(curve.area(&vec![1; samples.len()]), interval, n),
    }
}

/// Measures the sets of the in-scope records; `None` where the model makes none.
pub(super) fn sets(
    outcomes: &[Outcome<'_>],
    stated: &Stated,
    resampling: &Resampling,
) -> Option<SetReport> {
    let promised = stated.sets?;
    assert_eq!(outcomes.len(), stated.outcomes.len(), "there is a set for each outcome");
    let sets: Vec<SetOutcome> = outcomes
        .iter()
        .zip(&stated.outcomes)
        .filter(|(outcome, _)| outcome.truth.is_some())
        .map(|(_, set)| *set)
        .collect();
    let n = sets.len() as u64;
    let size = |counts: &[u32]| {
        let sum: f64 = sets.iter().zip(counts).map(|(s, &c)| s.size as f64 * f64::from(c)).sum();
        sum / sets.len() as f64
    };
    let [interval] =
        percentile_intervals(&[sets.len()], resampling, || (), |(), counts| [size(counts)]);
    Some(SetReport {
        promised,
        coverage: proportion(sets.iter().filter(|set| set.holds).count() as u64, n),
        size: estimate(size(&vec![1; sets.len()]), interval, n),
        empty: proportion(sets.iter().filter(|set| set.size == 0).count() as u64, n),
    })
}
