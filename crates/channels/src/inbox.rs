//! Messages that are stored and not processed yet, and the marks of those that are.
//!
//! - `channels/NAME/inbox/CONVERSATION/MESSAGE.json` is a message that waits, created before the platform gets its 200
//! - `channels/NAME/done/MESSAGE.json` marks a message that was processed, and is kept for the retention
//! - `channels/NAME/sent/MESSAGE/PART.json` marks a part of an answer of several parts that was sent
//! - `channels/NAME/answered/MESSAGE.json` is a message whose answer may be sent again (`kept_answers`)
//! - `channels/NAME/dead/MESSAGE.json` is a message that could not be answered
//!
//! A message is processed if it waits and has no mark. Marks are created before the message is removed, so a crash between
//! the two costs one more look. A message costs two reads, two writes and a removal, and a listing with its conversation.

use crate::{
    message::Incoming,
    protection::{MESSAGE, Protection, StoredMessage},
};
use botops_findings::{Fault, Result};
use botops_store::Store;
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The schema of a mark.
const MARK: &str = "botops.channel-mark/1";
/// The schema of a dead letter.
const LETTER: &str = "botops.channel-dead-letter/1";
/// The largest stored object that is read.
const MOST_BYTES: u64 = 1 << 20;

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The message.
    pub(crate) message: Incoming,
    /// The message as it is stored.
    pub(crate) stored: StoredMessage,
}

/// A message that could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    schema: String,
    /// The name under which it is replayed.
    pub id: String,
    /// The reason.
    pub reason: String,
    /// When it was given up, in seconds of Unix time.
    pub at: i64,
    /// The tries that failed.
    pub attempts: u32,
    /// The name of its conversation in the store.
    pub conversation: String,
    pub(crate) waiting: StoredMessage,
}

impl DeadLetter {
    /// Returns how often it was replayed before.
    #[must_use]
    pub fn replays(&self) -> u32 {
        self.waiting.replays
    }

    /// Returns when the message was received, in milliseconds of Unix time.
    #[must_use]
    pub fn received_at(&self) -> i64 {
        self.waiting.received_at
    }
}

/// Whether a message was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is new.
    New,
    /// It waits already.
    Waiting,
    /// It was processed.
    Done,
}

/// The messages of a channel in the store.
#[derive(Clone)]
pub(crate) struct Inbox {
    pub(crate) store: Store,
    pub(crate) folder: String,
}

impl Inbox {
    pub(crate) fn new(store: Store, channel: &str) -> Self {
        Self { store, folder: format!("channels/{channel}") }
    }

    pub(crate) fn waiting_path(&self, conversation: &str, message: &str) -> String {
        format!("{}/inbox/{conversation}/{message}.json", self.folder)
    }

    pub(crate) fn done_path(&self, message: &str) -> String {
        format!("{}/done/{message}.json", self.folder)
    }

    fn dead_path(&self, message: &str) -> String {
        format!("{}/dead/{message}.json", self.folder)
    }

    pub(crate) fn sent_path(&self, message: &str, part: usize) -> String {
        format!("{}/sent/{message}/{part:04}.json", self.folder)
    }

    /// Stores a message that was received, unless it is known.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`: the message may be stored or not, and the platform sends it again.
    pub(crate) async fn put(
        &self,
        (conversation, name): (&str, &str),
        message: &StoredMessage,
    ) -> Result<Put> {
        if self.is_done(name).await? {
            return Ok(Put::Done);
        }
        match self.store.create(&self.waiting_path(conversation, name), json(message)).await? {
            true => Ok(Put::New),
            false => Ok(Put::Waiting),
        }
    }

    /// Returns the messages of a conversation that wait, with their names, in the order in which they were written.
    ///
    /// # Errors
    /// `BOT-5003`; `BOT-7504` (exit 6) if a newer version wrote one; `BOT-7505` (exit 1) if one is damaged; those of
    /// [`Protection::open`].
    pub(crate) async fn waiting(
        &self,
        conversation: &str,
        protection: &Protection,
    ) -> Result<Vec<(String, Waiting)>> {
        let folder = format!("{}/inbox/{conversation}", self.folder);
        let mut found = Vec::new();
        for path in self.store.objects(&folder, None).await? {
            let Some(stored) = self.read::<StoredMessage>(&path, MESSAGE).await? else { continue };
            let Some(name) = stem(&path) else { continue };
            let message = protection.open(name, &stored)?;
            let message = message.ok_or_else(|| self.damaged(&path, "it is no message"))?;
            found.push((name.to_owned(), Waiting { message, stored }));
        }
        found.sort_by(|(a, x), (b, y)| {
            let key = |waiting: &Waiting| {
                (waiting.message.at, waiting.stored.received_at, waiting.stored.index)
            };
            key(x).cmp(&key(y)).then_with(|| a.cmp(b))
        });
        Ok(found)
    }

    /// Returns whether a message of a conversation waits.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub(crate) async fn is_waiting(&self, conversation: &str) -> Result<bool> {
        let folder = format!("{}/inbox/{conversation}", self.folder);
        Ok(!self.store.objects(&folder, None).await?.is_empty())
    }

    /// Returns the names of the conversations with messages that wait.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub(crate) async fn conversations(&self) -> Result<Vec<String>> {
        self.store.folders(&format!("{}/inbox", self.folder)).await
    }

    /// Returns whether a message was processed.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub(crate) async fn is_done(&self, message: &str) -> Result<bool> {
        Ok(self.store.size(&self.done_path(message)).await?.is_some())
    }

    /// Marks a message as processed, and removes it.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn finish(
        &self,
        (conversation, message): (&str, &str),
        (outcome, at): (&str, i64),
    ) -> Result<()> {
        self.mark_done(message, (outcome, at)).await?;
        self.forget(conversation, message).await
    }

    /// Marks a message, or a request of the desk, as processed.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn mark_done(&self, name: &str, (outcome, at): (&str, i64)) -> Result<()> {
        let mark = serde_json::json!({ "schema": MARK, "outcome": outcome, "at": at });
        self.store.create(&self.done_path(name), Bytes::from(mark.to_string())).await.map(drop)
    }

    /// Removes a message that has a mark.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn forget(&self, conversation: &str, message: &str) -> Result<()> {
        self.store.remove(&self.waiting_path(conversation, message)).await
    }

    /// Returns the parts of an answer that were sent.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub(crate) async fn sent(&self, message: &str) -> Result<Vec<usize>> {
        let paths = self.store.objects(&format!("{}/sent/{message}", self.folder), None).await?;
        Ok(paths.iter().filter_map(|path| stem(path)?.parse().ok()).collect())
    }

    /// Marks a part of an answer as sent.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn mark_sent(&self, message: &str, part: usize, at: i64) -> Result<()> {
        let mark = serde_json::json!({ "schema": MARK, "at": at });
        let path = self.sent_path(message, part);
        self.store.create(&path, Bytes::from(mark.to_string())).await.map(drop)
    }

    /// Moves a message to the dead letters, unless it was erased meanwhile.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn bury(
        &self,
        (conversation, name): (&str, &str),
        waiting: &Waiting,
        (reason, attempts, at): (&str, u32, i64),
    ) -> Result<()> {
        if self.store.size(&self.waiting_path(conversation, name)).await?.is_none() {
            return Ok(());
        }
        self.write_letter((conversation, name), &waiting.stored, (reason, attempts, at)).await?;
        self.finish((conversation, name), ("dead", at)).await
    }

    /// Writes a dead letter.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn write_letter(
        &self,
        (conversation, name): (&str, &str),
        waiting: &StoredMessage,
        (reason, attempts, at): (&str, u32, i64),
    ) -> Result<()> {
        let letter = DeadLetter {
            schema: LETTER.to_owned(),
            id: name.to_owned(),
            reason: reason.to_owned(),
            at,
            attempts,
            conversation: conversation.to_owned(),
            waiting: waiting.clone(),
        };
        self.store.create(&self.dead_path(name), json(&letter)).await.map(drop)
    }

    /// Reads a dead letter; `None` if it is gone.
    ///
    /// # Errors
    /// `BOT-5003`; `BOT-7504` (exit 6) a newer version wrote it; `BOT-7505` (exit 1) it is damaged.
    pub(crate) async fn read_letter(&self, path: &str) -> Result<Option<DeadLetter>> {
        self.read(path, LETTER).await
    }

    /// Removes marks, and dead letters, that were written before `before`, in seconds of Unix time.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn expire(&self, before: i64) -> Result<u64> {
        let mut removed = 0;
        for kind in ["done", "sent", "dead"] {
            for object in self.store.list(&format!("{}/{kind}", self.folder)).await? {
                if object.written_at.timestamp() < before {
                    self.store.remove(&object.path).await?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    pub(crate) fn damaged(&self, path: &str, problem: &str) -> Fault {
        Fault::internal("BOT-7505", format!("a stored message is damaged: {problem}"))
            .file(self.store.object_url(path))
            .hint("move the object away; the other messages of the channel are not affected")
    }

    /// Reads a stored object of a schema; `None` if it is gone.
    ///
    /// # Errors
    /// As [`Self::read_letter`].
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        schema: &str,
    ) -> Result<Option<T>> {
        let Some(size) = self.store.size(path).await? else { return Ok(None) };
        let damaged = |problem| self.damaged(path, problem);
        if size > MOST_BYTES {
            return Err(damaged("it is too large"));
        }
        let Some(bytes) = self.store.read(path).await? else { return Ok(None) };
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|_| damaged("it is not JSON"))?;
        match value["schema"].as_str() {
            Some(found) if found == schema => {}
            Some(found) if newer(found, schema) => {
                let shown = botops_text::display(found, 60);
                return Err(Fault::policy(
                    "BOT-7504",
                    format!("a newer botops wrote a stored message: `{shown}`"),
                )
                .file(self.store.object_url(path))
                .hint("upgrade botops on this machine"));
            }
            _ => return Err(damaged("its `schema` is unknown")),
        }
        let read = serde_json::from_value(value);
        read.map(Some).map_err(|_| damaged("a field is missing or of another type"))
    }
}

/// The dead letters of a channel. A server is not needed to list and replay them.
#[derive(Clone)]
pub struct DeadLetters(Inbox);

impl DeadLetters {
    /// Opens the dead letters of `channel` in the store of the registry.
    #[must_use]
    pub fn new(store: Store, channel: &str) -> Self {
        Self(Inbox::new(store, channel))
    }

    /// Returns the number of conversations with messages that wait.
    ///
    /// # Errors
    /// `BOT-5003` (exit 7).
    pub async fn waiting_conversations(&self) -> Result<usize> {
        Ok(self.0.conversations().await?.len())
    }

    /// Returns the dead letters, the oldest first.
    ///
    /// # Errors
    /// `BOT-5003` (exit 7); `BOT-7504` (exit 6) a newer version wrote one; `BOT-7505` (exit 1) one is damaged.
    pub async fn list(&self) -> Result<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        for path in self.0.store.objects(&format!("{}/dead", self.0.folder), None).await? {
            letters.extend(self.0.read_letter(&path).await?);
        }
        letters.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(letters)
    }

    /// Puts a dead letter into the inbox again. A server processes it within a minute; parts of its answer that were sent are
    /// not sent again.
    ///
    /// # Errors
    /// `BOT-7503` (exit 2) no dead letter has this id; those of [`Self::list`]; `BOT-5002`.
    pub async fn replay(&self, id: &str) -> Result<DeadLetter> {
        let is_name = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let path = self.0.dead_path(id);
        let read = match is_name {
            true => self.0.read_letter(&path).await?,
            false => None,
        };
        let Some(letter) = read else {
            let shown = botops_text::display(id, 60);
            return Err(Fault::usage("BOT-7503", format!("there is no dead letter `{shown}`"))
                .hint("list them: `botops channels dead CHANNEL`"));
        };
        // A crash leaves the dead letter, which can be replayed again, until the last step.
        let mut waiting = letter.waiting.clone();
        waiting.replays += 1;
        self.0.store.create(&self.0.waiting_path(&letter.conversation, id), json(&waiting)).await?;
        self.0.store.remove(&self.0.done_path(id)).await?;
        self.0.store.remove(&path).await?;
        Ok(letter)
    }
}

/// Returns whether `found` is a later version of the schema `known`.
fn newer(found: &str, known: &str) -> bool {
    let version = |schema: &str| {
        let (name, version) = schema.rsplit_once('/')?;
        Some((name.to_owned(), version.parse::<u64>().ok()?))
    };
    match (version(found), version(known)) {
        (Some((name, version)), Some((known, supported))) => name == known && version > supported,
        _ => false,
    }
}

pub(crate) fn stem(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.strip_suffix(".json")
}

pub(crate) fn json<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("a stored message is plain JSON"))
}
