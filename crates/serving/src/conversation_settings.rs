//! The settings of the conversations that a server keeps.

use botops_conversations::Conversations;
use std::time::Duration;

/// The conversations of a server.
#[derive(Debug, Clone)]
pub struct ConversationSettings {
    /// Their names, keys and store.
    pub conversations: Conversations,
    /// How long a turn is kept.
    pub retention: Duration,
    /// Whether a message is answered when its turn cannot be stored.
    pub on_store_failure: OnStoreFailure,
}

/// Whether a message is answered when its turn cannot be stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// It is refused: 503.
    #[default]
    Refuse,
    /// It is answered, and the turn is lost.
    Answer,
}
