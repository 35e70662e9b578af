//! Spans, and the span under way.

use crate::{
    ended::{Attribute, Ended, Kind, Value},
    span_queue::SpanQueue,
    trace_context::{TraceContext, written},
};
use std::{
    borrow::Cow,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most attributes of a span: those beyond are left out.
const MOST_ATTRIBUTES: usize = 32;

/// The trace of one request.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) queue: Arc<SpanQueue>,
    pub(crate) id: [u8; 16],
    pub(crate) is_sampled: bool,
    pub(crate) state: Option<String>,
    /// The begin, in nanoseconds of Unix time, and as a point of the monotonic clock.
    pub(crate) begun: (u64, Instant),
    /// Attributes for the span of the request, which others know.
    pub(crate) notes: Mutex<Vec<Attribute>>,
}

impl Trace {
    /// Returns a point of the monotonic clock in nanoseconds of Unix time.
    fn unix_nanos(&self, at: Instant) -> u64 {
        let (unix, begun) = self.begun;
        let since: Duration = at.saturating_duration_since(begun);
        unix.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A span: it ends, and goes to the queue of the exporter, when it is dropped. One of a request that is not sampled only
/// carries the context.
#[derive(Debug)]
pub struct Span {
    trace: Arc<Trace>,
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    /// Whether it is the first of the trace in this server.
    is_root: bool,
    name: Cow<'static, str>,
    kind: Kind,
    begun: Instant,
    attributes: Vec<Attribute>,
    error: Option<Cow<'static, str>>,
}

impl Span {
    /// Begins the first span of a trace in this server; `parent` is that of the caller.
    pub(crate) fn root(
        trace: Trace,
        parent: Option<[u8; 8]>,
        (name, kind): (Cow<'static, str>, Kind),
    ) -> Self {
        let (id, begun) = (trace.queue.ids.span(), trace.begun.1);
        let (trace, attributes) = (Arc::new(trace), Vec::new());
        Self { trace, id, parent, is_root: true, name, kind, begun, attributes, error: None }
    }

    /// Begins a span under this one.
    #[must_use]
    pub fn child(&self, name: &'static str, kind: Kind) -> Self {
        self.link().child(name, kind)
    }

    /// Returns whether it will be exported. If not, a caller need not make attributes.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.trace.is_sampled
    }

    /// Adds an attribute. A span has at most 32.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.is_sampled() && self.attributes.len() < MOST_ATTRIBUTES {
            self.attributes.push((Cow::Borrowed(key), value.into()));
        }
    }

    /// Marks it as failed; `problem` must hold no text of a user and no secret.
    pub fn fail(&mut self, problem: impl Into<Cow<'static, str>>) {
        self.error = Some(problem.into());
    }

    /// Returns a link to it, under which spans begin later or elsewhere.
    #[must_use]
    pub fn link(&self) -> Link {
        Link { trace: Arc::clone(&self.trace), id: self.id }
    }

    /// Returns the headers of an outgoing call that this span is about: `traceparent`, and `tracestate` if the caller sent one.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let context = TraceContext {
            trace_id: self.trace.id,
            span_id: self.id,
            is_sampled: self.trace.is_sampled,
            state: None,
        };
        let state = self.trace.state.clone().map(|state| ("tracestate", state));
        std::iter::once(("traceparent", context.traceparent())).chain(state).collect()
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.trace.is_sampled {
            return;
        }
        let mut attributes = std::mem::take(&mut self.attributes);
        if self.is_root {
            let mut notes = self.trace.notes.lock().unwrap_or_else(PoisonError::into_inner);
            attributes.append(&mut notes);
        }
        self.trace.queue.add(Ended {
            trace_id: self.trace.id,
            id: self.id,
            parent: self.parent,
            has_remote_parent: self.is_root && self.parent.is_some(),
            state: self.trace.state.clone(),
            name: std::mem::take(&mut self.name),
            kind: self.kind,
            times: (self.trace.unix_nanos(self.begun), self.trace.unix_nanos(Instant::now())),
            attributes,
            error: self.error.take(),
        });
    }
}

/// A link to a span.
#[derive(Debug, Clone)]
pub struct Link {
    trace: Arc<Trace>,
    id: [u8; 8],
}

impl Link {
    /// Begins a span under the linked one.
    #[must_use]
    pub fn child(&self, name: &'static str, kind: Kind) -> Span {
        Span {
            trace: Arc::clone(&self.trace),
            id: self.trace.queue.ids.span(),
            parent: Some(self.id),
            is_root: false,
            name: Cow::Borrowed(name),
            kind,
            begun: Instant::now(),
            attributes: Vec::new(),
            error: None,
        }
    }

    /// Returns the id of the trace, as logs show it; `None` if the trace is not sampled.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        self.trace.is_sampled.then(|| written(&self.trace.id))
    }
}

tokio::task_local! {
    /// The span under way in this task.
    static CURRENT: Link;
}

/// Runs `future` as part of `span`: [`child`] makes spans under it.
pub async fn scoped<F: Future>(span: &Span, future: F) -> F::Output {
    CURRENT.scope(span.link(), future).await
}

/// Returns a link to the span under way; `None` if none is.
#[must_use]
pub fn link() -> Option<Link> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Begins a span under the one under way; `None` if none is.
#[must_use]
pub fn child(name: &'static str, kind: Kind) -> Option<Span> {
    CURRENT.try_with(|current| current.child(name, kind)).ok()
}

/// Runs `work` as a span of the request under way, which fails if the work does.
pub fn timed<T, E>(name: &'static str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut span = child(name, Kind::Internal);
    let done = work();
    if let (Err(_), Some(span)) = (&done, &mut span) {
        span.fail("");
    }
    done
}

/// As [`timed`], for work that waits.
pub async fn timed_wait<T, E>(
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut span = child(name, Kind::Internal);
    let done = work.await;
    if let (Err(_), Some(span)) = (&done, &mut span) {
        span.fail("");
    }
    done
}

/// Adds an attribute to the span of the request under way, if it is sampled.
pub fn annotate<V: Into<Value>>(key: &'static str, value: impl FnOnce() -> V) {
    let _ = CURRENT.try_with(|current| {
        if current.trace.is_sampled {
            let mut notes = current.trace.notes.lock().unwrap_or_else(PoisonError::into_inner);
            if notes.len() < MOST_ATTRIBUTES {
                notes.push((Cow::Borrowed(key), value().into()));
            }
        }
    });
}

/// Returns `future` as part of the span under way now, wherever it runs.
pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let current = link();
    async move {
        match current {
            Some(current) => CURRENT.scope(current, future).await,
            None => future.await,
        }
    }
}
