//! The rollout under way: ticks it, writes each transition down, and acts.
//!
//! One tick takes what was observed, asks [`rollout::advance`] for at most one step, appends it to
//! the deployment log, then does what it says. Rollback alone acts first: requests stop reaching
//! the challenger before anything is waited for.

pub(crate) mod commands;
pub(crate) mod rollback;
pub(crate) mod transition_effects;

use super::exchange::App;
use crate::{
    routing::Served,
    version_source::{Deployment, Home},
};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_rollout::{
    self as rollout, Command, Decision, Effect, Observation, Phase, Rollout, Transition,
    TransitionRecord, Verdict,
};
use chrono::{DateTime, Utc};
use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, Notify, watch};

#[cfg(test)]
mod tests;

pub(super) use commands::{Mode, Started};
use rollback::Pending;
pub use rollback::Restored;

/// How often a server without a rollout looks where `champion` points.
const FOLLOW: Duration = Duration::from_secs(2);
/// How long a rollback waits for requests that are still on the challenger.
const DRAIN: Duration = Duration::from_secs(30);

/// A rollout and what belongs to it. Kept after its end, to be asked about.
pub(super) struct Active {
    /// Its state.
    pub(super) rollout: Rollout,
    transitions: Vec<TransitionRecord>,
    challenger: Option<Arc<Served>>,
    slow_bound: Option<Duration>,
    /// Seen, but not written down: the store failed.
    carry: Observation,
    /// Rollbacks that acted before they could be written down.
    unwritten: Vec<Deployment>,
    actor: String,
    /// Why it is no longer driven from here.
    lost: bool,
}

/// Who asks, and why.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Who.
    pub(super) actor: String,
    /// Why.
    pub(super) reason: String,
}

#[derive(Default)]
struct State {
    active: Option<Active>,
    /// The champion before the one that serves, as the registry has it: a rollback needs no download.
    previous: Option<Arc<Served>>,
    /// A champion that was rolled back here, while the alias may still point to it.
    rejected: Option<Digest>,
    /// A rollback of the model that serves already and is not written down everywhere.
    pending: Option<Pending>,
}

/// Drives rollouts of one model.
pub(super) struct Canary {
    app: Arc<App>,
    home: Arc<dyn Home>,
    state: Mutex<State>,
    /// A rollback was asked for: nothing may raise the weight again.
    aborting: AtomicBool,
    revision: AtomicU64,
    /// Id of [`State::active`], to be read while the state is locked.
    id: std::sync::Mutex<Option<String>>,
    woken: Notify,
    rehearsal: bool,
}

impl Canary {
    /// Prepares to drive.
    pub(super) fn new(app: Arc<App>, home: Arc<dyn Home>, rehearsal: bool) -> Self {
        Self {
            app,
            home,
            state: Mutex::default(),
            aborting: AtomicBool::new(false),
            revision: AtomicU64::new(0),
            id: std::sync::Mutex::default(),
            woken: Notify::new(),
            rehearsal,
        }
    }

    /// Takes up what the deployment log says was under way when the last server stopped. What it had
    /// observed since its last tick is lost, and so is which conversations began when.
    ///
    /// # Errors
    /// Those of the store; a plan this version does not understand.
    pub(super) async fn resume(&self, log: &[Deployment], champion: Digest) -> Result<()> {
        let Some(last) = log.iter().rev().find(|deployment| deployment.rollout.is_some()) else {
            return Ok(());
        };
        let rollout = last.rollout.clone().expect("it was looked for");
        let mut active = Active::new(rollout, last.actor.clone());
        active.slow_bound = last.slow_bound_seconds.map(Duration::from_secs_f64);
        active.transitions = history(log, &active.rollout.id);
        let mut state = self.state.lock().await;
        self.revision.store(active.rollout.revision, Ordering::SeqCst);
        self.name(&active.rollout.id);
        self.show(&active);
        if active.rollout.is_over() {
            state.active = Some(active);
            return Ok(());
        }
        let now = self.app.clock.now();
        let id = active.rollout.id.clone();
        let moved = champion != active.rollout.champion && champion != active.rollout.challenger;
        let loaded = if moved || matches!(active.rollout.phase, Phase::Pending | Phase::Loading) {
            Ok(None)
        } else {
            self.home.load(&active.rollout.challenger).await.map(Some)
        };
        match loaded {
            Ok(challenger) => active.challenger = challenger.map(Arc::new),
            Err(fault) if fault.kind() == FaultKind::Unreachable => return Err(fault),
            Err(fault) => {
                let reason = format!("after a restart: {fault}");
                self.decide(&mut state, active, Command::Abort { reason }, now).await?;
                return Ok(());
            }
        }
        if moved {
            let reason = format!("`champion` was moved to {champion} while no server ran");
            self.decide(&mut state, active, Command::Abort { reason }, now).await?;
            return Ok(());
        }
        self.app.observer.clear();
        self.set_slow_bound(active.slow_bound);
        self.route(&active);
        self.event(
            "info",
            "rollout",
            format!("{id} goes on in phase {}", active.rollout.phase.name()),
        );
        state.active = Some(active);
        drop(state);
        // Finishes what was decided and not done.
        self.tick().await.map(|_| ())
    }

    async fn decide(
        &self,
        state: &mut State,
        active: Active,
        command: Command,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let transition = rollout::command(&active.rollout, &command, now)?;
        state.active = Some(active);
        self.apply(state, transition, now).await
    }

    /// Ticks and follows the champion until `stop` turns true; a tick that began is finished.
    pub(super) async fn run(&self, mut stop: watch::Receiver<bool>) {
        loop {
            let interval = self.interval().await;
            tokio::select! {
                () = tokio::time::sleep(interval.unwrap_or(FOLLOW)) => {}
                () = self.woken.notified() => continue,
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let outcome = match interval {
                Some(_) => self.tick().await.map(|_| ()),
                None => self.follow().await,
            };
            if let Err(fault) = outcome {
                self.event("error", "tick", format!("{}: {fault}", fault.code()));
            }
        }
    }

    fn name(&self, id: &str) {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    }

    /// Returns whether `id` names the rollout there is.
    fn is_named(&self, id: &str) -> bool {
        let known = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_deref().is_some_and(|known| id == "latest" || id == known)
    }

    /// Returns the time between ticks, while a rollout is under way.
    async fn interval(&self) -> Option<Duration> {
        let state = self.state.lock().await;
        if state.pending.is_some() {
            return None;
        }
        let active = state.active.as_ref()?;
        (active.is_driven() || !active.unwritten.is_empty()).then_some(active.interval())
    }

    /// Finishes a rollback of the model, then serves the champion of the registry when it was moved
    /// by someone else.
    async fn follow(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        self.settle(&mut state).await?;
        drop(state);
        let Some(champion) = self.home.champion().await? else { return Ok(()) };
        let mut state = self.state.lock().await;
        // Where the registry points while a rollback waits is what was rolled back.
        if state.pending.is_some() || state.active.as_ref().is_some_and(Active::is_driven) {
            return Ok(());
        }
        let Some(routing) = self.app.slot.load() else { return Ok(()) };
        if routing.primary.manifest == Some(champion) {
            state.rejected = None;
            return Ok(());
        }
        if state.rejected == Some(champion) {
            return Ok(());
        }
        let served = match &state.previous {
            Some(previous) if previous.manifest == Some(champion) => Arc::clone(previous),
            _ => Arc::new(self.home.load(&champion).await?),
        };
        let reference = Arc::clone(&served.reference);
        self.swap(served);
        // It may have been moved back: what served until now is not always the champion before.
        let before = self.home.find(None, &champion).await.ok();
        let old = &routing.primary;
        state.previous = before
            .filter(|before| old.manifest == Some(before.manifest_digest))
            .map(|_| Arc::clone(old));
        self.event("info", "swap", format!("`champion` was moved: {reference} serves"));
        Ok(())
    }

    /// Takes one tick. Returns whether anything was decided.
    ///
    /// # Errors
    /// Those of the store: nothing was decided then, and what was seen is kept for the next tick.
    pub(super) async fn tick(&self) -> Result<bool> {
        let mut state = self.state.lock().await;
        self.settle(&mut state).await?;
        let Some(active) = state.active.as_mut() else { return Ok(false) };
        self.write_waiting(active).await?;
        if !active.is_driven() {
            return Ok(false);
        }
        let now = self.app.clock.now();
        let unfinished = active.rollout.pending_effect();
        if matches!(unfinished, Effect::Load | Effect::Promote | Effect::RollBack) {
            let transition = standing(&active.rollout, unfinished);
            return self.perform(&mut state, transition, now).await.map(|()| true);
        }
        let seen = merge(
            std::mem::take(&mut active.carry),
            self.app.observer.drain(active.rollout.weight(), now),
        );
        let transition = rollout::advance(&active.rollout, &seen, now);
        let decided = transition.is_decided();
        let nothing = Observation { observed_at: seen.observed_at, ..Observation::default() };
        if !decided && seen == nothing {
            // That someone looked is not worth an entry.
            active.rollout = transition.next;
            return Ok(false);
        }
        let before = active.rollout.judge.clone();
        let judged = transition.effect == Effect::RollBack;
        let outcome = self.apply(&mut state, transition, now).await;
        let active = state.active.as_mut().expect("it stays until another one starts");
        if outcome.is_err() && active.rollout.judge == before {
            active.carry = seen;
        } else {
            self.app.metrics.conversations([seen.primary_units, seen.canary_units]);
            if judged {
                self.app.metrics.rolled_back("judge");
            }
        }
        outcome.map(|()| decided)
    }

    /// Writes down what acted before it could be.
    async fn write_waiting(&self, active: &mut Active) -> Result<()> {
        while let Some(entry) = active.unwritten.first() {
            self.home.write_down(entry.clone()).await?;
            active.unwritten.remove(0);
        }
        Ok(())
    }

    /// Returns whether a tick at `now` with nothing seen would decide anything.
    pub(super) async fn would_decide(&self, now: DateTime<Utc>) -> bool {
        let state = self.state.lock().await;
        let Some(active) = state.active.as_ref().filter(|active| active.is_driven()) else {
            return false;
        };
        rollout::advance(&active.rollout, &looked(now), now).is_decided()
    }

    /// Writes `transition` down, then does what it says; for a rollback the other way round.
    async fn apply(
        &self,
        state: &mut State,
        transition: Transition,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let active = state.active.as_mut().expect("a transition belongs to a rollout");
        let backwards =
            matches!(transition.next.phase, Phase::RollingBack { .. } | Phase::RolledBack { .. });
        if backwards {
            self.app.slot.withdraw();
        }
        let entry = active.entry(&transition.next, &transition.reason, now);
        let written = if active.unwritten.is_empty() {
            self.home.write_down(entry.clone()).await
        } else {
            Err(Fault::unreachable("BOT-6031", "earlier entries wait to be written"))
        };
        match written {
            Ok(()) => {}
            Err(fault) if fault.kind() == FaultKind::Conflict => {
                // Someone else drives: let go, and send no one to the challenger on our own account.
                active.lost = true;
                self.app.slot.withdraw();
                return Err(fault);
            }
            Err(_) if backwards => active.unwritten.push(entry),
            Err(fault) => return Err(fault),
        }
        active.rollout = transition.next.clone();
        self.revision.store(active.rollout.revision, Ordering::SeqCst);
        if transition.is_decided() {
            active.transitions.push(transition.record());
            let message = format!(
                "{} is {} at {:.1} %: {}",
                active.rollout.id,
                active.rollout.phase.name(),
                active.rollout.weight_percent(),
                transition.reason,
            );
            self.event("info", "rollout", message);
        }
        self.show(active);
        self.perform(state, transition, now).await
    }

    fn event(&self, level: &'static str, event: &'static str, message: String) {
        self.app.log.event(self.app.clock.now(), level, event, message);
    }

    /// Reads the rollout `id` (`latest`: whichever was last).
    ///
    /// # Errors
    /// `BOT-6034`.
    pub(super) async fn read<T>(
        &self,
        id: &str,
        read: impl FnOnce(&Active, Decision) -> T,
    ) -> Result<T> {
        let mut state = self.state.lock().await;
        let active = named(state.active.as_mut(), id)?;
        let decision = Decision::new(&active.rollout, active.transitions.clone(), self.rehearsal);
        Ok(read(active, decision))
    }
}

impl Active {
    fn new(rollout: Rollout, actor: String) -> Self {
        Self {
            rollout,
            transitions: Vec::new(),
            challenger: None,
            slow_bound: None,
            carry: Observation::default(),
            unwritten: Vec::new(),
            actor,
            lost: false,
        }
    }

    /// Returns whether it is under way, and driven from here.
    pub(super) fn is_driven(&self) -> bool {
        !self.lost && !self.rollout.is_over()
    }

    /// Returns the time between its ticks.
    pub(super) fn interval(&self) -> Duration {
        self.rollout.policy.interval()
    }

    fn entry(&self, next: &Rollout, reason: &str, at: DateTime<Utc>) -> Deployment {
        let promoted = matches!(next.phase, Phase::Promoted);
        Deployment {
            schema: "botops.deployment/1".to_owned(),
            at,
            actor: self.actor.clone(),
            reason: reason.to_owned(),
            model: next.model.clone(),
            primary: if promoted { next.challenger } else { next.champion },
            phase: next.phase.name().to_owned(),
            weight_percent: next.weight_percent(),
            rollout: Some(next.clone()),
            slow_bound_seconds: self.slow_bound.map(|bound| bound.as_secs_f64()),
            writer: None,
        }
    }
}

fn named<'a>(active: Option<&'a mut Active>, id: &str) -> Result<&'a mut Active> {
    active.filter(|active| id == "latest" || active.rollout.id == id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Fault {
    match id {
        "latest" => Fault::usage("BOT-6034", "there was no rollout yet")
            .hint("start one with `botops promote <model>@<version>`"),
        id => Fault::usage("BOT-6034", format!("this server knows no rollout `{id}`"))
            .hint("`latest` names the current or last one"),
    }
}

/// A transition that decides nothing new.
fn standing(rollout: &Rollout, effect: Effect) -> Transition {
    Transition { next: rollout.clone(), effect, verdict: Verdict::Hold, reason: String::new() }
}

/// The history of rollout `id`: the entries that decided something.
fn history(log: &[Deployment], id: &str) -> Vec<TransitionRecord> {
    log.iter()
        .filter_map(|deployment| Some((deployment, deployment.rollout.as_ref()?)))
        .filter(|(deployment, rollout)| rollout.id == id && !deployment.reason.is_empty())
        .map(|(deployment, rollout)| TransitionRecord::new(rollout, &deployment.reason))
        .collect()
}

/// Nothing was seen, and someone looked.
fn looked(now: DateTime<Utc>) -> Observation {
    Observation { observed_at: Some(now), ..Observation::default() }
}

fn merge(mut before: Observation, after: Observation) -> Observation {
    before.canary_units += after.canary_units;
    before.primary_units += after.primary_units;
    before.shadow_units += after.shadow_units;
    before.failures.extend(after.failures);
    before.observed_at = before.observed_at.max(after.observed_at);
    before
}
