//! The clock of a server: the wall clock with a steady companion, or a clock that a rehearsal sets.
//!
//! The wall clock can be set, forwards and backwards, while the process lives. Durations of a rollout are measured on a
//! steady clock: the wall time at its start plus the monotonic time since then. When the two disagree, the wall clock
//! jumped; the steady clock continues from the wall clock, and the caller hears of it once.

use chrono::{DateTime, TimeDelta, Utc};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

/// The largest disagreement of the two clocks that is no jump: time synchronization corrects small errors in steps.
pub(super) const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// A jump of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Jump {
    /// The time that the steady clock showed.
    pub(super) from: DateTime<Utc>,
    /// The time that the wall clock showed then, and from which both continue.
    pub(super) to: DateTime<Utc>,
}

/// A source of the current time.
pub(super) trait Clock: Send + Sync {
    /// Returns the wall time.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the steady time: differences of it are durations, whatever happens to the wall clock.
    fn steady(&self) -> DateTime<Utc>;

    /// Returns the jump of the wall clock since the last call, if there was one.
    fn take_jump(&self) -> Option<Jump>;
}

/// The clock of the machine.
#[derive(Debug)]
pub(super) struct WallClock {
    /// A moment on the monotonic clock, and the steady time of that moment.
    anchor: Mutex<(Instant, DateTime<Utc>)>,
}

impl WallClock {
    /// Starts the steady clock at the current wall time.
    pub(super) fn start() -> Self {
        Self { anchor: Mutex::new((Instant::now(), Utc::now())) }
    }
}

/// Returns the time of `anchor` plus the monotonic time since then.
fn since((moment, time): (Instant, DateTime<Utc>)) -> DateTime<Utc> {
    TimeDelta::from_std(moment.elapsed())
        .ok()
        .and_then(|elapsed| time.checked_add_signed(elapsed))
        .unwrap_or(time)
}

impl Clock for WallClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn steady(&self) -> DateTime<Utc> {
        since(*self.anchor.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_jump(&self) -> Option<Jump> {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let jump = jump(since(*anchor), Utc::now())?;
        *anchor = (Instant::now(), jump.to);
        Some(jump)
    }
}

/// Returns the jump between a steady time and a wall time, if they disagree by more than [`TOLERANCE`].
pub(super) fn jump(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Jump> {
    ((to - from).abs() > TOLERANCE).then_some(Jump { from, to })
}

/// A clock that stands still until it is set: a rehearsal sets it to the time of the recorded traffic.
#[derive(Debug)]
pub(super) struct ManualClock {
    /// The steady time, in microseconds.
    steady: AtomicI64,
    /// The wall time less the steady time, in microseconds.
    ahead: AtomicI64,
}

impl ManualClock {
    /// Starts at `at`.
    pub(super) fn new(at: DateTime<Utc>) -> Self {
        Self { steady: AtomicI64::new(at.timestamp_micros()), ahead: AtomicI64::new(0) }
    }

    /// Moves to `at`.
    pub(super) fn set(&self, at: DateTime<Utc>) {
        self.steady.store(at.timestamp_micros(), Ordering::SeqCst);
    }

    /// Moves the wall clock alone, as a person or a time server does.
    #[cfg(test)]
    pub(super) fn leap(&self, by: TimeDelta) {
        let micros = by.num_microseconds().unwrap_or_default();
        self.ahead.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        from_micros(self.steady.load(Ordering::SeqCst) + self.ahead.load(Ordering::SeqCst))
    }

    fn steady(&self) -> DateTime<Utc> {
        from_micros(self.steady.load(Ordering::SeqCst))
    }

    fn take_jump(&self) -> Option<Jump> {
        let jump = jump(self.steady(), self.now())?;
        let ahead = self.ahead.swap(0, Ordering::SeqCst);
        self.steady.fetch_add(ahead, Ordering::SeqCst);
        Some(jump)
    }
}

/// Returns the time `micros` after the epoch.
pub(super) fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_follows_the_wall_clock_without_a_jump() {
        let clock = WallClock::start();
        let (steady, wall) = (clock.steady(), clock.now());
        assert!((wall - steady).abs() < TimeDelta::seconds(30), "{steady} is not {wall}");
        assert!(clock.steady() >= steady);
        assert_eq!(clock.take_jump(), None);
    }

    #[test]
    fn a_jump_is_taken_once_and_small_corrections_are_none() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        clock.leap(TimeDelta::seconds(45));
        assert_eq!((clock.take_jump(), clock.steady()), (None, DateTime::UNIX_EPOCH));
        // Small corrections add up.
        clock.leap(TimeDelta::seconds(45));
        let to = DateTime::UNIX_EPOCH + TimeDelta::seconds(90);
        assert_eq!(clock.take_jump(), Some(Jump { from: DateTime::UNIX_EPOCH, to }));
        assert_eq!((clock.take_jump(), clock.steady()), (None, to));
        clock.leap(TimeDelta::hours(-1));
        assert_eq!(clock.take_jump().map(|jump| jump.to - jump.from), Some(TimeDelta::hours(-1)));
    }
}
