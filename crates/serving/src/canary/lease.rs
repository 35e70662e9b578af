//! The lease: one server ticks the rollout of a model.
//!
//! The log holds claims alone. The observations of the holder are its signs of life, and another server takes over when
//! they end. It counts the time by its own monotonic clock, so no two clocks are compared.

use super::{
    follow::Canary,
    state::{Sign, State},
};
use botops_access::Identity;
use botops_findings::Result;
use botops_registry::{Change, Deployment};
use botops_rollout::ReplicaObservation;
use std::{sync::Arc, time::Instant};

impl Canary {
    /// Returns whether this server ticks.
    pub(super) fn holds_lease(&self, state: &State) -> bool {
        state.holder(&self.app.model) == Some(self.journal.writer())
    }

    /// Takes the lease, unless this server has it. Returns whether it has it now; if not, another server wrote first.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn take_lease(self: &Arc<Self>, state: &mut State) -> Result<bool> {
        if self.holds_lease(state) {
            return Ok(true);
        }
        let identity = self.unit_key.fingerprint();
        let by = (Identity::automatic(), "");
        let token_keys = self.app.tokens.shared_key_ids();
        let change = Change::Lease { identity, token_keys };
        let claim = Deployment::new(by, self.app.clock.now(), &self.app.model, change);
        let taken = self.append(state, claim).await?;
        if taken {
            self.event("info", "lease", "this server ticks the rollouts from now on".to_owned());
        }
        Ok(taken)
    }

    /// Looks for a sign of life of the server that ticks, and takes its place if there is none any more.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn watch_holder(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let Some(step) = state.open(&self.app.model) else { return Ok(()) };
        let id = step.rollout.id.clone();
        if self.holds_lease(state) {
            return Ok(());
        }
        let Some(holder) = state.holder(&self.app.model).map(str::to_owned) else {
            return self.take_lease(state).await.map(drop);
        };
        self.hear_holder(state, &id, &holder).await?;
        if state.sign.leaves || state.sign.at.elapsed() > self.pace.replace {
            let why = if state.sign.leaves { "stops" } else { "gives no sign of life" };
            let message =
                format!("the server that ticks the rollouts {why}: this one takes its place");
            self.event("warn", "lease", message);
            self.take_lease(state).await?;
        }
        Ok(())
    }

    /// Reads the signs of life of `holder`, which ticks the rollout `id`. Each gives the time of the rollout.
    ///
    /// # Errors
    /// Those of the store.
    async fn hear_holder(
        self: &Arc<Self>,
        state: &mut State,
        id: &str,
        holder: &str,
    ) -> Result<()> {
        if state.sign.of != holder || state.sign.rollout != id {
            let (of, rollout, at) = (holder.to_owned(), id.to_owned(), Instant::now());
            // A server that joins late does not read all signs: it begins with the last one.
            let known = self.journal.observations(id).await?;
            let last = known.iter().filter(|(of, _)| *of == holder).map(|(_, number)| *number);
            let number = last.max().unwrap_or(0).saturating_sub(1);
            state.sign = Sign { of, rollout, number, at, leaves: false };
        }
        while let Some(bytes) = self.journal.observation(id, holder, state.sign.number + 1).await? {
            state.sign.number += 1;
            state.sign.at = Instant::now();
            let Ok(seen) = ReplicaObservation::read(&bytes) else { continue };
            state.sign.leaves = seen.leaves;
            // The clock of an older version that ticks is the time of its rollout.
            self.hear_time(state, id, seen.time.unwrap_or(seen.at));
        }
        Ok(())
    }

    /// Learns the time of the open rollout from the server that ticks, unless this server has heard of it before: the last
    /// entry may be hours old.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn learn_time(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let Some(step) = state.open(&self.app.model) else { return Ok(()) };
        let id = step.rollout.id.clone();
        let holder = state.holder(&self.app.model).map(str::to_owned);
        match holder.filter(|_| !self.holds_lease(state)) {
            Some(holder) if state.sign.of != holder || state.sign.rollout != id => {
                self.hear_holder(state, &id, &holder).await
            }
            _ => Ok(()),
        }
    }

    /// Notes an entry that the server `writer` wrote: it lives.
    pub(super) fn note_sign(state: &mut State, writer: Option<&str>) {
        if writer.is_some_and(|writer| writer == state.sign.of) {
            state.sign.at = Instant::now();
        }
    }
}
