//! Verdicts on predictions: who said what the true intent was, however late.

use crate::{
    layout,
    record::{RecordKey, check_schema},
    segment::each_line,
};
use botops_findings::{Fault, Finding, Place, Result};
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema of a verdict.
pub const VERDICT_SCHEMA: &str = "botops.verdict/1";

/// Who gave a verdict, from the least to the most trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceClass {
    /// A user of the bot.
    EndUser,
    /// A person who took the conversation over.
    Agent,
    /// A reviewer, whose verdicts are labels.
    Reviewer,
}

/// The true intent of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The time of the verdict, in milliseconds since 1970.
    #[serde(rename = "time")]
    pub at: i64,
    /// The request that was answered.
    pub request_id: String,
    /// The place of the text in the request.
    #[serde(default)]
    pub index: u32,
    /// The true intent.
    pub intent: String,
    /// Who says so.
    pub source: SourceClass,
}

#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

impl Verdict {
    /// Returns the name of the record that it judges.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        (self.request_id.clone(), self.index)
    }

    fn read_line(line: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Schema {
            schema: String,
        }
        let damaged = |error: serde_json::Error| {
            Fault::data("BOT-6211", "a line is no verdict").caused_by(error)
        };
        check_schema(
            &serde_json::from_slice::<Schema>(line).map_err(damaged)?.schema,
            VERDICT_SCHEMA,
        )?;
        serde_json::from_slice(line).map_err(damaged)
    }
}

/// Stores verdicts as one object, and returns once they are durable. There is nothing to store without any.
///
/// # Errors
/// Those of the store.
pub async fn record_verdicts(
    store: &Store,
    environment: &str,
    verdicts: &[Verdict],
    now: DateTime<Utc>,
) -> Result<()> {
    if verdicts.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for verdict in verdicts {
        serde_json::to_writer(&mut lines, &Written { schema: VERDICT_SCHEMA, verdict })
            .expect("a verdict can be written as JSON");
        lines.push(b'\n');
    }
    let bytes = zstd::bulk::compress(&lines, 1).map_err(|error| {
        Fault::internal("BOT-6208", format!("the verdicts cannot be packed: {error}"))
    })?;
    let path = format!(
        "{}/verdicts/date={}/{}.jsonl.zst",
        layout::environment(environment),
        now.format("%Y-%m-%d"),
        ulid::Ulid::generate()
    );
    store.create(&path, bytes.into()).await.map(|_| ())
}

/// The verdicts of an environment, one for each message.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// The verdict that counts on each message.
    pub by_message: BTreeMap<RecordKey, Verdict>,
    /// The number of messages on which verdicts differ.
    pub contradicted: u64,
    /// The problems of the stored lines.
    pub findings: Vec<Finding>,
}

/// Reads every verdict of `environment`.
///
/// # Errors
/// `BOT-6201` a newer botops wrote some; those of the store.
pub async fn read_verdicts(store: &Store, environment: &str) -> Result<Verdicts> {
    let mut all = Vec::new();
    let mut findings = Vec::new();
    let root = format!("{}/verdicts", layout::environment(environment));
    for stored in store.list(&root).await? {
        let Some(bytes) = store.read(&stored.path).await? else { continue };
        let end = each_line(&bytes, |number, line| match Verdict::read_line(line) {
            Ok(verdict) => {
                all.push(verdict);
                Ok(())
            }
            Err(fault) if fault.code() == "BOT-6201" => Err(fault.file(&stored.path)),
            Err(fault) => {
                let place = Place { line: Some(number), ..Place::default() };
                findings.push(fault.at(place).file(&stored.path).as_finding());
                Ok(())
            }
        })?;
        if let Err(error) = end {
            let fault = Fault::data("BOT-6211", format!("verdicts cannot be read: {error}"));
            findings.push(fault.file(&stored.path).as_finding());
        }
    }
    Ok(Verdicts { findings, ..resolve(all) })
}

/// Chooses the verdict that counts on each message: that of the most trusted source; of several, the latest; of several at
/// the same time, the one whose intent comes first in the alphabet, so that the order of the log does not matter.
#[must_use]
pub fn resolve(verdicts: impl IntoIterator<Item = Verdict>) -> Verdicts {
    let mut by_message: BTreeMap<RecordKey, Verdict> = BTreeMap::new();
    let mut contradicted = std::collections::BTreeSet::new();
    for verdict in verdicts {
        let key = verdict.key();
        match by_message.get_mut(&key) {
            None => {
                by_message.insert(key, verdict);
            }
            Some(known) => {
                if known.intent != verdict.intent {
                    contradicted.insert(key);
                }
                let rank = |it: &Verdict| (it.source, it.at, std::cmp::Reverse(it.intent.clone()));
                if rank(&verdict) > rank(known) {
                    *known = verdict;
                }
            }
        }
    }
    Verdicts { by_message, contradicted: contradicted.len() as u64, findings: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(request: &str, intent: &str, source: SourceClass, at: i64) -> Verdict {
        Verdict { at, request_id: request.into(), index: 0, intent: intent.into(), source }
    }

    #[tokio::test]
    async fn the_most_trusted_then_the_latest_verdict_counts_in_any_order() {
        use SourceClass::{Agent, EndUser, Reviewer};
        let mut all = vec![
            verdict("a", "complaint", EndUser, 9),
            verdict("a", "order_status", Reviewer, 1),
            verdict("b", "complaint", Agent, 1),
            verdict("b", "order_status", Agent, 2),
            verdict("c", "order_status", EndUser, 5),
            verdict("c", "complaint", EndUser, 5),
            verdict("d", "complaint", EndUser, 5),
        ];
        let intents = |verdicts: &Verdicts| -> Vec<String> {
            verdicts.by_message.values().map(|it| it.intent.clone()).collect()
        };
        let expected = ["order_status", "order_status", "complaint", "complaint"];
        for _ in 0..all.len() {
            all.rotate_left(1);
            let resolved = resolve(all.clone());
            assert_eq!(
                (intents(&resolved), resolved.contradicted),
                (expected.map(String::from).to_vec(), 3)
            );
        }
        let store = Store::in_memory();
        let now = Utc::now();
        record_verdicts(&store, "e", &all[..3], now).await.unwrap();
        record_verdicts(&store, "e", &all[3..], now).await.unwrap();
        record_verdicts(&store, "e", &[], now).await.unwrap();
        assert_eq!(store.list("predictions/e/verdicts").await.unwrap().len(), 2);
        let read = read_verdicts(&store, "e").await.unwrap();
        assert_eq!((intents(&read), read.findings.len()), (expected.map(String::from).to_vec(), 0));
        // A verdict of another message is its own folder's business: hours are not disturbed.
        assert!(crate::hour::hours(&store, "e", None, None).await.unwrap().is_empty());
    }
}
