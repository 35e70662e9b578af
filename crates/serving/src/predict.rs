//! `POST /v1/predict`: the intents of one text or many.

use super::{
    admission::by_conversation,
    app::App,
    attempt::{Attempt, Refusal},
    exchange::{Exchange, Text, check_conversation, parse, read_body, unfit},
    metrics::arm_name,
    pointer::Field,
    request_id::RequestId,
};
use crate::routing::Served;
use axum::{
    Extension,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    response::Response,
};
use botops_access::PublicCaller;
use botops_models::Prediction;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The place of several texts in the body.
const TEXTS: Field = Field::Named("texts");
/// The work that any text causes, as a number of bytes of text.
const BYTES_OF_A_TEXT: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    /// One text to classify; `text` or `texts` is required.
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    /// Texts to classify; up to 1,024, unless the server says otherwise.
    #[serde(borrow, default)]
    texts: Option<Vec<Text<'a>>>,
    /// The conversation: it decides the arm of a rollout. Without it, the arm is drawn at random.
    #[serde(borrow, default)]
    conversation_id: Option<Text<'a>>,
    /// The number of intents to list in `scores`; none are listed without it.
    #[serde(default)]
    top_k: Option<usize>,
}

#[derive(Serialize)]
struct Answer<'a> {
    /// The id of this request, for feedback.
    request_id: RequestId,
    /// The version that answered, such as `support@3`; only for callers with the scope `read`, as the next three.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    /// The digest of its model file.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    /// `primary` or `canary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<&'static str>,
    /// False if later requests of this conversation may get another arm; left out if they get the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    sticky: Option<bool>,
    /// One prediction per text, in order.
    predictions: Vec<Predicted<'a>>,
    /// The token that feedback on the last of the texts carries; left out if the name of its intent is longer than 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_token: Option<String>,
}

#[derive(Serialize)]
struct Predicted<'a> {
    /// The most likely intent.
    intent: &'a str,
    /// Its probability, in [0, 1].
    confidence: f64,
    /// Whether the model declines to answer.
    fallback: bool,
    /// The intents that the text may have, with the coverage set in training, if the model makes such sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction_set: Option<Vec<&'a str>>,
    /// The most likely intents, if `top_k` asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Vec<Score<'a>>>,
}

#[derive(Serialize)]
struct Score<'a> {
    /// The intent.
    intent: &'a str,
    /// Its probability, in [0, 1].
    confidence: f64,
}

/// Answers `POST /v1/predict`.
pub(super) async fn predict(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::with(&app, "predict", &caller);
    let body = match read_body(body, app.sizes.body("predict")) {
        Ok(body) => body,
        Err(problem) => return exchange.refuse(problem, None),
    };
    match answer(&exchange, &body).await {
        Ok(response) => response,
        Err(Refusal(problem, arm)) => exchange.refuse(problem, arm),
    }
}

async fn answer(exchange: &Exchange<'_>, body: &[u8]) -> Result<Response, Refusal> {
    let sizes = &exchange.app.sizes;
    let request: Request<'_> = parse(body)?;
    let texts = match (&request.text, &request.texts) {
        (Some(text), None) => std::slice::from_ref(text),
        (None, Some(texts)) if texts.is_empty() => {
            return Err(unfit("BOT-6015", TEXTS, "`texts` is empty").into());
        }
        (None, Some(texts)) if texts.len() > sizes.texts => {
            let message = format!("`texts` holds more than {} texts", sizes.texts);
            return Err(unfit("BOT-6014", TEXTS, message).into());
        }
        (None, Some(texts)) => texts.as_slice(),
        _ => {
            return Err(unfit("BOT-6013", Field::Body, "expected either `text` or `texts`").into());
        }
    };
    for (i, text) in texts.iter().enumerate() {
        sizes.check_text(&text.0, place(request.texts.is_some(), i))?;
    }
    let texts: Vec<&str> = texts.iter().map(|text| &*text.0).collect();
    let n_bytes = texts.iter().map(|text| text.len() + BYTES_OF_A_TEXT).sum();
    let conversation = request.conversation_id.as_ref().map(|id| &*id.0);
    check_conversation(conversation)?;
    by_conversation(exchange, conversation).await?;

    let routing = exchange.routing()?;
    let attempt = Attempt::new(exchange, &routing, conversation);
    let is_list = request.texts.is_some();
    let work = || respond(&attempt, (&texts, is_list), request.top_k);
    let speed = attempt.choice.served.speed();
    let (response, predictions) = exchange.take_turn(speed, n_bytes, work).await??;
    attempt.mirror(texts.iter().copied().zip(&predictions));
    Ok(response)
}

/// Returns the place of the text with index `i` in the body.
fn place(is_list: bool, i: usize) -> Field {
    if is_list { Field::Item("texts", i) } else { Field::Named("text") }
}

fn respond(
    attempt: &Attempt<'_>,
    (texts, is_list): (&[&str], bool),
    top_k: Option<usize>,
) -> Result<(Response, Vec<Prediction>), Refusal> {
    let Attempt { exchange, choice, .. } = attempt;
    let whole = if is_list { TEXTS } else { Field::Named("text") };
    exchange.app.sizes.check_normal_forms("predict", texts, whole, |i| place(is_list, i))?;
    let mut answers = Vec::with_capacity(texts.len());
    let mut predictions = Vec::with_capacity(texts.len());
    let read = |prediction: &Prediction, proba: &[f64]| {
        let scores = top_k.map(|k| likeliest(choice.served, prediction, proba, k));
        (prediction_set(choice.served, proba), scores)
    };
    let Ok(classified) = choice.served.classify_many(texts, read) else {
        return Err(attempt.failed());
    };
    for (prediction, (prediction_set, scores)) in classified {
        answers.push(Predicted {
            intent: &choice.served.intents[prediction.intent],
            confidence: prediction.confidence,
            fallback: prediction.fallback,
            prediction_set,
            scores,
        });
        predictions.push(prediction);
    }
    let duration = exchange.elapsed();
    let mut judged = None;
    for prediction in &predictions {
        judged = attempt.predicted(prediction, duration);
    }
    // One token for the request: of several texts, feedback is about the last.
    let last = predictions.last();
    let feedback_token = last.and_then(|last| attempt.feedback_token(last, judged));
    let body = serde_json::to_vec(&Answer {
        request_id: exchange.id,
        model: exchange.shown(&*choice.served.reference),
        digest: exchange.shown(&*choice.served.digest_text),
        arm: exchange.shown(arm_name(choice.arm)),
        sticky: exchange.shown(choice.sticky).filter(|is_sticky| !is_sticky),
        predictions: answers,
        feedback_token,
    })
    .expect("an answer can be written as JSON");
    let response = exchange.answer(choice, texts.len(), &predictions[0], duration, body);
    Ok((response, predictions))
}

/// Returns the intents that a text may have, the likeliest first; `None` if the model makes no prediction sets.
fn prediction_set<'a>(served: &'a Served, proba: &[f64]) -> Option<Vec<&'a str>> {
    let set = served.model().prediction_set(proba)?;
    Some(set.into_iter().map(|index| &*served.intents[index]).collect())
}

/// Returns the `k` likeliest intents, that of `prediction` first.
fn likeliest<'a>(
    served: &'a Served,
    prediction: &Prediction,
    proba: &[f64],
    k: usize,
) -> Vec<Score<'a>> {
    prediction
        .likeliest(proba, k)
        .into_iter()
        .map(|index| Score { intent: &served.intents[index], confidence: proba[index] })
        .collect()
}
