//! `POST /v1/predict`: the intents of one text or many.

use super::{
    admission::by_conversation,
    app::App,
    attempt::{Attempt, Refusal},
    content_encoding::unpacked,
    exchange::{Exchange, Text, check_conversation, parse_within, read_body, unfit},
    metrics::arm_name,
    pointer::Field,
    prediction_log::details_of,
    problem::Problem,
    request_id::RequestId,
};
use crate::routing::Served;
use axum::{
    body::Bytes,
    extract::{FromRequest as _, Request as HttpRequest},
    http::StatusCode,
    response::Response,
};
use botops_access::PublicCaller;
use botops_findings::Fault;
use botops_models::Prediction;
use botops_telemetry::timed;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The place of several texts in the body.
const TEXTS: Field = Field::Named("texts");
/// The work that any text causes, as a number of bytes of text.
const BYTES_OF_A_TEXT: usize = 32;

#[derive(Deserialize, ToSchema)]
#[schema(as = PredictRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Request<'a> {
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

#[derive(Serialize, ToSchema)]
#[schema(as = PredictAnswer)]
pub(super) struct Answer<'a> {
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
    feedback_token: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Prediction)]
pub(super) struct Predicted<'a> {
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

#[derive(Serialize, ToSchema)]
#[schema(as = Score)]
pub(super) struct Score<'a> {
    /// The intent.
    intent: &'a str,
    /// Its probability, in [0, 1].
    confidence: f64,
}

/// Texts to classify in one request.
pub(super) struct Asked<'a> {
    /// The texts: at least one.
    pub(super) texts: &'a [&'a str],
    /// The place of all together in the body.
    pub(super) whole: Field,
    /// The place of the text with this index.
    pub(super) place: &'a (dyn Fn(usize) -> Field + Sync),
    /// The conversation.
    pub(super) conversation: Option<&'a str>,
    /// The version that has to answer, if the request names one.
    pub(super) version: Option<&'a str>,
}

/// Texts that are classified.
pub(super) struct Classified<'a, T> {
    /// The model that answers.
    pub(super) attempt: &'a Attempt<'a>,
    /// One prediction per text, with the part of its probabilities that was read.
    pub(super) predictions: Vec<(Prediction, T)>,
    /// The token that feedback on the last of the texts carries.
    pub(super) feedback_token: Option<String>,
}

/// Answers `POST /v1/predict` with one body.
pub(super) async fn predict(app: &App, caller: &PublicCaller, request: HttpRequest) -> Response {
    let exchange = Exchange::with(app, "predict", caller);
    let answered = async {
        let body = whole_body(request, app.sizes.body("predict")).await?;
        answer(&exchange, &body).await
    };
    match answered.await {
        Ok(response) => response,
        Err(Refusal(problem, arm)) => exchange.refuse(problem, arm),
    }
}

/// Reads the body of a request, which has at most `most` bytes, packed and unpacked.
///
/// # Errors
/// 413 it is too large, 415 it is packed in another way than gzip, 400 it is damaged or the connection broke.
pub(super) async fn whole_body(request: HttpRequest, most: usize) -> Result<Vec<u8>, Problem> {
    let headers = request.headers().clone();
    let body = read_body(Bytes::from_request(request, &()).await, most)?;
    Ok(unpacked(&headers, &body, most)?.into_owned())
}

/// Answers one request for predictions with this body.
pub(super) async fn answer(exchange: &Exchange<'_>, body: &[u8]) -> Result<Response, Refusal> {
    let sizes = &exchange.app.sizes;
    let request: Request<'_> = parse_within(body, sizes.depth)?;
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
    let is_list = request.texts.is_some();
    let texts: Vec<&str> = texts.iter().map(|text| &*text.0).collect();
    let asked = Asked {
        texts: &texts,
        whole: if is_list { TEXTS } else { Field::Named("text") },
        place: &|i| if is_list { Field::Item("texts", i) } else { Field::Named("text") },
        conversation: request.conversation_id.as_ref().map(|id| &*id.0),
        version: None,
    };
    let top_k = request.top_k;
    let read = |served: &Served, prediction: &Prediction, proba: &[f64]| {
        let likeliest = top_k.map(|k| {
            let likeliest = prediction.likeliest(proba, k).into_iter();
            likeliest.map(|index| (index, proba[index])).collect::<Vec<_>>()
        });
        (served.model().prediction_set(proba), likeliest)
    };
    classify(exchange, &asked, read, written).await
}

/// Classifies texts. `read` takes a part of the probabilities of each, and `write` makes the body of the answer (JSON).
///
/// # Errors
/// 422 a text or the conversation id cannot be used, 404 another version than the one asked for answers, 429 the rate of the
/// conversation is used up, 503 the server is overloaded or has no model, 500 the prediction failed.
pub(super) async fn classify<T>(
    exchange: &Exchange<'_>,
    asked: &Asked<'_>,
    read: impl Fn(&Served, &Prediction, &[f64]) -> T,
    write: impl FnOnce(&Classified<'_, T>) -> Vec<u8>,
) -> Result<Response, Refusal> {
    let texts = asked.texts;
    for (i, text) in texts.iter().enumerate() {
        exchange.app.sizes.check_text(text, (asked.place)(i))?;
    }
    check_conversation(asked.conversation)?;
    by_conversation(exchange, asked.conversation).await?;
    let n_bytes = texts.iter().map(|text| text.len() + BYTES_OF_A_TEXT).sum();

    let routing = exchange.routing()?;
    let attempt = Attempt::new(exchange, &routing, asked.conversation);
    if let Some(version) = asked.version {
        check_version(attempt.choice.served, version)?;
    }
    let work = || respond(&attempt, asked, read, write);
    let speed = attempt.choice.served.speed();
    let (response, predictions) = exchange.take_turn(speed, n_bytes, work).await??;
    attempt.mirror(texts.iter().copied().zip(&predictions));
    Ok(response)
}

/// Checks that the model that answers has this version.
///
/// # Errors
/// `BOT-6170` (404) it has another one.
pub(super) fn check_version(served: &Served, version: &str) -> Result<(), Problem> {
    match &served.version {
        Some(known) if known.number.to_string() == version => Ok(()),
        _ => {
            let shown = botops_text::display(version, 40);
            let message = format!("version `{shown}` does not answer this request");
            let fault = Fault::usage("BOT-6170", message)
                .hint("leave the version out: the rollout decides which one answers");
            Err(Problem::new(StatusCode::NOT_FOUND, fault))
        }
    }
}

fn respond<T>(
    attempt: &Attempt<'_>,
    asked: &Asked<'_>,
    read: impl Fn(&Served, &Prediction, &[f64]) -> T,
    write: impl FnOnce(&Classified<'_, T>) -> Vec<u8>,
) -> Result<(Response, Vec<Prediction>), Refusal> {
    let Attempt { exchange, choice, .. } = attempt;
    let texts = asked.texts;
    exchange.app.sizes.check_normal_forms("predict", texts, asked.whole, asked.place)?;
    let is_logged = exchange.app.predictions.is_some();
    let mut details = Vec::new();
    let read = |prediction: &Prediction, proba: &[f64]| {
        if is_logged {
            details.push(details_of(choice.served, prediction, proba));
        }
        read(choice.served, prediction, proba)
    };
    let classify = || choice.served.classify_many(texts, read);
    let Ok(predictions) = timed("classify", classify) else {
        return Err(attempt.failed());
    };
    let duration = exchange.elapsed();
    let mut judged = None;
    for (prediction, _) in &predictions {
        judged = attempt.predicted(prediction, duration);
    }
    // One token for the request: of several texts, feedback is about the last.
    let last = predictions.last();
    let feedback_token = last.and_then(|(last, _)| {
        let intent = &*choice.served.intents[last.intent];
        attempt.feedback_token((intent, last.fallback), judged)
    });
    let classified = Classified { attempt, predictions, feedback_token };
    let body = write(&classified);
    let predictions: Vec<_> = classified.predictions.into_iter().map(|(it, _)| it).collect();
    // There are no details without a log.
    let said = predictions.iter().zip(details);
    for (index, (text, said)) in texts.iter().zip(said).enumerate() {
        // From the last: a verdict on the request is about that one.
        attempt.log(("predict", texts.len() - 1 - index, text), said, duration);
    }
    let response = exchange.answer(choice, texts.len(), &predictions[0], duration, body);
    Ok((response, predictions))
}

/// The part of the probabilities of a text that an answer of `/v1/predict` shows: its prediction set, and the likeliest
/// intents with theirs.
type Shown = (Option<Vec<usize>>, Option<Vec<(usize, f64)>>);

fn written(classified: &Classified<'_, Shown>) -> Vec<u8> {
    let Attempt { exchange, choice, .. } = classified.attempt;
    let name = |index: usize| &*choice.served.intents[index];
    let predicted = |(prediction, (set, likeliest)): &(Prediction, Shown)| Predicted {
        intent: name(prediction.intent),
        confidence: prediction.confidence,
        fallback: prediction.fallback,
        prediction_set: set.as_ref().map(|set| set.iter().map(|index| name(*index)).collect()),
        scores: likeliest.as_ref().map(|likeliest| {
            let score = |(index, confidence): &(usize, f64)| Score {
                intent: name(*index),
                confidence: *confidence,
            };
            likeliest.iter().map(score).collect()
        }),
    };
    serde_json::to_vec(&Answer {
        request_id: exchange.id,
        model: exchange.shown(&*choice.served.reference),
        digest: exchange.shown(&*choice.served.digest_text),
        arm: exchange.shown(arm_name(choice.arm)),
        sticky: exchange.shown(choice.sticky).filter(|is_sticky| !is_sticky),
        predictions: classified.predictions.iter().map(predicted).collect(),
        feedback_token: classified.feedback_token.as_deref(),
    })
    .expect("an answer can be written as JSON")
}
