//! The metrics of connections and certificates.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    listener: &'static str,
    reason: &'static str,
}

/// The metrics of the connections to all listeners, and of their certificates.
#[derive(Default)]
pub struct ConnectionMetrics {
    open: Family<ListenerLabels, Gauge>,
    refused: Family<ReasonLabels, Counter>,
    cut: Family<ReasonLabels, Counter>,
    accept_errors: Family<ListenerLabels, Counter>,
    handshakes_failed: Family<ListenerLabels, Counter>,
    expiry: Family<ListenerLabels, Gauge>,
    reloads: Family<ReasonLabels, Counter>,
}

impl ConnectionMetrics {
    /// Makes the metrics, and adds them to `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("connections", "Open connections, by listener", metrics.open.clone());
        registry.register(
            "connections_refused",
            "Connections closed at once: `full` beyond the limit, `address` beyond that of an address",
            metrics.refused.clone(),
        );
        registry.register(
            "connections_cut",
            "Connections cut off: `handshake`, `headers`, `idle` and `write` took too long, or a message was `malformed`",
            metrics.cut.clone(),
        );
        registry.register(
            "accept_errors",
            "Connections that the system could not accept, such as without a descriptor",
            metrics.accept_errors.clone(),
        );
        registry.register(
            "tls_handshakes_failed",
            "Handshakes of TLS that failed",
            metrics.handshakes_failed.clone(),
        );
        registry.register(
            "tls_certificate_expiry_timestamp_seconds",
            "The end of the certificate, in seconds since 1970",
            metrics.expiry.clone(),
        );
        registry.register(
            "tls_certificate_reloads",
            "Changed certificates that were read: `ok` or `failed`",
            metrics.reloads.clone(),
        );
        metrics
    }

    /// Counts a connection that opened.
    pub fn opened(&self, listener: &'static str) {
        self.open.get_or_create(&ListenerLabels { listener }).inc();
    }

    /// Counts a connection that closed.
    pub fn closed(&self, listener: &'static str) {
        self.open.get_or_create(&ListenerLabels { listener }).dec();
    }

    /// Counts a connection that got no place.
    pub fn refused(&self, listener: &'static str, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { listener, reason }).inc();
    }

    /// Counts a connection that was cut off.
    pub fn cut(&self, listener: &'static str, reason: &'static str) {
        self.cut.get_or_create(&ReasonLabels { listener, reason }).inc();
    }

    /// Counts a connection that could not be accepted.
    pub fn accept_error(&self, listener: &'static str) {
        self.accept_errors.get_or_create(&ListenerLabels { listener }).inc();
    }

    /// Counts a handshake of TLS that failed.
    pub fn handshake_failed(&self, listener: &'static str) {
        self.handshakes_failed.get_or_create(&ListenerLabels { listener }).inc();
    }

    /// Sets the end of the certificate in force, in seconds since 1970.
    pub fn expires(&self, listener: &'static str, at: i64) {
        self.expiry.get_or_create(&ListenerLabels { listener }).set(at);
    }

    /// Counts a changed certificate.
    pub fn reloaded(&self, listener: &'static str, is_ok: bool) {
        let reason = if is_ok { "ok" } else { "failed" };
        self.reloads.get_or_create(&ReasonLabels { listener, reason }).inc();
    }
}
