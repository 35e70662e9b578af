//! Repeated requests: known by the mark of their `Idempotency-Key`, and answered from the entry that the first one wrote.

use super::{
    follow::Canary,
    rollback::ended,
    state::{Requester, Restored, State},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_registry::{Change, Deployment};
use botops_rollout::Rollout;
use botops_store::Entry;

impl Canary {
    /// Returns the number of the entry of an earlier request with the mark of `requester`; `None` if there was none.
    ///
    /// # Errors
    /// `BOT-6046` (exit 2) its key was used for another request in the last 24 hours.
    pub(super) fn repeated(&self, state: &State, requester: &Requester) -> Result<Option<u64>> {
        let Some(mark) = &requester.request else { return Ok(None) };
        match state.environment.request(&mark.key, self.app.clock.now()) {
            None => Ok(None),
            Some((known, seq)) if known.body == mark.body => Ok(Some(seq)),
            Some((_, seq)) => Err(Fault::usage(
                "BOT-6046",
                format!("this `Idempotency-Key` was used for another request, which is entry {seq} of the deployment log"),
            )
            .hint("send each request with a key of its own")),
        }
    }

    /// Returns the rollout as entry `seq` of an earlier request left it.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn rollout_after(&self, seq: u64) -> Result<Rollout> {
        let entries = self.entries_after(seq.saturating_sub(1), 1).await?;
        let rollout = entries.first().and_then(|entry| entry.payload.rollout()).cloned();
        rollout.ok_or_else(|| missing(seq))
    }

    /// Returns the result of an earlier rollback of the model, whose last entry is `seq`.
    ///
    /// # Errors
    /// Those of the store and of the registry.
    pub(super) async fn restored_by(&self, seq: u64) -> Result<Restored> {
        // A rollback that ended a rollout and went back to another version wrote two entries.
        let entries = self.entries_after(seq.saturating_sub(2), 2).await?;
        let last = entries.iter().find(|entry| entry.seq == seq).ok_or_else(|| missing(seq))?;
        let mark = last.payload.request.as_ref();
        let own = |entry: &&Entry<Deployment>| entry.payload.request.as_ref() == mark;
        let mut steps = entries.iter().filter(own).filter_map(|entry| entry.payload.rollout());
        let rollout = steps.next_back();
        let (from, to) = match (&last.payload.change, rollout) {
            (Change::Champion(moved), _) => (moved.from().unwrap_or(moved.to()), moved.to()),
            (_, Some(rollout)) => (rollout.champion, rollout.champion),
            _ => return Err(missing(seq)),
        };
        let ((from, _), (to, digest)) = (self.named(from).await?, self.named(to).await?);
        Ok(Restored { from, to, digest, ended: rollout.map(ended), durable: true })
    }

    /// Returns the reference of a version, and the digest of its model file.
    async fn named(&self, manifest: Digest) -> Result<(String, Digest)> {
        let primary = self.primary()?;
        if primary.manifest == Some(manifest) {
            return Ok((primary.reference.to_string(), primary.digest));
        }
        let version = self.versions.find(&format!("{}@{manifest}", self.app.model)).await?;
        let digest = version.model_digest().unwrap_or(manifest);
        Ok((version.reference(), digest))
    }
}

/// The fault of an entry that is known and cannot be read.
fn missing(seq: u64) -> Fault {
    let message = format!(
        "this request was carried out before, and its entry {seq} of the deployment log is gone"
    );
    Fault::conflict("BOT-6049", message)
        .hint("the log is damaged: check it with `botops registry verify`")
}
