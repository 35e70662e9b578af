//! Compares champion and challenger record by record.

use crate::{
    entities::evaluate_entities,
    entity_report::EntityReport,
    measurement::measure_with,
    metrics::{Metric, proportion},
    outcome::{intents_of, predict_all},
};
use botops_datasets::{Dataset, Record};
use botops_digest::Digest;
use botops_findings::Result;
use botops_labels::OOS;
use botops_models::IntentModel;
use botops_stats::paired::mcnemar_exact;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The share of in-scope records that the champion classifies correctly and the challenger does not, and the opposite share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlipRates {
    /// Negative flips, with their Wilson interval.
    pub negative: Metric,
    /// Positive flips, with their Wilson interval.
    pub positive: Metric,
}

/// A record that only one of champion and challenger classifies correctly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// The number of the record, from 1.
    pub record: u64,
    /// Its text, unchanged, so that programs can find it. Pages and tables show it without personal data.
    pub text: String,
    /// Its intent.
    pub truth: String,
    /// The intent that the champion predicted.
    pub champion: String,
    /// The intent that the challenger predicted.
    pub challenger: String,
}

/// The comparison of champion and challenger on the same records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparison {
    /// `botops.comparison/1`.
    pub schema: String,
    /// The digest of the champion's file.
    pub champion: Digest,
    /// The digest of the challenger's file.
    pub challenger: Digest,
    /// The number of in-scope records.
    pub n: u64,
    /// The accuracy of the champion.
    pub champion_accuracy: f64,
    /// The accuracy of the challenger.
    pub challenger_accuracy: f64,
    /// The metrics of the champion on these records, by the names of [`crate::EvaluationReport::metrics`].
    pub champion_metrics: BTreeMap<String, Metric>,
    /// Records that the champion classifies correctly and the challenger does not.
    pub newly_wrong: Vec<Flip>,
    /// Records that the challenger classifies correctly and the champion does not.
    pub newly_right: Vec<Flip>,
    /// The exact two-sided McNemar p-value.
    pub mcnemar_p: f64,
}

impl Comparison {
    /// Returns the shares of records whose correctness changed.
    #[must_use]
    pub fn flips(&self) -> FlipRates {
        let share = |flips: &[Flip]| proportion(flips.len() as u64, self.n);
        FlipRates { negative: share(&self.newly_wrong), positive: share(&self.newly_right) }
    }
}

/// The predictions of two models for one in-scope record.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its intent.
    pub truth: &'a str,
    /// The intent that the champion predicted.
    pub champion: &'a str,
    /// The intent that the challenger predicted.
    pub challenger: &'a str,
}

/// Compares two models on the same records.
///
/// # Errors
/// As [`crate::evaluate`].
pub fn compare(
    champion: (&IntentModel, Digest),
    challenger: (&IntentModel, Digest),
    data: &Dataset,
) -> Result<Comparison> {
    // A label is out of scope for both models if it is for one of them, so that both are judged alike.
    let specs = [&champion.0.lineage().spec, &challenger.0.lineage().spec];
    let intent = |label| specs.iter().fold(label, |label, spec| spec.intent_of(label));
    let truths: Vec<&str> = intents_of(data)?.into_iter().map(intent).collect();
    let (subject, outcomes, rules) = predict_all(champion.0, champion.1, data, &truths);
    let (_, others, _) = predict_all(challenger.0, challenger.1, data, &truths);
    let pairs: Vec<Pair<'_>> = truths
        .iter()
        .zip(outcomes.iter().zip(&others))
        .filter(|(truth, _)| **truth != OOS)
        .map(|(&truth, (first, second))| Pair {
            record: first.record,
            truth,
            champion: champion.0.labels().name(first.prediction.intent),
            challenger: challenger.0.labels().name(second.prediction.intent),
        })
        .collect();
    let mut metrics = measure_with(&subject, &outcomes, Some(&rules))?.metrics;
    metrics.extend(evaluate_entities(champion.0, data)?.iter().flat_map(EntityReport::metrics));
    Ok(pair((champion.1, metrics), challenger.1, &pairs))
}

/// Makes the comparison from the predictions of both models; `champion` comes with its metrics on the same records.
#[must_use]
pub fn pair(
    champion: (Digest, BTreeMap<String, Metric>),
    challenger: Digest,
    pairs: &[Pair<'_>],
) -> Comparison {
    let flip = |pair: &Pair<'_>| Flip {
        record: pair.record.record,
        text: pair.record.text.clone(),
        truth: pair.truth.to_owned(),
        champion: pair.champion.to_owned(),
        challenger: pair.challenger.to_owned(),
    };
    let (mut newly_wrong, mut newly_right) = (Vec::new(), Vec::new());
    let (mut champion_right, mut challenger_right) = (0_u64, 0_u64);
    for pair in pairs {
        let (before, now) = (pair.champion == pair.truth, pair.challenger == pair.truth);
        champion_right += u64::from(before);
        challenger_right += u64::from(now);
        match (before, now) {
            (true, false) => newly_wrong.push(flip(pair)),
            (false, true) => newly_right.push(flip(pair)),
            _ => {}
        }
    }
    let share = |right: u64| if pairs.is_empty() { 0.0 } else { right as f64 / pairs.len() as f64 };
    Comparison {
        schema: "botops.comparison/1".to_owned(),
        champion: champion.0,
        challenger,
        n: pairs.len() as u64,
        champion_accuracy: share(champion_right),
        challenger_accuracy: share(challenger_right),
        champion_metrics: champion.1,
        mcnemar_p: mcnemar_exact(newly_wrong.len() as u64, newly_right.len() as u64),
        newly_wrong,
        newly_right,
    }
}
