//! The traces of requests: the span of each, and the exporter.

use crate::{admission::limited_route, app::App, exchange::X_REQUEST_ID};
use axum::{
    extract::Request,
    http::{HeaderName, Method},
    response::Response,
};
use botops_telemetry::{Kind, Span, TraceContext, scoped};
use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};
use tokio::runtime::Handle;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The longest time that the end of the server waits for the collector.
const PATIENCE: Duration = Duration::from_secs(3);

/// Begins the span of a request of the public API; `None` for a server without traces, and for probes.
pub(super) fn of_request(app: &App, request: &Request) -> Option<Span> {
    app.traces.as_ref()?;
    let path = request.uri().path();
    let known = limited_route(path)?;
    let route = match path {
        _ if known == "unknown" => None,
        _ if path.starts_with("/v2/models/") => Some("/v2/models/{model}"),
        path => Some(path),
    };
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    };
    let name = match route {
        Some(route) => Cow::Owned(format!("{method} {route}")),
        None => Cow::Borrowed(method),
    };
    let headers = request.headers();
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let caller = match (parents.next(), parents.next()) {
        (Some(parent), None) => {
            let states = headers.get_all(TRACESTATE).iter().map(|state| state.as_bytes());
            TraceContext::read(parent.as_bytes(), states)
        }
        // Of two, nobody knows which one counts.
        _ => None,
    };
    let mut span = begin(app, caller, (name, Kind::Server))?;
    span.set("http.request.method", method);
    if let Some(route) = route {
        span.set("http.route", route.to_owned());
    }
    Some(span)
}

/// Begins the span of work that no request asked for, such as a webhook; `None` for a server without traces.
pub(super) fn of_work(app: &App, name: &'static str, kind: Kind) -> Option<Span> {
    begin(app, None, (name.into(), kind))
}

fn begin(
    app: &App,
    caller: Option<TraceContext>,
    named: (Cow<'static, str>, Kind),
) -> Option<Span> {
    let now = app.clock.now().timestamp_nanos_opt().unwrap_or_default();
    Some(app.traces.as_ref()?.begin(caller, named, u64::try_from(now).unwrap_or_default()))
}

/// Answers a request as part of its span.
pub(super) async fn answered(
    span: Option<Span>,
    answer: impl Future<Output = Response>,
) -> Response {
    let Some(mut span) = span else { return answer.await };
    let response = scoped(&span, Box::pin(answer)).await;
    let status = response.status();
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if let Some(id) = response.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok()) {
        span.set("botops.request_id", id.to_owned());
    }
    if status.is_server_error() {
        span.set("error.type", status.as_u16().to_string());
        span.fail("");
    }
    response
}

/// Runs `work` as part of `span`, if there is one.
pub(super) async fn within<T>(span: Option<&Span>, work: impl Future<Output = T>) -> T {
    match span {
        Some(span) => scoped(span, Box::pin(work)).await,
        None => work.await,
    }
}

/// Sends the spans of `app` to the collector, on `threads`.
pub(super) fn export(app: &Arc<App>, threads: &Handle) {
    let Some(traces) = &app.traces else { return };
    let server = Arc::downgrade(app);
    threads.spawn(traces.export(Box::new(move |level, message| {
        if let Some(app) = server.upgrade() {
            app.log.event(app.clock.now(), level, "traces", message);
        }
    })));
}

/// Waits until the spans that ended are sent, if the collector takes them soon.
pub(super) async fn flush(app: &App) {
    if let Some(traces) = &app.traces {
        traces.flush(PATIENCE).await;
    }
}
