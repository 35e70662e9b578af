//! Questions to the log: filters, groups, and records.

use crate::{
    columns::{COLUMNS, Column},
    hour::hours,
    layout::HourKey,
    record::{Record, RecordKey},
    verdict::{Verdict, Verdicts},
};
use botops_findings::{Fault, Finding, Result};
use botops_labels::OOS;
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// The code of a file that a compaction replaced.
const REPLACED: &str = "BOT-6209";
/// How often an hour is listed again while compactions replace its files.
const TRIES: usize = 10;

/// Which records a question is about: those that pass every part that is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// From this time.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// Of one of these intents.
    pub intents: BTreeSet<String>,
    /// Of this arm.
    pub arm: Option<String>,
    /// Of a model whose digest begins so, with or without `sha256:`.
    pub model: Option<String>,
    /// Of a version whose manifest has a digest that begins so, with or without `sha256:`. A record without a version does not
    /// pass.
    pub manifest: Option<String>,
    /// In this language, declared or else guessed.
    pub language: Option<String>,
    /// Declined (true), or answered.
    pub fallback: Option<bool>,
    /// With at least this confidence.
    pub min_confidence: Option<f64>,
    /// With at most this confidence.
    pub max_confidence: Option<f64>,
    /// Of this request.
    pub request_id: Option<String>,
}

impl Filter {
    /// Returns whether a record passes.
    #[must_use]
    pub fn passes(&self, record: &Record) -> bool {
        let begins = |digest: &str, prefix: &str| {
            let bare = digest.strip_prefix("sha256:").unwrap_or(digest);
            bare.starts_with(prefix.strip_prefix("sha256:").unwrap_or(prefix))
        };
        let is_model = |prefix: &String| begins(&record.digest, prefix);
        let is_version = |prefix: &String| {
            record.manifest.as_ref().is_some_and(|manifest| begins(manifest, prefix))
        };
        self.since.is_none_or(|since| record.at >= since.timestamp_millis())
            && self.until.is_none_or(|until| record.at < until.timestamp_millis())
            && (self.intents.is_empty() || self.intents.contains(&record.intent))
            && self.arm.as_ref().is_none_or(|arm| record.arm == *arm)
            && self.model.as_ref().is_none_or(is_model)
            && self.manifest.as_ref().is_none_or(is_version)
            && self.language.as_deref().is_none_or(|it| record.any_language() == Some(it))
            && self.fallback.is_none_or(|fallback| record.fallback == fallback)
            && self.min_confidence.is_none_or(|least| record.confidence >= least)
            && self.max_confidence.is_none_or(|most| record.confidence <= most)
            && self.request_id.as_ref().is_none_or(|id| record.request_id == *id)
    }

    /// The columns that it needs.
    fn columns(&self) -> Vec<Column> {
        let mut columns = vec![Column::At];
        let mut need = |needed: bool, more: &[Column]| {
            if needed {
                columns.extend(more);
            }
        };
        need(!self.intents.is_empty(), &[Column::Intent]);
        need(self.arm.is_some(), &[Column::Arm]);
        need(self.model.is_some(), &[Column::Digest]);
        need(self.manifest.is_some(), &[Column::Manifest]);
        need(self.language.is_some(), &[Column::Language, Column::Guessed]);
        need(self.fallback.is_some(), &[Column::Fallback]);
        need(self.min_confidence.is_some() || self.max_confidence.is_some(), &[Column::Confidence]);
        need(self.request_id.is_some(), &[Column::RequestId]);
        columns
    }
}

/// A key that records are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKey {
    /// The day, in UTC.
    Day,
    /// The hour, in UTC.
    Hour,
    /// The likeliest intent.
    Intent,
    /// The arm.
    Arm,
    /// The digest of the model.
    Model,
    /// The digest of the manifest of the version; `unknown` in records without one.
    Manifest,
    /// The language, declared or else guessed.
    Language,
    /// The endpoint.
    Endpoint,
    /// Whether the model declined.
    Fallback,
}

impl GroupKey {
    /// Every key, with its name.
    pub const ALL: [(&'static str, Self); 9] = [
        ("day", Self::Day),
        ("hour", Self::Hour),
        ("intent", Self::Intent),
        ("arm", Self::Arm),
        ("model", Self::Model),
        ("manifest", Self::Manifest),
        ("language", Self::Language),
        ("endpoint", Self::Endpoint),
        ("fallback", Self::Fallback),
    ];

    /// Finds the key of a name.
    ///
    /// # Errors
    /// `BOT-6210` (exit 2) there is none.
    pub fn of(name: &str) -> Result<Self> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
        known.ok_or_else(|| {
            let shown = botops_text::display(name, 40);
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            Fault::usage("BOT-6210", format!("the log cannot be grouped by `{shown}`"))
                .hint(format!("it can be grouped by {}", names.join(", ")))
        })
    }

    /// Returns the value of a record; `hour` is the name of its hour, such as `2026-11-30T07`.
    fn value<'r>(self, record: &'r Record, hour: &'r str) -> &'r str {
        match self {
            Self::Day => hour.split('T').next().unwrap_or_default(),
            Self::Hour => hour,
            Self::Intent => &record.intent,
            Self::Arm => &record.arm,
            Self::Model => &record.digest,
            Self::Manifest => record.manifest.as_deref().unwrap_or("unknown"),
            Self::Language => record.any_language().unwrap_or("unknown"),
            Self::Endpoint => &record.endpoint,
            Self::Fallback if record.fallback => "true",
            Self::Fallback => "false",
        }
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Self::Day | Self::Hour => &[Column::At],
            Self::Intent => &[Column::Intent],
            Self::Arm => &[Column::Arm],
            Self::Model => &[Column::Digest],
            Self::Manifest => &[Column::Manifest],
            Self::Language => &[Column::Language, Column::Guessed],
            Self::Endpoint => &[Column::Endpoint],
            Self::Fallback => &[Column::Fallback],
        }
    }
}

/// A question for counts.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The records that are counted.
    pub filter: Filter,
    /// The groups; none for one row of all records.
    pub by: Vec<GroupKey>,
}

/// One group of the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// The value of each key, in the order of the question.
    pub key: Vec<String>,
    /// The number of records.
    pub n: u64,
    /// The number of those that the model declined.
    pub fallbacks: u64,
    /// The mean confidence, in [0, 1].
    pub mean_confidence: f64,
    /// The mean time to answer, in milliseconds.
    pub mean_latency_ms: f64,
    /// The number of records with a verdict in scope. A message out of scope has no right intent, so it is not among them.
    pub judged: u64,
    /// The number of those whose predicted intent is the true one.
    pub right: u64,
    /// The number of records whose verdict says that they are out of scope.
    pub out_of_scope: u64,
    /// The number of those that the model declined.
    pub out_of_scope_declined: u64,
}

/// The answer to a question.
#[derive(Debug, Default)]
pub struct Answered {
    /// The groups, in the order of their keys.
    pub rows: Vec<Row>,
    /// The number of records that passed.
    pub n: u64,
    /// How long the verdicts took; `None` without a record that has one.
    pub label_delay: Option<LabelDelay>,
    /// The messages with a verdict that the log does not have; `None` if only a part of the time was asked for.
    pub unknown_verdicts: Option<u64>,
    /// The problems of the files.
    pub findings: Vec<Finding>,
}

/// The time between a message and the verdict that counts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LabelDelay {
    /// The number of records with a verdict.
    pub n: u64,
    /// The median, in milliseconds. A verdict that seems to come before its record, by other clocks, counts as 0.
    pub median_ms: u64,
    /// The 95th percentile, in milliseconds.
    pub p95_ms: u64,
}

impl LabelDelay {
    /// Returns the delays in short; `None` if there is none. A percentile is the smallest delay that as many are at most.
    fn of(mut delays: Vec<u64>) -> Option<Self> {
        delays.sort_unstable();
        let n = delays.len();
        let at = |percent: usize| delays.get((n * percent).div_ceil(100).max(1) - 1).copied();
        Some(Self { n: n as u64, median_ms: at(50)?, p95_ms: at(95)? })
    }
}

#[derive(Default)]
struct Sums {
    n: u64,
    fallbacks: u64,
    /// In millionths, so that no order of additions changes the sum.
    confidence: u64,
    latency_us: u64,
    judged: u64,
    right: u64,
    out_of_scope: u64,
    out_of_scope_declined: u64,
}

/// The groups of a question, found without copying the key of a record whose group is known.
#[derive(Default)]
struct Groups {
    groups: HashMap<Vec<u8>, (Vec<String>, Sums)>,
    /// The key under way: each value with its length before it.
    key: Vec<u8>,
    /// The hour of the last record, and its name.
    hour: Option<(HourKey, String)>,
}

impl Groups {
    fn of(&mut self, by: &[GroupKey], record: &Record) -> &mut Sums {
        let hour = HourKey::of_millis(record.at);
        if self.hour.as_ref().is_none_or(|(known, _)| *known != hour) {
            self.hour = Some((hour, hour.start().format("%Y-%m-%dT%H").to_string()));
        }
        let name = self.hour.as_ref().map_or("", |(_, name)| name);
        self.key.clear();
        for key in by {
            let value = key.value(record, name).as_bytes();
            self.key.extend_from_slice(&value.len().to_le_bytes());
            self.key.extend_from_slice(value);
        }
        if !self.groups.contains_key(&self.key) {
            let key = by.iter().map(|key| key.value(record, name).to_owned()).collect();
            self.groups.insert(self.key.clone(), (key, Sums::default()));
        }
        &mut self.groups.get_mut(&self.key).expect("the group was made above").1
    }

    fn sorted(self) -> Vec<(Vec<String>, Sums)> {
        let mut groups: Vec<_> = self.groups.into_values().collect();
        groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        groups
    }
}

impl Query {
    /// Answers the question over the log of `environment`, one file at a time; `verdicts` are joined by message, whether they came
    /// before their record was in the store or long after.
    ///
    /// Memory: that of [`crate::Hour::records`] with only the columns that are needed, the groups, and the verdicts.
    ///
    /// # Errors
    /// Those of [`crate::Hour::each`].
    pub async fn answer(
        &self,
        store: &Store,
        environment: &str,
        verdicts: &Verdicts,
    ) -> Result<Answered> {
        let mut columns = self.filter.columns();
        columns.extend([Column::Fallback, Column::Confidence, Column::LatencyUs]);
        columns.extend(self.by.iter().flat_map(|key| key.columns()));
        if !verdicts.by_message.is_empty() {
            columns.extend([Column::RequestId, Column::Index, Column::Intent]);
        }
        let mut groups = Groups::default();
        let mut answered = Answered::default();
        let mut delays = Vec::new();
        let mut known = 0;
        let findings = self.filter.each_read(store, environment, &columns, |record| {
            let has_verdicts = !verdicts.by_message.is_empty();
            let key = has_verdicts.then(|| (record.request_id.clone(), record.index));
            let truth = key.and_then(|key| verdicts.by_message.get(&key));
            known += u64::from(truth.is_some());
            if !self.filter.passes(&record) {
                return;
            }
            let sums = groups.of(&self.by, &record);
            sums.n += 1;
            sums.fallbacks += u64::from(record.fallback);
            sums.confidence += (record.confidence * 1e6).round() as u64;
            sums.latency_us += record.latency_us;
            if let Some(truth) = truth {
                match truth.intent == OOS {
                    true => {
                        sums.out_of_scope += 1;
                        sums.out_of_scope_declined += u64::from(record.fallback);
                    }
                    false => {
                        sums.judged += 1;
                        sums.right += u64::from(truth.intent == record.intent);
                    }
                }
                delays.push(u64::try_from(truth.at.saturating_sub(record.at)).unwrap_or(0));
            }
        });
        answered.findings = findings.await?;
        answered.label_delay = LabelDelay::of(delays);
        let is_whole = self.filter.since.is_none() && self.filter.until.is_none();
        let n_verdicts = verdicts.by_message.len() as u64;
        answered.unknown_verdicts = is_whole.then(|| n_verdicts.saturating_sub(known));
        for (key, sums) in groups.sorted() {
            answered.n += sums.n;
            let n = sums.n as f64;
            answered.rows.push(Row {
                key,
                n: sums.n,
                fallbacks: sums.fallbacks,
                mean_confidence: sums.confidence as f64 / n / 1e6,
                mean_latency_ms: sums.latency_us as f64 / n / 1e3,
                judged: sums.judged,
                out_of_scope: sums.out_of_scope,
                out_of_scope_declined: sums.out_of_scope_declined,
                right: sums.right,
            });
        }
        Ok(answered)
    }
}

/// Returns the messages of `verdicts` that the log of `environment` does not have.
///
/// # Errors
/// Those of [`crate::Hour::records`].
pub async fn unknown_messages(
    store: &Store,
    environment: &str,
    verdicts: &[Verdict],
) -> Result<BTreeSet<RecordKey>> {
    let mut unknown: BTreeSet<RecordKey> = verdicts.iter().map(Verdict::key).collect();
    let columns = [Column::RequestId, Column::Index];
    for hour in hours(store, environment, None, None).await? {
        if unknown.is_empty() {
            break;
        }
        let known = |it: Record| _ = unknown.remove(&(it.request_id, it.index));
        hour.each(store, &columns, known).await?;
    }
    Ok(unknown)
}

impl Filter {
    /// Calls `read` with each record that passes, whole, in the order of the hours.
    ///
    /// # Errors
    /// Those of [`crate::Hour::each`].
    pub async fn records(
        &self,
        store: &Store,
        environment: &str,
        read: impl FnMut(Record),
    ) -> Result<Vec<Finding>> {
        self.each(store, environment, &COLUMNS, read).await
    }

    async fn each(
        &self,
        store: &Store,
        environment: &str,
        columns: &[Column],
        mut read: impl FnMut(Record),
    ) -> Result<Vec<Finding>> {
        let passing = |record: Record| {
            if self.passes(&record) {
                read(record);
            }
        };
        self.each_read(store, environment, columns, passing).await
    }

    /// Calls `read` with each record of the hours that the filter is about, whether or not it passes.
    async fn each_read(
        &self,
        store: &Store,
        environment: &str,
        columns: &[Column],
        mut read: impl FnMut(Record),
    ) -> Result<Vec<Finding>> {
        let since = self.since.map(HourKey::of);
        // The hour of `until` itself has records before it, unless it begins then.
        let until = self.until.map(|until| HourKey::of_millis(until.timestamp_millis() - 1).next());
        let mut findings = Vec::new();
        for mut hour in hours(store, environment, since, until).await? {
            let mut tries = 0;
            loop {
                let mut is_read = false;
                let found = hour
                    .each(store, columns, |record| {
                        is_read = true;
                        read(record);
                    })
                    .await;
                match found {
                    Ok(found) => {
                        findings.extend(found);
                        break;
                    }
                    // A compaction replaced the files while they were to be read: the new ones have the same records.
                    Err(fault) if fault.code() == REPLACED && !is_read && tries < TRIES => {
                        tries += 1;
                        let mut again =
                            hours(store, environment, Some(hour.key), Some(hour.key.next()))
                                .await?;
                        match again.pop() {
                            Some(now) => hour = now,
                            None => break,
                        }
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        forgetting::tests::put,
        record::tests::record,
        verdict::{SourceClass, resolve},
    };

    fn verdict(i: u32, delay: i64) -> Verdict {
        Verdict {
            at: record(i).at + delay,
            request_id: record(i).request_id,
            index: 0,
            intent: Some("complaint".to_owned()),
            source: SourceClass::Agent,
            satisfaction: None,
        }
    }

    #[tokio::test]
    async fn verdicts_are_joined_however_late_and_those_on_nothing_are_counted() {
        let store = Store::in_memory();
        let month = 30 * 86_400_000;
        let delays = [-5_000, 1_000, 2_000, 3_000, 4 * month];
        let mut given: Vec<Verdict> = (0..5).zip(delays).map(|(i, it)| verdict(i, it)).collect();
        given.extend([verdict(50_000, 0), Verdict { index: 7, ..verdict(1, 0) }]);
        let verdicts = resolve(given.clone());
        let query = Query { by: vec![GroupKey::Day, GroupKey::Intent], ..Query::default() };
        let before = query.answer(&store, "e", &verdicts).await.unwrap();
        assert_eq!((before.n, before.unknown_verdicts, before.label_delay), (0, Some(7), None));
        let given = [verdict(3, 0), verdict(50_000, 0)];
        assert_eq!(unknown_messages(&store, "e", &given).await.unwrap().len(), 2);
        put(&store, "a", 0..40).await;
        let answered = query.answer(&store, "e", &verdicts).await.unwrap();
        assert_eq!((answered.n, answered.unknown_verdicts), (40, Some(2)));
        let unknown = unknown_messages(&store, "e", &given).await.unwrap();
        assert_eq!(unknown.into_iter().collect::<Vec<_>>(), [given[1].key()]);
        let delay = answered.label_delay.unwrap();
        assert_eq!((delay.n, delay.median_ms, delay.p95_ms), (5, 2_000, 4 * month as u64));
        let judged: Vec<_> = answered.rows.iter().map(|it| (it.judged, it.right)).collect();
        assert_eq!(judged, [(2, 2), (3, 0)]);
        assert_eq!(answered.rows[0].key, ["2026-11-30", "complaint"]);
        // A message out of scope has no right intent: it is counted apart, and whether the model declined it.
        let oos = |i: u32| Verdict { intent: Some(OOS.to_owned()), ..verdict(i, 9) };
        let told = resolve((0..5).map(oos));
        let apart = query.answer(&store, "e", &told).await.unwrap();
        let sum = |of: fn(&Row) -> u64| apart.rows.iter().map(of).sum::<u64>();
        assert_eq!((sum(|row| row.out_of_scope), sum(|row| row.judged)), (5, 0));
        let declined = (0..5).filter(|&i| record(i).fallback).count() as u64;
        assert_eq!(sum(|row| row.out_of_scope_declined), declined);
        // A filter hides records, but a verdict on a hidden one is not one on nothing.
        let filter = Filter { arm: Some("canary".to_owned()), ..Filter::default() };
        let some = Query { filter, by: Vec::new() }.answer(&store, "e", &verdicts).await.unwrap();
        assert_eq!((some.n, some.unknown_verdicts, some.rows[0].judged), (4, Some(2), 1));
        let filter = Filter { since: Some(record(2).time()), ..Filter::default() };
        let part = Query { filter, by: Vec::new() }.answer(&store, "e", &verdicts).await.unwrap();
        assert_eq!((part.n, part.unknown_verdicts), (38, None));
        assert_eq!(part.label_delay.map(|it| it.n), Some(3));
    }

    #[tokio::test]
    async fn a_bad_segment_does_not_stop_the_others_and_a_bad_compacted_file_does() {
        let store = Store::in_memory();
        put(&store, "a", 0..10).await;
        put(&store, "z", 3_700..3_705).await;
        let folder = format!("predictions/e/{}", HourKey::of_millis(record(0).at));
        store.create(&format!("{folder}/b.jsonl.zst"), "no zstd".into()).await.unwrap();
        let query = Query::default();
        let answered = query.answer(&store, "e", &Verdicts::default()).await.unwrap();
        assert_eq!((answered.n, answered.findings.len()), (15, 1));
        assert_eq!(answered.findings[0].code, "BOT-6203");
        assert!(answered.findings[0].place.file.as_ref().unwrap().ends_with("b.jsonl.zst"));
        let hour = &hours(&store, "e", None, None).await.unwrap()[0];
        crate::compact(&store, hour, false).await.unwrap();
        let hour = &hours(&store, "e", None, None).await.unwrap()[0];
        let path = hour.path(&hour.parquet[0]);
        let bytes = store.read(&path).await.unwrap().unwrap();
        store.remove(&path).await.unwrap();
        store.create(&path, bytes.slice(..bytes.len() / 2)).await.unwrap();
        let fault = query.answer(&store, "e", &Verdicts::default()).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6207", 3));
        let filter = Filter { since: Some(record(3_700).time()), ..Filter::default() };
        let rest = Query { filter, by: Vec::new() };
        let answered = rest.answer(&store, "e", &Verdicts::default()).await.unwrap();
        assert_eq!(answered.n, 5, "the hours beside it can be asked");
    }
}
