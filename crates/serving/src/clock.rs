//! The clock of a server: the wall clock with a steady companion, or a clock that a rehearsal sets.
//!
//! The wall clock can be set, forwards and backwards, while the process lives. Durations are measured on the monotonic
//! clock, which nobody sets. The steady clock is the wall time at the start plus the monotonic time since then: when it
//! disagrees with the wall clock, that jumped; the steady clock continues from it, and the caller hears of it once.

use botops_rollout::ClockJump;
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// A source of the current time.
pub(super) trait Clock: Send + Sync {
    /// Returns the wall time.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the steady time: the wall time, and between two jumps a measure of durations.
    fn steady(&self) -> DateTime<Utc>;

    /// Returns the time since the start of the clock: differences of it are durations, whatever happens to the wall clock.
    fn monotonic(&self) -> Duration;

    /// Returns the jump of the wall clock since the last call, if there was one.
    fn take_jump(&self) -> Option<ClockJump>;
}

/// The clock of the machine.
#[derive(Debug)]
pub(super) struct WallClock {
    /// A moment on the monotonic clock, and the steady time of that moment.
    anchor: Mutex<(Instant, DateTime<Utc>)>,
    /// The start of the clock.
    begin: Instant,
}

impl WallClock {
    /// Starts the steady clock at the current wall time.
    pub(super) fn start() -> Self {
        let begin = Instant::now();
        Self { anchor: Mutex::new((begin, Utc::now())), begin }
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

    fn monotonic(&self) -> Duration {
        self.begin.elapsed()
    }

    fn take_jump(&self) -> Option<ClockJump> {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let jump = ClockJump::between(since(*anchor), Utc::now())?;
        *anchor = (Instant::now(), jump.to);
        Some(jump)
    }
}

/// A clock that stands still until it is set: a rehearsal sets it to the time of the recorded traffic.
#[derive(Debug)]
pub(super) struct ManualClock {
    /// The steady time, in microseconds.
    steady: AtomicI64,
    /// The wall time less the steady time, in microseconds.
    ahead: AtomicI64,
    /// The steady time at the start plus all jumps since then, in microseconds.
    begin: AtomicI64,
}

impl ManualClock {
    /// Starts at `at`.
    pub(super) fn new(at: DateTime<Utc>) -> Self {
        let begin = at.timestamp_micros();
        Self {
            steady: AtomicI64::new(begin),
            ahead: AtomicI64::new(0),
            begin: AtomicI64::new(begin),
        }
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

    fn monotonic(&self) -> Duration {
        let passed = self.steady.load(Ordering::SeqCst) - self.begin.load(Ordering::SeqCst);
        Duration::from_micros(u64::try_from(passed).unwrap_or_default())
    }

    fn take_jump(&self) -> Option<ClockJump> {
        let jump = ClockJump::between(self.steady(), self.now())?;
        let ahead = self.ahead.swap(0, Ordering::SeqCst);
        self.steady.fetch_add(ahead, Ordering::SeqCst);
        self.begin.fetch_add(ahead, Ordering::SeqCst);
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
        assert_eq!(clock.take_jump(), Some(ClockJump { from: DateTime::UNIX_EPOCH, to }));
        assert_eq!((clock.take_jump(), clock.steady()), (None, to));
        clock.leap(TimeDelta::hours(-1));
        assert_eq!(clock.take_jump().map(|jump| jump.to - jump.from), Some(TimeDelta::hours(-1)));
        // No jump is time that passed.
        assert_eq!(clock.monotonic(), Duration::ZERO);
        clock.set(clock.steady() + TimeDelta::seconds(7));
        assert_eq!(clock.monotonic(), Duration::from_secs(7));
    }
}
