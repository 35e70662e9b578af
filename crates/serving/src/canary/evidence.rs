//! The observations of all servers: published by each, merged by the one that ticks.

use super::{
    counting::{Marks, Ticking, is_nothing},
    follow::Canary,
    state::State,
};
use botops_findings::Result;
use botops_registry::RolloutStep;
use botops_rollout::{Merged, Phase, ReplicaObservation, clock_difference};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

/// The shortest time between two unions that are kept, so that another server can take over without reading everything.
const KEEP_UNION: Duration = Duration::from_secs(60);
/// The longest time since the read before after which the times in an observation count as recent: well within the
/// tolerance of [`clock_difference`].
const RECENT_READ: Duration = Duration::from_secs(20);
/// The number of observations that are worth a union.
const WORTH_A_UNION: usize = 50;

/// Returns whether conversations are observed in `phase`.
fn is_observed(phase: &Phase) -> bool {
    !matches!(phase, Phase::Pending | Phase::Loading)
}

impl Canary {
    /// Publishes what this server saw since its last observation.
    ///
    /// # Errors
    /// Those of the store. The next turn publishes the same observation again.
    pub(super) async fn publish_if_due(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let Some(step) = state.open(&self.app.model) else { return Ok(()) };
        let is_due = state.published.at.is_none_or(|at| at.elapsed() >= self.pace.observe);
        if !is_due || !is_observed(&step.rollout.phase) && !self.holds_lease(state) {
            return Ok(());
        }
        let id = step.rollout.id.clone();
        self.publish(state, &id, false).await
    }

    /// Publishes the news, and everything that could not be published before.
    pub(super) async fn publish(
        self: &Arc<Self>,
        state: &mut State,
        id: &str,
        leaves: bool,
    ) -> Result<()> {
        if state.published.rollout != id {
            id.clone_into(&mut state.published.rollout);
            state.published.number = 0;
            state.published.waiting.clear();
        }
        let (now, time) = (self.app.clock.steady(), self.rollout_now(state));
        for mut seen in self.app.observer.drain(id, self.journal.writer(), now) {
            state.published.number += 1;
            seen.number = state.published.number;
            seen.leaves = leaves;
            seen.time = Some(time);
            state.published.waiting.push(seen);
        }
        while let Some(seen) = state.published.waiting.first() {
            let bytes = Bytes::from(seen.to_bytes());
            if !self.rehearsal {
                self.journal.publish(id, seen.number, bytes).await?;
            }
            let seen = state.published.waiting.remove(0);
            if let Some(ticking) = &mut state.ticking {
                ticking.merged.merge(&seen)?;
                // It is not read again from the store.
                ticking.seen.entry(seen.replica.clone()).or_default().insert(seen.number);
            }
        }
        state.published.at = Some(Instant::now());
        Ok(())
    }

    /// Merges the observations of all servers.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn gather(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let Some(step) = state.open(&self.app.model).cloned() else { return Ok(()) };
        let id = step.rollout.id.clone();
        if state.ticking.as_ref().is_none_or(|ticking| ticking.rollout != id) {
            let ticking = self.taken_over(&step).await?;
            state.ticking = Some(ticking);
        }
        if self.rehearsal {
            self.publish(state, &id, false).await?;
        }
        let Some(ticking) = &mut state.ticking else { return Ok(()) };
        let is_due = ticking.gathered.is_none_or(|at| at.elapsed() >= self.pace.observe);
        if is_due && !self.rehearsal {
            let mut newest = BTreeMap::new();
            for (server, number) in self.journal.observations(&id).await? {
                if let Some(at) = self.merge(ticking, &id, (&server, number)).await? {
                    newest.insert(server, at);
                }
            }
            if ticking.gathered.is_some_and(|at| at.elapsed() < RECENT_READ) {
                self.compare_clocks(ticking, &newest);
            }
            ticking.gathered = Some(Instant::now());
            let lost = self.lost(ticking);
            if lost != *self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
                for (server, units) in &lost {
                    let message = format!("{server} is gone with {units} open conversations");
                    self.event("warn", "lost", message);
                }
                *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = lost;
            }
        }
        let seen = ticking.merged.observation();
        if !is_nothing(&seen) {
            let marks = ticking.marks();
            ticking.pending.push((marks, seen));
        }
        Ok(())
    }

    /// Returns the conversations that were open at servers which are gone without having left, by server. The judge
    /// counts what was observed of them, and imputes nothing.
    fn lost(&self, ticking: &Ticking) -> BTreeMap<String, u64> {
        let is_gone = |(server, heard): (&String, &Option<Instant>)| {
            let is_silent = heard.is_some_and(|at| at.elapsed() > self.pace.replace);
            let units = ticking.merged.lost(server);
            (is_silent && units > 0 && server != self.journal.writer())
                .then(|| (server.clone(), units))
        };
        ticking.heard.iter().filter_map(is_gone).collect()
    }

    /// Removes the observations of a rollout that is over: the log has what they counted. A store that fails keeps them.
    pub(super) async fn clean_up(&self, state: &State, ended: &Ticking) {
        let id = ended.rollout.as_str();
        let is_over = state
            .step(&self.app.model)
            .is_some_and(|step| step.rollout.id == id && step.rollout.is_over());
        if !is_over || self.rehearsal {
            return;
        }
        let (Ok(observations), Ok(unions)) =
            (self.journal.observations(id).await, self.journal.unions(id).await)
        else {
            return;
        };
        let _ = self.journal.forget(id, &observations, &unions).await;
    }

    /// Reports each server whose clock differs from the clock of this one, once; `newest` holds the times that the clocks
    /// of the servers showed in observations read just now.
    ///
    /// No decision on a rollout depends on it. Freezes and promotion windows do depend on the clock of the server that
    /// ticks.
    fn compare_clocks(&self, ticking: &mut Ticking, newest: &BTreeMap<String, DateTime<Utc>>) {
        let ours = self.app.clock.steady();
        for (server, theirs) in newest {
            match clock_difference(ours, *theirs) {
                Some(difference) => {
                    if ticking.clocks.insert(server.clone()) {
                        let message = format!(
                            "the clock of server {server} is {difference} the clock of this one, {}",
                            self.journal.writer()
                        );
                        self.event("warn", "clock", message);
                    }
                }
                None => {
                    if ticking.clocks.remove(server) {
                        let message = format!("the clock of server {server} is right again");
                        self.event("info", "clock", message);
                    }
                }
            }
        }
    }

    /// Reads and merges one observation, unless it was merged before. A damaged one is reported and skipped. Returns the
    /// time that the clock of its server showed.
    async fn merge(
        &self,
        ticking: &mut Ticking,
        id: &str,
        (server, number): (&str, u64),
    ) -> Result<Option<DateTime<Utc>>> {
        if ticking.seen.get(server).is_some_and(|seen| seen.contains(number)) {
            return Ok(None);
        }
        let Some(bytes) = self.journal.observation(id, server, number).await? else {
            return Ok(None);
        };
        let mut at = None;
        let merged = ReplicaObservation::read(&bytes).and_then(|seen| {
            let is_in_place = seen.replica == server && seen.number == number;
            at = Some(seen.at);
            let heard = (!seen.leaves).then(Instant::now);
            ticking.heard.insert(server.to_owned(), heard);
            if is_in_place { ticking.merged.merge(&seen).map(drop) } else { Ok(()) }
        });
        if let Err(fault) = merged {
            let message = format!("observation {number} of {server}: {}: {fault}", fault.code());
            self.event("warn", "observation", message);
        }
        ticking.seen.entry(server.to_owned()).or_default().insert(number);
        Ok(at)
    }

    /// Returns the evidence of `step` as the log has counted it, so that nothing is counted twice.
    async fn taken_over(&self, step: &RolloutStep) -> Result<Ticking> {
        let id = step.rollout.id.as_str();
        let mut ticking = Ticking {
            rollout: id.to_owned(),
            merged: Merged::new(id),
            pending: Vec::new(),
            seen: BTreeMap::new(),
            heard: BTreeMap::new(),
            clocks: BTreeSet::new(),
            gathered: None,
            kept: Instant::now(),
            ticked: None,
        };
        if self.rehearsal {
            return Ok(ticking);
        }
        if let Some(union) = self.kept_union(step).await? {
            for (server, number) in union.marks() {
                ticking.seen.entry(server).or_default().up_to(number);
            }
            ticking.merged = union;
        }
        let mut observations = self.journal.observations(id).await?;
        observations.retain(|(server, number)| is_counted(&step.counted, server, *number));
        for (server, number) in observations {
            self.merge(&mut ticking, id, (&server, number)).await?;
        }
        // What the log has counted is in the judge already.
        let _ = ticking.merged.observation();
        Ok(ticking)
    }

    /// Returns the newest union that holds nothing beyond what `step` has counted.
    async fn kept_union(&self, step: &RolloutStep) -> Result<Option<Merged>> {
        let id = step.rollout.id.as_str();
        for seq in self.journal.unions(id).await?.into_iter().rev() {
            let Some(bytes) = self.journal.union(id, seq).await? else { continue };
            match Merged::from_bytes(&bytes) {
                Ok(union) => {
                    let marks = union.marks();
                    if marks.iter().all(|(of, number)| is_counted(&step.counted, of, *number)) {
                        return Ok(Some(union));
                    }
                }
                Err(fault) => {
                    let message = format!("union {seq} of {id}: {}: {fault}", fault.code());
                    self.event("warn", "observation", message);
                }
            }
        }
        Ok(None)
    }

    /// Keeps the union once it replaces many observations, and removes those.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn keep_union_if_due(&self, state: &mut State) -> Result<()> {
        let Some(step) = state.open(&self.app.model).cloned() else { return Ok(()) };
        let Some(seq) = state.deployed(&self.app.model).map(|deployed| deployed.step_seq) else {
            return Ok(());
        };
        let Some(ticking) = &mut state.ticking else { return Ok(()) };
        let is_counted_in_full = ticking.pending.is_empty() && ticking.marks() == step.counted;
        if !is_counted_in_full || ticking.kept.elapsed() < KEEP_UNION {
            return Ok(());
        }
        let id = step.rollout.id.as_str();
        let observations = self.journal.observations(id).await?;
        let mut old: Vec<_> = observations
            .into_iter()
            .filter(|(server, number)| is_counted(&step.counted, server, *number))
            .collect();
        ticking.kept = Instant::now();
        if old.len() < WORTH_A_UNION {
            return Ok(());
        }
        // The last sign of life of each server stays: other servers look for the one after it.
        let last = step.counted.clone();
        old.retain(|(server, number)| last.get(server) != Some(number));
        let unions = self.journal.unions(id).await?;
        self.journal.keep_union(id, seq, Bytes::from(ticking.merged.to_bytes())).await?;
        let unions: Vec<u64> = unions.into_iter().filter(|union| *union < seq).collect();
        self.journal.forget(id, &old, &unions).await
    }
}

/// Returns whether the observation `number` of `server` is within `counted`.
fn is_counted(counted: &Marks, server: &str, number: u64) -> bool {
    counted.get(server).is_some_and(|last| number <= *last)
}
