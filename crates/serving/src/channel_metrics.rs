//! The metrics of messaging channels, from the counts that each channel keeps.

use botops_channels::ChannelSet;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    channel: String,
    event: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabels {
    channel: String,
}

/// The metrics of all channels.
#[derive(Default)]
pub(crate) struct ChannelMetrics {
    events: Family<EventLabels, Counter>,
    waiting: Family<ChannelLabels, Gauge>,
}

impl ChannelMetrics {
    /// Makes the metrics, and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "channel_events",
            "Events of a messaging channel, such as received, duplicates, turns, sent or dead",
            metrics.events.clone(),
        );
        registry.register(
            "channel_waiting",
            "Messages of a channel that this server stored and has not answered yet",
            metrics.waiting.clone(),
        );
        metrics
    }

    /// Takes over the counts of `channels`, which only grow.
    pub(crate) fn show(&self, channels: &ChannelSet) {
        for (channel, counts) in channels.counts() {
            for (event, count) in counts.named() {
                let labels = EventLabels { channel: channel.to_owned(), event };
                let counter = self.events.get_or_create(&labels);
                counter.inc_by(count.saturating_sub(counter.get()));
            }
        }
        for (channel, waiting) in channels.waiting() {
            let labels = ChannelLabels { channel: channel.to_owned() };
            let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
            self.waiting.get_or_create(&labels).set(waiting);
        }
    }
}
