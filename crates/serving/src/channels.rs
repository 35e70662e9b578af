//! `GET` and `POST /channels/{name}`: requests of messaging platforms.
//!
//! They need no scope: each channel checks the signature of each request over its bytes. A 200 means that the messages are
//! stored.

use crate::{
    app::App,
    exchange::{Exchange, not_ready, read_body},
};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::Response,
};
use botops_channels::ReceivedRequest;
use std::sync::Arc;

/// Answers a request of a platform.
pub(super) async fn receive(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::begin(&app, "channels");
    let Some(channels) = app.channels.get() else {
        // The platform sends it again.
        return exchange.refuse(not_ready(), None);
    };
    let body = match read_body(body, app.sizes.body("channels")) {
        Ok(body) => body,
        Err(problem) => return exchange.refuse(problem, None),
    };
    // A header that is not text carries no signature of a platform.
    let headers: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let request = ReceivedRequest {
        method: method.as_str(),
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
        now: app.clock.now(),
    };
    let answer = channels.receive(&name, &request).await;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static(answer.content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if let Some(seconds) = answer.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    exchange.send(response)
}
