//! The driver of a rollout: resumes it, ticks it, and follows the champion when there is none.

use super::{
    standing::Standing,
    state::{AUTOMATIC, Active, State, no_messages, unchanged},
    view::View,
};
use crate::{
    app::App,
    version_source::{Deployment, VersionSource},
};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_rollout::{
    self as rollout, Command, Effect, FailureKind, MeasuredCount, Observation, Phase, Transition,
    TransitionRecord,
};
use chrono::{DateTime, Utc};
use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::Instant,
};

/// The time between two looks at `champion` while no rollout is under way.
const FOLLOW: Duration = Duration::from_secs(2);

/// The driver of the rollouts of one model.
pub(crate) struct Canary {
    /// The server.
    pub(super) app: Arc<App>,
    /// The versions and the deployment log.
    pub(super) source: Arc<dyn VersionSource>,
    /// The current or last rollout, and a rollback that waits.
    pub(super) state: Mutex<State>,
    /// Whether an abort is under way: nothing may raise the weight until it is done.
    pub(super) aborting: AtomicBool,
    /// The revision of the rollout, readable while the state is locked.
    pub(super) revision: AtomicU64,
    /// The id of [`State::active`], readable while the state is locked.
    id: std::sync::Mutex<Option<String>>,
    /// The rollout as it is shown, readable while the state is locked.
    pub(super) view: std::sync::Mutex<Option<Arc<View>>>,
    /// Whether the last rollback of the model is recorded, readable while the state is locked.
    pub(super) model_durable: AtomicBool,
    /// Whether another server drives the rollouts.
    pub(super) standing: Standing,
    /// Ends the wait for the next tick.
    pub(super) woken: Notify,
    /// Whether this is a rehearsal.
    pub(super) rehearsal: bool,
}

impl Canary {
    /// Makes a driver without a rollout.
    pub(crate) fn new(app: Arc<App>, source: Arc<dyn VersionSource>, rehearsal: bool) -> Self {
        Self {
            app,
            source,
            state: Mutex::default(),
            aborting: AtomicBool::new(false),
            revision: AtomicU64::new(0),
            id: std::sync::Mutex::default(),
            view: std::sync::Mutex::default(),
            model_durable: AtomicBool::new(true),
            standing: Standing::default(),
            woken: Notify::new(),
            rehearsal,
        }
    }

    /// Resumes the rollout that was under way when the last server stopped, according to the deployment log.
    ///
    /// The observations since its last tick are lost, and so is the weight at which each conversation began.
    ///
    /// # Errors
    /// Those of the store; a plan that this version does not understand.
    pub(crate) async fn resume(&self, log: &[Deployment], champion: Digest) -> Result<()> {
        let Some(last) = log.iter().rev().find(|deployment| deployment.rollout.is_some()) else {
            return Ok(());
        };
        let rollout = last.rollout.clone().expect("only entries with a rollout were kept");
        let mut active = Active::new(rollout, last.actor.clone());
        active.slow_bound = last.slow_bound_seconds.map(Duration::from_secs_f64);
        active.transitions = history(log, &active.rollout.id);
        let mut state = self.lock().await;
        active.lost = self.standing.is_second();
        self.set_current(&active);
        if active.rollout.is_over() || active.lost {
            state.active = Some(active);
            return Ok(());
        }
        self.adopt(&mut state, active, champion).await?;
        drop(state);
        // Finishes a step that was decided and not carried out.
        self.tick().await.map(|_| ())
    }

    /// Drives `active`, a rollout under way, from now on.
    ///
    /// # Errors
    /// Those of the store, if the challenger cannot be loaded now. The rollout is then kept and not driven.
    pub(super) async fn adopt(
        &self,
        state: &mut State,
        mut active: Active,
        champion: Digest,
    ) -> Result<()> {
        self.note_setback(state, &mut active);
        let now = self.app.clock.steady();
        let id = active.rollout.id.clone();
        let moved = champion != active.rollout.champion && champion != active.rollout.challenger;
        let loaded = if moved || matches!(active.rollout.phase, Phase::Pending | Phase::Loading) {
            Ok(None)
        } else {
            self.load_challenger(&active.rollout.challenger).await.map(Some)
        };
        match loaded {
            Ok(challenger) => active.challenger = challenger.map(Arc::new),
            Err(fault) if fault.kind() == FaultKind::Unreachable => {
                active.lost = true;
                state.active = Some(active);
                return Err(fault);
            }
            Err(fault) => {
                active.actor = AUTOMATIC.to_owned();
                let reason = format!("after a restart: {fault}");
                return self.decide(state, active, Command::Abort { reason }, now).await;
            }
        }
        if moved {
            active.actor = AUTOMATIC.to_owned();
            let reason = format!("`champion` was moved to {champion} while no server ran");
            return self.decide(state, active, Command::Abort { reason }, now).await;
        }
        self.app.observer.clear();
        self.set_slow_bound(active.slow_bound);
        self.route(&active);
        self.event(
            "info",
            "rollout",
            format!("{id} resumes in phase {}", active.rollout.phase.name()),
        );
        self.show(&active);
        state.active = Some(active);
        Ok(())
    }

    /// Makes `active` the current rollout and applies `command` to it.
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

    /// Ticks, or follows the champion, until `stop` is true. A tick that began is finished first.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut reported = None;
        loop {
            let interval = self.interval().await;
            tokio::select! {
                () = tokio::time::sleep(interval.unwrap_or(FOLLOW)) => {}
                () = self.woken.notified() => if !self.standing.is_second() { continue },
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let outcome = match interval {
                Some(_) => self.tick().await.map(|_| ()),
                None => self.follow().await,
            };
            let problem = outcome.err().map(|fault| format!("{}: {fault}", fault.code()));
            // A problem that stays is reported once.
            if let Some(problem) = problem.clone().filter(|_| problem != reported) {
                self.event("error", "tick", problem);
            }
            reported = problem;
        }
        if let Err(fault) = self.record_the_rest().await {
            let message = format!("stopped before all was recorded: {}: {fault}", fault.code());
            self.event("error", "stop", message);
        }
    }

    /// Names `active` as the current rollout, and shows it in the metrics.
    pub(super) fn set_current(&self, active: &Active) {
        self.revision.store(active.rollout.revision, Ordering::SeqCst);
        self.set_id(&active.rollout.id);
        self.show(active);
    }

    /// Makes `id` the current rollout.
    pub(super) fn set_id(&self, id: &str) {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    }

    /// Returns whether `id` names the current or last rollout. Does not wait for the state.
    pub(super) fn is_named(&self, id: &str) -> bool {
        let known = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_deref().is_some_and(|known| id == "latest" || id == known)
    }

    /// Returns the time between ticks; `None` while no rollout is under way.
    async fn interval(&self) -> Option<Duration> {
        let state = self.lock().await;
        if state.pending.is_some() {
            return None;
        }
        let active = state.active.as_ref()?;
        (active.is_driven() || !active.unwritten.is_empty()).then_some(active.interval())
    }

    /// Finishes a rollback of the model, then serves the champion of the registry if someone else moved it, and its
    /// evidence proves it.
    pub(super) async fn follow(&self) -> Result<()> {
        self.follow_log().await?;
        let mut state = self.lock().await;
        self.note_jump(&mut state);
        self.settle(&mut state).await?;
        drop(state);
        let Some(champion) = self.source.champion().await? else { return Ok(()) };
        let mut state = self.lock().await;
        // While a rollback waits, the registry still points to the version that was rolled back.
        if state.pending.is_some() || state.active.as_ref().is_some_and(Active::is_driven) {
            return Ok(());
        }
        let Some(routing) = self.app.slot.load() else { return Ok(()) };
        if routing.primary.manifest == Some(champion) {
            state.rejected = None;
            state.refused = false;
            return Ok(());
        }
        if state.rejected == Some(champion) {
            return Ok(());
        }
        let known = state.previous.as_ref().filter(|it| it.manifest == Some(champion));
        let served = if let Some(previous) = known {
            Arc::clone(previous)
        } else if let Some(fault) = self.source.objection(&champion).await? {
            let problem = format!("`{}` still serves: {fault}", routing.primary.reference);
            self.app.degrade(fault.code(), problem);
            state.rejected = Some(champion);
            return Ok(());
        } else {
            Arc::new(self.source.load(&champion).await?)
        };
        let reference = Arc::clone(&served.reference);
        self.swap(served);
        state.refused = false;
        // `champion` may have been moved back: the model that served until now is not always the one before it.
        let before = self.source.find(None, &champion).await.ok();
        let old = &routing.primary;
        state.previous = before
            .filter(|before| old.manifest == Some(before.manifest_digest))
            .map(|_| Arc::clone(old));
        self.event("info", "swap", format!("`champion` was moved: {reference} serves"));
        Ok(())
    }

    /// Takes one tick. Returns whether it decided anything.
    ///
    /// # Errors
    /// Those of the store. Nothing is decided then, and the next tick gets the observations.
    pub(crate) async fn tick(&self) -> Result<bool> {
        let mut state = self.lock().await;
        self.settle(&mut state).await?;
        let Some(active) = state.active.as_mut() else { return Ok(false) };
        self.write_waiting(active).await?;
        if !active.is_driven() {
            return Ok(false);
        }
        if self.standing.is_second() {
            // Another server took over while this one was suspended.
            self.lose(active);
            return Ok(false);
        }
        if self.pause_after_jump(&mut state).await? {
            return Ok(true);
        }
        let Some(active) = state.active.as_mut() else { return Ok(false) };
        let now = self.app.clock.steady();
        let unfinished = active.rollout.pending_effect();
        if matches!(unfinished, Effect::Load | Effect::Promote | Effect::RollBack) {
            let transition = unchanged(&active.rollout, unfinished);
            return self.perform(&mut state, transition, now).await.map(|()| true);
        }
        let seen = self.observe(active, now);
        let transition = rollout::advance(&active.rollout, &seen, now);
        active.actor = AUTOMATIC.to_owned();
        let decided = transition.is_decided();
        let nothing = Observation { observed_at: seen.observed_at, ..Observation::default() };
        if !decided && seen == nothing {
            // A quiet tick has no entry in the log.
            active.rollout = transition.next;
            return Ok(false);
        }
        let before = active.rollout.judge.clone();
        let judged = transition.effect == Effect::RollBack;
        let outcome = self.apply(&mut state, transition, now).await;
        let active = state.active.as_mut().expect("a rollout stays until another one starts");
        if outcome.is_err() && active.rollout.judge == before {
            active.unrecorded = seen;
        } else {
            self.app.metrics.conversations([seen.primary_units, seen.canary_units]);
            if judged {
                self.app.metrics.rolled_back("judge");
            }
        }
        outcome.map(|()| decided)
    }

    /// Takes the observations since the previous tick, and those that no tick could record.
    pub(super) fn observe(&self, active: &mut Active, now: DateTime<Utc>) -> Observation {
        let mut drained = self.app.observer.drain(active.rollout.weight(), now);
        if active.slow_bound.is_some() {
            measure_latency(&mut drained);
        }
        let mut seen = std::mem::take(&mut active.unrecorded);
        seen.add(drained);
        seen
    }

    /// Records the rollbacks that took effect before they could be recorded.
    pub(super) async fn write_waiting(&self, active: &mut Active) -> Result<()> {
        while let Some(entry) = active.unwritten.first() {
            if let Err(fault) = self.source.record(entry.clone()).await {
                if fault.kind() == FaultKind::Conflict {
                    self.lose(active);
                }
                return Err(fault);
            }
            active.unwritten.remove(0);
        }
        Ok(())
    }

    /// Returns whether a tick at `now` without any message would decide anything.
    pub(crate) async fn is_due(&self, now: DateTime<Utc>) -> bool {
        let state = self.lock().await;
        let Some(active) = state.active.as_ref().filter(|active| active.is_driven()) else {
            return false;
        };
        rollout::advance(&active.rollout, &no_messages(now), now).is_decided()
    }

    /// Records `transition`, then carries it out. A rollback is carried out first.
    pub(super) async fn apply(
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
            self.show_unwritten(active, &transition);
        }
        let entry = active.entry(&transition.next, &transition.reason, now);
        let written = if active.unwritten.is_empty() {
            self.source.record(entry.clone()).await
        } else {
            Err(Fault::unreachable("BOT-6031", "earlier entries have not been written yet"))
        };
        match written {
            Ok(()) => {}
            Err(fault) if fault.kind() == FaultKind::Conflict => {
                // Another server drives the rollout: this one stops, and sends no request to the challenger.
                self.lose(active);
                return Err(fault);
            }
            Err(_) if backwards => active.unwritten.push(entry),
            Err(fault) => return Err(fault),
        }
        active.rollout = transition.next.clone();
        self.revision.store(active.rollout.revision, Ordering::SeqCst);
        if transition.is_decided() {
            let record = transition.record();
            let record = if self.rehearsal { record } else { record.by(&active.actor) };
            active.transitions.push(record);
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

    /// Stops driving `active`, because another server wrote to its log. Its log entries are the ones that count.
    fn lose(&self, active: &mut Active) {
        active.lost = true;
        active.unwritten.clear();
        self.app.slot.withdraw();
        self.show(active);
        self.step_back();
    }

    /// Steps back behind the server that wrote to the log, if `fault` says that there is one.
    pub(super) fn note_conflict(&self, fault: &Fault) {
        if fault.code() == "BOT-6026" {
            self.step_back();
        }
    }

    /// Steps back behind the other servers.
    pub(super) fn step_back(&self) {
        self.standing.step_back(Instant::now());
        self.show_standing();
    }

    /// Records what is in effect and was not recorded, before the server stops.
    async fn record_the_rest(&self) -> Result<()> {
        let mut state = self.lock().await;
        self.settle(&mut state).await?;
        match state.active.as_mut() {
            Some(active) => self.write_waiting(active).await,
            None => Ok(()),
        }
    }

    /// Writes an event to the request log.
    pub(super) fn event(&self, level: &'static str, event: &'static str, message: String) {
        self.app.log.event(self.app.clock.now(), level, event, message);
    }
}

/// Returns the transitions of rollout `id`: those of the entries that decided something.
fn history(log: &[Deployment], id: &str) -> Vec<TransitionRecord> {
    log.iter()
        .filter_map(|deployment| Some((deployment, deployment.rollout.as_ref()?)))
        .filter(|(deployment, rollout)| rollout.id == id && !deployment.reason.is_empty())
        .map(|(deployment, rollout)| {
            TransitionRecord::new(rollout, &deployment.reason).by(&deployment.actor)
        })
        .collect()
}

/// Counts the units of `seen` as measured against the latency bound.
fn measure_latency(seen: &mut Observation) {
    let (canary, primary) = (seen.canary_units, seen.primary_units);
    if canary + primary > 0 {
        seen.measured.push(MeasuredCount { kind: FailureKind::Slow, canary, primary });
    }
}
