//! The metrics of traces.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// The metrics of traces.
#[derive(Debug, Clone)]
pub struct TraceMetrics {
    /// Spans that the collector took.
    pub(crate) exported: Counter,
    /// Spans dropped because the queue was full.
    pub(crate) dropped: Counter,
    /// Spans that the collector refused, one by one.
    pub(crate) rejected: Counter,
    /// Spans that could not be delivered.
    pub(crate) failed: Counter,
    /// Requests to the collector that failed.
    pub(crate) failures: Counter,
    /// 1 while the collector takes no spans.
    pub(crate) failing: Gauge,
}

impl TraceMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let spans = Family::<OutcomeLabels, Counter>::default();
        let outcome = |outcome| spans.get_or_create_owned(&OutcomeLabels { outcome });
        let (failures, failing) = (Counter::default(), Gauge::default());
        let metrics = Self {
            exported: outcome("exported"),
            dropped: outcome("dropped"),
            rejected: outcome("rejected"),
            failed: outcome("failed"),
            failures: failures.clone(),
            failing: failing.clone(),
        };
        registry.register(
            "trace_spans",
            "Spans of sampled requests: exported, dropped (full queue), rejected or failed (collector)",
            spans,
        );
        registry.register(
            "trace_failures",
            "Requests to the trace collector that failed",
            failures,
        );
        registry.register(
            "trace_collector_failing",
            "1 while the trace collector takes no spans, else 0",
            failing,
        );
        metrics
    }
}
