//! Messages whose answers the platform may still report as not delivered: they are kept for a day, so that the answer can be
//! sent again.
//!
//! `channels/NAME/answered/MESSAGE.json` has the message in the form in which it waited. An answer is sent again by putting the
//! message into the inbox again: the bot answers it as before, and only the part that failed is sent.

use crate::{
    inbox::{Inbox, json},
    protection::StoredMessage,
};
use botops_findings::Result;
use serde::{Deserialize, Serialize};

/// The schema of an object.
const SCHEMA: &str = "botops.channel-answered/1";
/// The most times that an answer is sent again.
const MOST_RESENDS: u32 = 3;
/// How long a message is kept, in seconds.
pub(crate) const KEPT_SECONDS: i64 = 24 * 3600;

/// A message that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptAnswer {
    schema: String,
    /// The name of its conversation in the inbox.
    conversation: String,
    /// The message.
    pub(crate) waiting: StoredMessage,
}

/// The end of a try to send an answer again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resend {
    /// The message waits again in this conversation.
    Waits(String),
    /// It became a dead letter: it was sent again too often.
    Dead,
    /// The message is not kept any more.
    Gone,
}

impl Inbox {
    fn answered_path(&self, message: &str) -> String {
        format!("{}/answered/{message}.json", self.folder)
    }

    /// Keeps a message that was answered, unless it was erased meanwhile.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn keep(
        &self,
        (conversation, message): (&str, &str),
        waiting: &StoredMessage,
    ) -> Result<()> {
        if self.store.size(&self.waiting_path(conversation, message)).await?.is_none() {
            return Ok(());
        }
        let kept = KeptAnswer {
            schema: SCHEMA.to_owned(),
            conversation: conversation.to_owned(),
            waiting: waiting.clone(),
        };
        self.store.create(&self.answered_path(message), json(&kept)).await.map(drop)
    }

    /// Reads a kept message; `None` if it is gone.
    ///
    /// # Errors
    /// `BOT-5003`; `BOT-7504` (exit 6) a newer version wrote it; `BOT-7505` (exit 1) it is damaged.
    pub(crate) async fn read_kept(&self, path: &str) -> Result<Option<KeptAnswer>> {
        self.read(path, SCHEMA).await
    }

    /// Puts a message whose answer failed in part `part` into the inbox again, or makes it a dead letter for `reason` if that was
    /// done too often.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`; those of [`Self::read_kept`].
    pub(crate) async fn send_again(
        &self,
        (message, part): (&str, usize),
        (reason, at): (&str, i64),
    ) -> Result<Resend> {
        let path = self.answered_path(message);
        let Some(kept) = self.read_kept(&path).await? else { return Ok(Resend::Gone) };
        let place = (kept.conversation.as_str(), message);
        self.store.remove(&self.sent_path(message, part)).await?;
        let mut waiting = kept.waiting;
        let resend = match waiting.replays >= MOST_RESENDS {
            true => {
                self.write_letter(place, &waiting, (reason, waiting.replays, at)).await?;
                Resend::Dead
            }
            false => {
                waiting.replays += 1;
                self.store.create(&self.waiting_path(place.0, message), json(&waiting)).await?;
                self.store.remove(&self.done_path(message)).await?;
                Resend::Waits(kept.conversation.clone())
            }
        };
        // A crash before this leaves the message kept; the next report does no harm.
        self.store.remove(&path).await?;
        Ok(resend)
    }

    /// Removes the kept messages that were written before `before`, in seconds of Unix time.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn expire_kept(&self, before: i64) -> Result<()> {
        for object in self.store.list(&format!("{}/answered", self.folder)).await? {
            if object.written_at.timestamp() < before {
                self.store.remove(&object.path).await?;
            }
        }
        Ok(())
    }
}

/// Reads the id of a call: the name of the message and the number of the part.
pub(crate) fn part_of(id: &str) -> Option<(&str, usize)> {
    let (message, part) = id.rsplit_once('-')?;
    let is_name = message.len() == 32 && message.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_name.then(|| Some((message, part.parse().ok()?)))?
}
