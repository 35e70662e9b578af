//! The ticks of the server that holds the lease: the observations of all servers are merged, and the judge decides.

use super::{
    counting::is_nothing,
    follow::Canary,
    state::{Requester, Reverted, State},
};
use botops_access::Identity;
use botops_findings::{Fault, FaultKind, Result};
use botops_rollout::{self as rollout, Command, Effect, Observation, Phase, Rollout, Transition};
use chrono::{DateTime, Utc};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a rollback waits for the requests that still use the challenger.
const DRAIN: Duration = Duration::from_secs(30);

impl Canary {
    /// Ticks if this server holds the lease, and the time has come or a rollback is due.
    ///
    /// # Errors
    /// Those of the store. Nothing is decided then, and the next turn gets the observations.
    pub(super) async fn tick_if_due(self: &Arc<Self>, state: &mut State) -> Result<()> {
        if !self.holds_lease(state) || state.open(&self.app.model).is_none() {
            if let Some(ended) = state.ticking.take() {
                self.clean_up(state, &ended).await;
            }
            return Ok(());
        }
        self.pause_after_jump(state).await?;
        self.gather(state).await?;
        self.judge(state, false).await?;
        self.keep_union_if_due(state).await
    }

    /// Takes one tick of a rehearsal. Returns whether it decided anything.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn tick(self: &Arc<Self>) -> Result<bool> {
        let mut state = self.lock().await;
        self.take_arrivals(&mut state);
        if state.open(&self.app.model).is_none() {
            return Ok(false);
        }
        self.note_jump(&mut state);
        if self.pause_after_jump(&mut state).await? {
            return Ok(true);
        }
        self.gather(&mut state).await?;
        let decided = self.judge(&mut state, true).await?;
        drop(state);
        self.drive().await?;
        Ok(decided)
    }

    /// Returns whether a tick at `now` without any message would decide anything.
    pub(crate) async fn is_due(&self, now: DateTime<Utc>) -> bool {
        let state = self.lock().await;
        let Some(step) = state.open(&self.app.model) else { return false };
        let nothing = Observation { observed_at: Some(now), ..Observation::default() };
        rollout::advance(&step.rollout, &nothing, now).is_decided()
    }

    /// Lets the judge decide on what no entry has counted: at the interval of the plan, and at once on a rollback.
    async fn judge(self: &Arc<Self>, state: &mut State, is_due: bool) -> Result<bool> {
        let held = self.held(state);
        loop {
            let Some(step) = state.open(&self.app.model) else { return Ok(false) };
            let (rollout, now) = (step.rollout.clone(), self.rollout_now(state));
            let Some(ticking) = &state.ticking else { return Ok(false) };
            let (seen, marks) = (ticking.uncounted(now, held.clone()), ticking.marks());
            let transition = rollout::advance(&rollout, &seen, now);
            let decided = transition.is_decided();
            let interval = rollout.policy.interval();
            let is_due = is_due || ticking.ticked.is_none_or(|at| at.elapsed() >= interval);
            let is_urgent = transition.effect == Effect::RollBack;
            if !is_due && !is_urgent {
                return Ok(false);
            }
            if !decided && is_nothing(&seen) {
                // A quiet tick has no entry in the log.
                if let Some(ticking) = &mut state.ticking {
                    ticking.ticked = Some(Instant::now());
                }
                return Ok(false);
            }
            if is_urgent {
                self.app.slot.withdraw();
            }
            let counted = self.count(state, &transition, &automatic(), marks).await;
            if is_urgent && counted.is_err() {
                // In effect here although it cannot be recorded yet: the next turns do not give the share back.
                let (id, reason) = (rollout.id.clone(), transition.reason.clone());
                self.act(Reverted::Abort { id, reason }, automatic(), now);
            }
            if !counted? {
                self.catch_up(state).await?;
                if !self.holds_lease(state) {
                    return Ok(false);
                }
                continue;
            }
            if let Some(ticking) = &mut state.ticking {
                ticking.ticked = Some(Instant::now());
            }
            self.app.metrics.conversations([seen.primary_units, seen.canary_units]);
            if is_urgent {
                self.app.metrics.rolled_back("judge");
            }
            return Ok(decided);
        }
    }

    /// Carries out the effects of the open rollout, one after another, if this server ticks.
    ///
    /// # Errors
    /// Those of the store. The next turn tries again.
    pub(super) async fn drive(self: &Arc<Self>) -> Result<()> {
        let Ok(_driving) = self.driving.try_lock() else { return Ok(()) };
        loop {
            let (effect, rollout) = {
                let mut state = self.lock().await;
                self.take_arrivals(&mut state);
                self.route(&mut state);
                let Some(step) = state.open(&self.app.model) else { return Ok(()) };
                if !self.holds_lease(&state) {
                    return Ok(());
                }
                let rollout = step.rollout.clone();
                if matches!(rollout.phase, Phase::Pending) {
                    let now = self.rollout_now(&state);
                    let nothing = Observation { observed_at: Some(now), ..Observation::default() };
                    let transition = rollout::advance(&rollout, &nothing, now);
                    let requester = automatic();
                    if !self.step(&mut state, &transition, &requester, None).await? {
                        self.catch_up(&mut state).await?;
                    }
                    continue;
                }
                (rollout.pending_effect(), rollout)
            };
            match effect {
                Effect::Load => self.load_challenger(&rollout).await?,
                Effect::Promote => self.promote(&rollout).await?,
                Effect::RollBack => {
                    self.drain(&rollout).await;
                    self.report(&rollout, &Command::Drained, None).await?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Loads the challenger beside the primary, and reports how that ended.
    async fn load_challenger(self: &Arc<Self>, rollout: &Rollout) -> Result<()> {
        // The challenger of a drill is the champion, which serves.
        let is_drill = rollout.challenger == rollout.champion;
        let known = is_drill || self.lock().await.resident.contains_key(&rollout.challenger);
        let loaded = if known { Ok(None) } else { self.admitted_challenger(rollout).await };
        let report = match loaded {
            Ok(served) => {
                if let Some(served) = served {
                    let mut state = self.lock().await;
                    state.resident.insert(rollout.challenger, Arc::new(served));
                }
                Command::Loaded
            }
            Err(fault) if fault.kind() == FaultKind::Unreachable => return Err(fault),
            Err(fault) => Command::LoadFailed { reason: format!("{}: {fault}", fault.code()) },
        };
        self.report(rollout, &report, None).await
    }

    /// Loads a challenger that may get traffic.
    ///
    /// A rollout that an earlier version of botops began may have one without the evidence for its promotion.
    async fn admitted_challenger(
        &self,
        rollout: &Rollout,
    ) -> Result<Option<crate::routing::Served>> {
        let served = self.versions.load(&rollout.challenger).await?;
        if let Some(version) = &served.version {
            self.versions.admit(version).await?;
        }
        Ok(Some(served))
    }

    /// Makes the challenger champion, once the higher share is in effect, and checks which model serves.
    async fn promote(self: &Arc<Self>, rollout: &Rollout) -> Result<()> {
        let until = {
            let mut state = self.lock().await;
            state.share = state.share.at(Instant::now());
            state.share.next.map(|(_, at)| at)
        };
        if let Some(until) = until {
            tokio::time::sleep_until(until.into()).await;
        }
        let moved = match self.versions.promotion(&rollout.challenger, rollout.champion).await {
            Ok(moved) => moved,
            Err(fault) if matches!(fault.kind(), FaultKind::Unreachable | FaultKind::Internal) => {
                return Err(fault);
            }
            Err(fault) => {
                let reason =
                    format!("the registry refused the promotion: {}: {fault}", fault.code());
                return self.report(rollout, &Command::Abort { reason }, None).await;
            }
        };
        self.report(rollout, &Command::Confirmed, moved).await?;
        let state = self.lock().await;
        let is_champion = state.champions.current() == Some(rollout.challenger);
        drop(state);
        let served = self.primary()?;
        if self.rehearsal || !is_champion || served.manifest == Some(rollout.challenger) {
            Ok(())
        } else {
            let message = "the challenger is the champion of the log and does not serve here";
            self.app.degrade("BOT-6018", message.to_owned());
            Err(Fault::internal("BOT-6018", message))
        }
    }

    /// Waits until no request uses the challenger, at most [`DRAIN`].
    async fn drain(&self, rollout: &Rollout) {
        let challenger = self.lock().await.resident.remove(&rollout.challenger);
        self.app.slot.withdraw();
        let Some(challenger) = challenger else { return };
        let serves = self.app.slot.load().is_some_and(|it| Arc::ptr_eq(&it.primary, &challenger));
        let begun = Instant::now();
        while !serves && Arc::strong_count(&challenger) > 1 && begun.elapsed() < DRAIN {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Applies the report on an effect, unless the rollout has moved on.
    async fn report(
        self: &Arc<Self>,
        rollout: &Rollout,
        report: &Command,
        moved: Option<botops_registry::ChampionMove>,
    ) -> Result<()> {
        let mut state = self.lock().await;
        loop {
            self.catch_up(&mut state).await?;
            let Some(step) = state.open(&self.app.model) else { return Ok(()) };
            let now = &step.rollout;
            let is_still = now.id == rollout.id && now.revision == rollout.revision;
            if !is_still || !self.holds_lease(&state) || self.is_aborted(&now.id) {
                return Ok(());
            }
            let transition = rollout::command(now, report, self.rollout_now(&state))?;
            let requester = automatic();
            if self.step(&mut state, &transition, &requester, moved.clone()).await? {
                return Ok(());
            }
        }
    }

    /// Applies a command of the server itself, such as an abort of a withdrawn version.
    pub(super) async fn command_itself(
        self: &Arc<Self>,
        state: &mut State,
        command: &Command,
    ) -> Result<()> {
        loop {
            let Some(step) = state.open(&self.app.model) else { return Ok(()) };
            let transition: Transition =
                rollout::command(&step.rollout, command, self.rollout_now(state))?;
            if self.step(state, &transition, &automatic(), None).await? {
                return Ok(());
            }
            self.catch_up(state).await?;
        }
    }
}

/// Returns the server as the author.
pub(super) fn automatic() -> Requester {
    Requester::new(Identity::automatic(), "")
}
