//! Retries of transient failures.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};
use tokio::time::Instant;

/// The retry policy for transient failures.
///
/// - pauses double from `first_pause` up to one second; each is shortened at random by up to half, so that writers that
///   collided do not collide again
/// - retries end after `tries` tries, or with the first failure later than `at_most` after the first try
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// The total number of tries, at least 1.
    pub tries: u32,
    /// The first pause.
    pub first_pause: Duration,
    /// The time after the first try in which another may begin.
    pub at_most: Duration,
}

impl Default for Retries {
    /// 6 tries within 6 seconds: long enough for a gateway to restart, and short enough for a waiting person.
    fn default() -> Self {
        Self { tries: 6, first_pause: Duration::from_millis(100), at_most: Duration::from_secs(6) }
    }
}

impl Retries {
    /// Returns the policy with a single try.
    #[must_use]
    pub fn none() -> Self {
        Self { tries: 1, ..Self::default() }
    }

    /// Starts counting the tries of an operation.
    pub fn begin(self) -> RetryState {
        RetryState { policy: self, began: Instant::now(), failed: 0 }
    }

    /// Starts counting the tries of a write that competes with other writers, up to `tries`, without a time limit, because
    /// each lost race is progress of another writer.
    pub fn begin_against(self, tries: u32) -> RetryState {
        let first_pause = self.first_pause.min(Duration::from_millis(5));
        Self { tries, first_pause, at_most: Duration::MAX }.begin()
    }
}

/// The tries of an operation under a retry policy.
pub struct RetryState {
    policy: Retries,
    began: Instant,
    failed: u32,
}

impl RetryState {
    /// Counts a failed try; if another try is allowed, pauses and returns true.
    pub async fn pause(&mut self) -> bool {
        self.failed += 1;
        if self.failed >= self.policy.tries || self.began.elapsed() >= self.policy.at_most {
            return false;
        }
        let doubled = self.policy.first_pause * (1 << (self.failed - 1).min(10));
        tokio::time::sleep(jittered(doubled.min(Duration::from_secs(1)))).await;
        true
    }

    /// Returns the number of tries, at least 1.
    pub(crate) fn tries(&self) -> u32 {
        self.failed.max(1)
    }
}

/// Shortens `pause` at random by up to half. Randomness affects only the time of a request, not its contents.
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
        assert!(pauses.iter().any(|p| *p != pauses[0]), "writers would collide again");
    }

    #[tokio::test]
    async fn retries_end_after_the_tries_or_after_the_time() {
        let quick = Retries { tries: 4, first_pause: Duration::ZERO, at_most: Duration::MAX };
        let mut retry = quick.begin();
        let mut pauses = 0;
        while retry.pause().await {
            pauses += 1;
        }
        assert_eq!((pauses, retry.tries()), (3, 4));

        let late = Retries { tries: 100, first_pause: Duration::ZERO, at_most: Duration::ZERO };
        assert!(!late.begin().pause().await);
    }
}
