//! Whether the last look at the log is recent enough to send requests to a challenger.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The moment until which the last look at the log counts, by the monotonic clock.
///
/// A request asks before it goes to a challenger, so a process that was stopped does not use an old routing when it
/// continues.
pub(crate) struct Freshness {
    begin: Instant,
    /// Microseconds after `begin`; `u64::MAX` for ever.
    until: AtomicU64,
}

impl Freshness {
    /// Makes one that has not looked yet.
    pub(crate) fn none() -> Self {
        Self { begin: Instant::now(), until: AtomicU64::new(0) }
    }

    /// Makes one that is always recent: nothing else writes to the log of a rehearsal.
    pub(crate) fn always() -> Self {
        Self { begin: Instant::now(), until: AtomicU64::new(u64::MAX) }
    }

    /// Counts the last look until `until`.
    pub(super) fn extend(&self, until: Instant) {
        if self.until.load(Ordering::SeqCst) != u64::MAX {
            self.until.store(micros(until - self.begin), Ordering::SeqCst);
        }
    }

    /// Returns whether the last look is recent enough.
    pub(crate) fn is_recent(&self) -> bool {
        let until = self.until.load(Ordering::SeqCst);
        until == u64::MAX || micros(self.begin.elapsed()) < until
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_counts_for_its_time() {
        let freshness = Freshness::none();
        assert!(!freshness.is_recent());
        freshness.extend(Instant::now() + Duration::from_secs(60));
        assert!(freshness.is_recent());
        freshness.extend(Instant::now());
        assert!(!freshness.is_recent());
        let always = Freshness::always();
        always.extend(Instant::now());
        assert!(always.is_recent());
    }
}
