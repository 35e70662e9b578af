//! The log of erasures: a record of each erasure, so that a restored backup or a mirror can erase the same again.
//!
//! Its entries hold names, which are HMACs, and digests of blobs. Nobody can read from them what was erased.

use super::{Appended, Entry, Store};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The path of the log of erasures in the store of the registry.
pub const ERASURES: &str = "erasures/log";
/// How often an append to the log is tried when others append too.
const TRIES: usize = 20;

/// The kind of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureSubject {
    /// The turns or the logged predictions of a conversation.
    Conversation,
    /// The turns of every conversation of a person.
    Person,
    /// The blobs that hold an utterance.
    Utterance,
}

/// An entry of the log of erasures. An erasure has two: one before it begins, one after it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The erasure, the same in both of its entries.
    pub id: String,
    /// Whether it is done; an entry before it is not.
    pub done: bool,
    /// The kind of the erasure.
    pub subject: ErasureSubject,
    /// The names of the subject, each an HMAC of 32 hexadecimal digits: one under each identity key. For an utterance, digests.
    pub names: Vec<String>,
    /// The names of the conversations, the first 1,000 of them.
    #[serde(default)]
    pub conversations: Vec<String>,
    /// The number of conversations.
    #[serde(default)]
    pub n_conversations: u64,
    /// The number of turns that were erased, or that are to be.
    #[serde(default)]
    pub turns: u64,
    /// The number of persons' keys that were erased.
    #[serde(default)]
    pub keys: u64,
    /// The number of records of the prediction log that were erased, or that are to be.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub predictions: u64,
    /// The blobs that were removed, or that are to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<Digest>,
    /// Who erased.
    pub by: String,
    /// The reason.
    pub reason: String,
    /// The time.
    pub at: DateTime<Utc>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Store {
    /// Returns the entries of the log of erasures, after verifying their chain; none if nothing was ever erased.
    ///
    /// # Errors
    /// Those of [`super::Log::entries`].
    pub async fn erasures(&self) -> Result<Vec<Entry<Erasure>>> {
        self.log::<Erasure>(ERASURES).entries().await
    }

    /// Appends an entry to the log of erasures.
    ///
    /// # Errors
    /// `BOT-6129` (exit 1) if others append again and again; those of [`super::Log::append`].
    pub async fn record_erasure(&self, erasure: &Erasure) -> Result<()> {
        let log = self.log::<Erasure>(ERASURES);
        for _ in 0..TRIES {
            let last = log.entries().await?.pop();
            if let Appended::Written(_) = log.append(last.as_ref(), erasure.clone()).await? {
                return Ok(());
            }
        }
        Err(Fault::internal("BOT-6129", "others write the log of erasures again and again")
            .hint("run the command again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_entry_of_an_earlier_botops_is_read_and_written_with_the_same_bytes() {
        let earlier = serde_json::json!({
            "at": "2026-11-30T07:00:00Z", "by": "ana", "conversations": ["00ff"], "done": true,
            "id": "ab", "keys": 1, "n_conversations": 1, "names": ["00ff"], "reason": "asked",
            "subject": "person", "turns": 3
        });
        let read: Erasure = serde_json::from_value(earlier.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), earlier);

        let store = Store::in_memory();
        let blob = Digest::of(b"a model");
        let utterance =
            Erasure { subject: ErasureSubject::Utterance, blobs: vec![blob], ..read.clone() };
        store.record_erasure(&read).await.unwrap();
        store.record_erasure(&utterance).await.unwrap();
        let entries = store.erasures().await.unwrap();
        let payloads: Vec<_> = entries.into_iter().map(|entry| entry.payload).collect();
        assert_eq!(payloads, [read, utterance]);
    }
}
