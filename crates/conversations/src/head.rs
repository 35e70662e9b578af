//! The end of a conversation.

use crate::{names::Id, sealing::PersonKey};
use serde_json::Value;
use std::sync::Arc;

/// The end of a conversation: what the next turn follows.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub(crate) last: Option<(i64, Id)>,
    /// The time of the last turn, in milliseconds since 1970.
    pub(crate) at: Option<i64>,
    pub(crate) slots: Arc<Value>,
    /// The text of the last message.
    pub(crate) text: Option<Arc<str>>,
    pub(crate) open: bool,
    /// The key of the person who spoke last.
    pub(crate) key: Option<(Id, PersonKey)>,
}

impl Head {
    /// Returns the number of the next turn.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.last.map_or(0, |(number, _)| number + 1)
    }

    /// Returns the number and the id of the last turn; `None` for a new conversation.
    #[must_use]
    pub fn last(&self) -> Option<(i64, Id)> {
        self.last
    }

    /// Returns the slots after the last turn; null if there are none.
    #[must_use]
    pub fn slots(&self) -> &Value {
        &self.slots
    }

    /// Returns the text of the last message; `None` for a new conversation, or if its key was erased.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Returns the time of the last turn, in milliseconds since 1970.
    #[must_use]
    pub fn at(&self) -> Option<i64> {
        self.at
    }

    /// Returns whether an action of the last turn is under way, or its outcome is unknown.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }
}
