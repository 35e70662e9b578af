//! The answers of `botops conversations`.

use botops_conversations::{Id, Subject};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// A conversation in an answer.
#[derive(Serialize)]
pub(super) struct ListLine {
    /// Its name: an HMAC.
    pub(super) conversation: Id,
    pub(super) person: Option<Id>,
    pub(super) turns: i64,
    pub(super) first: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
}

/// A turn in an answer, and a line of an export.
#[derive(Serialize)]
pub(super) struct TurnLine {
    pub(super) conversation: Id,
    pub(super) number: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) person: Option<Id>,
    /// Whether an action is under way, or its outcome is unknown.
    pub(super) open: bool,
    /// Whether the text can be read; if not, the key of the person was erased.
    pub(super) readable: bool,
    pub(super) message_id: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) text: Option<String>,
    pub(super) intent: Option<String>,
    pub(super) language: Option<String>,
    pub(super) entities: Value,
    pub(super) slots: Value,
    /// The answer, as the client got it.
    pub(super) answer: Value,
    pub(super) digest: Option<String>,
    pub(super) arm: Option<String>,
}

/// Conversations and their turns.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) conversations: Vec<ListLine>,
    pub(super) turns: Vec<TurnLine>,
}

/// The extent of an erasure.
#[derive(Serialize)]
pub(super) struct Forgotten {
    pub(super) subject: Subject,
    pub(super) conversations: usize,
    pub(super) turns: u64,
    pub(super) keys: u64,
    /// The messages of channels that waited or were dead letters.
    pub(super) messages: u64,
    pub(super) dry_run: bool,
}
