//! Questions to the log: filters, groups, and records.

use crate::{
    columns::{COLUMNS, Column},
    hour::hours,
    layout::HourKey,
    record::Record,
    verdict::Verdicts,
};
use botops_findings::{Fault, Finding, Result};
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

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
        let is_model = |prefix: &String| {
            let bare = record.digest.strip_prefix("sha256:").unwrap_or(&record.digest);
            bare.starts_with(prefix.strip_prefix("sha256:").unwrap_or(prefix))
        };
        self.since.is_none_or(|since| record.at >= since.timestamp_millis())
            && self.until.is_none_or(|until| record.at < until.timestamp_millis())
            && (self.intents.is_empty() || self.intents.contains(&record.intent))
            && self.arm.as_ref().is_none_or(|arm| record.arm == *arm)
            && self.model.as_ref().is_none_or(is_model)
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
    /// The language, declared or else guessed.
    Language,
    /// The endpoint.
    Endpoint,
    /// Whether the model declined.
    Fallback,
}

impl GroupKey {
    /// Every key, with its name.
    pub const ALL: [(&'static str, Self); 8] = [
        ("day", Self::Day),
        ("hour", Self::Hour),
        ("intent", Self::Intent),
        ("arm", Self::Arm),
        ("model", Self::Model),
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

    fn value(self, record: &Record) -> String {
        let time = record.time();
        match self {
            Self::Day => time.format("%Y-%m-%d").to_string(),
            Self::Hour => time.format("%Y-%m-%dT%H").to_string(),
            Self::Intent => record.intent.clone(),
            Self::Arm => record.arm.clone(),
            Self::Model => record.digest.clone(),
            Self::Language => record.any_language().unwrap_or("unknown").to_owned(),
            Self::Endpoint => record.endpoint.clone(),
            Self::Fallback => record.fallback.to_string(),
        }
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Self::Day | Self::Hour => &[Column::At],
            Self::Intent => &[Column::Intent],
            Self::Arm => &[Column::Arm],
            Self::Model => &[Column::Digest],
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
    /// The number of records with a verdict.
    pub judged: u64,
    /// The number of those whose predicted intent is the true one.
    pub right: u64,
}

/// The answer to a question.
#[derive(Debug, Default)]
pub struct Answered {
    /// The groups, in the order of their keys.
    pub rows: Vec<Row>,
    /// The number of records that passed.
    pub n: u64,
    /// The problems of the files.
    pub findings: Vec<Finding>,
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
}

impl Query {
    /// Answers the question over the log of `environment`, one file at a time; `verdicts` are joined by message.
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
        let mut groups: BTreeMap<Vec<String>, Sums> = BTreeMap::new();
        let mut answered = Answered::default();
        let findings = self.filter.each(store, environment, &columns, |record| {
            let key = self.by.iter().map(|key| key.value(&record)).collect();
            let sums = groups.entry(key).or_default();
            sums.n += 1;
            sums.fallbacks += u64::from(record.fallback);
            sums.confidence += (record.confidence * 1e6).round() as u64;
            sums.latency_us += record.latency_us;
            if !verdicts.by_message.is_empty()
                && let Some(verdict) = verdicts.by_message.get(&record.key())
            {
                sums.judged += 1;
                sums.right += u64::from(verdict.intent == record.intent);
            }
        });
        answered.findings = findings.await?;
        for (key, sums) in groups {
            answered.n += sums.n;
            let n = sums.n as f64;
            answered.rows.push(Row {
                key,
                n: sums.n,
                fallbacks: sums.fallbacks,
                mean_confidence: sums.confidence as f64 / n / 1e6,
                mean_latency_ms: sums.latency_us as f64 / n / 1e3,
                judged: sums.judged,
                right: sums.right,
            });
        }
        Ok(answered)
    }
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
        let since = self.since.map(HourKey::of);
        // The hour of `until` itself has records before it, unless it begins then.
        let until = self.until.map(|until| HourKey::of_millis(until.timestamp_millis() - 1).next());
        let mut findings = Vec::new();
        for hour in hours(store, environment, since, until).await? {
            let found = hour.each(store, columns, |record| {
                if self.passes(&record) {
                    read(record);
                }
            });
            findings.extend(found.await?);
        }
        Ok(findings)
    }
}
