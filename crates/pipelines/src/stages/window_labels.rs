//! The labels of reviewers that a model may learn from.

use crate::log_window::Message;
use botops_datasets::Dataset;
use botops_findings::{Finding, Severity};
use botops_labels::OOS;
use botops_text::{NearSpec, counted, fold, near_between};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A message that a reviewer labelled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Labelled<'a> {
    pub(super) message: &'a Message,
    /// The label.
    pub(super) intent: &'a str,
    /// The time of the label, in milliseconds since 1970.
    pub(super) at: i64,
    /// Whether its conversation is on the test side.
    pub(super) is_test: bool,
}

/// The labels of the train side, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Labels {
    /// All of them.
    pub(super) train: u64,
    /// Those that the model learns from.
    pub(super) merged: u64,
    /// Those whose text is in the training data with the same intent, or was labelled again.
    pub(super) known: u64,
    /// Those whose text is in the training data with another intent.
    pub(super) contradicting: u64,
    /// Those whose intent is not in the training data.
    pub(super) unknown_intent: u64,
    /// Those whose text is nearly that of a test record.
    pub(super) near_test: u64,
}

impl Labels {
    /// Returns the number of labels that a person should look at.
    pub(super) fn n_refused(&self) -> u64 {
        self.contradicting + self.unknown_intent
    }
}

/// A label that is not merged.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Refused<'a> {
    request_id: &'a str,
    index: u32,
    text: &'a str,
    intent: &'a str,
    reason: String,
}

/// The labels of the train side, sorted.
pub(super) struct Sorted<'a> {
    pub(super) labels: Labels,
    pub(super) merged: Vec<&'a Labelled<'a>>,
    pub(super) refused: Vec<Refused<'a>>,
}

/// Chooses the labels of `train` that may join the training data `known`: those of an intent that it has, whose text is
/// neither in it nor nearly that of a record of the `locked` test side or of `test`.
pub(super) fn sort_labels<'a>(
    known: &Dataset,
    locked: &Dataset,
    train: &'a [Labelled<'a>],
    test: &[Labelled<'_>],
) -> Sorted<'a> {
    let intents: HashSet<&str> =
        known.records.iter().filter_map(|record| record.intent.as_deref()).chain([OOS]).collect();
    let learned: HashMap<String, &str> = known
        .records
        .iter()
        .filter_map(|record| Some((fold(&record.text), record.intent.as_deref()?)))
        .collect();
    let tested: Vec<&str> = locked
        .records
        .iter()
        .map(|record| record.text.as_str())
        .chain(test.iter().map(|labelled| labelled.message.text.as_str()))
        .collect();
    let texts: Vec<&str> = train.iter().map(|labelled| labelled.message.text.as_str()).collect();
    let near: HashSet<usize> = near_between(&tested, &texts, &NearSpec::default())
        .pairs
        .iter()
        .map(|pair| pair.b as usize)
        .collect();
    // Of several labels of one text, the latest counts.
    let mut latest: BTreeMap<String, (i64, usize)> = BTreeMap::new();
    for (at, labelled) in train.iter().enumerate() {
        let entry = latest.entry(fold(&labelled.message.text)).or_insert((labelled.at, at));
        *entry = (*entry).max((labelled.at, at));
    }
    let latest: BTreeSet<usize> = latest.into_values().map(|(_, at)| at).collect();
    let mut labels = Labels { train: train.len() as u64, ..Labels::default() };
    let (mut merged, mut refused) = (Vec::new(), Vec::new());
    for (at, labelled) in train.iter().enumerate() {
        let mut refuse = |reason: String| {
            let Message { key, text, .. } = labelled.message;
            let (request_id, intent) = (key.0.as_str(), labelled.intent);
            refused.push(Refused { request_id, index: key.1, text, intent, reason });
        };
        match learned.get(&fold(&labelled.message.text)) {
            _ if near.contains(&at) => {
                labels.near_test += 1;
                refuse("nearly the text of a test record".to_owned());
            }
            Some(intent) if *intent != labelled.intent => {
                labels.contradicting += 1;
                refuse(format!("the training data says `{intent}`"));
            }
            Some(_) => labels.known += 1,
            None if !intents.contains(labelled.intent) => {
                labels.unknown_intent += 1;
                refuse("the training data has no such intent".to_owned());
            }
            None if !latest.contains(&at) => labels.known += 1,
            None => {
                labels.merged += 1;
                merged.push(labelled);
            }
        }
    }
    Sorted { labels, merged, refused }
}

/// Returns those of `messages`, with their `texts`, that are neither in the training data `known` nor nearly a text of it: a model
/// that learned a text knows its near copies, so they say nothing about others.
pub(super) fn unlearned<T>(known: &Dataset, texts: &[&str], messages: Vec<T>) -> Vec<T> {
    let learned: Vec<&str> = known.records.iter().map(|record| record.text.as_str()).collect();
    let near = near_between(&learned, texts, &NearSpec::default()).pairs;
    let near: HashSet<usize> = near.iter().map(|pair| pair.b as usize).collect();
    let messages = messages.into_iter().enumerate();
    messages.filter(|(at, _)| !near.contains(at)).map(|(_, message)| message).collect()
}

impl Sorted<'_> {
    /// Returns a warning if a person should look at labels that were refused.
    pub(super) fn findings(&self) -> Option<Finding> {
        let Labels { contradicting, unknown_intent, .. } = self.labels;
        if contradicting + unknown_intent == 0 {
            return None;
        }
        let n = counted(self.labels.n_refused(), "label is not merged", "labels are not merged");
        let message = format!(
            "{n}: {contradicting} contradict the training data, {unknown_intent} name an intent that it does not have"
        );
        let help = "see `refused.jsonl` of the stage: correct the training data, or add the intent with `botops data merge`";
        Some(Finding::new("BOT-7084", Severity::Warning, message, help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_datasets::{ReadOptions, read_bytes};

    fn data(csv: &str) -> Dataset {
        read_bytes(csv.as_bytes(), "d.csv", &ReadOptions::default()).unwrap()
    }

    fn message(n: u32, text: &str) -> Message {
        Message {
            key: (format!("r-{n}"), 0),
            at: i64::from(n),
            conversation: format!("c-{n}"),
            text: text.to_owned(),
            lang: None,
            predicted: "billing".to_owned(),
            confidence: 0.5,
        }
    }

    #[test]
    fn near_copies_of_training_texts_do_not_join_the_test_side() {
        let known = data(
            "text,intent\nplease cancel the club membership fee,billing\nwhere is it,status\n",
        );
        let texts = [
            "please cancel the club membership fee now",
            "Where is it",
            "has my parcel left the shop",
        ];
        assert_eq!(unlearned(&known, &texts, vec![0, 1, 2]), [2]);
        assert!(unlearned(&known, &[], Vec::<u8>::new()).is_empty());
    }

    #[test]
    fn only_new_labels_of_known_intents_far_from_the_tests_are_merged() {
        let known = data("text,intent\nwhere is it,status\nthe bill is wrong,billing\n");
        let locked = data("text,intent\nwhen will my parcel be delivered to my house,status\n");
        let messages: Vec<Message> = [
            "has my parcel left the shop",
            "WHERE is it",
            "the bill is wrong",
            "a brand new topic",
            "When will my parcel be delivered to my house",
            "please cancel the club membership fee",
            "has my parcel left the shop",
            "nothing that you do",
        ]
        .iter()
        .zip(0..)
        .map(|(text, n)| message(n, text))
        .collect();
        let intents = ["billing", "status", "status", "hub", "status", "billing", "status", "oos"];
        let train: Vec<Labelled<'_>> = messages
            .iter()
            .zip(intents)
            .map(|(message, intent)| Labelled { message, intent, at: message.at, is_test: false })
            .collect();
        let tested = message(99, "please cancel the club membership fee now");
        let test = [Labelled { message: &tested, intent: "billing", at: 0, is_test: true }];
        let sorted = sort_labels(&known, &locked, &train, &test);
        let merged: Vec<(&str, &str)> =
            sorted.merged.iter().map(|it| (it.message.key.0.as_str(), it.intent)).collect();
        // The later of two labels of one text counts, and `oos` is known without a record.
        assert_eq!(merged, [("r-6", "status"), ("r-7", "oos")]);
        let labels = Labels {
            train: 8,
            merged: 2,
            known: 2,
            contradicting: 1,
            unknown_intent: 1,
            near_test: 2,
        };
        assert_eq!(sorted.labels, labels);
        let refused: Vec<&str> = sorted.refused.iter().map(|it| it.request_id).collect();
        assert_eq!(refused, ["r-2", "r-3", "r-4", "r-5"]);
        let finding = sorted.findings().unwrap();
        assert_eq!(finding.code, "BOT-7084");
        assert!(
            finding.message.starts_with("2 labels are not merged: 1 contradict"),
            "{finding:?}"
        );
    }
}
