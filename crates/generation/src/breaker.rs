//! A circuit breaker: an endpoint that fails repeatedly is not asked for a while, and then by one request alone.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// The rules of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSpec {
    /// The failures in a row after which the endpoint is not asked.
    pub failures: u32,
    /// The time until one request tries it again.
    pub pause: Duration,
}

impl Default for BreakerSpec {
    /// 5 failures are more than the tries of one request; a person waits 30 s for an answer of the model at most once.
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_secs(30) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Requests pass; so many failed in a row.
    Closed(u32),
    /// No request passes before that time.
    Open(SystemTime),
    /// One request passes, and the others wait for its outcome.
    Probing,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    spec: BreakerSpec,
    state: Mutex<State>,
}

/// The right to send one request. Dropped without an outcome, such as by a client that left, it counts as nothing.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    /// The time at which another probe may start if this one has no outcome.
    since: SystemTime,
}

impl Breaker {
    pub(crate) fn new(spec: BreakerSpec) -> Self {
        Self { spec, state: Mutex::new(State::Closed(0)) }
    }

    /// Returns a permit, or `None` while the endpoint is not asked.
    pub(crate) fn admit(&self, now: SystemTime) -> Option<Permit<'_>> {
        let mut state = self.state();
        let is_probe = match *state {
            State::Closed(_) => false,
            State::Open(until) if now >= until => true,
            State::Open(_) | State::Probing => return None,
        };
        if is_probe {
            *state = State::Probing;
        }
        Some(Permit { breaker: self, is_probe, since: now })
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.state(), State::Closed(_))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    pub(crate) fn succeeded(mut self) {
        let mut state = self.breaker.state();
        // A request from before the pause proves nothing of the endpoint after it.
        if self.is_probe || matches!(*state, State::Closed(_)) {
            *state = State::Closed(0);
        }
        self.is_probe = false;
    }

    /// Counts a failure that was noticed at `now`.
    pub(crate) fn failed(mut self, now: SystemTime) {
        let spec = self.breaker.spec;
        let open = || State::Open(now.checked_add(spec.pause).unwrap_or(now));
        let mut state = self.breaker.state();
        match *state {
            State::Probing if self.is_probe => *state = open(),
            State::Closed(failures) if failures + 1 >= spec.failures.max(1) => *state = open(),
            State::Closed(failures) => *state = State::Closed(failures + 1),
            State::Open(_) | State::Probing => {}
        }
        self.is_probe = false;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            *self.breaker.state() = State::Open(self.since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: BreakerSpec = BreakerSpec { failures: 2, pause: Duration::from_secs(10) };

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_probe() {
        let breaker = Breaker::new(SPEC);
        breaker.admit(at(0)).unwrap().failed(at(0));
        breaker.admit(at(0)).unwrap().succeeded();
        breaker.admit(at(0)).unwrap().failed(at(0));
        assert!(!breaker.is_open(), "a success between two failures starts the count again");
        breaker.admit(at(1)).unwrap().failed(at(1));
        assert!(breaker.is_open() && breaker.admit(at(10)).is_none());
        let probe = breaker.admit(at(11)).unwrap();
        assert!(breaker.admit(at(11)).is_none(), "only one request probes");
        probe.failed(at(12));
        assert!(breaker.admit(at(21)).is_none());
        breaker.admit(at(22)).unwrap().succeeded();
        assert!(!breaker.is_open() && breaker.admit(at(22)).is_some());
    }

    #[test]
    fn a_probe_that_is_dropped_lets_another_one_pass() {
        let breaker = Breaker::new(SPEC);
        breaker.admit(at(0)).unwrap().failed(at(0));
        breaker.admit(at(0)).unwrap().failed(at(0));
        drop(breaker.admit(at(10)).unwrap());
        assert!(breaker.is_open());
        breaker.admit(at(10)).unwrap().succeeded();
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_late_answer_of_an_older_request_does_not_close_it() {
        let breaker = Breaker::new(SPEC);
        let older = breaker.admit(at(0)).unwrap();
        breaker.admit(at(0)).unwrap().failed(at(0));
        breaker.admit(at(0)).unwrap().failed(at(0));
        older.succeeded();
        assert!(breaker.is_open());
    }
}
