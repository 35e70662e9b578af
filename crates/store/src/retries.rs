//! How often and how long what fails for a moment is tried again.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};
use tokio::time::Instant;

/// The policy for what fails for a moment.
///
/// - pauses double from `first_pause` up to a second, each shortened at random by up to half, so
///   that writers who collided do not collide again in step
/// - it ends after `tries` tries, or with the first failure after `at_most`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Tries in all, at least 1.
    pub tries: u32,
    /// The first pause.
    pub first_pause: Duration,
    /// How long after the first try another may begin.
    pub at_most: Duration,
}

impl Default for Retries {
    /// 6 tries within 6 seconds: long enough for a restarting gateway, short enough for a person who waits.
    fn default() -> Self {
        Self { tries: 6, first_pause: Duration::from_millis(100), at_most: Duration::from_secs(6) }
    }
}

impl Retries {
    /// Tries once.
    #[must_use]
    pub fn none() -> Self {
        Self { tries: 1, ..Self::default() }
    }

    pub fn begin(self) -> Patience {
        Patience { policy: self, began: Instant::now(), failed: 0 }
    }

    /// Begins a race that others may win up to `tries` times; there is no clock on it, since every loss is someone's progress.
    pub fn begin_against(self, tries: u32) -> Patience {
        let first_pause = self.first_pause.min(Duration::from_millis(5));
        Self { tries, first_pause, at_most: Duration::MAX }.begin()
    }
}

/// What is left of a policy.
pub struct Patience {
    policy: Retries,
    began: Instant,
    failed: u32,
}

impl Patience {
    /// Counts a failed try; pauses and returns true when another may follow.
    pub async fn pause(&mut self) -> bool {
        self.failed += 1;
        if self.failed >= self.policy.tries || self.began.elapsed() >= self.policy.at_most {
            return false;
        }
        let doubled = self.policy.first_pause * (1 << (self.failed - 1).min(10));
        tokio::time::sleep(jittered(doubled.min(Duration::from_secs(1)))).await;
        true
    }

    /// Returns how often it was tried, counting the one under way.
    pub(crate) fn tries(&self) -> u32 {
        self.failed.max(1)
    }
}

/// Shortens `pause` at random by up to half. The draw decides only when a request is sent, never what it holds.
fn jittered(pause: Duration) -> Duration {
    let draw = RandomState::new().hash_one(0_u8);
    pause.mul_f64(0.5 + 0.5 * ((draw >> 11) as f64 / (1_u64 << 53) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_shortened_by_at_most_half() {
        let pauses: Vec<_> = (0..200).map(|_| jittered(Duration::from_millis(100))).collect();
        assert!(pauses.iter().all(|p| (50..=100).contains(&p.as_millis())), "{pauses:?}");
        assert!(pauses.iter().any(|p| *p != pauses[0]), "writers would collide in step");
    }

    #[tokio::test]
    async fn patience_ends_after_the_tries_or_after_the_time() {
        let quick = Retries { tries: 4, first_pause: Duration::ZERO, at_most: Duration::MAX };
        let mut patience = quick.begin();
        let mut pauses = 0;
        while patience.pause().await {
            pauses += 1;
        }
        assert_eq!((pauses, patience.tries()), (3, 4));

        let late = Retries { tries: 100, first_pause: Duration::ZERO, at_most: Duration::ZERO };
        assert!(!late.begin().pause().await);
    }
}
