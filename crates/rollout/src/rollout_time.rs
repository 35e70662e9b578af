//! The time of a rollout, whatever the wall clocks of its servers say.
//!
//! A rollout begins at the wall time of the server that took the request. From then on the server that ticks adds the time
//! that passed on its own monotonic clock. Every other server knows the time from the entries of the log and from the
//! observations of the server that ticks, and adds the time since it read them, again on its own monotonic clock. So two
//! wall clocks are never compared: servers that disagree by hours count the same durations, and a clock that is set
//! changes none.
//!
//! - A server learns a time after it was written, so it is late by the time that the reading took: a few seconds after a
//!   takeover, and never ahead
//! - Time in which no server ran does not count
//! - Older versions wrote the wall time of the server that ticked, and moved the times of a rollout back after a
//!   jump: the time follows such an entry

use crate::state::Rollout;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// The time of one rollout, as one server counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutTime {
    /// The id of the rollout.
    rollout: String,
    /// The time of its latest transition in the log.
    updated_at: DateTime<Utc>,
    /// A time of the rollout.
    time: DateTime<Utc>,
    /// When it was that time, on the monotonic clock of this server.
    at: Duration,
}

impl RolloutTime {
    /// Starts with `rollout`, the newest state that the server read, at `at` on its monotonic clock.
    #[must_use]
    pub fn start(rollout: &Rollout, at: Duration) -> Self {
        let (rollout, updated_at, time) =
            (rollout.id.clone(), rollout.updated_at, rollout.latest_time());
        Self { rollout, updated_at, time, at }
    }

    /// Returns whether this is the time of the rollout `id`.
    #[must_use]
    pub fn is_of(&self, id: &str) -> bool {
        self.rollout == id
    }

    /// Returns the time at `at` on the monotonic clock of this server. It never goes back by itself.
    #[must_use]
    pub fn at(&self, at: Duration) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(at.saturating_sub(self.at)).unwrap_or(TimeDelta::zero());
        self.time.checked_add_signed(passed).unwrap_or(self.time)
    }

    /// Takes the next state of the log, read at `at` on the monotonic clock of this server. Another rollout starts a new
    /// time.
    pub fn follow(&mut self, rollout: &Rollout, at: Duration) {
        let is_moved_back = rollout.updated_at < self.updated_at;
        if !self.is_of(&rollout.id) || is_moved_back {
            *self = Self::start(rollout, at);
            return;
        }
        self.updated_at = rollout.updated_at;
        self.hear(rollout.latest_time(), at);
    }

    /// Takes a `time` that the server which ticks gave in an observation, read at `at` on the monotonic clock of this
    /// server. An earlier time than the one known changes nothing: it was read late.
    pub fn hear(&mut self, time: DateTime<Utc>, at: Duration) {
        if time > self.at(at) {
            (self.time, self.at) = (time, at);
        }
    }
}

impl Rollout {
    /// Returns the latest time in the state: that of the latest transition, or of the latest look at the traffic.
    #[must_use]
    pub fn latest_time(&self) -> DateTime<Utc> {
        self.judge.observed_at().map_or(self.updated_at, |at| at.max(self.updated_at))
    }
}
