//! Suggests utterances of recorded traffic to label: those that the model is uncertain about or that are unlike its training
//! data, chosen to differ from each other.

use crate::utterance_id;
use botops_datasets::Dataset;
use botops_findings::{Fault, Result};
use botops_models::{IntentModel, Nearby, Neighbor};
use botops_text::{self as text, NearSpec, near_groups};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The main reason to label an utterance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionReason {
    /// The model is uncertain between two intents.
    Uncertain,
    /// It is unlike the training data of the model.
    Novel,
}

impl SuggestionReason {
    /// Returns the name as written in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uncertain => "uncertain",
            Self::Novel => "novel",
        }
    }
}

/// An utterance worth labeling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suggestion {
    /// The id that connects the label with the utterance: [`utterance_id`] of `text`.
    pub id: String,
    /// The text; personal data are replaced.
    pub text: String,
    /// The intent that the model predicts; personal data are replaced.
    pub suggested_intent: String,
    /// The confidence of the prediction.
    pub confidence: f64,
    /// The number of utterances with this text or a near one.
    pub count: u64,
    /// 1 - (p_first - p_second), in [0, 1].
    pub uncertainty: f64,
    /// 1 - cosine to the nearest training record, or the share of unseen words if the training data are not given; in
    /// [0, 1].
    pub novelty: f64,
    /// (uncertainty + novelty) / 2 * (1 + log2(count)).
    pub worth: f64,
    /// The main reason to label it.
    pub reason: SuggestionReason,
    /// The file of its first occurrence.
    pub file: String,
    /// The record in the file, from 1.
    pub record: u64,
    /// The line on which the record starts.
    pub line: u64,
}

/// Utterances worth labeling, and the counts of all others.
///
/// - `records == labelled + empty + known + folded + candidates`
#[derive(Debug, Clone, Serialize)]
pub struct Suggestions {
    /// Records read.
    pub records: u64,
    /// Records that have an intent already.
    pub labelled: u64,
    /// Records without a text.
    pub empty: u64,
    /// Records whose text is in the training data, except for case and spaces.
    pub known: u64,
    /// Records that are near another one, which stands for them.
    pub folded: u64,
    /// Records to choose from.
    pub candidates: u64,
    /// The chosen utterances, in the order of the choice.
    pub suggestions: Vec<Suggestion>,
}

/// Chooses at most `limit` utterances of `traffic`.
///
/// Near duplicates ([`near_groups`] by `near`) count as one utterance: the most frequent of them, the earlier of equally
/// frequent ones. Each step takes the utterance with the largest worth times 1 - cosine to the nearest one chosen before,
/// a greedy way to a diverse set. `learned` is the training data of the model, if available. The same input gives the
/// same choice.
///
/// # Errors
/// `BOT-2199` (exit 4) when there is no utterance to choose from.
///
/// # Panics
/// When a record is not counted, which is a bug.
pub fn suggest(
    model: &IntentModel,
    traffic: &Dataset,
    learned: Option<&Dataset>,
    near: &NearSpec,
    limit: usize,
) -> Result<Suggestions> {
    let known: HashSet<String> = learned
        .into_iter()
        .flat_map(|data| &data.records)
        .map(|record| text::fold(&record.text))
        .collect();
    let mut out = Suggestions {
        records: traffic.records.len() as u64,
        labelled: 0,
        empty: 0,
        known: 0,
        folded: 0,
        candidates: 0,
        suggestions: Vec::new(),
    };
    // Records to choose from, with redacted texts: utterances that differ only in a redacted number are one.
    let mut open: Vec<(usize, String)> = Vec::new();
    for (i, record) in traffic.records.iter().enumerate() {
        let fold = text::fold(&record.text);
        if fold.is_empty() {
            out.empty += 1;
        } else if record.intent.is_some() {
            out.labelled += 1;
        } else if known.contains(&fold) {
            out.known += 1;
        } else {
            open.push((i, text::redact(&record.text)));
        }
    }
    let candidates = candidates(&open, near);
    out.candidates = candidates.len() as u64;
    out.folded = open.len() as u64 - out.candidates;
    if candidates.is_empty() {
        return Err(Fault::insufficient(
            "BOT-2199",
            format!(
                "of {} records, {} are labeled, {} are in the training data and {} are empty: no utterance remains",
                out.records, out.labelled, out.known, out.empty
            ),
        )
        .hint("name traffic that is not in the training data"));
    }
    let texts: Vec<&str> = candidates
        .iter()
        .map(|&(candidate, _)| traffic.records[open[candidate].0].text.as_str())
        .collect();
    let (predictions, proba) = model.predict_many(&texts);
    let novelty = novelty(model, &texts, learned);
    let mut suggestions: Vec<Suggestion> = Vec::with_capacity(candidates.len());
    for (at, &(candidate, count)) in candidates.iter().enumerate() {
        let (i, redacted) = &open[candidate];
        let record = &traffic.records[*i];
        let uncertainty = 1.0 - margin(&proba[at]);
        let novelty = novelty[at];
        suggestions.push(Suggestion {
            id: utterance_id(redacted),
            text: redacted.clone(),
            suggested_intent: text::redact(model.labels().name(predictions[at].intent)),
            confidence: predictions[at].confidence,
            count,
            uncertainty,
            novelty,
            worth: f64::midpoint(uncertainty, novelty) * (1.0 + (count as f64).log2()),
            reason: match novelty > uncertainty {
                true => SuggestionReason::Novel,
                false => SuggestionReason::Uncertain,
            },
            file: traffic.place(record).file.unwrap_or_default(),
            record: record.record,
            line: record.line,
        });
    }
    let chosen = choose(model, &texts, &suggestions, limit);
    out.suggestions = chosen.into_iter().map(|at| suggestions[at].clone()).collect();
    assert_eq!(
        out.records,
        out.labelled + out.empty + out.known + out.folded + out.candidates,
        "every record is counted once"
    );
    Ok(out)
}

/// Returns, for each group of near duplicates, the index of the utterance that stands for it and the size of the group,
/// sorted by index.
fn candidates(open: &[(usize, String)], near: &NearSpec) -> Vec<(usize, u64)> {
    let texts: Vec<&str> = open.iter().map(|(_, text)| text.as_str()).collect();
    let groups = near_groups(&texts, near).group_of;
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, group) in groups.into_iter().enumerate() {
        members.entry(group).or_default().push(at);
    }
    let mut chosen: Vec<(usize, u64)> = members
        .into_values()
        .map(|members| {
            let mut counts: HashMap<String, (u64, usize)> = HashMap::new();
            for &at in &members {
                counts.entry(text::fold(texts[at])).or_insert((0, at)).0 += 1;
            }
            let most = counts.into_values().max_by_key(|&(n, at)| (n, std::cmp::Reverse(at)));
            (most.expect("a group has members").1, members.len() as u64)
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

/// Returns the margin: the highest probability minus the second highest.
fn margin(proba: &[f64]) -> f64 {
    let (mut first, mut second) = (0.0, 0.0);
    for &p in proba {
        if p > first {
            (first, second) = (p, first);
        } else if p > second {
            second = p;
        }
    }
    first - second
}

/// Returns the novelty of each text, in [0, 1]: its distance from the training data of the model.
fn novelty(model: &IntentModel, texts: &[&str], learned: Option<&Dataset>) -> Vec<f64> {
    let Some(data) = learned else {
        return texts.par_iter().map(|text| model.unseen_word_rate(text)).collect();
    };
    let learned: Vec<&str> = data.records.iter().map(|record| record.text.as_str()).collect();
    let near = model.neighborhood(&learned);
    texts
        .par_iter()
        .with_min_len(16)
        .map_init(Nearby::default, |scratch, text| {
            let nearest = model.nearest_in(&near, text, 1, scratch);
            1.0 - nearest.first().map_or(0.0, |one| one.cosine)
        })
        .collect()
}

/// Chooses utterances one by one, by worth and distance from those chosen before.
fn choose(
    model: &IntentModel,
    texts: &[&str],
    suggestions: &[Suggestion],
    limit: usize,
) -> Vec<usize> {
    let near = model.neighborhood(texts);
    let mut nearest = vec![0.0_f64; texts.len()];
    let mut is_chosen = vec![false; texts.len()];
    let mut scratch = Nearby::default();
    let mut chosen = Vec::new();
    while chosen.len() < limit.min(texts.len()) {
        let gain = |at: usize| suggestions[at].worth * (1.0 - nearest[at]);
        let best = (0..texts.len())
            .filter(|&at| !is_chosen[at])
            .max_by(|&a, &b| gain(a).total_cmp(&gain(b)).then(b.cmp(&a)))
            .expect("fewer utterances are chosen than there are");
        is_chosen[best] = true;
        chosen.push(best);
        for Neighbor { row, cosine } in
            model.nearest_in(&near, texts[best], usize::MAX, &mut scratch)
        {
            nearest[row] = nearest[row].max(cosine);
        }
    }
    chosen
}
