//! Copies of a whole store, for backups: all turns and keys as of one moment, and a new store made of them.

use crate::{names::Id, sealing::WrappedKey, store::Row};
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// The rows that are read or written at a time.
pub(crate) const BATCH: u32 = 500;

/// The extent of a copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The number of conversations.
    pub conversations: u64,
    /// The number of turns.
    pub turns: u64,
    /// The number of persons' keys.
    pub keys: u64,
}

/// Rows of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Turns, in the order of conversations and numbers.
    Turns(Vec<Row>),
    /// Keys of persons, in the order of conversations and persons.
    Keys(Vec<WrappedKey>),
}

/// Counts rows in their order.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) copied: Copied,
    last: Option<Id>,
}

impl Counting {
    pub(crate) fn turns(&mut self, rows: &[Row]) {
        for row in rows {
            self.copied.turns += 1;
            self.copied.conversations +=
                u64::from(self.last.replace(row.conversation) != Some(row.conversation));
        }
    }

    pub(crate) fn keys(&mut self, keys: &[WrappedKey]) {
        self.copied.keys += keys.len() as u64;
    }
}

/// The fault of a copy into a store that is not empty.
pub(crate) fn not_empty(store: &str) -> Fault {
    let message = format!("`{store}` holds conversations: nothing was restored into it");
    Fault::conflict("BOT-5110", message)
        .hint("restore into a place that holds nothing, then name that place in botops.yaml")
}

/// The fault of a store that is not copied.
pub(crate) fn not_copied(store: &str) -> Fault {
    let message = format!("conversations in `{store}` are not part of a backup");
    Fault::usage("BOT-5112", message).hint(
        "back up Redis with its own snapshots (`redis-cli --rdb FILE`), or store conversations in a folder or in PostgreSQL",
    )
}

/// A source of rows: turns first, then keys; `None` at the end.
#[expect(async_fn_in_trait, reason = "it is polled by the task that made it")]
pub trait RowSource {
    /// Returns the next rows.
    ///
    /// # Errors
    /// Those of the source, which end the copy; nothing of it is kept.
    async fn next(&mut self) -> Result<Option<Rows>>;
}
