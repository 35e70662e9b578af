//! `POST /v1/chat`: the response of the bot to one message, as JSON or as a stream of events.

use super::{
    app::App,
    attempt::Refusal,
    chat_message, chat_stream,
    exchange::{Exchange, read_body},
    kept_turns::mark_unstored,
};
use axum::{
    Extension,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
    response::Response,
};
use botops_access::PublicCaller;
use std::sync::Arc;

/// Answers `POST /v1/chat`.
pub(super) async fn chat(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::with(&app, "chat", &caller);
    let body = match read_body(body, app.sizes.body("chat")) {
        Ok(body) => body,
        Err(problem) => return exchange.refuse(problem, None),
    };
    if chat_stream::is_asked(&headers) {
        return chat_stream::stream(Arc::clone(&app), caller.clone(), body).await;
    }
    match chat_message::answer(&exchange, &body, None).await {
        Ok(answer) => {
            let mut response = exchange.with_body(answer.body, answer.shown);
            if answer.is_lost {
                mark_unstored(&mut response);
            }
            response
        }
        Err(Refusal(problem, arm)) => exchange.refuse(problem, arm),
    }
}
