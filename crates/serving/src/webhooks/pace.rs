//! The durations of deliveries.

use std::time::Duration;

/// The durations of deliveries. A test divides all of them by one number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The longest time of an attempt.
    pub(super) answer: Duration,
    /// The pause after the first failed attempt; it doubles with each further one.
    pub(super) first_pause: Duration,
    /// The longest pause.
    pub(super) longest_pause: Duration,
    /// The time for which a claim holds on the server that made it: with [`Self::answer`], less than [`Self::replace`].
    pub(super) claim: Duration,
    /// The time after which the claim of another server is replaced, if nothing moves.
    pub(super) replace: Duration,
    /// The time for which a server waits for the one that ticks.
    pub(super) courtesy: Duration,
    /// The time between two looks at the deliveries of another server.
    pub(super) look: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
            claim: Duration::from_secs(15),
            replace: Duration::from_secs(30),
            courtesy: Duration::from_secs(3),
            look: Duration::from_secs(2),
        }
    }
}

impl Pace {
    /// Returns the pace `times` as fast.
    pub(crate) fn times(self, times: u32) -> Self {
        let times = times.max(1);
        Self {
            answer: self.answer / times,
            first_pause: self.first_pause / times,
            longest_pause: self.longest_pause / times,
            claim: self.claim / times,
            replace: self.replace / times,
            courtesy: self.courtesy / times,
            look: self.look / times,
        }
    }
}
