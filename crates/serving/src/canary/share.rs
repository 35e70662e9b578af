//! The share of the challenger that is in effect on this server.
//!
//! A lower share takes effect at once. A higher one waits until every server has read it, and until then the
//! conversations that begin are not judged: another server may see them at another share.

use chrono::{DateTime, TimeDelta, Utc};
use std::time::{Duration, Instant};

/// The share in effect, and the one that follows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Share {
    /// The share in effect, in [0, 1].
    pub(super) now: f64,
    /// A higher share, and the moment of its effect.
    pub(super) next: Option<(f64, Instant)>,
}

impl Share {
    /// The share without a rollout.
    pub(super) const ZERO: Self = Self { now: 0.0, next: None };

    /// Returns the share after an entry that asks for `wanted`.
    ///
    /// `effective_at` is by the clock of another server, so the wait is never longer than `longest`.
    pub(super) fn toward(
        &self,
        wanted: f64,
        effective_at: Option<DateTime<Utc>>,
        (now, clock): (Instant, DateTime<Utc>),
        longest: Duration,
    ) -> Self {
        if wanted <= self.now {
            return Self { now: wanted, next: None };
        }
        if let Some((next, at)) = self.next
            && next == wanted
        {
            // An entry that only counts repeats the share.
            return Self { now: self.now, next: Some((next, at)) };
        }
        let wait = effective_at.map_or(TimeDelta::zero(), |at| at - clock);
        let wait = wait.to_std().unwrap_or_default().min(longest);
        if wait.is_zero() {
            Self { now: wanted, next: None }
        } else {
            Self { now: self.now, next: Some((wanted, now + wait)) }
        }
    }

    /// Returns the share at `now`.
    pub(super) fn at(&self, now: Instant) -> Self {
        match self.next {
            Some((wanted, at)) if at <= now => Self { now: wanted, next: None },
            _ => self.clone(),
        }
    }

    /// Returns whether a higher share waits.
    pub(super) fn is_changing(&self) -> bool {
        self.next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAISE: Duration = Duration::from_secs(5);

    #[test]
    fn a_higher_share_waits_and_a_lower_one_does_not() {
        let (begin, clock) = (Instant::now(), DateTime::UNIX_EPOCH);
        let at = Some(clock + TimeDelta::seconds(3));
        let share = Share::ZERO.toward(0.25, at, (begin, clock), RAISE);
        assert_eq!((share.now, share.is_changing()), (0.0, true));
        assert_eq!(share.at(begin + Duration::from_millis(2_999)), share);
        let raised = share.at(begin + Duration::from_secs(3));
        assert_eq!(raised, Share { now: 0.25, next: None });
        assert_eq!(raised.toward(0.0, None, (begin, clock), RAISE), Share::ZERO);
        // Before its effect, too.
        assert_eq!(share.toward(0.0, None, (begin, clock), RAISE), Share::ZERO);
    }

    #[test]
    fn the_clock_of_another_server_delays_by_no_more_than_the_longest_wait() {
        let (begin, clock) = (Instant::now(), DateTime::UNIX_EPOCH);
        let ahead = Some(clock + TimeDelta::hours(1));
        let share = Share::ZERO.toward(0.05, ahead, (begin, clock), RAISE);
        assert_eq!(share.at(begin + RAISE).now, 0.05);
        let behind = Some(clock - TimeDelta::hours(1));
        assert_eq!(Share::ZERO.toward(0.05, behind, (begin, clock), RAISE).now, 0.05);
    }

    #[test]
    fn an_entry_that_repeats_the_share_does_not_delay_it() {
        let (begin, clock) = (Instant::now(), DateTime::UNIX_EPOCH);
        let at = Some(clock + TimeDelta::seconds(5));
        let share = Share::ZERO.toward(0.05, at, (begin, clock), RAISE);
        let later = begin + Duration::from_secs(4);
        let repeated = share.toward(0.05, None, (later, clock + TimeDelta::seconds(4)), RAISE);
        assert_eq!(repeated, share);
    }
}
