//! `POST /v1/feedback`: what a message turned out to mean.

use super::{
    exchange::{App, Exchange, Text, parse, read_body, unfit},
    observe::Feedback,
    problem::Problem,
};
use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest name of an intent, in bytes.
const MAX_INTENT_BYTES: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    #[serde(borrow, default)]
    request_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    conversation_id: Option<Text<'a>>,
    /// Also called `truth`, as recorded traffic calls it.
    #[serde(borrow, alias = "truth")]
    intent: Text<'a>,
}

#[derive(Serialize)]
struct Answer {
    accepted: bool,
    /// `counted` by the judge, `noted` (it was right, or does not count), `unknown` (no such answer is remembered).
    outcome: &'static str,
}

/// Answers `POST /v1/feedback`: 202, whether or not the answer is still remembered. Of a request
/// with several texts, and of a conversation, the last answer is meant.
pub(super) async fn feedback(
    State(app): State<Arc<App>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::begin(&app, "feedback");
    match read_body(body).and_then(|body| hear(&app, &body)) {
        Ok(outcome) => {
            let outcome = match outcome {
                Feedback::Counted => "counted",
                Feedback::Noted => "noted",
                Feedback::Unknown => "unknown",
            };
            exchange.tell(StatusCode::ACCEPTED, &Answer { accepted: true, outcome })
        }
        Err(problem) => exchange.refuse(problem, None),
    }
}

fn hear(app: &App, body: &[u8]) -> Result<Feedback, Problem> {
    let request: Request<'_> = parse(body)?;
    let intent = &*request.intent.0;
    if intent.is_empty() || intent.len() > MAX_INTENT_BYTES {
        return Err(unfit("BOT-6013", format!("`intent` has 1 to {MAX_INTENT_BYTES} bytes")));
    }
    match (&request.request_id, &request.conversation_id) {
        (Some(id), None) => Ok(app
            .ids
            .number(&id.0)
            .map_or(Feedback::Unknown, |number| app.observer.feedback_on_request(number, intent))),
        (None, Some(id)) => Ok(app.observer.feedback_on_conversation(&id.0, intent)),
        _ => Err(unfit("BOT-6013", "one of `request_id` and `conversation_id` is wanted")),
    }
}
