//! The succession of servers: signs of life, and the takeover of the rollouts.
//!
//! The first server drives the rollouts. A second one serves the champion, shows the rollout as the log has it, refuses
//! commands, and takes over when every server that was there before it is gone.

use super::{
    driver::Canary,
    state::{Active, State, no_active},
};
use crate::presence::{BEAT, Sign};
use botops_findings::{FaultKind, Result};
use botops_rollout::TransitionRecord;
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// The longest look for a server that took over.
const LOOK: Duration = Duration::from_secs(3);

impl Canary {
    /// Gives the first sign of life, and finds out whether other servers are there already.
    pub(crate) async fn meet(&self) {
        let signs = self.signs().await.unwrap_or_default();
        for over in signs.iter().filter(|sign| sign.is_over) {
            self.forget(&over.id).await;
        }
        self.take_place(&signs);
    }

    /// Takes the place behind the servers that are alive. Only [`Self::take_over`] makes a second server first.
    fn take_place(&self, signs: &[Sign]) {
        let was_second = self.standing.is_second();
        if was_second && signs.iter().all(|sign| sign.is_over) {
            return;
        }
        self.standing.meet(signs, Instant::now());
        if self.standing.is_second() && !was_second {
            let message =
                "another server controls the rollouts: this one serves the champion and is second";
            self.event("warn", "second", message.to_owned());
        }
        self.show_standing();
    }

    /// Gives signs of life until `stop` is true, then removes them.
    pub(crate) async fn keep_presence(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let Some(signs) = self.signs().await else { continue };
            for gone in self.standing.observe(&signs, Instant::now()) {
                self.forget(&gone).await;
            }
            if self.standing.is_next() {
                // The driver takes over at once, and not at its next look.
                self.woken.notify_one();
            }
        }
        // The others notice without it that this server is gone.
        let _ = self.source.leave().await;
    }

    /// Removes the signs of the server `id`, which is gone. Without that, this server does not take over.
    async fn forget(&self, id: &str) {
        match self.source.forget(id).await {
            Ok(()) => self.standing.forget(id),
            Err(fault) => {
                let problem = format!("{}: {fault}", fault.code());
                if let Some(problem) = self.standing.unreported(Some(problem)) {
                    self.event("warn", "presence", problem);
                }
            }
        }
    }

    /// Refuses a command on a second server, and on a first one whose place another server took while it was suspended.
    ///
    /// A store that does not answer within [`LOOK`] is no reason to refuse: the command then depends on the log alone.
    ///
    /// # Errors
    /// `BOT-6061`.
    pub(super) async fn check_still_first(&self) -> Result<()> {
        self.standing.check_first()?;
        let look = async {
            if self.source.is_forgotten().await.unwrap_or(false) {
                let others = self.source.others().await.unwrap_or_default();
                self.take_place(&others);
            }
            if self.source.is_overtaken().await.unwrap_or(false) {
                self.step_back();
            }
        };
        let _ = tokio::time::timeout(LOOK, look).await;
        self.standing.check_first()
    }

    /// Gives a sign of life and returns those of the others; `None` if the store does not answer.
    async fn signs(&self) -> Option<Vec<Sign>> {
        let (others, fault) = match self.give_sign().await {
            Ok(()) => match self.source.others().await {
                Ok(others) => (Some(others), None),
                Err(fault) => (None, Some(fault)),
            },
            Err(fault) => (self.source.others().await.ok(), Some(fault)),
        };
        let problem = fault.map(|fault| format!("{}: {fault}", fault.code()));
        if let Some(problem) = self.standing.unreported(problem) {
            self.event("warn", "presence", problem);
        }
        others
    }

    /// Gives a sign of life. A server that was counted as gone takes its new place first: as long as its last sign is
    /// missing, [`Self::check_still_first`] sees it, too.
    async fn give_sign(&self) -> Result<()> {
        if self.source.is_forgotten().await? {
            self.take_place(&self.source.others().await?);
        }
        self.source.beat().await
    }

    /// Follows the log of the first server, and takes over if there is none any more.
    pub(super) async fn follow_log(&self) -> Result<()> {
        if !self.standing.is_second() {
            return Ok(());
        }
        let newer = self.source.newer().await?;
        let mut state = self.lock().await;
        if !newer.is_empty() && self.standing.is_next() {
            // Somebody wrote who gives no sign of life.
            self.standing.step_back(Instant::now());
        }
        for deployment in newer {
            let Some(rollout) = deployment.rollout else { continue };
            let decided = (!deployment.reason.is_empty())
                .then(|| TransitionRecord::new(&rollout, &deployment.reason).by(&deployment.actor));
            let known = state.active.take().filter(|active| active.rollout.id == rollout.id);
            let mut active =
                known.unwrap_or_else(|| Active::new(rollout.clone(), deployment.actor.clone()));
            active.rollout = rollout;
            active.slow_bound = deployment.slow_bound_seconds.map(Duration::from_secs_f64);
            active.actor = deployment.actor;
            active.transitions.extend(decided);
            active.lost = true;
            active.unwritten.clear();
            self.set_current(&active);
            state.active = Some(active);
        }
        if self.standing.is_next() { self.take_over(&mut state).await } else { Ok(()) }
    }

    /// Becomes the first server, and continues the rollout that is under way.
    async fn take_over(&self, state: &mut State) -> Result<()> {
        let is_over = state.active.as_ref().is_none_or(|active| active.rollout.is_over());
        if !is_over {
            let champion = self.source.champion().await?;
            let active = state.active.as_mut().ok_or_else(no_active)?;
            // The claim in the log: the other server, if it still runs, notices it at its next write.
            let claim = active.entry(&active.rollout, "", self.app.clock.steady());
            if let Err(fault) = self.source.record(claim).await {
                if fault.kind() == FaultKind::Conflict {
                    self.standing.step_back(Instant::now());
                }
                return Err(fault);
            }
            let mut active = state.active.take().ok_or_else(no_active)?;
            active.lost = false;
            let champion = champion.unwrap_or(active.rollout.champion);
            self.adopt(state, active, champion).await?;
        } else if let Some(active) = state.active.as_mut() {
            active.lost = false;
        }
        self.standing.step_up();
        self.show_standing();
        let message = "the server before this one is gone: this one controls the rollouts now";
        self.event("warn", "first", message.to_owned());
        Ok(())
    }

    /// Shows in the metrics whether this server is first.
    pub(super) fn show_standing(&self) {
        self.app.metrics.first.set(i64::from(!self.standing.is_second()));
    }

    /// Returns whether another server controls the rollouts.
    pub(crate) fn is_second(&self) -> bool {
        self.standing.is_second()
    }
}
