//! The position of a receiver in the log, and the claims by which servers take turns: objects of the store that are
//! created once and never changed.
//!
//! Under `deployments/<environment>/webhooks/<receiver>/`:
//!
//! - `passed/<n>` the receiver has every event up to the entry `n`; the highest counts, and older ones are removed
//! - `claims/<k>` a server delivers from then on; the highest counts. The server makes the next one while it delivers, and
//!   another server does when no next one comes

use botops_findings::{Fault, Result};
use botops_store::Store;
use bytes::Bytes;
use std::time::Duration;

/// The longest time of a small request with its retries.
const REQUEST: Duration = Duration::from_secs(8);

/// The objects of one receiver.
pub(super) struct Position {
    store: Store,
    folder: String,
    /// The id of this server, which its claims name.
    writer: String,
}

/// The marks of a receiver in the store: its last entry and its last claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The number of the last entry that the receiver has; `None` for a new receiver.
    pub(super) passed: Option<u64>,
    /// The number of the last claim.
    pub(super) claim: Option<u64>,
    /// The objects that newer ones replace.
    old: Vec<String>,
}

async fn within<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(REQUEST, call).await.unwrap_or_else(|_| {
        let message = format!("the store did not answer within {} s", REQUEST.as_secs());
        Err(Fault::unreachable("BOT-5003", message).hint("check the disk or the network"))
    })
}

impl Position {
    /// Makes the position of `receiver` in the log of `environment`.
    pub(super) fn new(store: Store, environment: &str, receiver: &str) -> Self {
        let folder = format!("deployments/{environment}/webhooks/{receiver}");
        Self { store, folder, writer: ulid::Ulid::generate().to_string() }
    }

    /// Reads the position and the last claim.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn read(&self) -> Result<Marks> {
        let paths = within(self.store.objects(&self.folder, None)).await?;
        let mut marks = Marks::default();
        for path in paths {
            let Some(name) = path.strip_prefix(&self.folder) else { continue };
            let number = |kind: &str| name.strip_prefix(kind)?.parse::<u64>().ok();
            // The paths are sorted, and the numbers in them have one width.
            let newest = match (number("/passed/"), number("/claims/")) {
                (Some(n), _) => marks.passed.replace(n).map(|old| self.passed_path(old)),
                (_, Some(k)) => marks.claim.replace(k).map(|old| self.claim_path(old)),
                _ => None,
            };
            marks.old.extend(newest);
        }
        Ok(marks)
    }

    /// Notes that the receiver has every event up to the entry `n`.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn pass(&self, n: u64) -> Result<()> {
        let bytes = Bytes::from(self.writer.clone());
        within(self.store.create(&self.passed_path(n), bytes)).await.map(drop)
    }

    /// Takes the claim `k`. Returns whether this server has it: another one may have been first, or gone on meanwhile.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn claim(&self, k: u64) -> Result<bool> {
        let bytes = Bytes::from(self.writer.clone());
        if !within(self.store.create(&self.claim_path(k), bytes)).await? {
            return Ok(false);
        }
        // Old claims are removed, so that one of them could be made again.
        let marks = self.read().await?;
        self.tidy(&marks).await;
        Ok(marks.claim == Some(k))
    }

    /// Gives the claim `k` back, so that another server need not wait.
    pub(super) async fn release(&self, k: u64) {
        let _ = within(self.store.remove(&self.claim_path(k))).await;
    }

    /// Removes the objects that newer ones replace. A store that fails keeps them.
    pub(super) async fn tidy(&self, marks: &Marks) {
        for path in &marks.old {
            let _ = within(self.store.remove(path)).await;
        }
    }

    fn passed_path(&self, n: u64) -> String {
        format!("{}/passed/{n:020}", self.folder)
    }

    fn claim_path(&self, k: u64) -> String {
        format!("{}/claims/{k:020}", self.folder)
    }
}
