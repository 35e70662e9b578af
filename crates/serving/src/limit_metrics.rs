//! The metrics of limits.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

/// The metrics of limits.
pub(super) struct LimitMetrics {
    limited: Family<LimitLabels, Counter>,
    /// Requests refused because the server is overloaded.
    pub(super) shed: Counter,
    /// 1 if the shared limits answered last, 0 if not; absent without shared limits.
    pub(super) shared_up: Family<[(&'static str, &'static str); 1], Gauge>,
    /// Requests that were counted by this server alone, because the shared limits did not answer.
    pub(super) shared_failures: Counter,
}

impl LimitMetrics {
    /// Adds the metrics to `registry`.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            limited: Family::default(),
            shed: Counter::default(),
            shared_up: Family::default(),
            shared_failures: Counter::default(),
        };
        registry.register(
            "rate_limited",
            "Requests refused by a rate limit: address, key, route, total or conversation",
            metrics.limited.clone(),
        );
        registry.register("shed", "Requests refused by an overloaded server", metrics.shed.clone());
        registry.register(
            "shared_limits_up",
            "1 if the store of the shared limits answered last, 0 if this server counts alone",
            metrics.shared_up.clone(),
        );
        registry.register(
            "shared_limits_failures",
            "Requests that the store of the shared limits did not count",
            metrics.shared_failures.clone(),
        );
        metrics
    }

    /// Counts a request that `limit` refused.
    pub(super) fn limited(&self, limit: &'static str) {
        self.limited.get_or_create(&LimitLabels { limit }).inc();
    }

    /// Shows whether the shared limits answer.
    pub(super) fn shared(&self, is_up: bool) {
        self.shared_up.get_or_create(&[("store", "redis")]).set(i64::from(is_up));
    }
}
