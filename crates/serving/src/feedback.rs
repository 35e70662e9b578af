//! `POST /v1/feedback`: the true intent of a message.

use super::{
    app::App,
    exchange::{Exchange, Text, parse, read_body, unfit},
    observe::Feedback,
    pointer::Field,
    problem::Problem,
};
use axum::{
    body::Bytes,
    extract::{RawQuery, State, rejection::BytesRejection},
    http::StatusCode,
    response::Response,
};
use botops_findings::Fault;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest name of an intent, in bytes.
const MAX_INTENT_BYTES: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    /// The request that is judged; this or `conversation_id` is required.
    #[serde(borrow, default)]
    request_id: Option<Text<'a>>,
    /// The conversation whose last answer is judged.
    #[serde(borrow, default)]
    conversation_id: Option<Text<'a>>,
    /// The true intent. Recorded traffic calls it `truth`.
    #[serde(borrow, alias = "truth")]
    intent: Text<'a>,
}

#[derive(Serialize)]
struct Answer {
    /// Always true: the feedback was read.
    accepted: bool,
    /// `counted` by the judge, `noted` (the answer was right, or does not count) or `unknown` (no such answer is remembered).
    outcome: &'static str,
}

/// Answers `POST /v1/feedback` with 202, whether or not the answer is still remembered.
///
/// Feedback on a conversation, or on a request with several texts, is about the last answer.
pub(super) async fn feedback(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::begin(&app, "feedback");
    let read = no_query(query).and_then(|()| read_body(body, app.sizes.body("feedback")));
    match read.and_then(|body| record(&app, &body)) {
        Ok(outcome) => {
            let outcome = match outcome {
                Feedback::Counted => "counted",
                Feedback::Noted => "noted",
                Feedback::Unknown => "unknown",
            };
            exchange.reply(StatusCode::ACCEPTED, &Answer { accepted: true, outcome })
        }
        Err(problem) => exchange.refuse(problem, None),
    }
}

/// Refuses a query: feedback counts, and a key that this server does not know may have been meant to prevent that.
fn no_query(query: Option<String>) -> Result<(), Problem> {
    match query.filter(|query| !query.is_empty()) {
        None => Ok(()),
        Some(_) => {
            let fault = Fault::usage("BOT-6041", "`/v1/feedback` takes no query in its URL")
                .hint("nothing was counted; send everything in the body");
            Err(fault.into())
        }
    }
}

fn record(app: &App, body: &[u8]) -> Result<Feedback, Problem> {
    let request: Request<'_> = parse(body)?;
    let intent = &*request.intent.0;
    if intent.is_empty() || intent.len() > MAX_INTENT_BYTES {
        let message = format!("`intent` must have 1 to {MAX_INTENT_BYTES} bytes");
        return Err(unfit("BOT-6013", Field::Named("intent"), message));
    }
    match (&request.request_id, &request.conversation_id) {
        (Some(id), None) => Ok(app
            .ids
            .number(&id.0)
            .map_or(Feedback::Unknown, |number| app.observer.feedback_on_request(number, intent))),
        (None, Some(id)) => Ok(app.observer.feedback_on_conversation(&id.0, intent)),
        _ => {
            let message = "expected either `request_id` or `conversation_id`";
            Err(unfit("BOT-6013", Field::Body, message))
        }
    }
}
