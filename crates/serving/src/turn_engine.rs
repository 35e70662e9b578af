//! The turn engine: one message of a user becomes one answer, whatever carried it.
//!
//! [`answer`] checks the message, reads its conversation, classifies, decides, stores the turn, and counts the answer. Who
//! calls it only reads the message from its transport, and writes the answer or the refusal to it. A refusal is not counted
//! here: the transport does that when it writes it, see [`Exchange::count_refusal`].

use crate::{
    admission::by_conversation,
    attempt::{Attempt, Refusal},
    exchange::{Exchange, MAX_ID_BYTES, ShownVersion, check_conversation, unfit},
    kept_turns::{Begun, Ids, NewTurn, Stored},
    metrics::arm_name,
    pointer::Field,
    problem::Problem,
    request_id::RequestId,
};
use botops_conversations::Turn;
use botops_dialogue::{Entities, Entity, Moment};
use botops_models::Prediction;
use botops_text::Language;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The longest time of the search for entities in one message. The patterns of a support bot take microseconds.
pub(super) const ENTITY_TIME: Duration = Duration::from_millis(50);
/// The longest payload of a button, in bytes.
const MAX_BUTTON_BYTES: usize = 4 * MAX_ID_BYTES;

/// The place of the message in the body.
const TEXT: Field = Field::Named("text");

/// A message of a user, as it came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Message<'a> {
    /// What the client calls the conversation, the message and the person.
    pub(super) ids: Ids<'a>,
    /// The text.
    pub(super) text: &'a str,
    /// The language that the answer shall have.
    pub(super) language: Option<&'a str>,
    /// The payload of the button that the user pressed instead of typing.
    pub(super) button: Option<&'a str>,
}

/// The answer to a message.
pub(super) struct TurnAnswer {
    /// The answer: a JSON object.
    pub(super) body: Vec<u8>,
    /// The number of the turn in its conversation, from 0; `None` if it is not stored.
    #[expect(dead_code, reason = "for transports that number their messages")]
    pub(super) number: Option<i64>,
    /// Whether the server keeps conversations and could not store this turn.
    pub(super) is_lost: bool,
    /// The version that answered, if the caller may see it; `None` for an answer that is repeated.
    pub(super) shown: Option<ShownVersion>,
}

/// Checks a message, as far as that is possible without reading anything else.
///
/// # Errors
/// 422 if the text, an id or the payload of a button is empty or too long.
fn check(exchange: &Exchange<'_>, message: &Message<'_>) -> Result<(), Problem> {
    exchange.app.sizes.check_text(message.text, TEXT)?;
    check_conversation(message.ids.conversation)?;
    message.ids.check()?;
    match message.button {
        Some(payload) if payload.is_empty() || payload.len() > MAX_BUTTON_BYTES => {
            let most = MAX_BUTTON_BYTES;
            let text =
                format!("`button` must have 1 to {most} bytes, but this one has {}", payload.len());
            Err(unfit("BOT-6013", Field::Named("button"), text))
        }
        _ => Ok(()),
    }
}

/// Answers `message`, and counts the answer.
///
/// # Errors
/// 422 if the message cannot be used, 429 if its conversation sends too many, 409 if its id was used for another text, 503 if
/// the store failed or the server is overloaded. The caller counts the refusal.
pub(super) async fn answer(
    exchange: &Exchange<'_>,
    message: &Message<'_>,
) -> Result<TurnAnswer, Refusal> {
    check(exchange, message)?;
    let Message { ids, text, language, .. } = *message;
    by_conversation(exchange, ids.conversation).await?;

    let routing = exchange.routing()?;
    let kept = match NewTurn::begin(exchange, ids, text).await? {
        Begun::Again { number, body } => return Ok(repeated(exchange, number, body)),
        Begun::Unkept => None,
        Begun::New(turn) => Some(turn),
    };
    let attempt = Attempt::new(exchange, &routing, ids.conversation);
    let work = || respond(&attempt, text, language);
    let served = attempt.choice.served;
    let n_bytes = cost_in_bytes(text, served.dialogue.n_patterns());
    // The latency that the judge compares ends here, for both arms: the store is the same for both.
    let made = exchange.take_turn(served.speed(), n_bytes, work).await??;
    let arm = attempt.choice.arm;
    let (number, is_lost) = match kept {
        None => (None, false),
        Some(kept) => {
            let stored =
                kept.store(exchange, |head| turn(&attempt, (text, &made), head.slots())).await;
            match stored.map_err(|problem| Refusal(problem, Some(arm)))? {
                Stored::Yes { number } => (Some(number), false),
                Stored::No => (None, true),
                Stored::Again { number, body } => return Ok(repeated(exchange, number, body)),
            }
        }
    };
    attempt.mirror([(text, &made.prediction)]);
    let Made { body, prediction, duration, .. } = made;
    let shown = exchange.count_answer(&attempt.choice, 1, &prediction, duration);
    Ok(TurnAnswer { body, number, is_lost, shown })
}

/// Returns the answer that the same message got before.
fn repeated(exchange: &Exchange<'_>, number: i64, body: Vec<u8>) -> TurnAnswer {
    exchange.count_repeat();
    TurnAnswer { body, number: Some(number), is_lost: false, shown: None }
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
            [("en".to_owned(), en.into()), ("fr-CA".to_owned(), fr.into())].into()
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
