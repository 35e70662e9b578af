//! The metrics of stored conversations.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::sync::atomic::{AtomicBool, Ordering};

/// The bounds of the time that it takes to store a turn, in seconds.
const BOUNDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// The metrics of the turns of `/v1/chat`.
pub(crate) struct TurnMetrics {
    /// Turns stored.
    pub(crate) stored: Counter,
    /// Messages that were answered before.
    pub(crate) repeated: Counter,
    /// Messages refused because the store failed.
    pub(crate) refused: Counter,
    /// Messages answered though their turns could not be stored.
    pub(crate) lost: Counter,
    /// Turns erased because they were old.
    pub(crate) expired: Counter,
    /// Actions that were answered.
    pub(crate) actions_answered: Counter,
    /// Actions that the other side refused.
    pub(crate) actions_refused: Counter,
    /// Actions that were not called.
    pub(crate) actions_failed: Counter,
    /// Actions of which nobody knows the outcome.
    pub(crate) actions_unknown: Counter,
    /// Conversations handed to a person with a message.
    pub(crate) hand_offs: Counter,
    /// Messages of hand-offs that were delivered.
    pub(crate) hand_offs_delivered: Counter,
    /// Attempts to deliver one that failed.
    pub(crate) hand_off_attempts_failed: Counter,
    /// The time that it takes to store a turn.
    pub(crate) seconds: Histogram,
    /// 1 if the store answered last, 0 if it failed.
    up: Gauge,
    /// Whether the store failed last.
    in_trouble: AtomicBool,
}

impl TurnMetrics {
    /// Makes the metrics, and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let counter = |registry: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let seconds = Histogram::new(BOUNDS);
        registry.register("turn_store_seconds", "Time to store a turn", seconds.clone());
        let up = Gauge::default();
        let help = "1 if the store of conversations answered last, 0 if it failed";
        registry.register("turn_store_up", help, up.clone());
        Self {
            up,
            in_trouble: AtomicBool::new(false),
            stored: counter(registry, "turns_stored", "Turns of conversations that were stored"),
            repeated: counter(
                registry,
                "turns_repeated",
                "Messages that got the answer that was stored before",
            ),
            refused: counter(
                registry,
                "turns_refused",
                "Messages that were refused because the store of conversations failed",
            ),
            lost: counter(
                registry,
                "turns_lost",
                "Messages that were answered though the store of conversations failed",
            ),
            expired: counter(registry, "turns_expired", "Turns erased because they were old"),
            actions_answered: counter(registry, "actions_answered", "Actions that were answered"),
            actions_refused: counter(
                registry,
                "actions_refused",
                "Actions that the other side refused",
            ),
            actions_failed: counter(registry, "actions_failed", "Actions that were not called"),
            actions_unknown: counter(
                registry,
                "actions_unknown",
                "Actions of which nobody knows the outcome",
            ),
            hand_offs: counter(
                registry,
                "hand_offs",
                "Conversations handed to a person with a message",
            ),
            hand_offs_delivered: counter(
                registry,
                "hand_offs_delivered",
                "Messages of hand-offs that were delivered",
            ),
            hand_off_attempts_failed: counter(
                registry,
                "hand_off_attempts_failed",
                "Attempts to deliver a hand-off that failed",
            ),
            seconds,
        }
    }

    /// Notes whether the store answered. Returns whether trouble begins or ends with that.
    pub(crate) fn answers(&self, is_up: bool) -> bool {
        self.up.set(i64::from(is_up));
        self.in_trouble.swap(!is_up, Ordering::Relaxed) == is_up
    }
}
