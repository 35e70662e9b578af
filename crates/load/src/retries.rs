//! Repetition of requests: when, and after what pause. Pure.

use std::time::Duration;

/// The rules of repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// The most repetitions of a request; 0 for none.
    pub max: u32,
    /// The pause before the first repetition, which doubles with each.
    pub backoff: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Retries {
    /// Returns the rules under which nothing is repeated.
    #[must_use]
    pub fn none() -> Self {
        Self { max: 0, backoff: Duration::ZERO, longest: Duration::ZERO }
    }

    /// Returns the pause before the next attempt after `failed` attempts, or `None` if there is none.
    ///
    /// The pause is between half and the whole of the doubled backoff, by `draw` in [0, 1), so that the clients of a server that
    /// went away do not all come back at once. It is at least what the server asked for, and at most the longest one.
    #[must_use]
    pub fn pause(&self, failed: u32, asked: Option<Duration>, draw: f64) -> Option<Duration> {
        if failed > self.max {
            return None;
        }
        let doubled = self.backoff.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let backoff = doubled.min(self.longest).mul_f64(0.5 + draw / 2.0);
        Some(backoff.max(asked.unwrap_or_default()).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_varies_follows_the_server_and_is_bounded() {
        let millis = Duration::from_millis;
        let retries = Retries { max: 4, backoff: millis(100), longest: millis(500) };
        let pauses = |draw: f64| -> Vec<Option<Duration>> {
            (1..=5).map(|failed| retries.pause(failed, None, draw)).collect()
        };
        let some = |n: u64| Some(millis(n));
        assert_eq!(pauses(0.0), [some(50), some(100), some(200), some(250), None]);
        assert_eq!(pauses(0.5), [some(75), some(150), some(300), some(375), None]);
        assert_eq!(retries.pause(1, Some(millis(300)), 0.5), some(300));
        assert_eq!(retries.pause(1, Some(millis(30_000)), 0.5), some(500));
        assert_eq!(Retries::none().pause(1, Some(millis(1)), 0.5), None);
    }
}
