//! Erasure: of a conversation, of a person, and of what is older than the retention.

use crate::{
    conversations::Conversations,
    names::Id,
    store::{Erased, Summary},
};
use botops_findings::{Fault, Result};
use botops_store::{Erasure, ErasureSubject, Store};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// The most conversations that an entry of the log names.
const MOST_NAMED: usize = 1_000;
/// The turns that are erased or counted in one request.
const BATCH: u32 = 500;
/// How long a key without a turn is kept: its first turn may be under way.
const FRESH: Duration = Duration::from_secs(3_600);

/// Whose turns are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A conversation.
    Conversation,
    /// A person: every conversation in which they have a turn.
    Person,
}

/// The extent of what is stored of a conversation or a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The names that were searched for.
    #[serde(skip)]
    pub names: Vec<Id>,
    /// The conversations, each with its number of turns.
    pub conversations: Vec<Summary>,
}

impl Found {
    /// Returns the number of turns.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.conversations.iter().map(|found| found.turns.unsigned_abs()).sum()
    }
}

/// Who erases, why and when.
#[derive(Debug, Clone, Copy)]
pub struct ErasureAct<'a> {
    /// Who it is.
    pub by: &'a str,
    /// The reason.
    pub reason: &'a str,
    /// The time.
    pub at: DateTime<Utc>,
}

impl From<Subject> for ErasureSubject {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Conversation => Self::Conversation,
            Subject::Person => Self::Person,
        }
    }
}

/// Returns the names as the log of erasures writes them.
fn written(names: &[Id]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl Conversations {
    /// Returns what is stored of the conversation or the person that a client, or a list, calls `written`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(&self, subject: Subject, written: &str) -> Result<Found> {
        let (names, mut ids) = match subject {
            Subject::Conversation => {
                let names = self.names.conversations(written);
                (names.clone(), names.into_iter().collect::<BTreeSet<Id>>())
            }
            Subject::Person => {
                let names = self.names.persons(written);
                let mut ids = BTreeSet::new();
                for name in &names {
                    ids.extend(self.store.of_person(*name).await?);
                }
                (names, ids)
            }
        };
        let mut conversations = Vec::new();
        while let Some(conversation) = ids.pop_first() {
            conversations.extend(self.summary(conversation).await?);
        }
        Ok(Found { names, conversations })
    }

    async fn summary(&self, conversation: Id) -> Result<Option<Summary>> {
        let mut found: Option<Summary> = None;
        let mut from = 0;
        loop {
            let rows = self.store.turns(conversation, from, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(found) };
            let summary = found.get_or_insert(Summary {
                conversation,
                person: None,
                turns: 0,
                first: rows[0].at,
                last: last.at,
            });
            summary.turns += rows.len() as i64;
            (summary.person, summary.last) = (last.person.or(summary.person), last.at);
            from = last.number + 1;
        }
    }

    /// Erases what was found: the keys, then the turns, then what is left of them in the files of the store. An entry of
    /// the log of erasures is written before, and another one after.
    ///
    /// # Errors
    /// `BOT-6129` (exit 1) it is erased, and something of it may be left in the files, or the log does not say that it is
    /// done; those of the store and of the log, after which it may be erased in part: the same call goes on.
    pub async fn forget(
        &self,
        erasures: &Store,
        (subject, found): (Subject, &Found),
        act: ErasureAct<'_>,
    ) -> Result<Erased> {
        let ids: Vec<Id> = found.conversations.iter().map(|found| found.conversation).collect();
        let mut entry = Erasure {
            id: Id::random()?.to_string(),
            done: false,
            subject: subject.into(),
            names: written(&found.names),
            conversations: written(&ids[..ids.len().min(MOST_NAMED)]),
            n_conversations: ids.len() as u64,
            turns: found.turns(),
            keys: 0,
            predictions: 0,
            blobs: Vec::new(),
            by: act.by.to_owned(),
            reason: act.reason.to_owned(),
            at: act.at,
        };
        erasures.record_erasure(&entry).await?;
        let mut erased = Erased::default();
        // One after the other, so that a server waits for one at most.
        for id in &ids {
            erased += self.store.erase(&[*id]).await?;
        }
        let unfinished = |fault: Fault| {
            let message = format!("the turns are erased, but: {}", fault.message());
            let outer = Fault::internal("BOT-6129", message);
            fault.hints().iter().fold(outer, |outer, hint| outer.hint(hint)).caused_by(fault)
        };
        self.store.scrub().await.map_err(unfinished)?;
        (entry.done, entry.turns, entry.keys) = (true, erased.turns, erased.keys);
        erasures.record_erasure(&entry).await.map_err(unfinished)?;
        Ok(erased)
    }

    /// Writes the entry before `n` records of a conversation, which has `names`, are erased from the prediction log.
    ///
    /// # Errors
    /// Those of the log.
    pub async fn begin_erasure_of_predictions(
        erasures: &Store,
        names: &[Id],
        n: u64,
        act: ErasureAct<'_>,
    ) -> Result<Erasure> {
        let entry = Erasure {
            id: Id::random()?.to_string(),
            done: false,
            subject: ErasureSubject::Conversation,
            names: written(names),
            conversations: written(names),
            n_conversations: 1,
            turns: 0,
            keys: 0,
            predictions: n,
            blobs: Vec::new(),
            by: act.by.to_owned(),
            reason: act.reason.to_owned(),
            at: act.at,
        };
        erasures.record_erasure(&entry).await?;
        Ok(entry)
    }

    /// Writes the entry after they are erased.
    ///
    /// # Errors
    /// Those of the log; the records are erased.
    pub async fn end_erasure_of_predictions(
        erasures: &Store,
        begun: Erasure,
        n: u64,
    ) -> Result<()> {
        let entry = Erasure { done: true, predictions: n, ..begun };
        erasures.record_erasure(&entry).await
    }

    /// Returns whether an erasure of one of these names was begun, and none was done after it.
    ///
    /// # Errors
    /// Those of the log.
    pub async fn is_unfinished(erasures: &Store, names: &[Id]) -> Result<bool> {
        let entries = Self::erasures(erasures).await?;
        let names = written(names);
        let last =
            entries.iter().rfind(|entry| entry.names.iter().any(|name| names.contains(name)));
        Ok(last.is_some_and(|entry| !entry.done))
    }

    /// Returns the entries of the log of erasures.
    ///
    /// # Errors
    /// Those of the log.
    pub async fn erasures(erasures: &Store) -> Result<Vec<Erasure>> {
        let entries = erasures.erasures().await?;
        Ok(entries.into_iter().map(|entry| entry.payload).collect())
    }

    /// Erases the turns that are older than `retention`, and the keys that seal nothing any more.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn expire(&self, now: DateTime<Utc>, retention: Duration) -> Result<Erased> {
        let before = |age: Duration| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            now.timestamp_millis().saturating_sub(age)
        };
        let mut erased = Erased::default();
        loop {
            let n_turns = self.store.expire(before(retention), BATCH).await?;
            erased.turns += n_turns;
            if n_turns == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        erased.keys = self.store.sweep_keys(before(retention.max(FRESH))).await?;
        if erased.turns > 0 {
            self.store.scrub().await?;
        }
        Ok(erased)
    }
}
