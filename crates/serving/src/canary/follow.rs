//! A server follows the deployment log: it reads the next entry, and derives its routing from what it has read.

use super::{
    arrival::Arrival,
    freshness::Freshness,
    journal::Journal,
    pace::Pace,
    share::Share,
    state::{InEffect, Published, Reverted, State},
    versions::Versions,
    view::Shown,
};
use crate::{app::App, deployment_rules::broken_rule, routing::Served};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_observation::UnitKey;
use botops_registry::{Champions, Deployment, Environment};
use botops_store::Entry;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, MutexGuard, Notify, watch};

/// The most entries that are kept for those who follow the events of this server.
const RECENT: usize = 1_000;

/// A server of one model among the others of its environment.
pub(crate) struct Canary {
    /// The server.
    pub(super) app: Arc<App>,
    /// The versions.
    pub(super) versions: Arc<dyn Versions>,
    /// The deployment log and the observations.
    pub(super) journal: Journal,
    /// How often it looks and reports.
    pub(super) pace: Pace,
    /// The name of a conversation in observations.
    pub(super) unit_key: UnitKey,
    /// The state. Held while the log is written.
    pub(super) state: Mutex<State>,
    /// Held while an effect is carried out.
    pub(super) driving: Mutex<()>,
    /// The acts in effect that the log does not have yet, the oldest first.
    pub(super) acts: std::sync::Mutex<Vec<InEffect>>,
    /// The number of the last act in effect.
    pub(super) acted: AtomicU64,
    /// The state as it is shown.
    pub(super) shown: RwLock<Arc<Shown>>,
    /// The number of the newest entry that was read.
    pub(super) tip: watch::Sender<u64>,
    /// The newest entries.
    recent: std::sync::Mutex<std::collections::VecDeque<Entry<Deployment>>>,
    /// When the log was last read.
    read_at: std::sync::Mutex<Option<Instant>>,
    /// Whether the last look is recent enough to send requests to a challenger.
    pub(super) fresh: Arc<Freshness>,
    /// Ends the wait for the next turn.
    pub(super) woken: Notify,
    /// The models that were loaded in the background.
    pub(super) arrived: std::sync::Mutex<Vec<Arrival>>,
    /// The conversations that were open at servers which are gone, by server, as the server that ticks sees it.
    pub(super) lost: std::sync::Mutex<BTreeMap<String, u64>>,
    /// Whether this is a rehearsal.
    pub(super) rehearsal: bool,
}

/// The parts of a [`Canary`].
pub(crate) struct Parts {
    /// The server.
    pub(crate) app: Arc<App>,
    /// The versions.
    pub(crate) versions: Arc<dyn Versions>,
    /// The deployment log and the observations.
    pub(crate) journal: Journal,
    /// How often it looks and reports.
    pub(crate) pace: Pace,
    /// The name of a conversation in observations.
    pub(crate) unit_key: UnitKey,
    /// The line of champions of the model, as far as the log is read.
    pub(crate) champions: Champions,
}

impl Canary {
    /// Makes a server that has read nothing.
    pub(crate) fn new(parts: Parts, rehearsal: bool) -> Self {
        let Parts { app, versions, journal, pace, unit_key, champions } = parts;
        let fresh = if rehearsal { Freshness::always() } else { Freshness::none() };
        Self {
            app,
            versions,
            journal,
            pace,
            unit_key,
            state: Mutex::new(State::new(champions)),
            driving: Mutex::new(()),
            acts: std::sync::Mutex::default(),
            acted: AtomicU64::new(0),
            shown: RwLock::default(),
            tip: watch::Sender::new(0),
            recent: std::sync::Mutex::default(),
            read_at: std::sync::Mutex::new(None),
            fresh: Arc::new(fresh),
            woken: Notify::new(),
            arrived: std::sync::Mutex::default(),
            lost: std::sync::Mutex::default(),
            rehearsal,
        }
    }

    /// Takes the log that the server starts with, and the `models` that are loaded besides the one that serves.
    ///
    /// # Errors
    /// `BOT-1067` (exit 2) the servers of the open rollout name conversations under another key, `BOT-6130` (exit 2) they
    /// make feedback tokens under another key.
    pub(crate) async fn open(
        self: &Arc<Self>,
        (environment, tip): (Environment, Option<Entry<Deployment>>),
        entries: Vec<Entry<Deployment>>,
        models: Vec<(Digest, Arc<Served>)>,
    ) -> Result<()> {
        let mut state = self.lock().await;
        let primary = self.primary()?;
        let champion = primary.manifest.expect("a model of a registry has its manifest");
        state.resident.insert(champion, primary);
        state.resident.extend(models);
        if self.journal.damage().is_some() {
            return Ok(());
        }
        state.environment = environment;
        let before = state.champions.before(&champion).next().map(|it| it.manifest());
        state.previous = before;
        let model = self.app.model.as_str();
        if let Some(step) = state.step(model).cloned() {
            self.set_slow_bound(step.slow_bound_seconds.map(Duration::from_secs_f64));
            let times = (Instant::now(), self.app.clock.now());
            let wanted = step.rollout.weight();
            state.share = Share::ZERO.toward(wanted, step.effective_at, times, self.pace.raise);
            self.follow_time(&mut state, &step.rollout);
        }
        if let Some(open) = state.open(model) {
            self.app.observer.watch(Some(&open.rollout.id));
            let lease = state.deployed(model).and_then(|deployed| deployed.lease.as_ref());
            let (theirs, ours) =
                (lease.map_or(&[][..], |it| &it.token_keys), self.app.tokens.shared_key_ids());
            if !theirs.is_empty() && !ours.is_empty() && !theirs.iter().any(|id| ours.contains(id))
            {
                let message = "the servers of the open rollout make feedback tokens under another `token_key`: no server could judge feedback on the answers of the other";
                return Err(Fault::usage("BOT-6130", message)
                    .hint("start every server of an environment with the same `secrets.token_key`")
                    .hint("to change it, give every server both keys first; see `botops explain BOT-6131`"));
            }
        }
        if let (Some(_), Some(lease)) =
            (state.open(model), state.deployed(model).and_then(|deployed| deployed.lease.as_ref()))
            && let (Some(theirs), Some(ours)) = (&lease.identity, self.unit_key.fingerprint())
            && *theirs != ours
        {
            let message = "the servers of the open rollout name conversations under another `identity_key`: together they would count conversations twice";
            return Err(Fault::usage("BOT-1067", message)
                .hint("start every server of an environment with the same `secrets.identity_key`")
                .hint("change the key while no rollout is open"));
        }
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.fresh.extend(Instant::now() + self.pace.fresh);
        let skipped = entries.len().saturating_sub(RECENT);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.extend(entries.into_iter().skip(skipped));
        drop(recent);
        state.tip = tip;
        self.show_state(&state);
        self.route(&mut state);
        Ok(())
    }

    /// Follows the log until `stop` is true. A turn that began is finished first.
    pub(crate) async fn run(self: &Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut reported = None;
        loop {
            let pause = self.pause().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.woken.notified() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let fault = self.turn().await.err();
            if let Some(fault) = fault.as_ref().filter(|it| it.kind() != FaultKind::Unreachable) {
                self.note_unreadable(fault);
            }
            let problem = fault.map(|fault| format!("{}: {fault}", fault.code()));
            // A problem that stays is reported once.
            if let Some(problem) = problem.clone().filter(|_| problem != reported) {
                self.event("error", "follow", problem);
            }
            reported = problem;
        }
        if let Err(fault) = self.leave().await {
            let message = format!("stopped before all was recorded: {}: {fault}", fault.code());
            self.event("error", "stop", message);
        }
    }

    /// Reports a log that cannot be followed, such as one that a newer botops wrote to. A rollback still works.
    fn note_unreadable(&self, fault: &Fault) {
        let problem = format!("the deployment log cannot be followed: {fault}");
        if !self.app.degradations().iter().any(|known| known.problem == problem) {
            self.app.degrade(fault.code(), problem);
        }
    }

    /// Counts the last look at the log as recent while the process runs and the store may be read again soon.
    ///
    /// After a gap in its own time, the process was stopped: then only a new look counts.
    pub(crate) async fn keep_fresh(&self, mut stop: watch::Receiver<bool>) {
        let mut before = Instant::now();
        let mut stopped_until = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.pace.fresh / 4) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let now = Instant::now();
            if now - before > self.pace.fresh {
                stopped_until = Some(now);
            }
            before = now;
            let Some(read_at) = self.read_at() else { continue };
            if stopped_until.is_some_and(|stopped| read_at < stopped) {
                continue;
            }
            stopped_until = None;
            self.fresh.extend((now + self.pace.fresh).min(read_at + self.pace.stale_after));
        }
    }

    /// One turn: reads the log, records what is in effect, reports, and ticks if it is this server's part.
    ///
    /// # Errors
    /// Those of the store. The next turn tries again.
    pub(super) async fn turn(self: &Arc<Self>) -> Result<()> {
        {
            let mut state = self.lock().await;
            let read = self.catch_up(&mut state).await;
            self.take_arrivals(&mut state);
            self.route(&mut state);
            read?;
            self.record_acts(&mut state).await?;
            // The sign of life comes before everything that may wait for a slow store.
            self.publish_if_due(&mut state).await?;
            self.learn_policy(&mut state).await?;
            self.look_at_withdrawals(&mut state).await?;
            self.watch_holder(&mut state).await?;
            self.tick_if_due(&mut state).await?;
        }
        self.drive().await
    }

    /// Reads what others appended. Returns whether there was anything.
    ///
    /// # Errors
    /// Those of the store; `BOT-5006` the entries do not follow from each other.
    pub(super) async fn catch_up(&self, state: &mut State) -> Result<bool> {
        // The look is as old as its begin: a process may be stopped while it reads.
        let began = Instant::now();
        let newer = self.journal.newer(state.tip.as_ref()).await?;
        let any = !newer.is_empty();
        for entry in newer {
            self.take(state, entry)?;
        }
        if self.journal.damage().is_none() {
            *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
            self.fresh.extend(began + self.pace.fresh);
        }
        if any {
            self.show_state(state);
        }
        Ok(any)
    }

    /// Takes the next entry of the log: folds it, and changes the share of the challenger.
    ///
    /// # Errors
    /// `BOT-5006` the entry does not follow from those before.
    pub(super) fn take(&self, state: &mut State, entry: Entry<Deployment>) -> Result<()> {
        let model = self.app.model.as_str();
        let is_ours = entry.payload.model == model;
        if is_ours && let Some(problem) = broken_rule(&entry.payload, state.step(model)) {
            let problem = format!("entry {} of the deployment log {problem}", entry.seq);
            self.app.slot.withdraw();
            return Err(
                Fault::data("BOT-5006", problem).hint("see all problems: `botops registry verify`")
            );
        }
        let before = state.step(model).map(|step| step.rollout.id.clone());
        state.environment.apply(&entry);
        Self::note_sign(state, entry.payload.writer.as_deref());
        if is_ours && entry.payload.champion().is_some() {
            state.previous = state.champions.current();
            if let Some(deployed) = state.environment.model(model) {
                state.champions.follow(deployed);
            }
            state.rejected = None;
        }
        if is_ours && let Some(step) = entry.payload.step() {
            let rollout = &step.rollout;
            if before.as_ref() != Some(&rollout.id) {
                state.share = Share::ZERO;
                state.ticking = None;
                state.published = Published::default();
                self.app.observer.watch(Some(&rollout.id));
                self.set_slow_bound(step.slow_bound_seconds.map(Duration::from_secs_f64));
                self.lost.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            if rollout.is_over() {
                self.app.observer.watch(None);
                self.set_slow_bound(None);
            }
            let times = (Instant::now(), self.app.clock.now());
            let (wanted, at) = (rollout.weight(), step.effective_at);
            state.share = state.share.toward(wanted, at, times, self.pace.raise);
            if let Some(ticking) = &mut state.ticking {
                ticking.counted(&step.counted);
            }
            self.follow_time(state, rollout);
            if !entry.payload.reason.is_empty() {
                self.event("info", "rollout", rollout_message(rollout, &entry.payload.reason));
            }
        }
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(entry.clone());
        drop(recent);
        state.tip = Some(entry);
        Ok(())
    }

    /// Returns the entries after `seq` that this server still has; `None` if some of them are no longer there.
    pub(crate) fn recent(&self, seq: u64) -> Option<Vec<Entry<Deployment>>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let tip = *self.tip.borrow();
        let complete = seq >= tip || recent.front().is_some_and(|first| first.seq <= seq + 1);
        complete.then(|| recent.iter().filter(|entry| entry.seq > seq).cloned().collect())
    }

    /// Returns up to `limit` entries after `since`, the oldest first.
    ///
    /// # Errors
    /// Those of the store, if this server no longer has them.
    pub(crate) async fn entries_after(
        &self,
        since: u64,
        limit: usize,
    ) -> Result<Vec<Entry<Deployment>>> {
        if let Some(mut recent) = self.recent(since) {
            recent.truncate(limit);
            return Ok(recent);
        }
        let last = since.saturating_add(limit as u64).min(self.shown().seq);
        self.journal.page(since, last).await
    }

    /// Returns the name of the environment.
    pub(crate) fn environment(&self) -> &str {
        self.journal.environment()
    }

    /// Returns the id of this server in the log, new at each start.
    pub(crate) fn server(&self) -> &str {
        self.journal.writer()
    }

    /// Returns a receiver of the number of the newest entry.
    pub(crate) fn events(&self) -> watch::Receiver<u64> {
        self.tip.subscribe()
    }

    /// Returns the conversations that were open at servers which are gone, by server; empty on a server that does not tick.
    pub(crate) fn lost_units(&self) -> BTreeMap<String, u64> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Locks the state.
    pub(super) async fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().await
    }

    /// Returns when the log was last read.
    pub(super) fn read_at(&self) -> Option<Instant> {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the acts in effect that the log does not have yet.
    pub(super) fn in_effect(&self) -> Vec<InEffect> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether the rollout `id` is aborted here, and the log does not have that yet.
    pub(super) fn is_aborted(&self, id: &str) -> bool {
        let acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        acts.iter().any(|act| match &act.act {
            Reverted::Abort { id: aborted, .. } => aborted == id,
            Reverted::Return { .. } => true,
        })
    }

    /// Returns the time until the next turn: shorter at random, so that servers do not look at the same moment.
    async fn pause(&self) -> Duration {
        let state = self.lock().await;
        let is_busy = state.open(&self.app.model).is_some() || !self.in_effect().is_empty();
        let pace = if is_busy { self.pace.busy } else { self.pace.idle };
        let turn = self.acted.fetch_add(0, Ordering::Relaxed);
        let draw = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), turn) % 256;
        let pause = pace.mul_f64(1.0 - draw as f64 / 1024.0);
        match state.share.next {
            Some((_, at)) => pause.min(at.saturating_duration_since(Instant::now())),
            None => pause,
        }
    }

    /// Writes an event to the request log.
    pub(super) fn event(&self, level: &'static str, event: &'static str, message: String) {
        self.app.log.event(self.app.clock.now(), level, event, message);
    }
}

/// Returns a decision in words, for the request log.
fn rollout_message(rollout: &botops_rollout::Rollout, reason: &str) -> String {
    let (id, phase) = (&rollout.id, rollout.phase.name());
    format!("{id} is {phase} at {:.1} %: {reason}", rollout.weight_percent())
}
