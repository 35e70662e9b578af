//! One rate limit, and what it says about a request.

use super::{rate::Rate, table::Table};
use governor::{
    RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
};
use std::{
    hash::{BuildHasher, Hash, RandomState},
    time::Duration,
};

/// The most keys that a limit remembers; about 3 MB of memory.
pub const MAX_KEYS: usize = 114_688;

/// A rate limit of its own for every key (GCRA).
///
/// - memory is bounded, see [`MAX_KEYS`]
/// - a key that has never used its burst up is never refused because of others
#[derive(Debug)]
pub struct Limit<C: Clock = DefaultClock> {
    name: &'static str,
    rate: Rate,
    hasher: RandomState,
    limiter: RateLimiter<u64, Table, C, StateInformationMiddleware>,
}

/// The answer of a limit to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The name of the limit, such as `address`.
    pub limit: &'static str,
    /// The rate.
    pub rate: Rate,
    /// How many more requests may come at once; 0 if this one is refused.
    pub remaining: u32,
    /// The time until the request may come, if it is refused.
    pub retry_after: Option<Duration>,
}

impl Verdict {
    /// Returns whether the request may pass.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.retry_after.is_none()
    }

    /// Returns the time until the whole burst is back.
    #[must_use]
    pub fn reset(&self) -> Duration {
        self.rate.interval() * self.rate.at_once().saturating_sub(self.remaining)
    }

    /// Returns the one of two verdicts that restricts the client more: a refusal, the longer of two refusals, or the
    /// smaller share of the burst that remains.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        let share = |it: &Self| u64::from(it.remaining) * 1_000_000 / u64::from(it.rate.at_once());
        match (self.retry_after, other.retry_after) {
            (Some(ours), Some(theirs)) if theirs > ours => other,
            (Some(_), _) => self,
            (None, Some(_)) => other,
            (None, None) if share(&other) < share(&self) => other,
            (None, None) => self,
        }
    }
}

impl Limit {
    /// Makes a limit.
    #[must_use]
    pub fn new(name: &'static str, rate: Rate) -> Self {
        Self::with(name, rate, MAX_KEYS, DefaultClock::default())
    }
}

impl<C: Clock> Limit<C> {
    /// Makes a limit that remembers at most about `max_keys` keys, by `clock`.
    #[must_use]
    pub fn with(name: &'static str, rate: Rate, max_keys: usize, clock: C) -> Self {
        let table = Table::new(max_keys, rate.interval());
        let limiter = RateLimiter::new(rate.quota(), table, clock);
        Self { name, rate, hasher: RandomState::new(), limiter }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Counts a request of `key`, if it may pass.
    pub fn take(&self, key: &(impl Hash + ?Sized)) -> Verdict {
        let key = self.hasher.hash_one(key);
        let (remaining, retry_after) = match self.limiter.check_key(&key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => {
                let wait = refused.wait_time_from(self.limiter.clock().now());
                // It may be zero, by the time that has passed since the check.
                (0, Some(wait.max(Duration::from_nanos(1))))
            }
        };
        Verdict { limit: self.name, rate: self.rate, remaining, retry_after }
    }

    /// Returns the number of keys that it remembers.
    #[must_use]
    pub fn n_keys(&self) -> usize {
        self.limiter.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limit(rate: &str, max_keys: usize) -> (Limit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limit::with("address", rate.parse().unwrap(), max_keys, clock.clone()), clock)
    }

    #[test]
    fn a_limit_is_exact() {
        let (limit, clock) = limit("10/s burst 5", 1_000);
        for left in (0..5).rev() {
            let verdict = limit.take("a");
            assert_eq!((verdict.is_allowed(), verdict.remaining), (true, left));
        }
        let refused = limit.take("a");
        assert_eq!(refused.retry_after, Some(Duration::from_millis(100)));
        assert_eq!((refused.remaining, refused.reset()), (0, Duration::from_millis(500)));
        assert!(limit.take("b").is_allowed(), "every key has a burst of its own");
        clock.advance(Duration::from_nanos(99_999_999));
        assert_eq!(limit.take("a").retry_after, Some(Duration::from_nanos(1)));
        clock.advance(Duration::from_nanos(1));
        assert!(limit.take("a").is_allowed());
        assert!(
            !limit.take("a").is_allowed(),
            "a refused request is not counted, an allowed one is"
        );
        clock.advance(Duration::from_secs(60));
        assert_eq!((0..10).filter(|_| limit.take("a").is_allowed()).count(), 5, "no more is saved");
    }

    #[test]
    fn the_tighter_verdict_is_the_refusal_or_the_smaller_share() {
        let verdict = |remaining, burst, retry_after: Option<u64>| Verdict {
            limit: "a",
            rate: Rate::per_second(1).burst(burst),
            remaining,
            retry_after: retry_after.map(Duration::from_secs),
        };
        let (half, tenth) = (verdict(5, 10, None), verdict(100, 1_000, None));
        let (short, long) = (verdict(0, 10, Some(1)), verdict(0, 10, Some(9)));
        for (a, b, tighter) in
            [(half, tenth, tenth), (half, short, short), (short, long, long), (half, half, half)]
        {
            assert_eq!((a.tighter(b), b.tighter(a)), (tighter, tighter));
        }
    }

    #[test]
    fn a_flood_of_new_keys_stays_within_the_bound_and_frees_no_key_at_its_limit() {
        let max_keys = 6_400;
        let (limit, clock) = limit("1/h burst 3", max_keys);
        while limit.take("abuser").is_allowed() {}
        for n in 0..200_000_u32 {
            assert!(limit.take(&n).is_allowed(), "a new client is served during a flood");
            if n % 100 == 0 {
                assert!(limit.n_keys() <= max_keys, "{}", limit.n_keys());
                assert!(!limit.take("abuser").is_allowed(), "after {n} others");
                clock.advance(Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn what_has_passed_is_swept() {
        let (limit, clock) = limit("10/s", 640_000);
        for n in 0..100_000_u32 {
            limit.take(&n);
            // 100 microseconds each: 1,000 keys in the time of a state.
            clock.advance(Duration::from_micros(100));
        }
        assert!(limit.n_keys() <= 64 * FIRST_SWEEP_OF_TESTS, "{}", limit.n_keys());
    }

    /// The states of a shard before a sweep.
    const FIRST_SWEEP_OF_TESTS: usize = 64;
}
