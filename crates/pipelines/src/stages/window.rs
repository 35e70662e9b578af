//! The stage that takes the messages and the labels of the last days from the prediction log.

use super::{
    files::{read_bytes, read_output, write_bytes, write_json},
    window_labels::{Labelled, Labels, sort_labels, unlearned},
    work::{Ended, Work},
};
use crate::{
    events::Event,
    log_window::{Message, Period, Sides},
    spec::{OnInsufficient, WindowStage},
    state::StageVerdict,
};
use botops_datasets::{self as datasets, Dataset, Record, TrafficRecord};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_predictions::{
    Filter, HourKey, Record as Prediction, RecordKey, SourceClass, Truth, log_state, read_verdicts,
};
use botops_text::{counted, fold};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

/// The most messages of a window. Of more, whole conversations are kept, chosen by their hash.
const MOST_MESSAGES: usize = 200_000;
/// The most candidates for labelling of the train side.
const MOST_CANDIDATES: usize = 200;
/// The most messages of the test side that are proposed for labelling.
const MOST_TEST_CANDIDATES: usize = 50;

/// The findings of a window stage, in `window.json`.
#[derive(Debug, Serialize)]
struct WindowReport {
    /// `botops.window/1`.
    schema: &'static str,
    /// `log` or `recorded traffic`.
    source: &'static str,
    /// The first instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<DateTime<Utc>>,
    /// The first instant after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
    /// The number of messages with a text.
    messages: u64,
    /// The number of messages without a text, which the policy of the log left out.
    without_text: u64,
    /// The number of conversations.
    conversations: u64,
    /// The share of conversations that is kept of a window with too many messages.
    kept_share: f64,
    /// The number of labelled messages on the test side.
    test: u64,
    /// The labels of the train side.
    labels: Labels,
    /// The number of messages with a verdict of an end user or an agent, which only rank candidates.
    other_verdicts: u64,
    /// The number of candidates for labelling.
    candidates: u64,
}

/// A message that a reviewer should label: `candidates.jsonl`, in the order of use.
#[derive(Debug, PartialEq, Serialize)]
struct Candidate<'a> {
    request_id: &'a str,
    index: u32,
    /// `train`: the most useful first; `test`: chosen by hash, so that they say how good the model is.
    side: &'static str,
    text: &'a str,
    predicted: &'a str,
    confidence: f64,
    /// The intent that an end user or an agent named.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<&'a str>,
    /// Who named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<SourceClass>,
}

/// The messages of a window.
#[derive(Default)]
struct Window {
    messages: Vec<Message>,
    /// Messages that a reviewer labelled before the window, or in a conversation that is left out of it.
    earlier: Vec<Message>,
    verdicts: BTreeMap<RecordKey, Truth>,
    without_text: u64,
    /// Conversations whose place is below this are kept.
    kept_share: f64,
}

pub(super) async fn window(
    work: &Work<'_>,
    stage: &WindowStage,
    made: &Path,
) -> Result<(Ended, Vec<Finding>)> {
    let registry = work.services.registry;
    let (store, environment) = (registry.store(), registry.environment_name());
    let period = stage.log.period(work.started_at)?;
    let sides = stage.sides();
    let hours = (HourKey::of(period.since), HourKey::of(period.until));
    if log_state(store, environment, hours.0, hours.1).await?.is_none() {
        return recorded(work, stage, &sides, made);
    }
    // Before anything learns from the window.
    sides.fix(store, &work.plan.spec.name).await?;
    let (window, mut findings) = read(work, &period, &sides).await?;
    let known = read_output(work, &stage.from, "train.csv")?;
    let locked = read_output(work, &stage.from, "test.csv")?;
    let labelled = window.labelled(&sides);
    let (test, train): (Vec<_>, Vec<_>) = labelled.into_iter().partition(|it| it.is_test);
    let sorted = sort_labels(&known, &locked, &train, &test);
    findings.extend(sorted.findings());
    write_train(work, stage, &known, &sorted.merged, made)?;
    let in_window = |it: &&Labelled<'_>| it.message.at >= period.since.timestamp_millis();
    let test: Vec<&Labelled<'_>> = test.iter().filter(in_window).collect();
    let texts: Vec<&str> = test.iter().map(|it| it.message.text.as_str()).collect();
    let test = unlearned(&known, &texts, test);
    write_test(&known, test.iter().map(|it| record_of(it)).collect(), made)?;
    write_lines(made, "traffic.jsonl", &window.traffic(&sides))?;
    let candidates = window.candidates(&sides);
    write_lines(made, "candidates.jsonl", &candidates)?;
    write_lines(made, "refused.jsonl", &sorted.refused)?;
    let conversations: HashSet<&str> =
        window.messages.iter().map(|message| message.conversation.as_str()).collect();
    let other = |verdict: &&Truth| verdict.source != SourceClass::Reviewer;
    let report = WindowReport {
        schema: "botops.window/1",
        source: "log",
        since: Some(period.since),
        until: Some(period.until),
        messages: window.messages.len() as u64,
        without_text: window.without_text,
        conversations: conversations.len() as u64,
        kept_share: window.kept_share,
        test: test.len() as u64,
        labels: sorted.labels,
        other_verdicts: window.verdicts.values().filter(other).count() as u64,
        candidates: candidates.len() as u64,
    };
    write_json(made, "window.json", &report)?;
    let ended = match outcome(&report) {
        (StageVerdict::Insufficient, why) if stage.on_insufficient == OnInsufficient::Warn => {
            (StageVerdict::Warned, why)
        }
        ended => ended,
    };
    Ok((ended, findings))
}

/// Returns the verdict and the line of a window of the log.
fn outcome(report: &WindowReport) -> Ended {
    let labels = &report.labels;
    let until =
        report.until.map_or(String::new(), |at| format!(" up to {}", at.format("%Y-%m-%d %H:%M")));
    if report.messages == 0 {
        let why = match report.without_text {
            0 => "has no message".to_owned(),
            n => format!("keeps no text of its {}", counted(n, "message", "messages")),
        };
        return (StageVerdict::Insufficient, format!("the log of the window{until} {why}"));
    }
    let summary = format!(
        "{} of {}{until}; {} merged of {}, {} to test; {} to label",
        counted(report.messages, "message", "messages"),
        counted(report.conversations, "conversation", "conversations"),
        counted(labels.merged, "label", "labels"),
        labels.train,
        report.test,
        report.candidates
    );
    match labels.n_refused() {
        0 => (StageVerdict::Passed, summary),
        n => (StageVerdict::Warned, format!("{summary}; {n} refused")),
    }
}

/// Lets the recorded traffic stand in for a log that the registry does not have.
///
/// Nobody says who recorded its intents, so they are no labels of reviewers: no model learns from them.
fn recorded(
    work: &Work<'_>,
    stage: &WindowStage,
    sides: &Sides,
    made: &Path,
) -> Result<(Ended, Vec<Finding>)> {
    let Some(path) = &stage.recorded else {
        if stage.on_insufficient == OnInsufficient::Warn {
            return without_log(work, stage, made);
        }
        let message = "the registry has no prediction log, and there is no recorded traffic";
        return Err(Fault::insufficient("BOT-7086", message)
            .hint("serve the model with `predictions: {log: on}`")
            .hint("or name a file of traffic: `recorded: traffic.jsonl`")
            .hint("or go on without: `on_insufficient: warn`"));
    };
    let shown = path.display();
    let full = work.services.root.join(path);
    let traffic = datasets::read_traffic(&full)?;
    let known = read_output(work, &stage.from, "train.csv")?;
    let test = traffic.records.iter().filter(|it| sides.is_test(&it.conversation_id));
    let test: Vec<_> = test.collect();
    let texts: Vec<&str> = test.iter().map(|it| it.text.as_str()).collect();
    let test: Vec<Record> = unlearned(&known, &texts, test)
        .into_iter()
        .filter_map(|it| Some(record(&it.text, it.truth.as_ref()?, None)))
        .collect();
    let n_test = test.len() as u64;
    write_train(work, stage, &known, &[], made)?;
    write_test(&known, test, made)?;
    write_lines(made, "traffic.jsonl", &traffic.records)?;
    let conversations: HashSet<&str> =
        traffic.records.iter().map(|it| it.conversation_id.as_str()).collect();
    let report = WindowReport {
        schema: "botops.window/1",
        source: "recorded traffic",
        since: traffic.records.first().map(|it| it.at),
        until: None,
        messages: traffic.records.len() as u64,
        without_text: 0,
        conversations: conversations.len() as u64,
        kept_share: 1.0,
        test: n_test,
        labels: Labels::default(),
        other_verdicts: 0,
        candidates: 0,
    };
    write_json(made, "window.json", &report)?;
    let message = format!("the registry has no prediction log: {shown} stands in for it");
    work.services.listener.hear(&Event::Note { message: message.clone() });
    let help =
        "serve the model with `predictions: {log: on}`; the next run takes the log by itself";
    let finding = Finding::new("BOT-7082", Severity::Info, message, help);
    let summary = format!(
        "no log yet: {shown} stands in, {} of {}; nothing to merge, {n_test} to test",
        counted(report.messages, "message", "messages"),
        counted(report.conversations, "conversation", "conversations"),
    );
    Ok(((StageVerdict::Passed, summary), vec![finding]))
}

/// Passes the training data on, because there is no log yet: nothing is learned from it, and nothing tested on it.
fn without_log(work: &Work<'_>, stage: &WindowStage, made: &Path) -> Result<(Ended, Vec<Finding>)> {
    let known = read_output(work, &stage.from, "train.csv")?;
    write_train(work, stage, &known, &[], made)?;
    write_test(&known, Vec::new(), made)?;
    write_lines::<TrafficRecord>(made, "traffic.jsonl", &[])?;
    let report = WindowReport {
        schema: "botops.window/1",
        source: "none",
        since: None,
        until: None,
        messages: 0,
        without_text: 0,
        conversations: 0,
        kept_share: 1.0,
        test: 0,
        labels: Labels::default(),
        other_verdicts: 0,
        candidates: 0,
    };
    write_json(made, "window.json", &report)?;
    let message =
        "the registry has no prediction log: the model learns from the training data alone";
    let help = "serve the model; the next run takes what users said by itself";
    let finding = Finding::new("BOT-7082", Severity::Info, message, help);
    let summary = "no log yet: nothing to merge, nothing to test".to_owned();
    Ok(((StageVerdict::Passed, summary), vec![finding]))
}

/// Reads the messages of the period, and the verdicts.
async fn read(work: &Work<'_>, period: &Period, sides: &Sides) -> Result<(Window, Vec<Finding>)> {
    let registry = work.services.registry;
    let (store, environment) = (registry.store(), registry.environment_name());
    let all = read_verdicts(store, environment).await?;
    let mut findings = all.findings;
    let reviewed = |verdict: &Truth| verdict.source == SourceClass::Reviewer;
    let has_labels = all.by_message.values().any(reviewed);
    let mut window = Window { kept_share: 1.0, verdicts: BTreeMap::new(), ..Window::default() };
    let filter = Filter {
        since: Some(if has_labels { period.labels_since } else { period.since }),
        until: Some(period.until),
        ..Filter::default()
    };
    let begin = period.since.timestamp_millis();
    let read = filter.records(store, environment, |record| {
        let (key, at) = (record.key(), record.at);
        let verdict = all.by_message.get(&key);
        if at < begin {
            if let Some(verdict) = verdict.filter(|verdict| reviewed(verdict))
                && let Some(message) = message(record)
            {
                window.verdicts.insert(key, verdict.clone());
                window.set_aside(message);
            }
            return;
        }
        match message(record) {
            None => window.without_text += 1,
            Some(message) => {
                if let Some(verdict) = verdict {
                    window.verdicts.insert(key, verdict.clone());
                }
                window.add(message, sides, MOST_MESSAGES);
            }
        }
    });
    findings.extend(read.await?);
    // The order of files does not matter.
    let order = |a: &Message, b: &Message| a.at.cmp(&b.at).then_with(|| a.key.cmp(&b.key));
    window.messages.sort_by(order);
    window.earlier.sort_by(order);
    Ok((window, findings))
}

/// Returns a record of the log as a message; `None` without a text.
fn message(record: Prediction) -> Option<Message> {
    let key = record.key();
    let text = record.text.filter(|text| !text.trim().is_empty())?;
    Some(Message {
        at: record.at,
        // A request without a conversation is one by itself.
        conversation: record.conversation.unwrap_or_else(|| key.0.clone()),
        key,
        text,
        lang: record.language,
        predicted: record.intent,
        confidence: record.confidence,
    })
}

impl Window {
    /// Adds a message. If there are more than `most`, half of the conversations are left out, by their hash.
    fn add(&mut self, message: Message, sides: &Sides, most: usize) {
        let scattered = |message: &Message| sides.scattered(&message.conversation);
        if scattered(&message) < self.kept_share {
            self.messages.push(message);
        } else {
            self.set_aside(message);
        }
        while self.messages.len() > most {
            self.kept_share /= 2.0;
            let share = self.kept_share;
            let all = std::mem::take(&mut self.messages);
            let (kept, others): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|message| scattered(message) < share);
            self.messages = kept;
            others.into_iter().for_each(|message| self.set_aside(message));
        }
    }

    /// Keeps a message that is not one of the window for its label, if a reviewer gave it one.
    fn set_aside(&mut self, message: Message) {
        let label = self.verdicts.get(&message.key);
        if label.is_some_and(|verdict| verdict.source == SourceClass::Reviewer) {
            self.earlier.push(message);
        }
    }

    /// Returns each message that a reviewer labelled, by time.
    fn labelled(&self, sides: &Sides) -> Vec<Labelled<'_>> {
        let messages = self.earlier.iter().chain(&self.messages);
        messages
            .filter_map(|message| {
                let verdict = self.verdicts.get(&message.key)?;
                (verdict.source == SourceClass::Reviewer).then(|| Labelled {
                    message,
                    intent: &verdict.intent,
                    at: verdict.at,
                    is_test: sides.is_test(&message.conversation),
                })
            })
            .collect()
    }

    /// Returns the messages as traffic to rehearse with. The truth is that of reviewers, and only on the test side: on the
    /// train side, a challenger has learned it.
    fn traffic(&self, sides: &Sides) -> Vec<TrafficRecord> {
        let truth = |message: &Message| {
            let verdict = self.verdicts.get(&message.key)?;
            let known =
                verdict.source == SourceClass::Reviewer && sides.is_test(&message.conversation);
            known.then(|| verdict.intent.clone())
        };
        let messages = self.messages.iter().map(|message| TrafficRecord {
            at: DateTime::from_timestamp_millis(message.at).unwrap_or_default(),
            conversation_id: message.conversation.clone(),
            text: message.text.clone(),
            truth: truth(message),
        });
        messages.collect()
    }

    /// Returns the messages that a reviewer should label: of the train side, those that people contradict, then those that
    /// the model is least sure of; of the test side, some chosen by hash.
    fn candidates(&self, sides: &Sides) -> Vec<Candidate<'_>> {
        let open = |message: &&Message| {
            let verdict = self.verdicts.get(&message.key);
            verdict.is_none_or(|verdict| verdict.source != SourceClass::Reviewer)
        };
        let (mut test, mut train): (Vec<&Message>, Vec<&Message>) = self
            .messages
            .iter()
            .filter(open)
            .partition(|message| sides.is_test(&message.conversation));
        let said = |message: &Message| self.verdicts.get(&message.key);
        let rank = |message: &Message| {
            let contradicted = said(message).filter(|verdict| verdict.intent != message.predicted);
            std::cmp::Reverse(contradicted.map(|verdict| verdict.source))
        };
        train.sort_by(|a, b| {
            rank(a)
                .cmp(&rank(b))
                .then(a.confidence.total_cmp(&b.confidence))
                .then_with(|| a.key.cmp(&b.key))
        });
        let by_hash = |message: &Message| sides.position(&message.key.0);
        test.sort_by(|a, b| by_hash(a).total_cmp(&by_hash(b)).then_with(|| a.key.cmp(&b.key)));
        let mut seen = HashSet::new();
        let mut take = |side: &'static str,
                        most: usize,
                        messages: Vec<&'_ Message>|
         -> Vec<(&'static str, RecordKey)> {
            let new = messages.into_iter().filter(|message| seen.insert(fold(&message.text)));
            new.take(most).map(|message| (side, message.key.clone())).collect()
        };
        let mut chosen = take("train", MOST_CANDIDATES, train);
        chosen.extend(take("test", MOST_TEST_CANDIDATES, test));
        let by_key: BTreeMap<&RecordKey, &Message> =
            self.messages.iter().map(|message| (&message.key, message)).collect();
        chosen
            .iter()
            .filter_map(|(side, key)| {
                let message = *by_key.get(key)?;
                let verdict = said(message);
                Some(Candidate {
                    request_id: &message.key.0,
                    index: message.key.1,
                    side,
                    text: &message.text,
                    predicted: &message.predicted,
                    confidence: message.confidence,
                    said: verdict.map(|verdict| verdict.intent.as_str()),
                    by: verdict.map(|verdict| verdict.source),
                })
            })
            .collect()
    }
}

fn record_of(labelled: &Labelled<'_>) -> Record {
    record(&labelled.message.text, labelled.intent, labelled.message.lang.as_deref())
}

fn record(text: &str, intent: &str, lang: Option<&str>) -> Record {
    Record {
        text: text.to_owned(),
        intent: Some(intent.to_owned()),
        lang: lang.map(str::to_owned),
        entities: Vec::new(),
        record: 0,
        line: 0,
        file: None,
    }
}

/// Writes the train side of the split with the merged labels; without any, its very bytes, so that a model that learns
/// nothing new keeps its own.
fn write_train(
    work: &Work<'_>,
    stage: &WindowStage,
    known: &Dataset,
    merged: &[&Labelled<'_>],
    made: &Path,
) -> Result<()> {
    if merged.is_empty() {
        return write_bytes(made, "train.csv", &read_bytes(work, &stage.from, "train.csv")?);
    }
    let new = merged.iter().map(|labelled| record_of(labelled));
    let records = known.records.iter().cloned().chain(new).collect();
    write_bytes(made, "train.csv", &datasets::csv_bytes(&datasets::part(known, records)))
}

fn write_test(like: &Dataset, records: Vec<Record>, made: &Path) -> Result<()> {
    write_bytes(made, "test.csv", &datasets::csv_bytes(&datasets::part(like, records)))
}

/// Writes values as lines of JSON.
fn write_lines<T: Serialize>(made: &Path, name: &str, values: &[T]) -> Result<()> {
    let mut bytes = Vec::new();
    for value in values {
        serde_json::to_writer(&mut bytes, value).expect("an output serializes to JSON");
        bytes.push(b'\n');
    }
    write_bytes(made, name, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u32, conversation: u32) -> Message {
        Message {
            key: (format!("r-{n}"), 0),
            at: i64::from(n),
            conversation: format!("c-{conversation}"),
            text: format!("text {n}"),
            lang: None,
            predicted: "a".to_owned(),
            confidence: f64::from(n % 7) / 10.0,
        }
    }

    fn truth(source: SourceClass) -> Truth {
        Truth { at: 1, intent: "b".to_owned(), source }
    }

    fn window(messages: impl Iterator<Item = Message>, most: usize) -> Window {
        let sides = Sides { salt: "s".into(), test_share: 0.5 };
        let mut window = Window { kept_share: 1.0, ..Window::default() };
        window.verdicts.insert(("r-1".into(), 0), truth(SourceClass::Reviewer));
        window.verdicts.insert(("r-2".into(), 0), truth(SourceClass::EndUser));
        messages.for_each(|message| window.add(message, &sides, most));
        let order = |a: &Message, b: &Message| a.at.cmp(&b.at);
        window.messages.sort_by(order);
        window.earlier.sort_by(order);
        window
    }

    #[test]
    fn a_window_with_too_many_messages_keeps_whole_conversations_in_any_order() {
        let forward = window((0..1_000).map(|n| message(n, n / 4)), 300);
        let backward = window((0..1_000).rev().map(|n| message(n, n / 4)), 300);
        assert_eq!(forward.messages, backward.messages);
        assert_eq!(forward.earlier, backward.earlier);
        assert!((150..=300).contains(&forward.messages.len()), "{}", forward.messages.len());
        let mut by_conversation: BTreeMap<&str, u32> = BTreeMap::new();
        for message in &forward.messages {
            *by_conversation.entry(&message.conversation).or_default() += 1;
        }
        assert!(by_conversation.values().all(|n| *n == 4), "{by_conversation:?}");
        // A label is never lost.
        let labelled = |window: &Window| {
            let all = window.messages.iter().chain(&window.earlier);
            all.filter(|message| message.key.0 == "r-1").count()
        };
        assert_eq!(
            (labelled(&forward), labelled(&window((0..2_000).map(|n| message(n, n)), 1))),
            (1, 1)
        );
    }

    #[test]
    fn candidates_are_those_that_people_contradict_then_those_of_low_confidence() {
        let sides = Sides { salt: "s".into(), test_share: 0.5 };
        let window = window((0..200).map(|n| message(n, n)), 1_000);
        let candidates = window.candidates(&sides);
        let (test, train): (Vec<&Candidate<'_>>, Vec<&Candidate<'_>>) =
            candidates.iter().partition(|candidate| candidate.side == "test");
        assert_eq!(test.len(), MOST_TEST_CANDIDATES);
        assert!(candidates.iter().all(|candidate| candidate.request_id != "r-1"));
        let said: Vec<&str> =
            candidates.iter().filter(|it| it.said.is_some()).map(|it| it.request_id).collect();
        let is_test = |n: u32| sides.is_test(&format!("c-{n}"));
        if !is_test(2) {
            assert_eq!((said, train[0].request_id), (vec!["r-2"], "r-2"));
        }
        let rest = &train[usize::from(!is_test(2))..];
        assert!(rest.windows(2).all(|pair| pair[0].confidence <= pair[1].confidence));
        // The truth of the traffic is that of reviewers, on the test side only.
        let truths: Vec<String> = window
            .traffic(&sides)
            .into_iter()
            .filter(|record| record.truth.is_some())
            .map(|record| record.text)
            .collect();
        let expected = if is_test(1) { vec!["text 1".to_owned()] } else { Vec::new() };
        assert_eq!(truths, expected);
    }
}
