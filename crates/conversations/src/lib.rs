//! Conversations: their turns and state, and the stores that keep them.
//!
//! In: what a client calls a conversation, a message and a person, and what was said. Out: turns in one order for all
//! replicas, each stored once.
//!
//! - [`Conversations`] names, seals and orders turns, in any [`ConversationStore`]
//! - a turn names the turn that it follows; of two that follow the same, one is written
//! - [`Names`] are HMACs: no store has an id of a client
//! - [`DataKeys`] wrap the keys under which the texts of each person are sealed
//! - [`RedisLimits`] count the requests of several servers together
//! - [`Conversations::forget`] erases a conversation or a person, and leaves an [`Erasure`] in the log of the registry
//! - a [`Location`] says where a store is, opens it, and copies it as of one moment for a backup; [`MemoryStore`] is for tests and rehearsals

mod conversations;
mod copying;
mod erasure;
mod head;
mod heads;
mod late_store;
mod location;
mod memory;
mod migrations;
mod names;
mod postgres;
mod redis_store;
mod schema;
mod sealing;
mod shared_limits;
mod sqlite;
mod statements;
mod store;
#[cfg(test)]
mod tests;
mod turn;

pub use botops_store::Erasure;
pub use conversations::{Conversations, Recorded, StoredTurn};
pub use copying::{Copied, RowSource, Rows};
pub use erasure::{ErasureAct, Found, Subject};
pub use head::Head;
pub use late_store::News;
pub use location::Location;
pub use memory::MemoryStore;
pub use migrations::SchemaStatus;
pub use names::{Id, Named, Names};
pub use sealing::{DataKeys, SealedBytes, WrappedKey};
pub use shared_limits::{Counted, CountedRequest, RedisLimits};
pub use store::{Appended, ConversationStore, Erased, Row, Summary};
pub use turn::{MOST_TURN_BYTES, Turn};
