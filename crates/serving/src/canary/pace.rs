//! How often a server looks at the log and reports, and how long it waits for the others.

use std::time::Duration;

/// The durations of a server among others. A test divides all of them by one number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The time between two reads of the log while a rollout is open.
    pub(super) busy: Duration,
    /// The time between two reads of the log otherwise.
    pub(super) idle: Duration,
    /// The time between two observations.
    pub(super) observe: Duration,
    /// The time after which a server that ticks, and gives no sign of life, is replaced.
    pub(super) replace: Duration,
    /// The time between the entry of a higher share and its effect: every server has read it by then.
    pub(super) raise: Duration,
    /// How long a server that has read the log sends requests to the challenger without another look. The loop renews it,
    /// so that a process which was stopped does not.
    pub(super) fresh: Duration,
    /// How long a server that cannot read the store sends requests to the challenger.
    pub(super) stale_after: Duration,
    /// The time between two looks at the withdrawals of versions.
    pub(super) withdrawals: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            busy: Duration::from_millis(500),
            idle: Duration::from_secs(2),
            observe: Duration::from_secs(2),
            replace: Duration::from_secs(10),
            raise: Duration::from_secs(5),
            fresh: Duration::from_secs(2),
            stale_after: Duration::from_secs(15),
            withdrawals: Duration::from_secs(10),
        }
    }
}

impl Pace {
    /// Returns the pace with this [`Self::stale_after`].
    pub(crate) fn stale_after(self, stale_after: Duration) -> Self {
        Self { stale_after, ..self }
    }

    /// Returns the pace `times` as fast.
    pub(crate) fn times(self, times: u32) -> Self {
        let times = times.max(1);
        Self {
            busy: self.busy / times,
            idle: self.idle / times,
            observe: self.observe / times,
            replace: self.replace / times,
            raise: self.raise / times,
            fresh: self.fresh / times,
            stale_after: self.stale_after / times,
            withdrawals: self.withdrawals / times,
        }
    }

    /// Returns the pace of a rehearsal, which is alone: nothing waits for another server.
    pub(crate) fn alone() -> Self {
        Self { raise: Duration::ZERO, ..Self::default() }
    }
}
