//! The records of a window, read once: counts, verdicts, and a bounded sample to compare.

use crate::{
    report::{ArmAccuracy, VerdictDelay, Volume},
    window::Window,
};
use botops_digest::Digest;
use botops_drift::{Column, Role, Row};
use botops_findings::{Finding, Result};
use botops_predictions::{Filter, Record, RecordKey, Truth, Verdicts};
use botops_stats::intervals::wilson;
use botops_store::Store;
use std::{
    collections::{BTreeMap, BinaryHeap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// The most records of a side that are compared: chosen by a hash of their ids, so that the choice never changes.
pub(crate) const MOST_COMPARED: usize = 50_000;
/// The level of the intervals.
const LEVEL: f64 = 0.95;
/// The code of a line that is no record.
const REFUSED: &str = "BOT-6200";
/// The words of the intent of a record that the model declined, as in comparisons of files.
const FALLBACK: &str = "fallback";

/// The records of one window.
#[derive(Debug, Default)]
pub(crate) struct WindowRecords {
    /// The counts.
    pub(crate) volume: Volume,
    /// The records of the model, or a sample of them, in the order of their ids.
    pub(crate) compared: Vec<Record>,
    /// The problems of the files.
    pub(crate) findings: Vec<Finding>,
    /// The judged records of each arm, and those that are right.
    arms: BTreeMap<String, (u64, u64)>,
    /// The delays of verdicts, in milliseconds.
    delays: Vec<i64>,
    before_message: u64,
}

impl WindowRecords {
    /// Reads the records of `window`. Those of the model with this digest are compared; verdicts count for every arm.
    ///
    /// # Errors
    /// Those of the prediction log.
    pub(crate) async fn read(
        (store, environment): (&Store, &str),
        window: Window,
        digest: &str,
        verdicts: &Verdicts,
    ) -> Result<Self> {
        let filter =
            Filter { since: Some(window.start), until: Some(window.end), ..Filter::default() };
        let is_model = Filter { model: Some(digest.to_owned()), ..Filter::default() };
        let mut found = Self::default();
        let mut conversations = HashSet::new();
        let mut sample = BinaryHeap::new();
        let findings = filter.records(store, environment, |record| {
            if let Some(verdict) = verdicts.by_message.get(&record.key()) {
                found.judge(&record, verdict);
            }
            if !is_model.passes(&record) {
                found.volume.other_models += 1;
                return;
            }
            found.volume.records += 1;
            found.volume.fallbacks += u64::from(record.fallback);
            if let Some(conversation) = &record.conversation {
                conversations.insert(hash(conversation));
            }
            sample.push(Sampled::of(record));
            if sample.len() > MOST_COMPARED {
                sample.pop();
            }
        });
        found.findings = findings.await?;
        found.volume.refused_lines =
            found.findings.iter().filter(|finding| finding.code == REFUSED).count() as u64;
        found.volume.conversations = conversations.len() as u64;
        found.compared = sample.into_iter().map(|sampled| sampled.record).collect();
        found.compared.sort_by(|a, b| (&a.request_id, a.index).cmp(&(&b.request_id, b.index)));
        found.volume.compared = found.compared.len() as u64;
        Ok(found)
    }

    fn judge(&mut self, record: &Record, verdict: &Truth) {
        let (judged, right) = self.arms.entry(record.arm.clone()).or_default();
        *judged += 1;
        *right += u64::from(verdict.intent == record.intent);
        self.before_message += u64::from(verdict.at < record.at);
        self.delays.push((verdict.at - record.at).max(0));
    }

    /// Returns the accuracy of each arm with a verdict.
    pub(crate) fn accuracy(&self) -> Vec<ArmAccuracy> {
        let arm = |(arm, &(judged, right)): (&String, &(u64, u64))| ArmAccuracy {
            arm: arm.clone(),
            judged,
            right,
            accuracy: right as f64 / judged as f64,
            interval: wilson(right, judged, LEVEL),
        };
        self.arms.iter().map(arm).collect()
    }

    /// Returns the delay of verdicts; `contradicted` counts messages of the whole log.
    pub(crate) fn label_delay(&self, contradicted: u64) -> VerdictDelay {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let at = |q: f64| {
            let rank = (q * delays.len() as f64).ceil() as usize;
            delays.get(rank.saturating_sub(1)).map(|millis| *millis as f64 / 3_600_000.0)
        };
        let n = self.volume.records + self.volume.other_models;
        VerdictDelay {
            judged: delays.len() as u64,
            share: if n == 0 { 0.0 } else { delays.len() as f64 / n as f64 },
            median_hours: at(0.5),
            p90_hours: at(0.9),
            before_message: self.before_message,
            contradicted,
        }
    }

    /// Returns whether every record has its text.
    pub(crate) fn has_texts(&self) -> bool {
        self.compared.iter().all(|record| record.text.is_some())
    }

    /// Describes the records for the checks of utterances.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        fn row(record: &Record) -> Row<'_> {
            let declared = record.language.as_deref().map(botops_text::base_language);
            Row {
                text: record.text.as_deref().unwrap_or_default(),
                lang: declared.filter(|language| !language.is_empty()),
                intent: Some(if record.fallback { FALLBACK } else { &record.intent }),
                confidence: Some(record.confidence),
                ..Row::default()
            }
        }
        self.compared.iter().map(row).collect()
    }

    /// Describes the records by columns.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let column = |name: &str, cell: &dyn Fn(&Record) -> String| {
            let mut column = Column::new(name, Role::Other);
            self.compared.iter().for_each(|record| column.add(&cell(record)));
            column
        };
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        vec![
            column("oos_score", &|record| number(record.oos)),
            column("language_guessed", &|record| record.guessed.clone().unwrap_or_default()),
            column("fallback", &|record| u8::from(record.fallback).to_string()),
            column("entities", &|record| match record.entities.is_empty() {
                true => "none".to_owned(),
                false => record.entities.join("+"),
            }),
            column("latency_ms", &|record| (record.latency_us as f64 / 1e3).to_string()),
            column("chars", &|record| record.n_chars.to_string()),
        ]
    }
}

/// A record in the sample, ordered by a hash of its id.
#[derive(Debug)]
struct Sampled {
    rank: [u8; 8],
    key: RecordKey,
    record: Record,
}

impl Sampled {
    fn of(record: Record) -> Self {
        let digest = Digest::of(format!("{}/{}", record.request_id, record.index).as_bytes());
        let mut rank = [0; 8];
        rank.copy_from_slice(&digest.as_bytes()[..8]);
        Self { rank, key: record.key(), record }
    }
}

impl PartialEq for Sampled {
    fn eq(&self, other: &Self) -> bool {
        (self.rank, &self.key) == (other.rank, &other.key)
    }
}

impl Eq for Sampled {}

impl PartialOrd for Sampled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sampled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.rank, &self.key).cmp(&(other.rank, &other.key))
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
