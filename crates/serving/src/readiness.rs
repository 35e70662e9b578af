//! The endpoints that monitoring asks: whether the process lives, whether it can answer, and its metrics.

use crate::{
    app::App,
    exchange::{Exchange, json},
    routing::Served,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use botops_access::PublicCaller;
use serde::Serialize;
use std::sync::Arc;

/// The answer of `GET /health`.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
    /// The version of botops.
    version: &'static str,
}

/// The answer of `GET /readiness`.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Readiness)]
pub(super) struct Ready<'a> {
    /// `ready`, or `degraded` if it serves with a problem that a person has to solve.
    status: &'static str,
    /// The version that serves, such as `support@3`; only for callers with the scope `read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    /// The digest of its model file; only for callers with the scope `read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    /// The codes of the problems; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<&'static str>,
}

/// Answers that the process lives.
pub(super) async fn health() -> Response {
    json(StatusCode::OK, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Answers whether the server can answer, and with which problems.
///
/// The admin listener, too, answers without asking who calls, so it shows no version.
pub(super) async fn readiness(
    State(app): State<Arc<App>>,
    caller: Option<Extension<PublicCaller>>,
) -> Response {
    let exchange = match &caller {
        Some(Extension(caller)) => Exchange::with(&app, "readiness", caller),
        None => Exchange::begin(&app, "readiness"),
    };
    match exchange.routing() {
        Ok(routing) => {
            let Served { reference, digest_text, .. } = &*routing.primary;
            let problems: Vec<_> = app.degradations().iter().map(|found| found.code).collect();
            let status = if problems.is_empty() { "ready" } else { "degraded" };
            let (model, digest) = (exchange.shown(&**reference), exchange.shown(&**digest_text));
            json(StatusCode::OK, &Ready { status, model, digest, problems })
        }
        Err(problem) => problem.into_response(),
    }
}

/// Answers with the metrics, for Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    if let Some(channels) = app.channels.get() {
        app.metrics.channels.show(channels);
    }
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], app.metrics.text()).into_response()
}
