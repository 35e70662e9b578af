//! The metrics of WebSockets.

use botops_connections::End;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    end: &'static str,
}

/// The metrics of WebSockets.
pub(crate) struct WebSocketMetrics {
    open: Gauge,
    /// Frames with text that came.
    pub(crate) received: Counter,
    ended: Family<EndLabels, Counter>,
}

impl WebSocketMetrics {
    /// Makes the metrics, and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics =
            Self { open: Gauge::default(), received: Counter::default(), ended: Family::default() };
        registry.register("websockets", "Open WebSockets", metrics.open.clone());
        registry.register(
            "websocket_frames",
            "Frames with text that clients sent over WebSockets",
            metrics.received.clone(),
        );
        registry.register(
            "websockets_ended",
            "WebSockets that ended: `client`, `stopped`, `idle`, `silent`, `write`, `protocol`, `not_text`, `not_utf8`, `policy` \
             or `too_large`",
            metrics.ended.clone(),
        );
        metrics
    }

    /// Counts a socket as open, until the result is dropped.
    pub(crate) fn open(&self) -> OpenSocket {
        self.open.inc();
        OpenSocket(self.open.clone())
    }

    /// Counts the end of a socket.
    pub(crate) fn ended(&self, end: End) {
        self.ended.get_or_create(&EndLabels { end: end.name() }).inc();
    }
}

/// An open socket.
pub(crate) struct OpenSocket(Gauge);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.dec();
    }
}
