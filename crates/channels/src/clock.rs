//! The time, which the server gives.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// The clocks of the process.
pub trait Clock: Send + Sync {
    /// Returns the time of day.
    fn now(&self) -> DateTime<Utc>;
    /// Returns the time since a fixed moment of the process, which never goes back.
    fn monotonic(&self) -> Duration;
}
