//! Claims of conversations: which of the servers answers one, so that no two send at once.
//!
//! A claim is an object `channels/NAME/claims/CONVERSATION/NUMBER.json`, created only if absent. Its holder renews it with the
//! next number. Another server takes over when it saw the same claim for a whole lease by its own clock, so no wall clocks
//! are compared; the holder stops sending before that.

use crate::clock::Clock;
use botops_findings::Result;
use botops_store::Store;
use bytes::Bytes;
use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A claim of this server.
#[derive(Debug)]
pub(crate) struct Claim {
    conversation: String,
    number: u64,
    /// The numbers before, whose removal failed.
    left: Vec<u64>,
    /// The moment before the claim was written.
    since: Duration,
    /// Whether another server held the claim before and never released it.
    pub(crate) was_taken_over: bool,
}

/// The claim of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    number: u64,
    body: Bytes,
}

/// The result of a try to claim.
pub(crate) enum Taken {
    /// This server holds it.
    Ours(Claim),
    /// Another server holds it.
    Others(Observed),
    /// Another server was first.
    Raced,
}

/// The claims of a channel.
pub(crate) struct Claims {
    store: Store,
    folder: String,
    lease: Duration,
    clock: Arc<dyn Clock>,
    process: u64,
    next: AtomicU64,
}

impl Claims {
    pub(crate) fn new(
        store: Store,
        channel: &str,
        (lease, clock): (Duration, Arc<dyn Clock>),
    ) -> Self {
        let folder = format!("channels/{channel}/claims");
        let process = RandomState::new().hash_one(channel);
        Self { store, folder, lease, clock, process, next: AtomicU64::new(0) }
    }

    fn path(&self, conversation: &str, number: u64) -> String {
        format!("{}/{conversation}/{number:020}.json", self.folder)
    }

    /// Returns bytes that no other claim has.
    fn body(&self) -> Bytes {
        let holder = format!("{:016x}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed));
        let body = serde_json::json!({ "schema": "botops.channel-claim/1", "holder": holder });
        Bytes::from(body.to_string())
    }

    /// Tries to claim a conversation. `expired` is a claim of another server that this one saw for a whole lease.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn take(
        &self,
        conversation: &str,
        expired: Option<&Observed>,
    ) -> Result<Taken> {
        let paths = self.store.objects(&format!("{}/{conversation}", self.folder), None).await?;
        let number =
            |path: &String| path.rsplit('/').next()?.strip_suffix(".json")?.parse::<u64>().ok();
        let numbers: Vec<u64> = paths.iter().filter_map(number).collect();
        let newest = numbers.iter().copied().max();
        if let Some(newest) = newest {
            let Some(body) = self.store.read(&self.path(conversation, newest)).await? else {
                return Ok(Taken::Raced);
            };
            let observed = Observed { number: newest, body };
            if expired != Some(&observed) {
                return Ok(Taken::Others(observed));
            }
        }
        let since = self.clock.monotonic();
        let number = newest.unwrap_or_default() + 1;
        if !self.store.create(&self.path(conversation, number), self.body()).await? {
            return Ok(Taken::Raced);
        }
        let was_taken_over = newest.is_some();
        let conversation = conversation.to_owned();
        let claim = Claim { conversation, number, left: numbers, since, was_taken_over };
        Ok(Taken::Ours(claim))
    }

    /// Renews a claim if a third of its lease has passed; returns whether this server may send for another third.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn keep(&self, claim: &mut Claim) -> Result<bool> {
        let age = |claim: &Claim| self.clock.monotonic().saturating_sub(claim.since);
        if age(claim) < self.lease / 3 {
            return Ok(true);
        }
        if age(claim) >= self.usable() {
            return Ok(false);
        }
        let since = self.clock.monotonic();
        let path = self.path(&claim.conversation, claim.number + 1);
        if !self.store.create(&path, self.body()).await? {
            return Ok(false);
        }
        if age(claim) >= self.usable() {
            // The write took so long that another server may have taken over and ended.
            self.store.remove(&path).await?;
            return Ok(false);
        }
        claim.left.push(claim.number);
        claim.number += 1;
        claim.since = since;
        self.tidy(claim).await;
        Ok(true)
    }

    /// Returns whether the claim still holds, without a request.
    pub(crate) fn holds(&self, claim: &Claim) -> bool {
        self.clock.monotonic().saturating_sub(claim.since) < self.usable()
    }

    /// Returns how long a claim is used without a renewal: less than a lease by the time between two looks at it.
    fn usable(&self) -> Duration {
        self.lease * 5 / 6
    }

    /// Removes the numbers before; those that stay are removed later.
    async fn tidy(&self, claim: &mut Claim) {
        let mut left = Vec::new();
        for number in std::mem::take(&mut claim.left) {
            if self.store.remove(&self.path(&claim.conversation, number)).await.is_err() {
                left.push(number);
            }
        }
        claim.left = left;
    }

    /// Gives a claim up. If the store fails, others wait for a lease.
    pub(crate) async fn release(&self, mut claim: Claim) {
        // A claim that no longer holds may be that of another server.
        if self.holds(&claim) {
            self.tidy(&mut claim).await;
            let _ = self.store.remove(&self.path(&claim.conversation, claim.number)).await;
        }
    }
}
