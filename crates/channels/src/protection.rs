//! The form in which a message is stored: with the names of its conversation and person, and sealed if conversations are.

use crate::message::Incoming;
use botops_conversations::{DataKeys, Id, Names, SealedBytes};
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// The schema of a message that waits.
pub(crate) const MESSAGE: &str = "botops.channel-message/1";

/// The id of a conversation or a person of a channel, as the store of conversations and `botops conversations` know it.
pub(crate) fn client_id(channel: &str, id: &str) -> String {
    format!("{channel}:{id}")
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMessage {
    schema: String,
    /// The name of its conversation in the store of conversations.
    pub(crate) conversation: Id,
    /// The name of its person there.
    pub(crate) person: Id,
    /// When it was stored, in milliseconds of Unix time.
    pub(crate) received_at: i64,
    /// Its place among the messages of one request.
    pub(crate) index: usize,
    /// How often it was replayed from the dead letters.
    #[serde(default)]
    pub(crate) replays: u32,
    /// The content.
    #[serde(flatten)]
    content: StoredContent,
}

/// The content of a stored message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredContent {
    /// In clear: no data key was set.
    Message(Incoming),
    /// Sealed by a data key.
    Sealed(SealedBytes),
}

impl StoredMessage {
    /// Returns whether a data key other than `current` seals it.
    pub(crate) fn is_under_other(&self, current: &str) -> bool {
        matches!(&self.content, StoredContent::Sealed(sealed) if sealed.key_id != current)
    }
}

/// How the messages of a channel are named and sealed: as the conversations of the server are.
pub(crate) struct Protection {
    channel: String,
    names: Names,
    keys: Option<DataKeys>,
}

impl Protection {
    pub(crate) fn new(channel: &str, names: Names, keys: Option<DataKeys>) -> Self {
        Self { channel: channel.to_owned(), names, keys }
    }

    /// Returns the name of a conversation in the store of conversations.
    pub(crate) fn conversation(&self, id: &str) -> Id {
        self.names.of(&client_id(&self.channel, id), None).conversation
    }

    /// Returns the stored form of a message, which is stored under `name` only.
    ///
    /// # Errors
    /// `BOT-6125` (exit 1) the operating system returns no random bits.
    pub(crate) fn protect(
        &self,
        name: &str,
        message: Incoming,
        (received_at, index): (i64, usize),
    ) -> Result<StoredMessage> {
        let conversation = client_id(&self.channel, &message.conversation);
        let person = client_id(&self.channel, &message.person);
        let named = self.names.of(&conversation, Some(&person));
        let content = match &self.keys {
            Some(keys) => {
                let bytes = serde_json::to_vec(&message).expect("a message is plain JSON");
                StoredContent::Sealed(keys.seal(&bytes, &self.place(name))?)
            }
            None => StoredContent::Message(message),
        };
        Ok(StoredMessage {
            schema: MESSAGE.to_owned(),
            conversation: named.conversation,
            person: named.person.unwrap_or(named.conversation),
            received_at,
            index,
            replays: 0,
            content,
        })
    }

    /// Returns the message in a stored form; `None` if it opens, but is no message.
    ///
    /// # Errors
    /// `BOT-6117` (exit 2) its data key is not set; `BOT-6123` (exit 3) it was changed, or moved here from another place.
    pub(crate) fn open(&self, name: &str, stored: &StoredMessage) -> Result<Option<Incoming>> {
        match (&stored.content, &self.keys) {
            (StoredContent::Message(message), _) => Ok(Some(message.clone())),
            (StoredContent::Sealed(sealed), Some(keys)) => {
                let bytes = keys.open(sealed, &self.place(name))?;
                Ok(serde_json::from_slice(&bytes).ok())
            }
            (StoredContent::Sealed(sealed), None) => {
                let id = botops_text::display(&sealed.key_id, 64);
                let message =
                    format!("messages are stored under the data key `{id}`, and none is set");
                Err(Fault::usage("BOT-6117", message)
                    .hint("set `secrets.data_key` in botops.yaml, or BOTOPS_DATA_KEY"))
            }
        }
    }

    fn place(&self, name: &str) -> Vec<u8> {
        format!("channels/{}/{name}", self.channel).into_bytes()
    }
}
