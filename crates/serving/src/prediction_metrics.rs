//! The metrics of the prediction log.

use botops_predictions::LogCounts;
use chrono::TimeDelta;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

/// The metrics of the log.
pub(super) struct PredictionMetrics {
    written: Counter,
    lost: Counter,
    sampled_out: Counter,
    waiting_bytes: Gauge,
    oldest_waiting: Gauge<f64, AtomicU64>,
    /// Segments moved to the store.
    pub(super) shipped: Counter,
    /// Tries to move segments that failed.
    pub(super) shipping_failed: Counter,
    /// Verdicts that are stored.
    pub(super) verdicts: Counter,
}

impl PredictionMetrics {
    /// Makes the metrics, and registers them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counter = |registry: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let waiting_bytes = Gauge::default();
        let help = "Bytes of predictions that wait for the store";
        registry.register("predictions_waiting_bytes", help, waiting_bytes.clone());
        let oldest_waiting = Gauge::<f64, AtomicU64>::default();
        let help =
            "Age of the oldest full segment of predictions that waits for the store; 0 for none";
        registry.register("predictions_oldest_waiting_seconds", help, oldest_waiting.clone());
        Self {
            written: counter(registry, "predictions_logged", "Predictions on the disk"),
            lost: counter(registry, "predictions_lost", "Predictions that could not be logged"),
            sampled_out: counter(
                registry,
                "predictions_sampled_out",
                "Predictions left out because the store was out of reach for long",
            ),
            waiting_bytes,
            oldest_waiting,
            shipped: counter(registry, "prediction_segments_shipped", "Segments in the store"),
            shipping_failed: counter(
                registry,
                "prediction_shipping_failed",
                "Tries to move segments to the store that failed",
            ),
            verdicts: counter(registry, "verdicts_stored", "Verdicts that were stored"),
        }
    }

    /// Shows the age of the oldest full segment that waits.
    pub(super) fn oldest_waits(&self, age: TimeDelta) {
        self.oldest_waiting.set(age.as_seconds_f64());
    }

    /// Adds what has happened since the counts `before`.
    pub(super) fn count(&self, before: LogCounts, now: LogCounts) {
        self.written.inc_by(now.written - before.written);
        let lost = |counts: LogCounts| counts.dropped + counts.refused;
        self.lost.inc_by(lost(now) - lost(before));
        self.sampled_out.inc_by(now.sampled_out - before.sampled_out);
        self.waiting_bytes.set(i64::try_from(now.waiting_bytes).unwrap_or(i64::MAX));
    }
}
