//! The tracer of a server: which requests are traced, and the queue of their spans.

use crate::{
    collector::Collector,
    ended::Kind,
    span::{Span, Trace},
    span_ids::SpanIds,
    span_queue::{Entry, Said, SpanQueue},
    trace_context::TraceContext,
    trace_metrics::TraceMetrics,
    trace_settings::{Sampler, TraceSettings},
};
use botops_findings::Result;
use std::{
    borrow::Cow,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{
    mpsc::{Receiver, channel},
    oneshot,
};

/// The most spans that wait for the collector, about 2 MB.
const CAPACITY: usize = 4_096;

/// The tracer of a server.
pub struct Tracer {
    queue: Arc<SpanQueue>,
    sampler: Sampler,
    /// The other end of the queue, until [`Self::export`] takes it.
    exporter: Mutex<Option<(Collector, Receiver<Entry>)>>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("sampler", &self.sampler).finish_non_exhaustive()
    }
}

impl Tracer {
    /// Makes the tracer of a server. Spans wait until [`Self::export`] sends them.
    ///
    /// # Errors
    /// `BOT-1018` (exit 1) the root certificates of the system cannot be read.
    pub fn new(settings: &TraceSettings, metrics: &TraceMetrics) -> Result<Arc<Self>> {
        let (sender, receiver) = channel(CAPACITY);
        let ids = SpanIds::new();
        let collector = Collector::new(settings, &ids, metrics.clone())?;
        Ok(Arc::new(Self {
            queue: Arc::new(SpanQueue { ids, sender, dropped: metrics.dropped.clone() }),
            sampler: settings.sampler,
            exporter: Mutex::new(Some((collector, receiver))),
        }))
    }

    /// Begins the span of a request, or of work of the server; `caller` is the span of whoever asked for it, and `unix_nanos`
    /// the time now.
    #[must_use]
    pub fn begin(
        &self,
        caller: Option<TraceContext>,
        (name, kind): (impl Into<Cow<'static, str>>, Kind),
        unix_nanos: u64,
    ) -> Span {
        let (id, parent, is_recorded, state) = match caller {
            Some(TraceContext { trace_id, span_id, is_sampled, state }) => {
                (trace_id, Some(span_id), Some(is_sampled), state)
            }
            None => (self.queue.ids.trace(), None, None, None),
        };
        let trace = Trace {
            queue: Arc::clone(&self.queue),
            id,
            is_sampled: self.sampler.takes(&id, is_recorded),
            state,
            begun: (unix_nanos, Instant::now()),
            notes: Mutex::default(),
        };
        Span::root(trace, parent, (name.into(), kind))
    }

    /// Sends the spans to the collector until the tracer is dropped; `say` reports trouble when it begins and when it ends.
    /// Only the first call does anything.
    pub fn export(&self, say: Said) -> impl Future<Output = ()> + Send + use<> {
        let exporter = self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            if let Some((collector, receiver)) = exporter {
                collector.run(receiver, say).await;
            }
        }
    }

    /// Waits until every span that ended before was sent, at most `patience`.
    pub async fn flush(&self, patience: Duration) {
        let (done, flushed) = oneshot::channel();
        let _ = tokio::time::timeout(patience, async {
            if self.queue.sender.send(Entry::Flush(done)).await.is_ok() {
                let _ = flushed.await;
            }
        })
        .await;
    }
}
