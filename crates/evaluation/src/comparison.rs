//! Champion and challenger, record by record.

use super::{
    Comparison, Flip, Metric,
    measurement::{ask, intents_of, measure_with},
};
use botops_datasets::{Dataset, Record};
use botops_digest::Digest;
use botops_findings::Result;
use botops_labels::OOS;
use botops_models::IntentModel;
use botops_stats::paired::mcnemar_exact;
use std::collections::BTreeMap;

/// What two models said of one in-scope record.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its intent.
    pub truth: &'a str,
    /// What the champion said.
    pub champion: &'a str,
    /// What the challenger said.
    pub challenger: &'a str,
}

/// Compares two models on the same records.
///
/// # Errors
/// As [`super::evaluate`].
pub fn compare(
    champion: (&IntentModel, Digest),
    challenger: (&IntentModel, Digest),
    data: &Dataset,
) -> Result<Comparison> {
    let truths = intents_of(data)?;
    let (subject, outcomes, stated) = ask(champion.0, champion.1, data, &truths);
    let (_, others, _) = ask(challenger.0, challenger.1, data, &truths);
    let pairs: Vec<Pair<'_>> = truths
        .iter()
        .zip(outcomes.iter().zip(&others))
        .filter(|(truth, _)| **truth != OOS)
        .map(|(&truth, (champion_said, challenger_said))| Pair {
            record: champion_said.record,
            truth,
            champion: champion.0.labels().name(champion_said.prediction.intent),
            challenger: challenger.0.labels().name(challenger_said.prediction.intent),
        })
        .collect();
    let metrics = measure_with(&subject, &outcomes, Some(&stated))?.metrics;
    Ok(pair((champion.1, metrics), challenger.1, &pairs))
}

/// Makes the comparison from what both said; `champion` comes with its metrics on the same records.
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
