//! Properties of any sequence of messages.

use super::*;
use crate::turn_tests::SHOP;
use botops_spec::parse;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::LazyLock};

static SHOP_BOT: LazyLock<Dialogue> =
    LazyLock::new(|| Dialogue::compile(&parse(SHOP, "dialogue.yaml").unwrap()).unwrap());
static BRANCHES: LazyLock<BTreeSet<String>> = LazyLock::new(|| SHOP_BOT.branches());

/// One event of a conversation.
#[derive(Debug, Clone)]
struct Event {
    text: String,
    intent: Option<&'static str>,
    confidence: f64,
    second: &'static str,
    button: Option<String>,
    minutes: i64,
    outcome: ActionOutcome,
    language: Option<&'static str>,
}

fn outcomes() -> impl Strategy<Value = ActionOutcome> {
    let text = "(?s)(\\PC|[{}|]|\u{202e}|\u{0}){0,600}";
    prop_oneof![
        text.prop_map(|label| ActionOutcome::Answered(
            json!({ "label": label, "status": "shipped", "parcel": { "days": 3 } })
        )),
        Just(ActionOutcome::Answered(Value::Null)),
        Just(ActionOutcome::Refused { status: 409 }),
        Just(ActionOutcome::Failed),
        Just(ActionOutcome::Unknown),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let text = prop_oneof![
        Just("yes".to_owned()),
        Just("non merci".to_owned()),
        Just("cancel".to_owned()),
        Just("the second".to_owned()),
        Just("human".to_owned()),
        "#[0-9]{3,6}( Lyon)?",
        "(?s)(\\PC|[{}|#0-9/.]|\u{202e}|\u{0}){0,40}",
        Just("x".repeat(5_000)),
    ];
    let intent = prop::option::of(prop::sample::select(vec![
        "return",
        "track",
        "greet",
        "agent",
        "affirm",
        "stop",
        "undeclared",
    ]));
    let button = prop::option::weighted(
        0.3,
        prop_oneof![
            Just("botops:yes".to_owned()),
            Just("botops:no".to_owned()),
            Just("track".to_owned()),
            "return\\{\"(order_number|reason|city|x)\":\"\\PC{0,20}\"\\}",
            Just(format!(
                "return{}",
                json!({ "order_number": "#12345", "reason": "{order_number}" })
            )),
            "\\PC{0,30}",
        ],
    );
    let second = prop::sample::select(vec!["return", "track", "greet"]);
    let language = prop::option::of(prop::sample::select(vec!["en", "fr", "de", "fr-CA"]));
    let event = (text, intent, 0.0..1.0, second, button, 0_i64..40, outcomes(), language).prop_map(
        |(text, intent, confidence, second, button, minutes, outcome, language)| Event {
            text,
            intent,
            confidence,
            second,
            button,
            minutes,
            outcome,
            language,
        },
    );
    prop::collection::vec(event, 1..14)
}

/// Plays `events` and returns all steps; the state goes through its stored form if `stored`.
fn play(events: &[Event], stored: bool) -> Vec<Step> {
    let mut state = DialogueState::default();
    let mut now: DateTime<Utc> = "2026-12-31T23:00:00Z".parse().unwrap();
    let mut steps = Vec::new();
    let mut keep = |step: Step, state: &mut DialogueState| {
        *state = match stored {
            true => {
                let text = step.state.stored().to_string();
                DialogueState::read(&serde_json::from_str(&text).unwrap(), DateTime::UNIX_EPOCH)
                    .unwrap()
            }
            false => step.state.clone(),
        };
        steps.push(step);
    };
    for event in events {
        now += TimeDelta::minutes(event.minutes);
        let moment = Moment::new(now, event.language);
        let entities = SHOP_BOT.entities(&event.text, &moment, Vec::new());
        let first = event.intent.unwrap_or("return");
        let ranking = [(first, event.confidence), (event.second, 1.0 - event.confidence)];
        let message = Understood {
            text: &event.text,
            intent: event.intent,
            confidence: event.confidence,
            ranking: &ranking,
            entities: &entities,
            language: event.language,
            guessed: true,
            button: event.button.as_deref(),
        };
        let step = SHOP_BOT.turn(&state, &message, now, "a conversation");
        let calls = matches!(step.effect, Some(Effect::Call(_)));
        keep(step, &mut state);
        // Every third action has no recorded outcome, as after a crash.
        if calls && event.minutes % 3 != 0 {
            keep(SHOP_BOT.after_call(&state, &event.outcome, now), &mut state);
        }
    }
    steps
}

/// Checks that a state is one that the dialogue declares.
fn is_declared(state: &DialogueState) -> bool {
    let slots = ["order_number", "reason", "city"];
    let small = |value: &str| value.chars().count() <= 256 && !value.chars().any(char::is_control);
    let declared = match &state.awaited {
        None => true,
        Some(Awaited::Slot { intent, slot, tries }) => {
            let needed = match intent.as_str() {
                "return" => ["order_number", "reason"].contains(&slot.as_str()),
                "track" => slot == "order_number",
                _ => false,
            };
            needed && (1..=3).contains(tries) && !state.slots.contains_key(slot)
        }
        Some(Awaited::Confirmation { intent, tries }) => {
            intent == "return" && (1..=2).contains(tries)
        }
        Some(Awaited::Clarification { first, second }) => {
            let titled = ["return", "track"];
            titled.contains(&first.as_str()) && titled.contains(&second.as_str()) && first != second
        }
        Some(Awaited::Action { intent, .. }) => ["return", "track"].contains(&intent.as_str()),
    };
    declared
        && state
            .slots
            .iter()
            .all(|(name, slot)| slots.contains(&name.as_str()) && small(&slot.value))
        && state.fallbacks < 2
        && !(state.handed_off.is_some() && state.awaited.is_some())
        && state.stored().to_string().len() < 8_000
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_messages_leaves_a_declared_state(events in events()) {
        for step in play(&events, false) {
            prop_assert!(is_declared(&step.state), "{:?}", step.state);
            let known = BRANCHES.contains(&step.branch) || step.branch == "no_response";
            prop_assert!(known, "{}", step.branch);
            if let Some(Effect::Call(call)) = &step.effect {
                let host = "https://shop.example/";
                prop_assert!(call.url.starts_with(host), "{}", call.url);
                let encoded = call.url.is_ascii() && !call.url.contains(['{', '}', ' ', '\\', '#']);
                prop_assert!(encoded, "{}", call.url);
                prop_assert!(step.state.awaited.is_some());
            }
            // The templates have no brace: one in a text came from a value, unread.
            if let Some(text) = &step.reply.text {
                let visible = !text.contains(['\u{202e}', '\u{0}']);
                prop_assert!(text.chars().count() < 1_000 && visible, "{text}");
            }
        }
    }

    #[test]
    fn the_same_messages_give_the_same_answers_on_any_replica(events in events()) {
        prop_assert_eq!(play(&events, false), play(&events, true));
    }

    #[test]
    fn a_hostile_value_is_said_as_it_is(label in "(?s)(\\PC|[{}|]|order_number){0,100}") {
        let state = DialogueState {
            awaited: Some(Awaited::Action { intent: "return".to_owned(), until: Utc::now(), pick: 1 }),
            language: Some("en".to_owned()),
            ..DialogueState::default()
        };
        let outcome = ActionOutcome::Answered(json!({ "label": label.clone() }));
        let step = SHOP_BOT.after_call(&state, &outcome, Utc::now());
        let text = step.reply.text.unwrap();
        let inside = text.strip_prefix("Done: ").and_then(|rest| rest.strip_suffix('.')).unwrap();
        let shown = crate::reference::one_line(&label, 500);
        prop_assert_eq!(inside, if shown.is_empty() { "no label" } else { &shown });
    }

    #[test]
    fn any_stored_value_is_read_or_refused(text in "\\PC{0,200}") {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let _ = DialogueState::read(&value, Utc::now());
        }
        let wrapped = json!({ "schema": "botops.dialogue_state/1", "language": text });
        prop_assert!(DialogueState::read(&wrapped, Utc::now()).is_ok());
    }
}
