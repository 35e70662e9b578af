//! The queue between the spans of requests and the collector.

use crate::{ended::Ended, span_ids::SpanIds};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc::Sender, oneshot};

/// An entry of the queue.
pub(crate) enum Entry {
    /// A span.
    Span(Ended),
    /// A wish to know when all before it was tried.
    Flush(oneshot::Sender<()>),
}

/// Reports a problem of the collector, and its end: the level (`error` or `info`) and the message.
pub type Said = Box<dyn Fn(&'static str, String) + Send + Sync>;

/// The end of the queue that spans hold.
#[derive(Debug)]
pub(crate) struct SpanQueue {
    pub(crate) ids: SpanIds,
    pub(crate) sender: Sender<Entry>,
    pub(crate) dropped: Counter,
}

impl SpanQueue {
    /// Queues a span, or drops it and counts it if the queue is full. Never waits.
    pub(crate) fn add(&self, span: Ended) {
        if self.sender.try_send(Entry::Span(span)).is_err() {
            self.dropped.inc();
        }
    }
}
