//! The standing of a server among the servers of its model and environment: first or second.

use crate::presence::{GONE, Sign};
use botops_findings::{Fault, Result};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::time::Instant;

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
    pub(super) fn meet(&self, signs: &[Sign], now: Instant) {
        let alive = signs.iter().filter(|sign| !sign.is_over);
        let ahead: BTreeMap<_, _> =
            alive.map(|sign| (sign.id.clone(), Sighting { beat: sign.beat, at: now })).collect();
        *lock(&self.others) = ahead.keys().cloned().collect();
        self.second.store(!ahead.is_empty(), Ordering::SeqCst);
        *lock(&self.ahead) = ahead;
    }

    /// Notes the signs of life. Returns the servers that are gone and whose signs are left.
    ///
    /// Such a server stays ahead until [`Self::forget`]: the missing sign tells it, if it was only suspended, that another
    /// server took its place.
    pub(super) fn observe(&self, signs: &[Sign], now: Instant) -> Vec<String> {
        let mut ahead = lock(&self.ahead);
        let mut gone: Vec<String> =
            signs.iter().filter(|sign| sign.is_over).map(|sign| sign.id.clone()).collect();
        ahead.retain(|id, seen| {
            let sign = signs.iter().find(|sign| sign.id == *id);
            if let Some(sign) = sign.filter(|sign| sign.beat != seen.beat) {
                *seen = Sighting { beat: sign.beat, at: now };
            }
            let is_silent = now - seen.at > GONE;
            if is_silent && sign.is_some_and(|sign| !sign.is_over) {
                gone.push(id.clone());
            }
            if id == UNKNOWN { !is_silent } else { sign.is_some() }
        });
        let alive = signs.iter().filter(|sign| !gone.contains(&sign.id));
        *lock(&self.others) = alive.map(|sign| sign.id.clone()).collect();
        gone
    }

    /// Notes that the signs of the server `id`, which is gone, are removed.
    pub(super) fn forget(&self, id: &str) {
        lock(&self.ahead).remove(id);
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
    pub(super) fn is_next(&self) -> bool {
        self.is_second() && lock(&self.ahead).is_empty()
    }

    /// Becomes first.
    pub(super) fn step_up(&self) {
        self.second.store(false, Ordering::SeqCst);
    }

    /// Returns `problem` if it is not the one that was reported last.
    pub(super) fn unreported(&self, problem: Option<String>) -> Option<String> {
        let before = std::mem::replace(&mut *lock(&self.problem), problem.clone());
        problem.filter(|problem| before.as_ref() != Some(problem))
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(
            !standing.is_next(),
            "the signs of `b` are there: it would not notice that it is gone"
        );
        standing.forget("b");
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
        standing.forget("a");
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
