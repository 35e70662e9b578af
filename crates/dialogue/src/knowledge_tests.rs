//! Turns that knowledge answers.

use super::*;
use botops_spec::parse;
use chrono::{DateTime, Utc};

const SHOP: &str = r"
default_language: en
entities:
  order: '#\d{3,6}'
slots:
  order:
    ask: {en: 'Which order?'}
    tries: 2
intents:
  track: {needs: [order], confirm: {en: 'Track {order}?'}}
  warranty: {answer_from: manuals}
  opening: {answer_from: manuals}
responses:
  track: {en: 'On its way.'}
  warranty: {en: 'Please ask the shop.'}
fallback: {en: 'Pardon?'}
handoff: {after_fallbacks: 2}
";

const FOUND: Found<'_> =
    Found { text: "Within 30 days.", language: Some("en"), question: "can I return shoes" };

fn shop() -> Dialogue {
    Dialogue::compile(&parse(SHOP, "dialogue.yaml").unwrap()).unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

fn said<'a>(text: &'a str, intent: Option<&'a str>) -> Understood<'a> {
    Understood {
        text,
        intent,
        confidence: 0.95,
        ranking: &[],
        entities: &[],
        language: Some("en"),
        guessed: false,
        button: None,
    }
}

/// Decides `text` after `state`, without and with an answer of the knowledge.
fn both(state: &DialogueState, text: &str, intent: Option<&str>) -> [Step; 2] {
    let shop = shop();
    [None, Some(&FOUND)]
        .map(|found| shop.turn_with(state, &said(text, intent), (now(), "c"), found))
}

#[test]
fn a_message_that_no_intent_claims_is_answered_before_the_fallback_and_counts_as_understood() {
    let mut state = DialogueState::default();
    for _ in 0..3 {
        let [asks, answered] = both(&state, "can I return shoes", None);
        assert_eq!(asks.lookup, Some(Lookup::Any));
        assert_eq!(answered.reply.text.as_deref(), Some("Within 30 days."));
        assert!(answered.reply.understood && answered.effect.is_none());
        assert_eq!((answered.state.fallbacks, &*answered.branch), (0, "knowledge"));
        assert_eq!(answered.state.question.as_deref(), Some("can I return shoes"));
        state = answered.state;
    }
    let [first, _] = both(&state, "gibberish", None);
    assert_eq!((first.reply.text.as_deref(), first.reply.understood), (Some("Pardon?"), false));
    let [second, answered] = both(&first.state, "gibberish again", None);
    assert!(matches!(second.effect, Some(Effect::HandOff(_))), "two in a row are handed over");
    assert!(answered.effect.is_none(), "an answer ends the row");
}

#[test]
fn an_intent_that_is_claimed_asks_only_the_base_that_it_names() {
    let [asks, answered] =
        both(&DialogueState::default(), "how long is the warranty", Some("warranty"));
    assert_eq!(asks.lookup, Some(Lookup::Base("manuals".to_owned())));
    assert_eq!(
        asks.reply.text.as_deref(),
        Some("Please ask the shop."),
        "its own response stands in"
    );
    assert_eq!(answered.reply.text.as_deref(), Some("Within 30 days."));
    assert_eq!(
        (answered.reply.intent.as_deref(), &*answered.branch),
        (Some("warranty"), "warranty/knowledge")
    );
    let [asks, _] = both(&DialogueState::default(), "when do you open", Some("opening"));
    assert_eq!(asks.lookup, Some(Lookup::Base("manuals".to_owned())));
    assert_eq!((asks.reply.text.as_deref(), asks.reply.understood), (Some("Pardon?"), false));
    let [asks, answered] = both(&DialogueState::default(), "where is my parcel", Some("track"));
    assert_eq!(
        (asks.lookup.as_ref(), &answered.reply),
        (None, &asks.reply),
        "an answer is not used unasked"
    );
}

#[test]
fn a_question_of_the_bot_stays_open_while_knowledge_answers_what_does_not_fit_it() {
    let [asked, _] = both(&DialogueState::default(), "where is my parcel", Some("track"));
    let [again, digressed] = both(&asked.state, "can I return shoes", None);
    assert_eq!((again.lookup, again.reply.understood), (Some(Lookup::Any), false));
    assert_eq!(digressed.reply.text.as_deref(), Some("Within 30 days.\n\nWhich order?"));
    assert!(digressed.reply.understood);
    assert_eq!(digressed.state.awaited, asked.state.awaited, "the question was not asked again");
    let mut fits = said("#1234", None);
    let order = Entity {
        entity: "order".to_owned(),
        ..shop().entities("#1234", &Moment::new(now(), None), Vec::new()).remove(0)
    };
    let entities = [order];
    fits.entities = &entities;
    let confirms = shop().turn_with(&asked.state, &fits, (now(), "c"), Some(&FOUND));
    assert_eq!(
        (confirms.lookup.as_ref(), confirms.reply.text.as_deref()),
        (None, Some("Track #1234?"))
    );
    let yes = shop().turn_with(&confirms.state, &said("yes", None), (now(), "c"), Some(&FOUND));
    assert_eq!(yes.reply.text.as_deref(), Some("On its way."));
    let [other, digressed] = both(&confirms.state, "can I return shoes", None);
    assert_eq!(other.lookup, Some(Lookup::Any));
    assert_eq!(digressed.reply.text.as_deref(), Some("Within 30 days.\n\nTrack #1234?"));
    assert_eq!(digressed.reply.buttons.len(), 2);
}

#[test]
fn a_plain_dialogue_is_answered_by_knowledge_before_its_fallback() {
    let plain = Dialogue::compile(
        &parse("responses: {a: {en: 'A.'}}\nfallback: {en: 'Pardon?'}", "d.yaml").unwrap(),
    )
    .unwrap();
    assert!(plain.is_plain());
    let state = DialogueState::default();
    let asks = plain.turn(&state, &said("b", None), now(), "c");
    assert_eq!((asks.lookup, asks.reply.text.as_deref()), (Some(Lookup::Any), Some("Pardon?")));
    let answered = plain.turn_with(&state, &said("b", None), (now(), "c"), Some(&FOUND));
    assert_eq!(
        (answered.reply.text.as_deref(), answered.reply.understood),
        (Some("Within 30 days."), true)
    );
    let claimed = plain.turn_with(&state, &said("a", Some("a")), (now(), "c"), Some(&FOUND));
    assert_eq!((claimed.lookup, claimed.reply.text.as_deref()), (None, Some("A.")));
}

#[test]
fn a_base_with_an_unfit_name_or_beside_another_answer_is_refused_with_its_key() {
    for (intent, named) in [
        ("{answer_from: ''}", "no name"),
        ("{answer_from: ../secrets}", "../secrets"),
        ("{answer_from: manuals, handoff: true}", "handoff"),
        ("{answer_from: manuals, means: yes}", "means"),
    ] {
        let spec: DialogueSpec = parse(&format!("intents: {{a: {intent}}}"), "d.yaml").unwrap();
        let fault = Dialogue::compile(&spec).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1112", 2), "{fault}");
        assert!(fault.message().contains(named) && !fault.hints().is_empty(), "{fault}");
        assert_eq!(fault.place().key.as_deref(), Some("intents.a.answer_from"));
    }
}

#[test]
fn an_intent_that_knowledge_answers_has_a_response() {
    let spec: DialogueSpec = parse(SHOP, "dialogue.yaml").unwrap();
    assert_eq!(spec.unanswered(["opening", "warranty", "track", "refund"]), ["refund"]);
    assert_eq!(
        spec.answered_from().collect::<Vec<_>>(),
        [("opening", "manuals"), ("warranty", "manuals")]
    );
}
