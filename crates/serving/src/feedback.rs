//! `POST /v1/feedback`: the true intent of a message.

use super::{
    admission::ClientAddress,
    app::App,
    exchange::{Exchange, Text, parse_within, read_body, unfit},
    feedback_caps::Counted,
    pointer::Field,
    problem::Problem,
    request_id::RequestId,
};
use axum::{
    body::Bytes,
    extract::{Extension, RawQuery, State, rejection::BytesRejection},
    http::StatusCode,
    response::Response,
};
use botops_access::{PublicCaller, Scope};
use botops_findings::Fault;
use botops_observation::Feedback;
use botops_predictions::SourceClass;
use botops_rollout::VerdictSource;
use serde::{Deserialize, Serialize};
use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};

/// The longest name of an intent, in bytes.
const MAX_INTENT_BYTES: usize = 256;

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = FeedbackRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Request<'a> {
    /// The `feedback_token` of the answer that is judged. Only with it, feedback counts for a rollout.
    #[serde(borrow, default)]
    token: Option<Text<'a>>,
    /// The request that is judged, if there is no token.
    #[serde(borrow, default)]
    request_id: Option<Text<'a>>,
    /// The conversation whose last answer is judged, if there is no token.
    #[serde(borrow, default)]
    conversation_id: Option<Text<'a>>,
    /// The true intent. Recorded traffic calls it `truth`.
    #[serde(borrow, default, alias = "truth")]
    intent: Option<Text<'a>>,
    /// Whether the answer was right, from a person who does not know the names of intents; only with `token`, instead of
    /// `intent`.
    #[serde(default)]
    correct: Option<bool>,
    /// How content the user was, from 1 (not at all) to 5, beside a verdict or alone. It counts for no rollout, and is stored
    /// with a `token`, or from callers with the scope `review`.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 5)]
    satisfaction: Option<u8>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FeedbackAnswer)]
pub(super) struct Answer {
    /// Always true: the feedback was read.
    accepted: bool,
    /// `counted`, for the rollout under way; `noted` (read, and counts for no rollout: about satisfaction only, without a token, after its expiry, not
    /// the first verdict on the message, or its conversation is not judged); or `unknown` (the token is not valid, or no
    /// such request is known).
    outcome: &'static str,
}

/// Answers `POST /v1/feedback` with 202, whether or not the feedback counts.
///
/// Feedback on a conversation, or on a request with several texts, is about the last answer.
pub(super) async fn feedback(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    address: Option<Extension<ClientAddress>>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::begin(&app, "feedback");
    let read = no_query(query).and_then(|()| read_body(body, app.sizes.body("feedback")));
    let address = address.map(|Extension(ClientAddress(address))| address);
    let recorded = match read {
        Ok(body) => record(&app, (&caller, address), &body).await,
        Err(problem) => Err(problem),
    };
    match recorded {
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

async fn record(
    app: &App,
    (caller, address): (&PublicCaller, Option<IpAddr>),
    body: &[u8],
) -> Result<Feedback, Problem> {
    let request: Request<'_> = parse_within(body, app.sizes.depth)?;
    let verdict = match (&request.intent, request.correct) {
        (Some(intent), None) => Some(Verdict::Intent(&intent.0)),
        (None, Some(correct)) => Some(Verdict::Correct(correct)),
        (None, None) if request.satisfaction.is_some() => None,
        _ => {
            let message = "expected one of `intent` and `correct`, or `satisfaction`";
            return Err(unfit("BOT-6013", Field::Body, message));
        }
    };
    if request.satisfaction.is_some_and(|level| !(1..=5).contains(&level)) {
        let message = "`satisfaction` must be from 1 to 5";
        return Err(unfit("BOT-6013", Field::Named("satisfaction"), message));
    }
    match verdict {
        Some(Verdict::Intent(intent)) if intent.is_empty() || intent.len() > MAX_INTENT_BYTES => {
            let message = format!("`intent` must have 1 to {MAX_INTENT_BYTES} bytes");
            return Err(unfit("BOT-6013", Field::Named("intent"), message));
        }
        Some(Verdict::Intent(intent)) if !knows(app, intent) => {
            let shown = botops_text::display(intent, 60);
            let message = format!("`{shown}` is no intent of the model, and not `oos`");
            return Err(unfit("BOT-6140", Field::Named("intent"), message));
        }
        Some(Verdict::Correct(_)) if request.token.is_none() => {
            return Err(unfit("BOT-6013", Field::Named("correct"), "`correct` needs a `token`"));
        }
        _ => {}
    }
    match (&request.token, &request.request_id, &request.conversation_id) {
        (Some(token), None, None) => {
            let said = (verdict, request.satisfaction);
            judge(app, (caller, address), &token.0, said).await
        }
        // Anyone can name a request or a conversation, so neither counts for a rollout.
        (None, Some(id), None) => {
            let is_reviewer = caller.scopes.has(Scope::Review);
            if is_reviewer {
                let truth = match verdict {
                    Some(Verdict::Intent(truth)) => Some(truth),
                    _ => None,
                };
                store(app, caller, &id.0, (truth, request.satisfaction)).await?;
            }
            let is_known = is_reviewer || app.ids.number(&id.0).is_some();
            Ok(if is_known { Feedback::Noted } else { Feedback::Unknown })
        }
        (None, None, Some(_)) => Ok(Feedback::Noted),
        _ => {
            let message = "expected one of `token`, `request_id` and `conversation_id`";
            Err(unfit("BOT-6013", Field::Body, message))
        }
    }
}

/// A verdict on an answer.
#[derive(Debug, Clone, Copy)]
enum Verdict<'a> {
    /// The true intent of the message.
    Intent(&'a str),
    /// Whether the answer was right.
    Correct(bool),
}

impl<'a> Verdict<'a> {
    /// Returns the true intent, given that of the answer.
    ///
    /// A message that its answer did not fit is out of scope as far as anyone said. That makes an answer wrong, unless it was
    /// a fallback.
    fn truth(self, answered: &'a str) -> &'a str {
        match self {
            Self::Intent(truth) => truth,
            Self::Correct(true) => answered,
            Self::Correct(false) => botops_labels::OOS,
        }
    }
}

/// Judges the answer behind `token`: the verdict is stored first, if the server has a prediction log, and then counted. One that
/// comes after the expiry of the token is stored, too, and counts for no rollout.
///
/// # Errors
/// `BOT-6214` (503) it could not be stored.
async fn judge(
    app: &App,
    (caller, address): (&PublicCaller, Option<IpAddr>),
    token: &str,
    (verdict, satisfaction): (Option<Verdict<'_>>, Option<u8>),
) -> Result<Feedback, Problem> {
    let Ok(answer) = app.tokens.open(token) else { return Ok(Feedback::Unknown) };
    let now = app.clock.now();
    let truth = verdict.map(|verdict| verdict.truth(&answer.intent));
    store(app, caller, &RequestId::written(&answer.request), (truth, satisfaction)).await?;
    let Some(truth) = truth.filter(|_| answer.expires > now) else { return Ok(Feedback::Noted) };
    if !app.is_inside.load(Ordering::Relaxed) {
        match app.feedback_caps.count((caller, address), &app.unit_key, now) {
            Counted::Yes => {}
            Counted::FirstBeyond => {
                let message = "a caller gives more verdicts than count in an hour: the rest of them is noted only";
                app.log.event(now, "warn", "feedback", message.to_owned());
                return Ok(Feedback::Noted);
            }
            Counted::Beyond => return Ok(Feedback::Noted),
        }
    }
    Ok(app.observer.verdict(&answer, source_of(app, caller), truth))
}

/// Stores a verdict on a request in the prediction log, if the server has one.
///
/// # Errors
/// `BOT-6214` (503) it could not be stored.
async fn store(
    app: &App,
    caller: &PublicCaller,
    request_id: &str,
    (truth, satisfaction): (Option<&str>, Option<u8>),
) -> Result<(), Problem> {
    let Some(predictions) = &app.predictions else { return Ok(()) };
    let source = match source_of(app, caller) {
        VerdictSource::Reviewer => SourceClass::Reviewer,
        VerdictSource::System => SourceClass::Agent,
        VerdictSource::EndUser => SourceClass::EndUser,
    };
    let verdict = botops_predictions::Verdict {
        at: app.clock.now().timestamp_millis(),
        request_id: request_id.to_owned(),
        index: 0,
        intent: truth.map(str::to_owned),
        source,
        satisfaction,
    };
    let stored = predictions.judge(verdict).await;
    stored.map_err(|fault| Problem::new(StatusCode::SERVICE_UNAVAILABLE, fault))
}

/// Returns whether a model that the server has loaded knows `intent`, or it is out of scope. Recorded traffic that is replayed
/// inside a rehearsal may have intents that the model lacks, and so may that of a server without a model.
fn knows(app: &App, intent: &str) -> bool {
    if intent == botops_labels::OOS || app.is_inside.load(Ordering::Relaxed) {
        return true;
    }
    let Some(routing) = app.slot.load() else { return true };
    let canary = routing.split.as_ref().map(|split| &split.canary);
    let mut served = std::iter::once(&routing.primary).chain(canary);
    served.any(|served| served.intents.iter().any(|known| **known == *intent))
}

/// Returns the class of the source of `caller`'s feedback. Scopes come from the server, never from the request.
fn source_of(app: &App, caller: &PublicCaller) -> VerdictSource {
    if app.is_inside.load(Ordering::Relaxed) {
        VerdictSource::System
    } else if caller.scopes.has(Scope::Review) {
        VerdictSource::Reviewer
    } else {
        VerdictSource::EndUser
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::WallClock, server::new_app, shadow};
    use botops_access::ScopeSet;

    #[test]
    fn a_person_says_right_or_wrong_without_the_name_of_an_intent() {
        assert_eq!(Verdict::Correct(true).truth("refund"), "refund");
        assert_eq!(Verdict::Correct(false).truth("refund"), "oos");
        assert_eq!(Verdict::Intent("parcel").truth("refund"), "parcel");
    }

    #[tokio::test]
    async fn a_verdict_is_an_intent_or_a_word_about_one_answer() {
        let clock = Arc::new(WallClock::start());
        let app = new_app("m", &crate::tests::settings(), clock, shadow::CAPACITY).unwrap();
        let caller = PublicCaller::anonymous(ScopeSet::of(&PublicCaller::OF_EVERYONE));
        for (body, message) in [
            (r#"{"token": "t"}"#, "expected one of `intent` and `correct`"),
            (r#"{"token": "t", "intent": "a", "correct": true}"#, "one of `intent` and `correct`"),
            (r#"{"correct": true}"#, "`correct` needs a `token`"),
            (r#"{"correct": false, "conversation_id": "c"}"#, "`correct` needs a `token`"),
            (r#"{"correct": "no", "token": "t"}"#, "wrong shape"),
            (r#"{"satisfaction": 6, "token": "t"}"#, "from 1 to 5"),
            (r#"{"satisfaction": 0, "intent": "oos", "token": "t"}"#, "from 1 to 5"),
            (r#"{"satisfaction": 300, "token": "t"}"#, "wrong shape"),
            (r#"{"correct": true, "token": "t", "request_id": "r"}"#, "expected one of `token`"),
        ] {
            let problem = record(&app, (&caller, None), body.as_bytes()).await.unwrap_err();
            assert_eq!(
                (problem.status.as_u16(), problem.fault.code()),
                (422, "BOT-6013"),
                "{body}"
            );
            assert!(problem.fault.message().contains(message), "{body}: {}", problem.fault);
        }
        let unknown = record(&app, (&caller, None), br#"{"token": "t", "correct": true}"#).await;
        assert_eq!(unknown.ok(), Some(Feedback::Unknown));
        let content = record(&app, (&caller, None), br#"{"token": "t", "satisfaction": 5}"#).await;
        assert_eq!(content.ok(), Some(Feedback::Unknown));
    }

    #[tokio::test]
    async fn the_source_is_what_the_scopes_of_the_caller_say() {
        let clock = Arc::new(WallClock::start());
        let app = new_app("m", &crate::tests::settings(), clock, shadow::CAPACITY).unwrap();
        let source =
            |scopes: &[Scope]| source_of(&app, &PublicCaller::anonymous(ScopeSet::of(scopes)));
        assert_eq!(source(&PublicCaller::OF_EVERYONE), VerdictSource::EndUser);
        assert_eq!(source(&[Scope::Feedback, Scope::Admin]), VerdictSource::EndUser);
        assert_eq!(source(&[Scope::Review]), VerdictSource::Reviewer);
        let reviewer = PublicCaller::anonymous(ScopeSet::of(&[Scope::Review]));
        let by_id = br#"{"request_id": "of another server", "intent": "a"}"#;
        assert_eq!(
            record(&app, (&reviewer, None), by_id).await.ok(),
            Some(Feedback::Noted),
            "never counted"
        );
        app.is_inside.store(true, Ordering::Relaxed);
        assert_eq!(source(&[Scope::Feedback]), VerdictSource::System);
    }
}
