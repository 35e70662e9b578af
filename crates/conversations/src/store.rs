//! The contract of every store of conversations.

use crate::{names::Id, sealing::WrappedKey};
use async_trait::async_trait;
use botops_findings::Result;
use serde::Serialize;

/// A turn as a store keeps it: names, a number, a time, and a body that it does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The conversation.
    pub conversation: Id,
    /// The number of the turn in its conversation, from 0.
    pub number: i64,
    /// The random id of the turn.
    pub turn: Id,
    /// The name of the message; the id of the turn if the client gave none. No two turns have the same.
    pub message: Id,
    /// The person, if the request named one.
    pub person: Option<Id>,
    /// The time, in milliseconds since 1970.
    pub at: i64,
    /// Whether an action of the turn is under way, so that its outcome is still to be stored.
    pub open: bool,
    /// The turn: JSON, or sealed.
    pub body: Vec<u8>,
}

/// The outcome of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The turn is stored.
    Written,
    /// A turn with the same message was stored before: this one. Nothing was written.
    Known(Row),
    /// The conversation does not end with the turn that the new one was to follow, but with this one. Nothing was written.
    Moved(Option<Row>),
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The name of the conversation.
    pub conversation: Id,
    /// The person of the last turn.
    pub person: Option<Id>,
    /// The number of turns.
    pub turns: i64,
    /// The time of the first turn, in milliseconds since 1970.
    pub first: i64,
    /// The time of the last turn.
    pub last: i64,
}

/// The extent of an erasure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// The number of turns.
    pub turns: u64,
    /// The number of persons' keys.
    pub keys: u64,
}

impl std::ops::AddAssign for Erased {
    fn add_assign(&mut self, other: Self) {
        self.turns += other.turns;
        self.keys += other.keys;
    }
}

/// A store of conversations.
///
/// A write that returned is durable, as far as the store keeps anything. All faults are `BOT-6116` (exit 7) if the store
/// cannot be reached, which leaves the outcome of a write unknown, or `BOT-6125` (exit 1) if it fails.
#[async_trait]
pub trait ConversationStore: Send + Sync {
    /// Appends `row` after the turn `after`: the one before it in its conversation, or `None` for the first turn.
    ///
    /// Checked in this order: a turn with the same message, then the end of the conversation. Of several appends after the
    /// same turn, one is written.
    async fn append(&self, row: &Row, after: Option<Id>) -> Result<Appended>;

    /// Replaces the body of the open turn that has the conversation, number and id of `row`, with the body and the state
    /// of `row`. Returns false, and writes nothing, if there is no such turn, or it is not open and has another body.
    async fn settle(&self, row: &Row) -> Result<bool>;

    /// Returns the last turn of a conversation.
    async fn last(&self, conversation: Id) -> Result<Option<Row>>;

    /// Returns the turn of a message.
    async fn of_message(&self, message: Id) -> Result<Option<Row>>;

    /// Returns at most `limit` turns of a conversation from number `from`, in their order.
    async fn turns(&self, conversation: Id, from: i64, limit: u32) -> Result<Vec<Row>>;

    /// Returns at most `limit` conversations, those with the newest last turns first, that sort after `after` (the time of
    /// the last turn, and the name).
    async fn recent(&self, after: Option<(i64, Id)>, limit: u32) -> Result<Vec<Summary>>;

    /// Returns the conversations in which the person has a turn, sorted.
    async fn of_person(&self, person: Id) -> Result<Vec<Id>>;

    /// Erases conversations: the keys first, then the turns.
    async fn erase(&self, conversations: &[Id]) -> Result<Erased>;

    /// Erases at most `limit` turns that are older than `before`. Returns their number.
    async fn expire(&self, before: i64, limit: u32) -> Result<u64>;

    /// Erases the keys of conversations without a turn, if they were not needed since `before`. Returns their number.
    async fn sweep_keys(&self, before: i64) -> Result<u64>;

    /// Leaves nothing of what was erased in the files of the store, as far as it can.
    async fn scrub(&self) -> Result<()>;

    /// Returns the key of a person in a conversation.
    async fn key(&self, conversation: Id, person: Id) -> Result<Option<WrappedKey>>;

    /// Stores a key unless the person has one in the conversation, and sets its time. Returns the one in force.
    async fn keep_key(&self, key: &WrappedKey) -> Result<WrappedKey>;

    /// Returns at most `limit` keys that are wrapped by another data key than `key_id`.
    async fn keys_not_under(&self, key_id: &str, limit: u32) -> Result<Vec<WrappedKey>>;

    /// Replaces a key that is wrapped by the data key `before`. Returns false if it is not.
    async fn replace_key(&self, key: &WrappedKey, before: &str) -> Result<bool>;
}
