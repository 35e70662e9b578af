//! Conversations that a person continues: the bot is silent in them until they are given back, or until a time has passed.
//!
//! - `channels/NAME/handed/CONVERSATION.json` says since when a person has a conversation
//! - `channels/NAME/returned/CONVERSATION.json` says that it was given back; the next turn starts afresh, and removes both
//!
//! Both have the name of the conversation and no text. An object is never written again, so giving back is one of its own.

use botops_conversations::Id;
use botops_findings::Result;
use botops_store::Store;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// The schema of an object.
const SCHEMA: &str = "botops.channel-handed/1";

#[derive(Serialize, Deserialize)]
struct Handed {
    schema: String,
    /// The name of the conversation in the store of conversations.
    conversation: Id,
    /// When it was handed over, in seconds of Unix time.
    at: i64,
}

/// Whose turn it is in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The bot answers.
    Bot,
    /// A person answers.
    Person,
    /// The bot answers again, for the first time since a person did.
    BotAgain,
}

/// The conversations of a channel that a person continues.
#[derive(Clone)]
pub(crate) struct HandedOver {
    store: Store,
    folder: String,
}

impl HandedOver {
    pub(crate) fn new(store: Store, channel: &str) -> Self {
        Self { store, folder: format!("channels/{channel}") }
    }

    fn handed_path(&self, conversation: &str) -> String {
        format!("{}/handed/{conversation}.json", self.folder)
    }

    fn returned_path(&self, conversation: &str) -> String {
        format!("{}/returned/{conversation}.json", self.folder)
    }

    /// Returns who answers in a conversation at the time `now`, in seconds of Unix time. The bot does again when a person had it
    /// for `silence`. An object that cannot be read counts as a hand-off: a bot that speaks in between is worse than one that
    /// is silent.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub(crate) async fn holder(
        &self,
        conversation: &str,
        (now, silence): (i64, Duration),
    ) -> Result<Holder> {
        let Some(bytes) = self.store.read(&self.handed_path(conversation)).await? else {
            return Ok(Holder::Bot);
        };
        if self.store.size(&self.returned_path(conversation)).await?.is_some() {
            return Ok(Holder::BotAgain);
        }
        let silence = i64::try_from(silence.as_secs()).unwrap_or(i64::MAX);
        match serde_json::from_slice::<Handed>(&bytes) {
            Ok(handed) if now.saturating_sub(handed.at) >= silence => Ok(Holder::BotAgain),
            _ => Ok(Holder::Person),
        }
    }

    /// Notes that a person continues a conversation, which the store of conversations calls `name`.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn hand_over(&self, conversation: &str, (name, at): (Id, i64)) -> Result<()> {
        // Without what an earlier hand-off left, which would end this one.
        self.clear(conversation).await?;
        let handed = Handed { schema: SCHEMA.to_owned(), conversation: name, at };
        let body = serde_json::to_vec(&handed).expect("it is plain JSON");
        self.store.create(&self.handed_path(conversation), Bytes::from(body)).await.map(drop)
    }

    /// Gives a conversation back to the bot; returns whether a person had it.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn give_back(&self, conversation: &str) -> Result<bool> {
        let Some(bytes) = self.store.read(&self.handed_path(conversation)).await? else {
            return Ok(false);
        };
        self.store.create(&self.returned_path(conversation), bytes).await
    }

    /// Removes both objects of a conversation: the bot has answered again.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn clear(&self, conversation: &str) -> Result<()> {
        // The hand-off first: after a crash in between, the bot still answers.
        self.store.remove(&self.handed_path(conversation)).await?;
        self.store.remove(&self.returned_path(conversation)).await
    }

    /// Returns the conversations that a person has, with the last part of their paths.
    async fn all(&self) -> Result<Vec<(String, Handed)>> {
        let mut all = Vec::new();
        for path in self.store.objects(&format!("{}/handed", self.folder), None).await? {
            let name = path.rsplit('/').next().and_then(|name| name.strip_suffix(".json"));
            let (Some(name), Some(bytes)) = (name, self.store.read(&path).await?) else { continue };
            if let Ok(handed) = serde_json::from_slice::<Handed>(&bytes) {
                all.push((name.to_owned(), handed));
            }
        }
        Ok(all)
    }

    /// Removes what is stored of conversations with these names.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn erase(&self, names: &BTreeSet<String>) -> Result<()> {
        for (conversation, handed) in self.all().await? {
            if names.contains(&handed.conversation.to_string()) {
                self.clear(&conversation).await?;
            }
        }
        Ok(())
    }
}

/// A conversation that a person continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedConversation {
    /// Its name in the store of conversations.
    pub conversation: Id,
    /// When it was handed over.
    pub at: DateTime<Utc>,
}

/// The conversations of a channel that a person continues. A server is not needed to list them and to give them back.
pub struct HandedConversations(HandedOver);

impl HandedConversations {
    /// Opens those of `channel` in the store of the registry.
    #[must_use]
    pub fn new(store: Store, channel: &str) -> Self {
        Self(HandedOver::new(store, channel))
    }

    /// Returns them, the oldest first. Those that were given back since their last message are left out; those whose time has
    /// passed are not.
    ///
    /// # Errors
    /// `BOT-5003` (exit 7).
    pub async fn list(&self) -> Result<Vec<HandedConversation>> {
        let mut found = Vec::new();
        for (path, handed) in self.0.all().await? {
            if self.0.store.size(&self.0.returned_path(&path)).await?.is_none() {
                let at = DateTime::from_timestamp(handed.at, 0).unwrap_or_default();
                found.push(HandedConversation { conversation: handed.conversation, at });
            }
        }
        found.sort_by_key(|it| (it.at, it.conversation));
        Ok(found)
    }

    /// Gives the conversation with this name in the store of conversations back to the bot; returns whether a person had it.
    ///
    /// # Errors
    /// `BOT-5002` (exit 1), `BOT-5003` (exit 7).
    pub async fn give_back(&self, name: Id) -> Result<bool> {
        for (path, handed) in self.0.all().await? {
            if handed.conversation == name {
                return self.0.give_back(&path).await;
            }
        }
        Ok(false)
    }
}
