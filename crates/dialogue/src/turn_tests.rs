//! Conversations, turn by turn.

use super::*;
use botops_spec::parse;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};

/// A shop: returns need an order and a size, are confirmed, and call an action.
pub(crate) const SHOP: &str = r"
default_language: en
entities:
  order: '#\d{3,6}'
  city: 'Paris|Lyon'
slots:
  order_number:
    from: [order]
    pattern: '#?\d{4,5}'
    expires: 30m
    ask: {en: 'Which order?', fr: 'Quelle commande ?'}
    invalid: {en: 'An order has 4 or 5 digits.'}
    tries: 2
    handoff: true
  reason:
    text: true
    ask: {en: 'Why?', fr: 'Pourquoi ?'}
    give_up: {en: 'Then not.'}
  city: {}
intents:
  return:
    needs: [order_number, reason]
    confirm: {en: 'Return {order_number}?', fr: 'Retourner {order_number} ?'}
    declined: {en: 'Not returned.', fr: 'Pas de retour.'}
    action: {url: 'https://shop.example/returns/{order_number}?city={city|none}', timeout: 4s}
    title: {en: Return an item, fr: Retourner un article}
  track:
    needs: [order_number]
    title: {en: Track a parcel, fr: Suivre un colis}
    action: {url: 'https://shop.example/orders/{order_number}', method: GET, idempotent: true, handoff: true}
  agent: {handoff: true}
  affirm: {means: yes}
  stop: {means: cancel}
responses:
  return: {en: 'Done: {action.label|no label}.', fr: 'Fait : {action.label|rien}.'}
  track:
    en:
      - {text: 'On its way, {action.parcel.days} days.', when: {action.status: shipped}}
      - 'Not sent yet.'
  greet:
    en:
      - {text: 'Welcome back, {city}.', when: {city: present}, buttons: [{title: 'Track it', payload: track, slots: {order_number: '{order_number}'}}]}
      - Hello.
      - Hi.
fallback: {en: 'Pardon?', fr: 'Pardon ?'}
clarify: {margin: 0.2}
handoff: {webhook: 'https://desk.example/hook', after_fallbacks: 2, words: [human]}
";

static DIALOGUE: LazyLock<Dialogue> =
    LazyLock::new(|| Dialogue::compile(&parse(SHOP, "dialogue.yaml").unwrap()).unwrap());

/// A conversation with the shop.
struct Chat {
    state: DialogueState,
    now: DateTime<Utc>,
}

impl Chat {
    fn new() -> Self {
        Self { state: DialogueState::default(), now: "2026-11-30T12:00:00Z".parse().unwrap() }
    }

    /// Says `text`, which has `intent` with probability 0.9.
    fn says(&mut self, text: &str, intent: Option<&str>) -> Step {
        self.step(text, intent, 0.9, "en", None)
    }

    fn presses(&mut self, button: &str) -> Step {
        self.step("", None, 0.0, "en", Some(button))
    }

    fn step(
        &mut self,
        text: &str,
        intent: Option<&str>,
        confidence: f64,
        language: &str,
        button: Option<&str>,
    ) -> Step {
        let entities = DIALOGUE.entities(text, &Moment::new(self.now, Some(language)), Vec::new());
        let message = Understood {
            text,
            intent,
            confidence,
            ranking: &[],
            entities: &entities,
            language: Some(language),
            guessed: true,
            button,
        };
        let step = DIALOGUE.turn(&self.state, &message, self.now, "seed");
        let again = DialogueState::read(&step.state.stored(), DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(again, step.state);
        self.state = again;
        step
    }

    fn after(&mut self, outcome: &ActionOutcome) -> Step {
        let step = DIALOGUE.after_call(&self.state, outcome, self.now);
        self.state = step.state.clone();
        step
    }

    fn waits(&mut self, minutes: i64) {
        self.now += TimeDelta::minutes(minutes);
    }
}

fn text(step: &Step) -> &str {
    step.reply.text.as_deref().unwrap_or_default()
}

fn call(step: &Step) -> &ActionCall {
    match &step.effect {
        Some(Effect::Call(call)) => call,
        other => panic!("no call: {other:?}"),
    }
}

fn reason(step: &Step) -> HandOffReason {
    match &step.effect {
        Some(Effect::HandOff(call)) => call.reason,
        other => panic!("no hand-off: {other:?}"),
    }
}

#[test]
fn a_return_asks_confirms_calls_and_answers() {
    let mut chat = Chat::new();
    let step = chat.says("I want to return it", Some("return"));
    assert_eq!((text(&step), step.state.name()), ("Which order?", Some("awaiting_slot")));
    assert_eq!(step.branch, "return/ask/order_number");
    // The order number is an answer, whatever the model makes of it.
    let step = chat.says("#20447", Some("track"));
    assert_eq!((text(&step), step.reply.intent.as_deref()), ("Why?", Some("return")));
    let step = chat.says("it does not work", Some("track"));
    assert_eq!(text(&step), "Return #20447?");
    assert_eq!(step.state.name(), Some("awaiting_confirmation"));
    let titles: Vec<_> = step.reply.buttons.iter().map(|button| button.title.as_str()).collect();
    assert_eq!(titles, ["Yes", "No"]);
    let step = chat.says("yes please", None);
    let call = call(&step);
    assert_eq!(call.url, "https://shop.example/returns/%2320447?city=none");
    assert_eq!(call.body, json!({ "order_number": "#20447", "reason": "it does not work" }));
    assert_eq!((call.method, call.timeout), (CallMethod::Post, Duration::from_secs(4)));
    assert!(!call.idempotent && step.reply.text.is_none());
    assert_eq!(DIALOGUE.pending_call(&step.state).as_ref(), Some(call));
    let step = chat.after(&ActionOutcome::Answered(json!({ "label": "R-{order_number}" })));
    assert_eq!(text(&step), "Done: R-{order_number}.", "a value is never a template");
    assert_eq!((step.state.name(), step.effect), (None, None));
    // A second yes does nothing again.
    assert_eq!(chat.says("yes", None).effect, None);
    assert_eq!(chat.after(&ActionOutcome::Answered(json!({}))).branch, "no_action");
}

#[test]
fn a_value_that_does_not_fit_is_asked_for_again_and_given_up() {
    let mut chat = Chat::new();
    chat.says("return", Some("return"));
    let step = chat.says("#123456", None);
    assert_eq!(text(&step), "An order has 4 or 5 digits. Which order?");
    assert_eq!(step.branch, "return/ask_again/order_number");
    let step = chat.says("no idea", None);
    assert_eq!(reason(&step), HandOffReason::SlotNotGiven);
    assert_eq!(step.branch, "return/give_up/order_number");
    assert_eq!(chat.says("#20447", None).branch, "handed_off");
    chat.waits(24 * 60);
    assert_eq!(chat.says("hm", None).branch, "fallback", "the bot answers again after a day");

    // The pattern finds a bare number when it was asked for, but no part of a longer word.
    let mut chat = Chat::new();
    chat.says("return", Some("return"));
    assert_eq!(chat.says("A20447, 204479", None).branch, "return/ask_again/order_number");
    assert_eq!(chat.says("it is 20447.", None).branch, "return/ask/reason");
    assert_eq!(chat.state.slot_values()["order_number"], "20447");
}

#[test]
fn a_question_is_dropped_by_cancel_by_a_button_and_by_another_clear_intent() {
    let mut chat = Chat::new();
    for (say, intent, confidence, branch) in [
        ("never mind", None, 0.0, "cancel"),
        ("stop that", Some("stop"), 0.9, "cancel"),
        ("hello", Some("greet"), 0.89, "return/ask_again/order_number"),
        ("hello", Some("greet"), 0.9, "greet/respond"),
        ("something", Some("undeclared"), 0.9, "return/ask_again/order_number"),
        ("human", None, 0.0, "hand_off"),
    ] {
        chat.state = DialogueState::default();
        chat.says("return", Some("return"));
        let step = chat.step(say, intent, confidence, "en", None);
        assert_eq!(step.branch, branch, "{say}");
    }
    chat.state = DialogueState::default();
    chat.says("return", Some("return"));
    assert_eq!(chat.presses("greet").branch, "greet/respond");
    assert_eq!(chat.state.awaited, None);
    // A payload of no intent is skipped: the text counts.
    assert_eq!(
        chat.step("return", Some("return"), 0.9, "en", Some("nothing")).branch,
        "return/ask/order_number"
    );
    assert_eq!(chat.presses("/track{\"order_number\":\"#20447\"}").branch, "track/call");
}

#[test]
fn a_changed_value_is_confirmed_again_and_no_declines() {
    let mut chat = Chat::new();
    chat.presses("return{\"order_number\":\"#20447\",\"reason\":\"broken\",\"other\":\"x\"}");
    assert_eq!(chat.state.name(), Some("awaiting_confirmation"));
    let step = chat.says("yes, but #20448", None);
    assert_eq!((text(&step), step.effect.is_none()), ("Return #20448?", true));
    let step = chat.says("No thanks", None);
    assert_eq!((text(&step), step.branch.as_str()), ("Not returned.", "return/declined"));

    chat.says("return", Some("return"));
    assert_eq!(chat.says("perhaps", None).branch, "return/confirm_again");
    assert_eq!(chat.says("perhaps", None).branch, "return/declined", "nothing is done without yes");

    chat.says("return", Some("return"));
    assert_eq!(chat.says("affirmative", Some("affirm")).branch, "return/call");
}

#[test]
fn a_slot_expires_also_before_the_confirmed_call() {
    let mut chat = Chat::new();
    chat.presses("return{\"order_number\":\"#20447\",\"reason\":\"broken\"}");
    chat.waits(30);
    let step = chat.presses("botops:yes");
    assert_eq!(step.branch, "return/ask/order_number");
    assert_eq!(chat.state.slot_values().into_keys().collect::<Vec<_>>(), ["reason"]);
}

#[test]
fn the_two_likeliest_intents_are_told_apart() {
    let ranked = |chat: &mut Chat, ranking: &[(&str, f64)], intent| {
        let message = Understood {
            text: "my parcel",
            intent,
            confidence: ranking[0].1,
            ranking,
            entities: &[],
            language: None,
            guessed: false,
            button: None,
        };
        let step = DIALOGUE.turn(&chat.state, &message, chat.now, "seed");
        chat.state = step.state.clone();
        step
    };
    let close = [("return", 0.4), ("track", 0.3), ("greet", 0.3)];
    let mut chat = Chat::new();
    let step = ranked(&mut chat, &close, None);
    assert_eq!(step.branch, "clarify");
    let buttons = [("Return an item", "return"), ("Track a parcel", "track")];
    let found: Vec<_> =
        step.reply.buttons.iter().map(|b| (b.title.as_str(), b.payload.as_str())).collect();
    assert_eq!(found, buttons);
    assert_eq!(chat.says("the second one", None).branch, "track/ask/order_number");
    for (answer, intent, branch) in [
        ("return an item", None, "return/ask/order_number"),
        ("I want to track it", Some("track"), "track/ask/order_number"),
        ("cancel", None, "cancel"),
        ("neither", None, "fallback"),
    ] {
        chat.state = DialogueState::default();
        ranked(&mut chat, &close, None);
        assert_eq!(chat.says(answer, intent).branch, branch, "{answer}");
    }
    for (ranking, intent, branch) in [
        ([("return", 0.65), ("track", 0.35)], Some("return"), "return/ask/order_number"),
        ([("return", 0.2), ("track", 0.2)], None, "fallback"),
        ([("greet", 0.4), ("track", 0.4)], Some("greet"), "greet/respond"),
        ([("return", f64::NAN), ("track", 0.4)], None, "fallback"),
    ] {
        chat.state = DialogueState::default();
        assert_eq!(ranked(&mut chat, &ranking, intent).branch, branch, "{ranking:?}");
    }
}

#[test]
fn messages_in_a_row_that_are_not_understood_lead_to_a_person() {
    let mut chat = Chat::new();
    assert_eq!(chat.says("?", None).branch, "fallback");
    assert_eq!(chat.says("hello", Some("greet")).branch, "greet/respond");
    assert_eq!(chat.says("?", None).branch, "fallback");
    let step = chat.says("?", None);
    assert_eq!(
        (reason(&step), step.branch.as_str()),
        (HandOffReason::Fallbacks, "fallback/hand_off")
    );
    assert!(!step.reply.understood);
    assert_eq!(chat.state.name(), Some("handed_off"));
    let mut chat = Chat::new();
    let step = chat.says("a person please", Some("agent"));
    assert_eq!((reason(&step), step.branch.as_str()), (HandOffReason::Asked, "agent/hand_off"));
}

#[test]
fn the_outcome_of_an_action_decides_the_answer() {
    let track = |outcome: &ActionOutcome| {
        let mut chat = Chat::new();
        let step = chat.says("where is #20447", Some("track"));
        assert_eq!((call(&step).method, &call(&step).body), (CallMethod::Get, &Value::Null));
        let step = chat.after(outcome);
        assert_eq!(step.state.awaited, None);
        (step.branch.clone(), text(&step).to_owned(), step.effect.is_some())
    };
    let answered = |json| ActionOutcome::Answered(json);
    let sent = json!({ "status": "Shipped", "parcel": { "days": 2 } });
    for (outcome, branch, answer, effect) in [
        (answered(sent), "track/respond[action.status=shipped]", "On its way, 2 days.", false),
        (answered(json!({ "status": "new" })), "track/respond", "Not sent yet.", false),
        (answered(json!([{}, null])), "track/respond", "Not sent yet.", false),
        (
            ActionOutcome::Refused { status: 404 },
            "track/refused",
            "Sorry, that was not possible.",
            true,
        ),
        (
            ActionOutcome::Unknown,
            "track/unknown",
            "Sorry, I do not know whether that worked. A person will check it and answer you.",
            true,
        ),
    ] {
        assert_eq!(track(&outcome), (branch.to_owned(), answer.to_owned(), effect));
    }
    assert_eq!(track(&ActionOutcome::Failed).0, "track/failed");
}

#[test]
fn an_action_without_a_recorded_outcome_is_unknown_or_called_again() {
    let mut chat = Chat::new();
    chat.says("where is #20447", Some("track"));
    let step = chat.says("hello?", None);
    assert_eq!((step.branch.as_str(), step.effect), ("track/under_way", None));
    chat.waits(1);
    assert_eq!(chat.says("hello?", None).branch, "track/call", "it is idempotent");
    chat.waits(1);
    assert_eq!(chat.says("hello", Some("greet")).branch, "greet/respond");

    chat.presses("return{\"order_number\":\"#20447\",\"reason\":\"broken\"}");
    assert_eq!(chat.presses("botops:yes").branch, "return/call");
    chat.waits(1);
    let step = chat.presses("botops:yes");
    assert_eq!(
        (step.branch.as_str(), reason(&step)),
        ("return/unknown", HandOffReason::ActionUnknown)
    );
}

#[test]
fn variants_depend_on_slots_and_on_the_turn_alone() {
    let mut chat = Chat::new();
    let mut said = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let before = chat.state.clone();
        let step = chat.says("hi", Some("greet"));
        said.insert(text(&step).to_owned());
        let after = std::mem::replace(&mut chat.state, before);
        assert_eq!(chat.says("hi", Some("greet")), step, "the same turn gives the same answer");
        assert_eq!(chat.state, after);
    }
    assert_eq!(said.into_iter().collect::<Vec<_>>(), ["Hello.", "Hi."]);
    let step = chat.says("from Lyon, #20447", Some("greet"));
    assert_eq!(text(&step), "Welcome back, Lyon.");
    let [button] = &step.reply.buttons[..] else { panic!("{step:?}") };
    assert_eq!(button.payload, "track{\"order_number\":\"#20447\"}");
    assert_eq!(chat.presses("track{\"order_number\":\"#20447\"}").branch, "track/call");
}

#[test]
fn a_short_answer_keeps_the_language_of_the_conversation() {
    let mut chat = Chat::new();
    chat.step("retourner", Some("return"), 0.9, "fr", None);
    let step = chat.step("#20447", None, 0.0, "en", None);
    assert_eq!((text(&step), step.reply.language.as_deref()), ("Pourquoi ?", Some("fr")));
    let step = chat.step("it is broken and I am sad", None, 0.0, "en", None);
    assert_eq!(step.reply.language.as_deref(), Some("en"));
    let step = chat.step("oui", None, 0.0, "fr", Some("botops:no"));
    assert_eq!(text(&step), "Not returned.");
}

#[test]
fn a_step_up_in_the_path_of_an_action_is_not_called() {
    let yaml = "
slots: {id: {text: true, ask: {en: 'Id?'}}}
intents: {look: {needs: [id], action: {url: 'http://shop.example/items/{id}', method: GET}}}
responses: {look: {en: 'ok'}}
";
    let dialogue = Dialogue::compile(&parse(yaml, "dialogue.yaml").unwrap()).unwrap();
    for (id, url) in [
        ("..", None),
        (".", None),
        ("...", Some("http://shop.example/items/...")),
        ("../admin?x=1#", Some("http://shop.example/items/..%2Fadmin%3Fx%3D1%23")),
        ("%2e%2e", Some("http://shop.example/items/%252e%252e")),
        ("a@b\\c é", Some("http://shop.example/items/a%40b%5Cc%20%C3%A9")),
    ] {
        let payload = format!("look{}", json!({ "id": id }));
        let message = Understood {
            text: "",
            intent: None,
            confidence: 0.0,
            ranking: &[],
            entities: &[],
            language: None,
            guessed: false,
            button: Some(&payload),
        };
        let step = dialogue.turn(&DialogueState::default(), &message, Utc::now(), "");
        match url {
            Some(url) => assert_eq!(call(&step).url, url),
            None => assert_eq!((step.branch.as_str(), step.effect), ("look/failed", None), "{id}"),
        }
    }
}
