//! How windows are judged.

use crate::window::Window;
use botops_drift::DriftSpec;
use botops_findings::{Fault, Result};
use botops_spec::{Checked, Spec as _};
use chrono::{DateTime, TimeDelta};
use std::time::Duration;

/// A year of windows.
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// The largest level of a window, however long it is.
const MOST_LEVEL: f64 = 0.05;

/// How windows are judged.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorSpec {
    /// The length of a window: whole hours.
    pub window: Duration,
    /// The length of the earlier window that a window is compared with, if the model has no reference profile.
    pub reference_window: Option<Duration>,
    /// The fewest records of a side, and the fewest verdicts of an arm, that are judged.
    pub min_rows: usize,
    /// The least accuracy that is demanded, in [0, 1].
    pub min_accuracy: Option<f64>,
    /// The expected number of false alarms in a year of windows one after the other without any change, above 0. Windows that
    /// overlap, such as those of 7 days that a server judges each day, repeat an alarm.
    pub false_alarms_a_year: f64,
    /// The smallest PSI that counts as drift.
    pub min_psi: f64,
    /// The smallest Kolmogorov-Smirnov distance that counts as drift.
    pub min_ks: f64,
}

impl Default for MonitorSpec {
    fn default() -> Self {
        let DriftSpec { min_psi, min_ks, min_rows, .. } = DriftSpec::default();
        Self {
            window: Duration::from_secs(7 * 86_400),
            reference_window: None,
            min_rows,
            min_accuracy: None,
            false_alarms_a_year: 0.5,
            min_psi,
            min_ks,
        }
    }
}

impl MonitorSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BOT-6250` (exit 2) a window, or the least accuracy; `BOT-4001` (exit 2) a threshold of drift.
    pub fn check(&self) -> Result<()> {
        Window::last(self.window, DateTime::UNIX_EPOCH + TimeDelta::days(36_500))?;
        if let Some(length) = self.reference_window {
            Window::last(length, DateTime::UNIX_EPOCH + TimeDelta::days(36_500))?;
        }
        if self.min_accuracy.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            let message = "the least accuracy is not between 0 and 1";
            return Err(Fault::usage("BOT-6250", message).hint("write `min_accuracy: 0.85`"));
        }
        self.drift().map(drop)
    }

    /// Returns the significance level of a window, over all its checks: the share of a year that it is, times
    /// `false_alarms_a_year`; at most 0.05.
    #[must_use]
    pub fn level(&self) -> f64 {
        let share = self.window.as_secs_f64() / YEAR.as_secs_f64();
        (self.false_alarms_a_year * share).min(MOST_LEVEL)
    }

    /// Returns the thresholds of a comparison.
    pub(crate) fn drift(&self) -> Result<Checked<DriftSpec>> {
        DriftSpec {
            alpha: self.level(),
            min_psi: self.min_psi,
            min_ks: self.min_ks,
            min_rows: self.min_rows,
            ..DriftSpec::default()
        }
        .check()
    }
}
