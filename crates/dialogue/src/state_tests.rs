//! Stored states: written and read back, older and newer ones.

use super::*;
use chrono::{DateTime, Utc};
use serde_json::json;

fn noon() -> DateTime<Utc> {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

#[test]
fn a_state_is_read_back_as_it_was_stored() {
    assert_eq!(DialogueState::default().stored(), json!(null));
    assert_eq!(DialogueState::read(&json!(null), noon()).unwrap(), DialogueState::default());
    let slot = SlotValue {
        value: "tomorrow".to_owned(),
        normalised: Some(json!({ "date": "2026-12-01" })),
        at: noon(),
    };
    let mut state = DialogueState {
        slots: [("delivery".to_owned(), slot)].into(),
        turns: 3,
        language: Some("fr".to_owned()),
        ..DialogueState::default()
    };
    let intent = || "return_request".to_owned();
    for awaited in [
        Awaited::Slot { intent: intent(), slot: "delivery".to_owned(), tries: 2 },
        Awaited::Confirmation { intent: intent(), tries: 1 },
        Awaited::Clarification { first: intent(), second: "complaint".to_owned() },
        Awaited::Action { intent: intent(), until: noon(), pick: u64::MAX },
    ] {
        state.awaited = Some(awaited);
        state.handed_off = Some(HandedOff { at: noon(), reason: HandOffReason::Fallbacks });
        let stored = state.stored();
        assert_eq!(stored["schema"], "botops.dialogue_state/1");
        assert_eq!(DialogueState::read(&stored, DateTime::UNIX_EPOCH).unwrap(), state);
    }
}

#[test]
fn a_state_with_a_question_is_newer_for_servers_that_know_none() {
    let mut state = DialogueState { turns: 1, ..DialogueState::default() };
    assert_eq!(state.stored()["schema"], "botops.dialogue_state/1");
    state.remember("How long may shoes be returned?");
    let stored = state.stored();
    assert_eq!(stored["schema"], "botops.dialogue_state/2");
    assert_eq!(DialogueState::read(&stored, noon()).unwrap(), state);
    let mut older = stored;
    older["schema"] = json!("botops.dialogue_state/1");
    assert_eq!(DialogueState::read(&older, noon()).unwrap(), state);
}

#[test]
fn plain_slots_of_an_older_botops_are_read() {
    let older = json!({ "order": "20447", "count": 2, "done": true, "list": [1], "none": null });
    let state = DialogueState::read(&older, noon()).unwrap();
    let values: Vec<(&str, &str)> = state.slot_values().into_iter().collect();
    assert_eq!(values, [("count", "2"), ("done", "true"), ("order", "20447")]);
    assert!(state.slots.values().all(|slot| slot.at == noon()));
}

#[test]
fn newer_and_damaged_states_are_refused() {
    for (stored, code) in [
        (json!({ "schema": "botops.dialogue_state/3", "slots": {} }), "BOT-1110"),
        (json!({ "schema": "botops.dialogue_state/1", "mood": "good" }), "BOT-1111"),
        (
            json!({ "schema": "botops.dialogue_state/1", "awaited": { "awaits": "tea" } }),
            "BOT-1111",
        ),
        (json!([]), "BOT-1111"),
        (json!("x"), "BOT-1111"),
    ] {
        assert_eq!(DialogueState::read(&stored, noon()).unwrap_err().code(), code, "{stored}");
    }
}
