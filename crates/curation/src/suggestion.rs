//! Which utterances of recorded traffic are most worth labelling: those a model is unsure of, those unlike what it learned
//! from, and of these, such as differ from one another.

use crate::utterance_id;
use botops_datasets::Dataset;
use botops_findings::{Fault, Result};
use botops_models::{IntentModel, Nearby, Neighbor};
use botops_text::{self as text, NearSpec, near_groups};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What speaks most for labelling an utterance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionReason {
    /// The model hesitates between two intents.
    Uncertain,
    /// It is unlike what the model learned from.
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

/// An utterance worth labelling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suggestion {
    /// What it is known by when it comes back: [`utterance_id`] of `text`.
    pub id: String,
    /// What was said; personal data are replaced.
    pub text: String,
    /// The intent that the model would say; personal data are replaced.
    pub suggested_intent: String,
    /// How sure it is.
    pub confidence: f64,
    /// How often this, or nearly this, was said.
    pub count: u64,
    /// 1 - (p_first - p_second), in [0, 1].
    pub uncertainty: f64,
    /// 1 - cosine to the nearest record learned from, or, where these are not at hand, the share of unseen words; in [0, 1].
    pub novelty: f64,
    /// (uncertainty + novelty) / 2 * (1 + log2(count)).
    pub worth: f64,
    /// What speaks most for it.
    pub reason: SuggestionReason,
    /// The file where it was first said.
    pub file: String,
    /// The record there, from 1.
    pub record: u64,
    /// The line on which that starts.
    pub line: u64,
}

/// Utterances worth labelling, and what became of the others.
///
/// - `records == labelled + empty + known + folded + candidates`
#[derive(Debug, Clone, Serialize)]
pub struct Suggestions {
    /// Records read.
    pub records: u64,
    /// Those that have an intent already.
    pub labelled: u64,
    /// Those without a text.
    pub empty: u64,
    /// Those that the training data have, but for case and spaces.
    pub known: u64,
    /// Those that say nearly what another one says, which stands for them.
    pub folded: u64,
    /// Those that are left to choose from.
    pub candidates: u64,
    /// The chosen, the one most worth it first.
    pub suggestions: Vec<Suggestion>,
}

/// Chooses at most `limit` utterances of `traffic`.
///
/// Near duplicates ([`near_groups`] by `near`) are one utterance, the most frequent of them, the earlier of equals. Each
/// choice takes the utterance with the largest worth times 1 - cosine to the nearest one chosen before: the greedy way to
/// a diverse set. `learned` is what the model was trained on, where that is at hand. The same input gives the same choice.
///
/// # Errors
/// `BOT-2199` (exit 4) when nothing is left to choose from.
///
/// # Panics
/// When a record were not accounted for: a bug.
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
    // Records to choose from, with their redacted texts: what differs in a number alone is one utterance.
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
                "of {} records, {} are labelled, {} are in the training data and {} are empty: none is left",
                out.records, out.labelled, out.known, out.empty
            ),
        )
        .hint("name traffic that the model has not learned from"));
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
        "every record is accounted for"
    );
    Ok(out)
}

/// Returns of each group of near duplicates the place of the one that stands for it, and how many there are; by place.
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
            let mut said: HashMap<String, (u64, usize)> = HashMap::new();
            for &at in &members {
                said.entry(text::fold(texts[at])).or_insert((0, at)).0 += 1;
            }
            let most = said.into_values().max_by_key(|&(n, at)| (n, std::cmp::Reverse(at)));
            (most.expect("a group has members").1, members.len() as u64)
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

/// Returns p_first - p_second.
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

/// Returns how unlike each text is what the model learned from, in [0, 1].
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

/// Chooses one after another, each for its worth and its distance from those before.
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
            .expect("one is left");
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
