//! A body whose head says that it is too long is refused before any of it is read.
//!
//! A client that waits for `100 Continue` then sends nothing of it, and one that sends a huge body learns it at once.

use crate::{
    app::App,
    exchange::{Exchange, too_large},
    media_type::{LINES, is_of_type},
};
use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use std::sync::Arc;

/// The longest body of an endpoint.
#[derive(Clone)]
pub(super) struct LongestBody {
    pub(super) app: Arc<App>,
    /// The name of the endpoint in the request log.
    pub(super) endpoint: &'static str,
    /// The most bytes.
    pub(super) most: usize,
}

/// Refuses a request whose `content-length` is beyond that of the endpoint. Lines of JSON have no longest body.
pub(super) async fn check_length(
    State(longest): State<LongestBody>,
    request: Request,
    next: Next,
) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    // The server has checked that it is a number.
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let is_too_long = length.is_some_and(|length| length > longest.most as u64);
    if is_too_long && !is_of_type(request.headers(), LINES) {
        let exchange = Exchange::begin(&longest.app, longest.endpoint);
        return exchange.refuse(too_large(longest.most), None);
    }
    next.run(request).await
}
