//! The server behind the connections, as far as its listeners need it.

use crate::metrics::ConnectionMetrics;
use axum::{http::StatusCode, response::Response};
use botops_findings::Fault;
use chrono::{DateTime, Utc};

/// The server behind the connections: its clock, its log, its metrics, and the form of its refusals.
pub trait Keeper: Send + Sync + 'static {
    /// Returns the time.
    fn now(&self) -> DateTime<Utc>;

    /// Writes an event to the log: its level (`info`, `warn`, `error`), its name, and the message.
    fn event(&self, level: &'static str, name: &'static str, message: String);

    /// Returns the metrics of the connections.
    fn metrics(&self) -> &ConnectionMetrics;

    /// Answers a request that no route gets, and counts it.
    fn refuse(&self, status: StatusCode, fault: Fault) -> Response;

    /// Returns the body, as `application/problem+json`, of an answer to a connection whose request is not read.
    fn problem(&self, status: StatusCode, fault: &Fault) -> String;
}

/// Returns the bytes of an answer to a connection whose request is not read, and which is closed after it.
pub(crate) fn last_answer(keeper: &dyn Keeper, status: StatusCode, fault: &Fault) -> Vec<u8> {
    let body = keeper.problem(status, fault);
    let retry = match status {
        StatusCode::SERVICE_UNAVAILABLE => "retry-after: 1\r\n",
        _ => "",
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n{retry}connection: close\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}
