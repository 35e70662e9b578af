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
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// The schema of a verdict.
pub const VERDICT_SCHEMA: &str = "botops.verdict/1";
/// The levels of satisfaction.
const LEVELS: RangeInclusive<u8> = 1..=5;

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

/// Feedback on a message: its true intent, how content the user was, or both.
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
    /// The true intent; `None` if the feedback is about satisfaction only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Who says so.
    pub source: SourceClass,
    /// How content the user was, from 1 (not at all) to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satisfaction: Option<u8>,
}

/// The true intent of a message, of the verdict that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The time of the verdict, in milliseconds since 1970.
    pub at: i64,
    /// The true intent.
    pub intent: String,
    /// Who says so.
    pub source: SourceClass,
}

/// How content the user was with an answer, of the verdict that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Satisfaction {
    /// The time of the verdict, in milliseconds since 1970.
    pub at: i64,
    /// From 1 (not at all) to 5.
    pub level: u8,
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
        let verdict: Self = serde_json::from_slice(line).map_err(damaged)?;
        verdict.check().map(|()| verdict)
    }

    /// Checks that it says something, and that the satisfaction is between 1 and 5.
    ///
    /// # Errors
    /// `BOT-6211` (exit 3).
    pub fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(Fault::data("BOT-6211", message));
        match (&self.intent, self.satisfaction) {
            (None, None) => wrong("a verdict needs an `intent` or a `satisfaction`"),
            (Some(intent), _) if intent.is_empty() => wrong("`intent` must not be empty"),
            (_, Some(level)) if !LEVELS.contains(&level) => {
                wrong("`satisfaction` is a whole number from 1 to 5")
            }
            _ => Ok(()),
        }
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
    /// The true intent of each message, of the verdict that counts.
    pub by_message: BTreeMap<RecordKey, Truth>,
    /// The satisfaction with each message, of the verdict that counts.
    pub satisfaction: BTreeMap<RecordKey, Satisfaction>,
    /// The number of messages on whose intents verdicts differ.
    pub contradicted: u64,
    /// The problems of the stored lines.
    pub findings: Vec<Finding>,
}

/// Reads the verdicts of `environment` that count.
///
/// # Errors
/// Those of [`stored_verdicts`].
pub async fn read_verdicts(store: &Store, environment: &str) -> Result<Verdicts> {
    let (all, findings) = stored_verdicts(store, environment).await?;
    Ok(Verdicts { findings, ..resolve(all) })
}

/// Reads every verdict of `environment`, contradicting ones too, and the problems of the stored lines.
///
/// # Errors
/// `BOT-6201` a newer botops wrote some; those of the store.
pub async fn stored_verdicts(
    store: &Store,
    environment: &str,
) -> Result<(Vec<Verdict>, Vec<Finding>)> {
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
    Ok((all, findings))
}

/// Chooses the verdict that counts on each message, so that the order of the log does not matter.
///
/// Of intents, that of the most trusted source counts; of several, the latest; of several at the same time, the one that comes
/// first in the alphabet. Of satisfactions, the latest counts, whoever passed it on; of several at the same time, the lowest.
#[must_use]
pub fn resolve(verdicts: impl IntoIterator<Item = Verdict>) -> Verdicts {
    let mut resolved = Verdicts::default();
    let mut contradicted = BTreeSet::new();
    for Verdict { at, request_id, index, intent, source, satisfaction } in verdicts {
        let key = (request_id, index);
        if let Some(level) = satisfaction {
            let satisfaction = Satisfaction { at, level };
            let rank = |it: &Satisfaction| (it.at, Reverse(it.level));
            let known = resolved.satisfaction.entry(key.clone()).or_insert(satisfaction);
            if rank(&satisfaction) > rank(known) {
                *known = satisfaction;
            }
        }
        let Some(intent) = intent else { continue };
        let truth = Truth { at, intent, source };
        match resolved.by_message.get_mut(&key) {
            None => {
                resolved.by_message.insert(key, truth);
            }
            Some(known) => {
                let rank = |it: &Truth| (it.source, it.at);
                let is_first = || truth.intent < known.intent;
                if known.intent != truth.intent {
                    contradicted.insert(key);
                }
                if rank(&truth) > rank(known) || rank(&truth) == rank(known) && is_first() {
                    *known = truth;
                }
            }
        }
    }
    resolved.contradicted = contradicted.len() as u64;
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(request: &str, intent: &str, source: SourceClass, at: i64) -> Verdict {
        Verdict {
            at,
            request_id: request.into(),
            index: 0,
            intent: Some(intent.into()),
            source,
            satisfaction: None,
        }
    }

    #[test]
    fn the_latest_satisfaction_counts_and_a_verdict_says_something() {
        use SourceClass::{Agent, EndUser};
        let content = |at, source, level| Verdict {
            intent: None,
            satisfaction: Some(level),
            ..verdict("a", "", source, at)
        };
        let mut all =
            [content(1, Agent, 1), content(2, EndUser, 5), content(2, EndUser, 4)].to_vec();
        all.push(verdict("a", "complaint", EndUser, 3));
        for _ in 0..all.len() {
            all.rotate_left(1);
            let resolved = resolve(all.clone());
            let key = ("a".to_owned(), 0);
            assert_eq!(resolved.satisfaction[&key], Satisfaction { at: 2, level: 4 });
            assert_eq!(resolved.by_message[&key].intent, "complaint");
            assert_eq!(resolved.contradicted, 0);
        }
        let written = |verdict: &Verdict| {
            serde_json::to_vec(&Written { schema: VERDICT_SCHEMA, verdict }).unwrap()
        };
        for level in [1, 5] {
            let given = content(1, Agent, level);
            assert_eq!(Verdict::read_line(&written(&given)).unwrap(), given);
        }
        let without = Verdict { satisfaction: None, ..content(1, Agent, 1) };
        for wrong in
            [content(1, Agent, 0), content(1, Agent, 6), without, verdict("a", "", Agent, 1)]
        {
            assert_eq!(Verdict::read_line(&written(&wrong)).unwrap_err().code(), "BOT-6211");
        }
        let older = br#"{"schema":"botops.verdict/1","time":1,"request_id":"a","index":0,"intent":"complaint","source":"agent"}"#;
        let read = Verdict::read_line(older).unwrap();
        assert_eq!(read, verdict("a", "complaint", Agent, 1));
        assert_eq!(written(&read), older);
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
