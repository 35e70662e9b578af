//! The standing of a server among the servers of its model and environment: first or second.
//!
//! The first server drives the rollouts. A second one serves the champion, shows the rollout as the log has it, refuses
//! commands, and takes over when every server that was there before it is gone.

use super::{
    driver::Canary,
    state::{Active, State, no_active},
};
use crate::presence::{BEAT, GONE, Sign};
use botops_findings::{Fault, FaultKind, Result};
use botops_rollout::TransitionRecord;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{sync::watch, time::Instant};

/// The name of a server that wrote to the log and gives no sign of life: a person, or a botops of version 0.1.
const UNKNOWN: &str = "";

/// The servers ahead of this one.
#[derive(Default)]
pub(super) struct Standing {
    second: AtomicBool,
    /// The servers that have to go before this one takes over.
    ahead: Mutex<BTreeMap<String, Sighting>>,
    /// All other servers that are alive.
    others: Mutex<Vec<String>>,
    /// The last problem of the signs of life: a problem that stays is reported once.
    problem: Mutex<Option<String>>,
}

/// The last change of a server's sign of life that this server saw.
struct Sighting {
    beat: u64,
    at: Instant,
}

impl Standing {
    /// Returns whether another server drives the rollouts.
    pub(super) fn is_second(&self) -> bool {
        self.second.load(Ordering::SeqCst)
    }

    /// Takes the place behind the servers that are alive.
    fn meet(&self, signs: &[Sign], now: Instant) {
        let alive = signs.iter().filter(|sign| !sign.is_over);
        let ahead: BTreeMap<_, _> =
            alive.map(|sign| (sign.id.clone(), Sighting { beat: sign.beat, at: now })).collect();
        *lock(&self.others) = ahead.keys().cloned().collect();
        self.second.store(!ahead.is_empty(), Ordering::SeqCst);
        *lock(&self.ahead) = ahead;
    }

    /// Notes the signs of life. Returns the servers whose signs are left and that are gone.
    fn observe(&self, signs: &[Sign], now: Instant) -> Vec<String> {
        let mut ahead = lock(&self.ahead);
        let mut gone: Vec<String> =
            signs.iter().filter(|sign| sign.is_over).map(|sign| sign.id.clone()).collect();
        ahead.retain(|id, seen| {
            let sign = signs.iter().find(|sign| sign.id == *id);
            if let Some(sign) = sign.filter(|sign| sign.beat != seen.beat) {
                *seen = Sighting { beat: sign.beat, at: now };
            }
            let is_known = sign.is_some_and(|sign| !sign.is_over) || id == UNKNOWN;
            let is_silent = now - seen.at > GONE;
            if is_known && is_silent && id != UNKNOWN {
                gone.push(id.clone());
            }
            is_known && !is_silent
        });
        let alive = signs.iter().filter(|sign| !gone.contains(&sign.id));
        *lock(&self.others) = alive.map(|sign| sign.id.clone()).collect();
        gone
    }

    /// Steps back behind the others: one of them wrote to the log.
    pub(super) fn step_back(&self, now: Instant) {
        let seen = || Sighting { beat: 0, at: now };
        let others = lock(&self.others).clone();
        let mut ahead = lock(&self.ahead);
        for id in others.into_iter().chain([UNKNOWN.to_owned()]) {
            ahead.insert(id, seen());
        }
        self.second.store(true, Ordering::SeqCst);
    }

    /// Returns whether this server is second, and nobody is ahead of it any more.
    fn is_next(&self) -> bool {
        self.is_second() && lock(&self.ahead).is_empty()
    }

    /// Refuses a command on a second server.
    pub(super) fn check_first(&self) -> Result<()> {
        if !self.is_second() {
            return Ok(());
        }
        Err(Fault::conflict(
            "BOT-6061",
            "another server of this model and environment controls its rollouts, and this one is second",
        )
        .hint("send the command to the first server, or stop that one and wait until this one takes over")
        .hint("serve another environment with `--environment`"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Canary {
    /// Gives the first sign of life, and finds out whether other servers are there already.
    pub(crate) async fn meet(&self) {
        let signs = self.signs().await.unwrap_or_default();
        self.standing.meet(&signs, Instant::now());
        if self.standing.is_second() {
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
                if let Err(fault) = self.source.forget(&gone).await {
                    self.event("warn", "presence", format!("{}: {fault}", fault.code()));
                }
            }
            if self.standing.is_next() {
                // The driver takes over at once, and not at its next look.
                self.woken.notify_one();
            }
        }
        // The others notice without it that this server is gone.
        let _ = self.source.leave().await;
    }

    /// Gives a sign of life and returns those of the others; `None` if the store does not answer.
    async fn signs(&self) -> Option<Vec<Sign>> {
        let beaten = self.source.beat().await;
        let others = self.source.others().await;
        let fault = beaten.as_ref().err().or(others.as_ref().err());
        let problem = fault.map(|fault| format!("{}: {fault}", fault.code()));
        let before = std::mem::replace(&mut *lock(&self.standing.problem), problem.clone());
        if let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) {
            self.event("warn", "presence", problem);
        }
        others.ok()
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
                .then(|| TransitionRecord::new(&rollout, &deployment.reason));
            let known = state.active.take().filter(|active| active.rollout.id == rollout.id);
            let mut active =
                known.unwrap_or_else(|| Active::new(rollout.clone(), deployment.actor.clone()));
            active.rollout = rollout;
            active.slow_bound =
                deployment.slow_bound_seconds.map(std::time::Duration::from_secs_f64);
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
            let claim = active.entry(&active.rollout, "", self.app.clock.now());
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
        self.standing.second.store(false, Ordering::SeqCst);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sign(id: &str, beat: u64) -> Sign {
        Sign { id: id.to_owned(), beat, is_over: false }
    }

    #[test]
    fn a_server_is_next_when_those_before_it_have_left_or_fell_silent() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let standing = Standing::default();
        standing.meet(&[sign("a", 7), sign("b", 1)], at(0));
        assert!(standing.is_second() && !standing.is_next());
        assert_eq!(standing.check_first().unwrap_err().code(), "BOT-6061");
        // A third server that comes later is not ahead; `a` leaves.
        assert!(standing.observe(&[sign("b", 2), sign("c", 1)], at(3)).is_empty());
        assert!(!standing.is_next());
        // `b` is slow, and then silent.
        assert!(standing.observe(&[sign("b", 3), sign("c", 5)], at(15)).is_empty());
        assert!(standing.observe(&[sign("b", 3), sign("c", 9)], at(30)).is_empty());
        assert!(!standing.is_next());
        assert_eq!(standing.observe(&[sign("b", 3), sign("c", 9)], at(31)), ["b"]);
        assert!(standing.is_next());
    }

    #[test]
    fn a_server_whose_process_ended_is_gone_at_once() {
        let now = Instant::now();
        let standing = Standing::default();
        let killed = Sign { is_over: true, ..sign("a", 7) };
        standing.meet(std::slice::from_ref(&killed), now);
        assert!(!standing.is_second());
        standing.meet(&[sign("a", 7)], now);
        assert_eq!(standing.observe(&[killed], now), ["a"]);
        assert!(standing.is_next());
    }

    #[test]
    fn a_server_that_lost_the_log_waits_for_the_writer() {
        let now = Instant::now();
        let standing = Standing::default();
        standing.meet(&[], now);
        standing.step_back(now);
        standing.observe(&[], now);
        assert!(standing.is_second() && !standing.is_next());
        standing.observe(&[], now + GONE * 2);
        assert!(standing.is_next());
    }
}
