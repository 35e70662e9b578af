//! Erasure: the messages of a conversation or a person that wait, or that are dead letters, in every channel of a store.
//!
//! Each stored message has the names of its conversation and person, so that no key and no server is needed. Opt-outs stay:
//! they are names without texts, and a person who wanted no messages must not get any.

use crate::{
    handed::HandedOver,
    inbox::{Inbox, stem},
    protection::{MESSAGE, StoredMessage},
};
use botops_findings::{Fault, Result};
use botops_store::Store;
use serde::Serialize;
use std::collections::BTreeSet;

/// The names of what is erased, as the store of conversations and the log of erasures write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasedNames {
    /// The names of conversations.
    pub conversations: BTreeSet<String>,
    /// The names of persons.
    pub persons: BTreeSet<String>,
}

impl ErasedNames {
    fn has(&self, stored: &StoredMessage) -> bool {
        self.conversations.contains(&stored.conversation.to_string())
            || self.persons.contains(&stored.person.to_string())
    }
}

/// The messages that were erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ErasedMessages {
    /// Those that waited.
    pub waiting: u64,
    /// Those that were dead letters.
    pub dead_letters: u64,
    /// Those that were kept after their answer.
    pub answered: u64,
}

impl ErasedMessages {
    /// Returns the number of all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.waiting + self.dead_letters + self.answered
    }
}

/// Removes the messages of `names` from the inboxes and the dead letters of every channel in `store`, those of channels that
/// the settings no longer have, too. `at` is the time in seconds of Unix time. With `dry_run`, they are counted only.
///
/// A message that is erased counts as processed: the platform may send it again, and it is not stored again. An object that
/// cannot be read does not keep the others.
///
/// # Errors
/// `BOT-7504` (exit 6) a newer botops wrote an object, `BOT-7505` (exit 1) one is damaged: the first one, once the others are
/// done; those of the store.
pub async fn forget_messages(
    store: &Store,
    names: &ErasedNames,
    at: i64,
    dry_run: bool,
) -> Result<ErasedMessages> {
    let mut erased = ErasedMessages::default();
    let mut failed: Option<Fault> = None;
    for channel in store.folders("channels").await? {
        let inbox = Inbox::new(store.clone(), &channel);
        for path in store.objects(&format!("channels/{channel}/inbox"), None).await? {
            let read =
                Fault::unless_unreachable(inbox.read::<StoredMessage>(&path, MESSAGE).await)?;
            match read {
                Ok(Some(stored)) if names.has(&stored) => {
                    erased.waiting += 1;
                    if !dry_run {
                        let place = conversation(&path).zip(stem(&path));
                        let place = place.ok_or_else(|| inbox.damaged(&path, "it is misplaced"))?;
                        inbox.finish(place, ("erased", at)).await?;
                    }
                }
                Ok(_) => {}
                Err(fault) => failed = failed.or(Some(fault)),
            }
        }
        for path in store.objects(&format!("channels/{channel}/dead"), None).await? {
            match Fault::unless_unreachable(inbox.read_letter(&path).await)? {
                Ok(Some(letter)) if names.has(&letter.waiting) => {
                    erased.dead_letters += 1;
                    if !dry_run {
                        store.remove(&path).await?;
                    }
                }
                Ok(_) => {}
                Err(fault) => failed = failed.or(Some(fault)),
            }
        }
        for path in store.objects(&format!("channels/{channel}/answered"), None).await? {
            match Fault::unless_unreachable(inbox.read_kept(&path).await)? {
                Ok(Some(kept)) if names.has(&kept.waiting) => {
                    erased.answered += 1;
                    if !dry_run {
                        store.remove(&path).await?;
                    }
                }
                Ok(_) => {}
                Err(fault) => failed = failed.or(Some(fault)),
            }
        }
        if !dry_run {
            HandedOver::new(store.clone(), &channel).erase(&names.conversations).await?;
        }
    }
    failed.map_or(Ok(erased), Err)
}

/// Returns the number of messages that wait or are dead letters and that a data key other than `current` seals. That key is
/// needed until they are answered, replayed, or removed after the retention of their channel.
///
/// # Errors
/// As [`forget_messages`].
pub async fn messages_under_other_keys(store: &Store, current: &str) -> Result<u64> {
    let mut n = 0;
    for channel in store.folders("channels").await? {
        let inbox = Inbox::new(store.clone(), &channel);
        for path in store.objects(&format!("channels/{channel}/inbox"), None).await? {
            let stored = inbox.read::<StoredMessage>(&path, MESSAGE).await?;
            n += u64::from(stored.is_some_and(|stored| stored.is_under_other(current)));
        }
        for path in store.objects(&format!("channels/{channel}/dead"), None).await? {
            let letter = inbox.read_letter(&path).await?;
            n += u64::from(letter.is_some_and(|letter| letter.waiting.is_under_other(current)));
        }
    }
    Ok(n)
}

/// Returns the folder of an object, which names its conversation.
fn conversation(path: &str) -> Option<&str> {
    path.rsplit_once('/')?.0.rsplit('/').next()
}
