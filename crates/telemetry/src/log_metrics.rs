//! The metrics of a log file.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// The metrics of a log file.
#[derive(Debug, Clone)]
pub struct LogMetrics {
    /// Writes to the file that failed.
    pub(crate) failures: Counter,
    /// 1 while the file cannot be written.
    pub(crate) failing: Gauge,
}

impl LogMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let (failures, failing) = (Counter::default(), Gauge::default());
        registry.register(
            "log_file_failures",
            "Writes to the log file that failed",
            failures.clone(),
        );
        registry.register(
            "log_file_failing",
            "1 while the log file cannot be written and lines go to standard error, else 0",
            failing.clone(),
        );
        Self { failures, failing }
    }
}
