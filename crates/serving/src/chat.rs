//! `POST /v1/chat`: the response of the bot to one message.

use super::{
    admission::by_conversation,
    app::App,
    attempt::{Attempt, Refusal},
    exchange::{Exchange, Text, check_conversation, parse, read_body},
    kept_turns::{Begun, Ids, NewTurn, Stored, mark_unstored},
    metrics::arm_name,
    pointer::Field,
    request_id::RequestId,
};
use axum::{
    Extension,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderValue, header::RETRY_AFTER},
    response::Response,
};
use botops_access::PublicCaller;
use botops_conversations::Turn;
use botops_dialogue::{Entities, Entity, Moment};
use botops_models::Prediction;
use botops_text::Language;
use serde::{Deserialize, Serialize};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest time of the search for entities in one message. The patterns of a support bot take microseconds.
const ENTITY_TIME: Duration = Duration::from_millis(50);

/// The place of the message in the body.
const TEXT: Field = Field::Named("text");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    /// The conversation: it decides the arm of a rollout.
    #[serde(borrow, default)]
    conversation_id: Option<Text<'a>>,
    /// The message.
    #[serde(borrow)]
    text: Text<'a>,
    /// The language of the response, such as `en`; without it, the language of the message, guessed among those of the
    /// responses, else the default language of the bot.
    #[serde(borrow, default)]
    language: Option<Text<'a>>,
    /// The client's id of this message in its conversation: a message that is sent again gets its first answer.
    #[serde(borrow, default)]
    message_id: Option<Text<'a>>,
    /// The person who speaks, so that what is stored of them can be found and erased.
    #[serde(borrow, default)]
    user_id: Option<Text<'a>>,
}

/// An answer that is made, and not given yet.
struct Made {
    body: Vec<u8>,
    /// The answer to store; `None` if it is the body. Whoever sends the message again may not see versions.
    kept: Option<Vec<u8>>,
    prediction: Prediction,
    duration: Duration,
    entities: Vec<Entity>,
    /// The language of the response.
    language: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    /// The id of this request, for feedback.
    request_id: RequestId,
    /// The most likely intent.
    intent: &'a str,
    /// Its probability, in [0, 1].
    confidence: f64,
    /// The entities in the message.
    entities: &'a [Entity],
    /// Whether some may be missing: a pattern matched 64 times, or the search took too long; left out if not.
    #[serde(skip_serializing_if = "is_false")]
    entities_cut: bool,
    /// The response, in `language`; `null` if the intent was understood and the bot has no response to it.
    response: Option<&'a str>,
    /// The language of the response; `null` without one.
    language: Option<&'a str>,
    /// Whether the model declines to answer, so that `response` is the fallback.
    fallback: bool,
    /// The token that feedback on this answer carries; left out if the name of the intent is longer than 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_token: Option<String>,
    /// The version that answered, such as `support@3`; only for callers with the scope `read`, as all that follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    /// The digest of its model file.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    /// `primary` or `canary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<&'static str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Answers `POST /v1/chat`.
pub(super) async fn chat(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::with(&app, "chat", &caller);
    let body = match read_body(body, app.sizes.body("chat")) {
        Ok(body) => body,
        Err(problem) => return exchange.refuse(problem, None),
    };
    match answer(&exchange, &body).await {
        Ok(response) => response,
        Err(Refusal(problem, arm)) => {
            let store_failed = problem.fault.code() == "BOT-6120";
            let mut response = exchange.refuse(problem, arm);
            if store_failed {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response
        }
    }
}

async fn answer(exchange: &Exchange<'_>, body: &[u8]) -> Result<Response, Refusal> {
    let request: Request<'_> = parse(body)?;
    let text = &*request.text.0;
    exchange.app.sizes.check_text(text, TEXT)?;
    let conversation = request.conversation_id.as_ref().map(|id| &*id.0);
    check_conversation(conversation)?;
    let ids = Ids {
        conversation,
        message: request.message_id.as_ref().map(|id| &*id.0),
        user: request.user_id.as_ref().map(|id| &*id.0),
    };
    ids.check()?;
    by_conversation(exchange, conversation).await?;

    let routing = exchange.routing()?;
    let kept = match NewTurn::begin(exchange, ids, text).await? {
        Begun::Again(body) => return Ok(exchange.repeat(body)),
        Begun::Unkept => None,
        Begun::New(turn) => Some(turn),
    };
    let attempt = Attempt::new(exchange, &routing, conversation);
    let language = request.language.as_ref().map(|language| &*language.0);
    let work = || respond(&attempt, text, language);
    let served = attempt.choice.served;
    let n_bytes = cost_in_bytes(text, served.dialogue.n_patterns());
    // The latency that the judge compares ends here, for both arms: the store is the same for both.
    let made = exchange.take_turn(served.speed(), n_bytes, work).await??;
    let arm = attempt.choice.arm;
    let stored = match kept {
        Some(kept) => {
            let stored =
                kept.store(exchange, |head| turn(&attempt, (text, &made), head.slots())).await;
            stored.map_err(|problem| Refusal(problem, Some(arm)))?
        }
        None => Stored::Yes,
    };
    if let Stored::Again(body) = stored {
        return Ok(exchange.repeat(body));
    }
    attempt.mirror([(text, &made.prediction)]);
    let Made { body, prediction, duration, .. } = made;
    let mut response = exchange.answer(&attempt.choice, 1, &prediction, duration, body);
    if matches!(stored, Stored::No) {
        mark_unstored(&mut response);
    }
    Ok(response)
}

/// Returns the turn to store. The slots stay as they are.
fn turn(attempt: &Attempt<'_>, (text, made): (&str, &Made), slots: &serde_json::Value) -> Turn {
    let served = attempt.choice.served;
    let intent = &served.intents[made.prediction.intent];
    Turn {
        message_id: None,
        request_id: attempt.exchange.id.to_string(),
        text: text.to_owned(),
        answer: String::from_utf8(made.kept.as_ref().unwrap_or(&made.body).clone())
            .expect("JSON is UTF-8"),
        intent: (!made.prediction.fallback).then(|| intent.to_string()),
        language: made.language.clone(),
        entities: serde_json::to_value(&made.entities).expect("entities can be written as JSON"),
        slots: slots.clone(),
        digest: served.digest_text.clone(),
        arm: arm_name(attempt.choice.arm).to_owned(),
    }
}

/// Returns the cost of answering `text`, in bytes that the classifier could read instead.
///
/// A byte that a pattern reads counts as an eighth: with a few patterns, the classifier decides. Outside ASCII a pattern
/// with a word boundary is matched by a slower engine, and counts four times.
fn cost_in_bytes(text: &str, n_patterns: usize) -> usize {
    let per_pattern = if text.is_ascii() { text.len() } else { 4 * text.len() };
    text.len().max(n_patterns * per_pattern / 8)
}

/// Answers `text`, in `language` if the request names one, else in the language of the text, if the bot speaks it.
fn respond(attempt: &Attempt<'_>, text: &str, language: Option<&str>) -> Result<Made, Refusal> {
    let Attempt { exchange, choice, .. } = attempt;
    let served = choice.served;
    exchange.app.sizes.check_normal_forms("chat", &[text], TEXT, |_| TEXT)?;
    let Ok((prediction, ())) = served.classify(text, |_, _| ()) else {
        return Err(attempt.failed());
    };
    let intent = &*served.intents[prediction.intent];
    let language = match language {
        Some(asked) => Some(Language::Declared(asked)),
        None => served.guess_language(text).map(Language::Guessed),
    };
    let moment = Moment::new(exchange.app.clock.now(), language.map(Language::tag));
    let searched = Instant::now();
    let Entities { found: entities, cut: entities_cut } =
        served
            .dialogue
            .entities_while(text, &moment, Vec::new(), || searched.elapsed() < ENTITY_TIME);
    let response = served.dialogue.respond(
        (!prediction.fallback).then_some(intent),
        language.map(Language::tag),
        &entities,
    );
    let duration = exchange.elapsed();
    let judged = attempt.predicted(&prediction, duration);
    let mut answer = Answer {
        request_id: exchange.id,
        intent,
        confidence: prediction.confidence,
        entities: &entities,
        entities_cut,
        response: response.as_ref().map(|(text, _)| text.as_str()),
        language: response.as_ref().map(|(_, language)| language.as_str()),
        fallback: prediction.fallback,
        feedback_token: attempt.feedback_token(&prediction, judged),
        model: exchange.shown(&*served.reference),
        digest: exchange.shown(&*served.digest_text),
        arm: exchange.shown(arm_name(choice.arm)),
    };
    let written =
        |answer: &Answer<'_>| serde_json::to_vec(answer).expect("an answer can be written as JSON");
    let body = written(&answer);
    let kept = answer.model.is_some().then(|| {
        (answer.model, answer.digest, answer.arm) = (None, None, None);
        written(&answer)
    });
    let language = response.map(|(_, language)| language);
    Ok(Made { body, kept, prediction, duration, entities, language })
}

#[cfg(test)]
mod tests {
    use super::cost_in_bytes;
    use crate::routing::Served;
    use botops_dialogue::DialogueSpec;
    use botops_digest::Digest;
    use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
    use botops_spec::Spec as _;
    use std::sync::Arc;

    /// Serves a bot that speaks English and Canadian French, and defaults to French.
    fn bilingual() -> Served {
        let texts = ["set a timer", "set a new timer", "règle un minuteur", "un minuteur", "timer"];
        let others = ["report a bug", "a bug", "signaler une panne", "une panne", "report a fault"];
        let samples: Vec<Sample<'_>> = texts
            .into_iter()
            .map(|text| Sample { text, intent: "timer" })
            .chain(others.into_iter().map(|text| Sample { text, intent: "bug" }))
            .collect();
        let both = |en: &str, fr: &str| {
            [("en".to_owned(), en.to_owned()), ("fr-CA".to_owned(), fr.to_owned())].into()
        };
        let dialogue = DialogueSpec {
            responses: [("timer".to_owned(), both("Done.", "C'est fait."))].into(),
            fallback: both("Sorry?", "Pardon ?"),
            default_language: Some("fr".to_owned()),
            ..DialogueSpec::default()
        };
        let spec = ModelSpec::default().check().unwrap();
        let input = TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) };
        let model = Arc::new(train(input, &Silent).unwrap());
        Served::prepare(model, Digest::of(b"a"), "a@1".to_owned(), None, None).unwrap()
    }

    #[test]
    fn a_bot_answers_in_a_language_of_its_responses_else_in_its_default_language() {
        let bot = bilingual();
        let used = |text: &str| {
            let guess = bot.guess_language(text).map(|guess| guess.code());
            bot.dialogue.respond(Some("timer"), guess, &[]).unwrap().1
        };
        for text in ["set a timer", "report a bug", "start a claim", "where is my parcel"] {
            assert_eq!(used(text), "en", "{text}");
        }
        assert_eq!(used("règle un minuteur de dix minutes"), "fr-ca");
        for text in [
            "stell einen wecker auf sieben uhr",
            "ich möchte meinen Vertrag kündigen",
            "quiero cancelar mi cuenta por favor",
            "где моя посылка",
            "12345",
        ] {
            assert_eq!(used(text), "fr-ca", "the default language: {text}");
        }
    }

    #[test]
    fn many_patterns_make_a_short_text_a_long_one() {
        assert_eq!(cost_in_bytes("where is order 20447", 0), 20);
        assert_eq!(cost_in_bytes("where is order 20447", 6), 20);
        assert_eq!(cost_in_bytes(&"A".repeat(200), 64), 1_600);
        assert_eq!(cost_in_bytes(&"\u{390}".repeat(200), 6), 1_200);
    }
}
