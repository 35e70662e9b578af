//! Load shedding: when requests have waited too long for a processor, new ones are refused at once.
//!
//! Without it, a queue that grows makes every answer late, and clients that gave up are still served. The rule is that of
//! CoDel (RFC 8289): a burst may queue, a queue that stands may not. The standing delay is the smallest wait for a turn in
//! the last 100 ms: if even the luckiest request waited longer than the target, more work arrives than is done.

use crate::problem::Problem;
use axum::http::StatusCode;
use botops_findings::Fault;
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::yield_now,
    time::{sleep, timeout},
};

/// The time over which the smallest wait is taken.
const WINDOW: Duration = Duration::from_millis(100);
/// The time between two measurements of the delay of the threads.
const PROBE: Duration = Duration::from_millis(20);
/// The measurements of which the smallest counts.
const N_PROBES: usize = 5;
/// The time after which a refused client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The control of one queue for turns.
pub(super) struct QueueControl {
    target: Duration,
    n_turns: usize,
    state: Mutex<QueueState>,
}

struct QueueState {
    waiting: usize,
    window_began: Instant,
    /// The smallest wait of this window so far.
    smallest: Option<Duration>,
    /// The smallest wait of the last window in which a turn was given.
    standing: Duration,
    last_turn: Instant,
    /// The mean time of a turn, smoothed.
    service: Duration,
}

/// A turn. Dropping it ends the turn.
pub(super) struct Turn<'a> {
    _permit: SemaphorePermit<'a>,
    control: &'a QueueControl,
    begun: Instant,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        let mut state = self.control.lock();
        state.service = (4 * state.service + took) / 5;
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a QueueControl);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl QueueControl {
    /// Makes the control of a queue for `n_turns` turns at a time.
    pub(super) fn new(target: Duration, n_turns: usize) -> Self {
        let now = Instant::now();
        let state = QueueState {
            waiting: 0,
            window_began: now,
            smallest: None,
            standing: Duration::ZERO,
            last_turn: now,
            service: Duration::ZERO,
        };
        Self { target, n_turns: n_turns.max(1), state: Mutex::new(state) }
    }

    /// Waits for a turn of `turns`.
    ///
    /// # Errors
    /// 503 at once if the queue stands, or is already longer than twice the target in time; and after twice the target, or
    /// two turns if they are longer.
    pub(super) async fn enter<'a>(&'a self, turns: &'a Semaphore) -> Result<Turn<'a>, Problem> {
        let arrived = Instant::now();
        let turn = |permit| Turn { _permit: permit, control: self, begun: Instant::now() };
        if let Ok(permit) = turns.try_acquire() {
            self.lock().given(arrived, Duration::ZERO);
            return Ok(turn(permit));
        }
        let (waiting, patience) = self.queue(arrived)?;
        let permit = timeout(patience, turns.acquire()).await;
        drop(waiting);
        let Ok(Ok(permit)) = permit else { return Err(overloaded()) };
        let now = Instant::now();
        self.lock().given(now, now.duration_since(arrived));
        Ok(turn(permit))
    }

    /// Takes a place in the queue. Returns it and the longest time to wait.
    fn queue(&self, now: Instant) -> Result<(Waiting<'_>, Duration), Problem> {
        let mut state = self.lock();
        // A turn that takes longer than the target makes the next request wait for longer, in a queue of one.
        let target = self.target.max(state.service);
        let patience = 2 * target;
        let ahead = u32::try_from(state.waiting / self.n_turns).unwrap_or(u32::MAX);
        let expected = state.service.saturating_mul(ahead);
        if state.standing(now) > target || expected > patience {
            return Err(overloaded());
        }
        state.waiting += 1;
        Ok((Waiting(self), patience))
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    /// Notes that a request got its turn after `waited`.
    fn given(&mut self, now: Instant, waited: Duration) {
        self.turn_window(now);
        self.smallest = Some(self.smallest.map_or(waited, |smallest| smallest.min(waited)));
        self.last_turn = now;
    }

    /// Returns the standing delay.
    fn standing(&mut self, now: Instant) -> Duration {
        self.turn_window(now);
        let since_turn = now.saturating_duration_since(self.last_turn);
        match self.waiting {
            0 => Duration::ZERO,
            // Nobody got a turn for longer than a window.
            _ if since_turn > WINDOW => self.standing.max(since_turn),
            _ => self.standing,
        }
    }

    fn turn_window(&mut self, now: Instant) {
        if now.saturating_duration_since(self.window_began) >= WINDOW {
            if let Some(smallest) = self.smallest.take() {
                self.standing = smallest;
            } else if self.waiting == 0 {
                self.standing = Duration::ZERO;
            }
            self.window_began = now;
        }
    }
}

/// The delay of the threads that serve connections: how long a task that could run waits for one of them.
pub(super) struct ThreadDelay {
    target: Duration,
    nanoseconds: AtomicU64,
}

impl ThreadDelay {
    /// Makes the measurement, with the target of requests that need no turn.
    pub(super) fn new(target: Duration) -> Self {
        Self { target, nanoseconds: AtomicU64::new(0) }
    }

    /// Measures until the task is dropped.
    pub(super) async fn measure(&self) {
        let mut last = [Duration::ZERO; N_PROBES];
        for n in (0..N_PROBES).cycle() {
            let due = Instant::now() + PROBE;
            sleep(PROBE).await;
            // A timer wakes its task ahead of the others; this one goes to the back of them.
            yield_now().await;
            last[n] = Instant::now().saturating_duration_since(due);
            let smallest = last.iter().min().copied().unwrap_or_default();
            let nanoseconds = u64::try_from(smallest.as_nanos()).unwrap_or(u64::MAX);
            self.nanoseconds.store(nanoseconds, Ordering::Relaxed);
        }
    }

    /// Checks that a request may run at once.
    ///
    /// # Errors
    /// 503 if all of the last measurements are beyond the target.
    pub(super) fn check(&self) -> Result<(), Problem> {
        match Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)) > self.target {
            true => Err(overloaded()),
            false => Ok(()),
        }
    }
}

fn overloaded() -> Problem {
    let fault = Fault::unreachable("BOT-6110", "the server has more requests than it can answer")
        .hint("wait as long as the header `retry-after` says");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, fault).retry_after(RETRY_AFTER)
}
