//! Retries of a stage whose fault may pass.

use botops_findings::{Fault, FaultKind, Place, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most retries of a stage.
const MOST: u32 = 10;
/// The longest time between two attempts.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Retries of a stage. Only a fault that may pass (exit 7, a store or a server that cannot be reached) is retried: no gate and
/// no mistake passes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// The most retries, from 1 to 10.
    pub max: u32,
    /// The time before the first retry, such as `10s`; it doubles with each, up to an hour.
    #[serde(default = "default_backoff")]
    pub backoff: String,
}

fn default_backoff() -> String {
    "10s".to_owned()
}

impl RetrySpec {
    /// Checks the number and the time.
    ///
    /// # Errors
    /// `BOT-8001` (exit 2), with the key.
    pub(super) fn check_ranges(&self) -> Result<()> {
        let wrong = |key: &str, message: String| {
            let place = Place { key: Some(key.to_owned()), ..Place::default() };
            Err(Fault::usage("BOT-8001", message).at(place))
        };
        if !(1..=MOST).contains(&self.max) {
            return wrong("max", format!("`max` is {}: expected 1 to {MOST} retries", self.max));
        }
        match humantime::parse_duration(self.backoff.trim()) {
            Ok(backoff) if backoff <= LONGEST => Ok(()),
            Ok(_) => wrong("backoff", "`backoff` is more than an hour".to_owned()),
            Err(error) => {
                let shown = botops_text::display(&self.backoff, 40);
                wrong("backoff", format!("`{shown}` is not a duration: {error}"))
            }
        }
    }

    /// Returns the time to wait before the next attempt, after `failed` attempts ended with `fault` last; `None` if there is
    /// none.
    pub(super) fn wait(&self, failed: u32, fault: &Fault) -> Option<Duration> {
        if fault.kind() != FaultKind::Unreachable || failed > self.max {
            return None;
        }
        let first = humantime::parse_duration(self.backoff.trim()).unwrap_or_default();
        Some(first.saturating_mul(1 << (failed - 1).min(16)).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_that_may_pass_are_retried_and_the_wait_doubles() {
        let retries = RetrySpec { max: 3, backoff: "20m".into() };
        let gone = Fault::unreachable("BOT-5003", "no answer");
        let waits: Vec<Option<u64>> =
            (1..=4).map(|failed| retries.wait(failed, &gone).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(1_200), Some(2_400), Some(3_600), None]);
        assert_eq!(retries.wait(1, &Fault::data("BOT-8020", "a gate")), None);
        assert_eq!(retries.wait(1, &Fault::internal("BOT-1002", "disk full")), None);
    }

    #[test]
    fn settings_out_of_range_name_their_key() {
        let key = |max, backoff: &str| {
            let spec = RetrySpec { max, backoff: backoff.into() };
            spec.check_ranges().unwrap_err().place().key.clone().unwrap()
        };
        assert_eq!(key(0, "1s"), "max");
        assert_eq!(key(11, "1s"), "max");
        assert_eq!(key(1, "soon"), "backoff");
        assert_eq!(key(1, "2h"), "backoff");
        RetrySpec { max: 1, backoff: "0s".into() }.check_ranges().unwrap();
    }
}
