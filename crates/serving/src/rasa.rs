//! Requests and answers in the shapes of Rasa, for clients that were written for it.

use crate::{
    app::App,
    attempt::Refusal,
    exchange::{Exchange, parse_within, unfit},
    kept_turns::{Ids, mark_unstored},
    pointer::Field,
    predict::{Asked, Classified, classify, whole_body},
    problem::{Problem, internal},
    routing::Served,
    turn_answer::Answer,
    turn_engine::{self, ENTITY_TIME, Message},
};
use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use botops_access::PublicCaller;
use botops_dialogue::{Button, Entity, Moment};
use botops_models::Prediction;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Instant};
use utoipa::ToSchema;

/// The intent that Rasa names when its model declines.
const NLU_FALLBACK: &str = "nlu_fallback";
/// The most intents of a ranking.
const RANKED: usize = 10;

/// The body of `POST /model/parse`.
#[derive(Deserialize, ToSchema)]
#[schema(as = RasaText)]
#[serde(deny_unknown_fields)]
pub(super) struct ParseRequest {
    /// The message.
    text: String,
    /// The client's id of the message, which the answer repeats.
    #[serde(default)]
    message_id: Option<String>,
}

/// The answer of `POST /model/parse`.
#[derive(Serialize, ToSchema)]
#[schema(as = RasaParsed)]
pub(super) struct ParseAnswer<'a> {
    /// The message.
    text: &'a str,
    /// The most likely intent, or `nlu_fallback`.
    intent: Ranked<'a>,
    /// The entities.
    entities: Vec<ParsedEntity>,
    /// The ten most likely intents, after `nlu_fallback` if the model declines.
    intent_ranking: Vec<Ranked<'a>>,
    /// The client's id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
}

/// An intent of a ranking.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = RasaIntent)]
pub(super) struct Ranked<'a> {
    /// The intent.
    name: &'a str,
    /// Its probability, in [0, 1].
    confidence: f64,
}

/// An entity.
#[derive(Serialize, ToSchema)]
#[schema(as = RasaEntity)]
pub(super) struct ParsedEntity {
    /// The entity, as in an answer of `/v1/chat`.
    #[serde(flatten)]
    entity: Entity,
    /// The extractor: `botops`.
    extractor: &'static str,
}

/// The body of `POST /webhooks/rest/webhook`.
#[derive(Deserialize, ToSchema)]
#[schema(as = RasaMessage)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookRequest {
    /// The conversation.
    sender: String,
    /// The message; one that begins with `/` is the payload of a button.
    message: String,
}

/// A message of the bot, in the answer of `POST /webhooks/rest/webhook`.
#[derive(Serialize, ToSchema)]
#[schema(as = RasaReply)]
pub(super) struct BotMessage {
    /// The conversation.
    recipient_id: String,
    /// The text.
    text: String,
    /// The buttons to show under it; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buttons: Vec<RasaButton>,
}

/// A button.
#[derive(Serialize, ToSchema)]
pub(super) struct RasaButton {
    /// Its title.
    title: String,
    /// The message to send when it is pressed.
    payload: String,
}

/// Answers `POST /webhooks/rest/webhook`: the messages of the bot after one of the user.
pub(super) async fn webhook(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    request: Request,
) -> Response {
    let exchange = Exchange::with(&app, "chat", &caller);
    let answered = async {
        if request.uri().query().is_some_and(|query| query.contains("stream=true")) {
            let message = "`stream=true` is not supported: a message gets all its answers at once";
            return Err(unfit("BOT-6173", Field::Body, message).into());
        }
        let body = whole_body(request, app.sizes.body("chat")).await?;
        let WebhookRequest { sender, message } = parse_within(&body, app.sizes.depth)?;
        let ids = Ids { conversation: Some(&sender), message: None, user: None };
        let button = message.strip_prefix('/').filter(|payload| !payload.is_empty());
        let message = Message { ids, text: &message, button, ..Message::default() };
        let answer = turn_engine::answer(&exchange, &message).await?;
        let said: Answer =
            serde_json::from_slice(&answer.body).map_err(|_| Problem::from(internal()))?;
        let button = |button: Button| RasaButton {
            title: button.title,
            payload: format!("/{}", button.payload),
        };
        let buttons: Vec<_> = said.buttons.into_iter().map(button).collect();
        let messages: Vec<BotMessage> = match said.response {
            None if buttons.is_empty() => Vec::new(),
            text => {
                let text = text.unwrap_or_default();
                vec![BotMessage { recipient_id: sender.clone(), text, buttons }]
            }
        };
        let body = serde_json::to_vec(&messages).expect("an answer can be written as JSON");
        let mut response = exchange.with_body(body, answer.shown);
        if answer.is_lost {
            mark_unstored(&mut response);
        }
        Ok::<_, Refusal>(response)
    };
    match answered.await {
        Ok(response) => response,
        Err(Refusal(problem, arm)) => exchange.refuse(problem, arm),
    }
}

/// Answers `POST /model/parse`: intent and entities of one text.
pub(super) async fn parse_message(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    request: Request,
) -> Response {
    let exchange = Exchange::with(&app, "predict", &caller);
    let answered = async {
        if request.uri().query().is_some_and(|query| query.contains("emulation_mode=")) {
            let message = "`emulation_mode` is not supported";
            return Err(unfit("BOT-6173", Field::Body, message).into());
        }
        let body = whole_body(request, app.sizes.body("predict")).await?;
        let request: ParseRequest = parse_within(&body, app.sizes.depth)?;
        let at = Field::Named("text");
        let asked = Asked {
            texts: &[&request.text],
            whole: at,
            place: &|_| at,
            conversation: None,
            version: None,
        };
        let read = |_: &Served, prediction: &Prediction, proba: &[f64]| {
            let likeliest = prediction.likeliest(proba, RANKED).into_iter();
            likeliest.map(|index| (index, proba[index])).collect::<Vec<_>>()
        };
        classify(&exchange, &asked, read, |classified| written(classified, &request)).await
    };
    match answered.await {
        Ok(response) => response,
        Err(Refusal(problem, arm)) => exchange.refuse(problem, arm),
    }
}

fn written(classified: &Classified<'_, Vec<(usize, f64)>>, request: &ParseRequest) -> Vec<u8> {
    let served = classified.attempt.choice.served;
    let (prediction, likeliest) = &classified.predictions[0];
    let ranked = |(index, confidence): &(usize, f64)| Ranked {
        name: &served.intents[*index],
        confidence: *confidence,
    };
    let declined = Ranked { name: NLU_FALLBACK, confidence: prediction.confidence };
    let declined = prediction.fallback.then_some(declined);
    let intent_ranking: Vec<_> = declined.into_iter().chain(likeliest.iter().map(ranked)).collect();
    let language = served.guess_language(&request.text).map(|guess| guess.code());
    let moment = Moment::new(classified.attempt.exchange.app.clock.now(), language);
    let searched = Instant::now();
    let has_time = || searched.elapsed() < ENTITY_TIME;
    let tagged = served.model().tag(&request.text);
    let found = served.dialogue.entities_while(&request.text, &moment, tagged, has_time).found;
    let entities = found.into_iter().map(|entity| ParsedEntity { entity, extractor: "botops" });
    serde_json::to_vec(&ParseAnswer {
        text: &request.text,
        intent: intent_ranking[0].clone(),
        entities: entities.collect(),
        intent_ranking,
        message_id: request.message_id.as_deref(),
    })
    .expect("an answer can be written as JSON")
}
