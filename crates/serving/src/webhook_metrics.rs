//! The metrics of webhooks.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceiverLabels {
    receiver: String,
    host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    receiver: String,
    host: String,
    outcome: &'static str,
}

/// The metrics of all receivers.
#[derive(Default)]
pub(crate) struct WebhookMetrics {
    attempts: Family<AttemptLabels, Counter>,
    behind: Family<ReceiverLabels, Gauge>,
}

impl WebhookMetrics {
    /// Makes the metrics, and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "webhook_attempts",
            "Attempts to deliver an event to a receiver of webhooks, by outcome: delivered or failed",
            metrics.attempts.clone(),
        );
        registry.register(
            "webhook_behind",
            "Entries of the deployment log that a receiver of webhooks does not have yet",
            metrics.behind.clone(),
        );
        metrics
    }

    /// Counts an attempt to deliver to the receiver with this id, at this host.
    pub(crate) fn attempted(&self, (receiver, host): (&str, &str), delivered: bool) {
        let outcome = if delivered { "delivered" } else { "failed" };
        let labels =
            AttemptLabels { receiver: receiver.to_owned(), host: host.to_owned(), outcome };
        self.attempts.get_or_create(&labels).inc();
    }

    /// Shows how many entries the receiver is behind.
    pub(crate) fn behind(&self, receiver: (&str, &str), entries: u64) {
        let n = i64::try_from(entries).unwrap_or(i64::MAX);
        self.behind.get_or_create(&labels_of(receiver)).set(n);
    }

    /// Forgets how far a receiver is behind, because this server no longer delivers to it.
    pub(crate) fn forget(&self, receiver: (&str, &str)) {
        self.behind.remove(&labels_of(receiver));
    }
}

fn labels_of((receiver, host): (&str, &str)) -> ReceiverLabels {
    ReceiverLabels { receiver: receiver.to_owned(), host: host.to_owned() }
}
