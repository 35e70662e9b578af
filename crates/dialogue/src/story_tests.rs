//! Stories, what they cover, and the warnings about a dialogue.

use super::*;
use crate::turn_tests::SHOP;
use botops_spec::parse;
use std::collections::BTreeSet;

const STORIES: &str = r"
tests:
  - story: a return that is confirmed
    language: fr
    turns:
      - {user: Je veux le retourner, intent: return, reply: 'Quelle  commande', state: awaiting_slot, slots: {order_number: null}}
      - {user: '#20447', slots: {order_number: '#20447'}, branch: return/ask/reason}
      - {user: cassé, state: awaiting_confirmation, buttons: [Oui, Non]}
      - user: oui
        call: {action: return, url: 'https://shop.example/returns/%2320447?city=none', body: {order_number: '#20447', reason: cassé}}
        outcome: {answered: {label: R-1}}
        reply: 'Fait : R-1'
        branch: return/call
        state: none
  - story: the slot expires, and the order is asked for again
    turns:
      - {user: 'where is #20447', intent: track, outcome: {failed: true}, handoff: action_failed}
      - {user: 'and #20447?', intent: track, after: 25h, slots: {order_number: '#20447'}, state: awaiting_action}
  - story: two intents are told apart
    turns:
      - {user: my parcel, ranking: {return: 0.4, track: 0.35}, branch: clarify, buttons: [Return an item, Track a parcel]}
      - {user: '', button: track, state: awaiting_slot}
";

fn shop() -> Dialogue {
    Dialogue::compile(&parse(SHOP, "dialogue.yaml").unwrap()).unwrap()
}

fn stories(yaml: &str) -> Vec<StorySpec> {
    let spec: DialogueSpec = parse(yaml, "dialogue.yaml").unwrap();
    spec.tests
}

#[test]
fn stories_pass_and_count_the_intents_and_branches_that_they_reach() {
    let report = shop().replay(&stories(STORIES), None).unwrap();
    let failed: Vec<_> = report.stories.iter().filter(|story| !story.passed).collect();
    assert!(report.passed, "{failed:?}");
    assert_eq!(report.stories.iter().map(|story| story.n_turns).collect::<Vec<_>>(), [4, 2, 2]);
    assert_eq!((report.intents.covered, report.intents.total), (2, 6));
    assert_eq!(report.intents.missing, ["affirm", "agent", "greet", "stop"]);
    for reached in ["return/call", "return/respond", "track/failed", "track/call", "clarify"] {
        assert!(!report.branches.missing.contains(&reached.to_owned()), "{reached}");
    }
    for missing in ["return/declined", "fallback/hand_off", "greet/respond[city=present]"] {
        assert!(report.branches.missing.contains(&missing.to_owned()), "{missing}");
    }
    let all = shop().branches();
    assert_eq!(report.branches.total, all.len());
    assert!(
        (report.branches.share - report.branches.covered as f64 / all.len() as f64).abs() < 1e-12
    );
}

#[test]
fn each_expectation_that_does_not_hold_is_a_difference() {
    let one = |turn: &str| {
        let yaml = format!("tests: [{{story: a, turns: [{turn}]}}]");
        let report = shop().replay(&stories(&yaml), None).unwrap();
        assert!(!report.passed && !report.stories[0].passed, "{turn}");
        let differences = report.stories[0].differences.iter();
        differences.map(|d| format!("{}: {} | {}", d.key, d.expected, d.found)).collect::<Vec<_>>()
    };
    for (turn, difference) in [
        ("{user: a, intent: track, reply: When}", "reply: When | Which order?"),
        ("{user: a, intent: track, branch: fallback}", "branch: fallback | track/ask/order_number"),
        ("{user: a, intent: track, state: none}", "state: none | awaiting_slot"),
        (
            "{user: '#20447', intent: track, slots: {order_number: null}}",
            "slots.order_number: no value | #20447",
        ),
        ("{user: a, intent: track, slots: {city: Lyon}}", "slots.city: Lyon | no value"),
        ("{user: a, intent: greet, buttons: [Yes]}", "buttons: Yes | "),
        ("{user: a, intent: none, handoff: fallbacks}", "handoff: fallbacks | none"),
        (
            "{user: a, intent: greet, call: {action: track}}",
            "call: the call of an action | no call",
        ),
        (
            "{user: a, intent: greet, outcome: {failed: true}}",
            "outcome: the call of an action | no call",
        ),
        (
            "{user: '#20447', intent: track, call: {url: 'https://a'}}",
            "call.url: https://a | https://shop.example/orders/%2320447",
        ),
        (
            "{user: '#20447', intent: track, call: {action: return, body: {}}}",
            "call.action: return | track",
        ),
        ("{user: hello}", "intent: a stated intent, because there is no model | none is stated"),
    ] {
        assert_eq!(one(turn)[0], difference, "{turn}");
    }
}

#[test]
fn with_a_model_the_stated_intent_is_expected() {
    let hear = |text: &str| Heard {
        intent: text.contains("where").then(|| "track".to_owned()),
        confidence: 0.8,
        ..Heard::default()
    };
    let yaml = "
tests:
  - story: understood
    turns: [{user: where is it, intent: track, state: awaiting_slot}, {user: hm, intent: none}]
  - story: not understood
    turns: [{user: find it, intent: track}, {user: where, intent: track}]
";
    let report = shop().replay(&stories(yaml), Some(&hear)).unwrap();
    assert_eq!(report.stories.iter().map(|story| story.passed).collect::<Vec<_>>(), [true, false]);
    let [difference] = &report.stories[1].differences[..] else { panic!("{report:?}") };
    assert_eq!((difference.turn, difference.found.as_str()), (1, "none (0.80)"));
    assert_eq!(report.stories[1].n_turns, 1, "the story ends at its first difference");
}

#[test]
fn a_story_that_cannot_be_replayed_is_refused_with_its_key() {
    for (turn, key, message, hint) in [
        ("{user: ' '}", "user", "neither", "user:"),
        ("{user: a, after: soon}", "after", "`soon`", "40m"),
        ("{user: a, slots: {order_nr: x}}", "slots", "`order_nr` is no slot", "`order_number`"),
        ("{user: a, branch: track/ask/order}", "branch", "no branch", "`track/ask/order_number`"),
        ("{user: a, state: waiting}", "state", "no state", ""),
        ("{user: a, ranking: {track: 2}}", "ranking", "is 2", "0 to 1"),
        ("{user: a, outcome: {}}", "outcome", "exactly one", "refused"),
        ("{user: a, outcome: {failed: true, unknown: true}}", "outcome", "exactly one", "refused"),
        ("{user: a, outcome: {refused: 200}}", "outcome", "200", "300"),
    ] {
        let yaml = format!("tests: [{{story: a, turns: [{turn}]}}]");
        let fault = shop().check_stories(&stories(&yaml)).expect_err(turn);
        assert_eq!(fault.code(), "BOT-1114");
        assert_eq!(fault.place().key.as_deref(), Some(format!("tests[0].turns[0].{key}").as_str()));
        assert!(fault.message().contains(message), "{turn}: {fault}");
        assert!(fault.hints().join(" ").contains(hint), "{turn}: {:?}", fault.hints());
    }
    for (yaml, key) in [
        ("tests: [{story: a, turns: []}]", "tests[0].turns"),
        (
            "tests: [{story: a, turns: [{user: a}]}, {story: a, turns: [{user: b}]}]",
            "tests[1].story",
        ),
    ] {
        let fault = shop().check_stories(&stories(yaml)).unwrap_err();
        assert_eq!(fault.place().key.as_deref(), Some(key));
    }
}

#[test]
fn a_part_that_cannot_work_is_refused_with_its_key() {
    let base = "entities: {order: '#\\d+', city: x}\nresponses: {a: {en: hi}, b: {en: ho}}\n";
    for (yaml, code, key, message, hint) in [
        ("slots: {x: {}}", "BOT-1112", "slots.x", "nothing fills", "from:"),
        ("slots: {x: {from: [ordr]}}", "BOT-1113", "slots.x.from", "`ordr`", "`order`"),
        ("slots: {x: {from: [{entity: order, roll: a}]}}", "BOT-1011", "", "roll", "role"),
        ("slots: {'a.b': {text: true}}", "BOT-1112", "slots.a.b", "slot name", "order_number"),
        ("slots: {action: {text: true}}", "BOT-1112", "slots.action", "slot name", "reserved"),
        ("slots: {order: {expires: soon}}", "BOT-1112", "slots.order.expires", "`soon`", "30m"),
        ("slots: {order: {pattern: '('}}", "BOT-1112", "slots.order.pattern", "cannot be used", ""),
        ("slots: {order: {pattern: 'x*'}}", "BOT-1112", "slots.order.pattern", "empty", "`+`"),
        ("slots: {order: {tries: 0}}", "BOT-1112", "slots.order.tries", "1 to 10", ""),
        (
            "slots: {order: {ask: {en: '{cty}?'}}}",
            "BOT-1030",
            "slots.order.ask.en",
            "`{cty}`",
            "`{city}`",
        ),
        (
            "intents: {a: {needs: [ordr]}}\nslots: {order: {}}",
            "BOT-1113",
            "intents.a.needs",
            "`ordr`",
            "`order`",
        ),
        (
            "intents: {a: {needs: [order]}}\nslots: {order: {}}",
            "BOT-1112",
            "intents.a.needs",
            "no question",
            "slots.order.ask",
        ),
        (
            "intents: {a: {declined: {en: no}}}",
            "BOT-1112",
            "intents.a.declined",
            "never confirmed",
            "",
        ),
        (
            "intents: {a: {handoff: true, confirm: {en: 'Sure?'}}}",
            "BOT-1112",
            "intents.a.handoff",
            "other steps",
            "",
        ),
        (
            "intents: {a: {action: {url: 'ftp://a/b'}}}",
            "BOT-1112",
            "intents.a.action.url",
            "web address",
            "https",
        ),
        (
            "intents: {a: {action: {url: 'https://u:p@a/b'}}}",
            "BOT-1112",
            "intents.a.action.url",
            "password",
            "secrets",
        ),
        (
            "intents: {a: {action: {url: 'https://a/../b'}}}",
            "BOT-1112",
            "intents.a.action.url",
            "`..`",
            "",
        ),
        (
            "intents: {a: {action: {url: 'https://a', timeout: 1h}}}",
            "BOT-1112",
            "intents.a.action.timeout",
            "longer",
            "",
        ),
        ("clarify: {margin: 0.1}", "BOT-1112", "clarify", "fewer than two", "title"),
        ("interrupt: 7", "BOT-1112", "interrupt", "0 to 1", ""),
        ("handoff: {after_fallbacks: 0}", "BOT-1112", "handoff.after_fallbacks", "1 to 100", ""),
        ("handoff: {webhook: 'example.com'}", "BOT-1112", "handoff.webhook", "address", ""),
        (
            "fallback: {en: [{text: a, when: {city: present}}]}",
            "BOT-1112",
            "fallback.en",
            "may hold",
            "when:",
        ),
        ("fallback: {en: []}", "BOT-1112", "fallback.en", "0 variants", ""),
        (
            "fallback: {en: {text: a, buttons: [{title: t, payload: c}]}}",
            "BOT-1113",
            "fallback.en.buttons",
            "`c`",
            "`a`",
        ),
        ("fallback: {en: '{action.x}'}", "BOT-1030", "fallback.en", "`{action.x}`", "`action:`"),
        ("fallback: {en: {txt: a}}", "BOT-1011", "", "txt", "text"),
    ] {
        let fault = parse::<DialogueSpec>(&format!("{base}{yaml}"), "dialogue.yaml")
            .and_then(|spec| Dialogue::compile(&spec))
            .expect_err(yaml);
        assert_eq!(fault.code(), code, "{yaml}: {fault}");
        if !key.is_empty() {
            assert_eq!(fault.place().key.as_deref(), Some(key), "{yaml}");
        }
        let all = format!("{} {}", fault.message(), fault.hints().join(" "));
        assert!(all.contains(message) && all.contains(hint), "{yaml}: {all}");
    }
}

#[test]
fn the_address_of_an_action_has_certain_values_after_its_host() {
    let base = "entities: {order: '#\\d+', city: x}\nresponses: {a: {en: hi}, b: {en: ho}}\n";
    let slot = "slots: {s: {text: true, ask: {en: 'S?'}}, order: {}}\n";
    for (url, message) in [
        ("https://a/{s}", "may have no value"),
        ("https://{order}/x", "before the path"),
        ("{order}", "before the path"),
        ("https://a/{order", "unclosed"),
        ("https://a/{city}", "does not name"),
    ] {
        let yaml =
            format!("{base}{slot}intents: {{a: {{needs: [order], action: {{url: '{url}'}}}}}}")
                .replace("order: {}", "order: {ask: {en: 'O?'}}");
        let spec: DialogueSpec = parse(&yaml, "dialogue.yaml").unwrap();
        let fault = Dialogue::compile(&spec).expect_err(url);
        assert!(fault.message().contains(message), "{url}: {fault}");
    }
}

#[test]
fn parts_that_are_never_used_and_missing_languages_are_reported() {
    let yaml = "
entities: {order: '#1', city: x}
slots:
  order: {ask: {en: 'Which {city}?'}}
  city: {}
  size: {text: true}
intents: {a: {needs: [order]}, lost: {needs: [order]}, c: {title: {en: C}}}
responses:
  a: {en: [{text: x, when: {order: absent}}, y, y], fr-CA: z}
  b: {en: {text: b, buttons: [{title: C, payload: c}]}, fr: b}
  c: {en: c, fr: c}
fallback: {en: pardon, fr: pardon}
";
    let spec: DialogueSpec = parse(yaml, "dialogue.yaml").unwrap();
    Dialogue::compile(&spec).unwrap();
    let found: Vec<(String, String)> = spec
        .findings(&["a", "b"])
        .into_iter()
        .map(|finding| (finding.code.to_string(), finding.message))
        .collect();
    let expected = [
        (
            "BOT-1116",
            "the steps of `lost` are never taken: no intent of the model, and no button leads there",
        ),
        ("BOT-1116", "variants are never used: `responses.a.en[0]`, `responses.a.en[2]`"),
        ("BOT-1117", "the slots `size` are filled, and nothing uses them"),
        (
            "BOT-1115",
            "`fr` is missing in `slots.order.ask`, `intents.c.title`, and other texts have it",
        ),
    ];
    assert_eq!(found, expected.map(|(code, message)| (code.to_owned(), message.to_owned())));
}

#[test]
fn a_dialogue_of_before_is_plain_and_written_as_before() {
    let yaml = "entities: {n: '\\d+'}\nresponses: {a: {en: 'x {n|y}'}}\nfallback: {en: z}\n";
    let spec: DialogueSpec = parse(yaml, "dialogue.yaml").unwrap();
    assert_eq!(
        serde_json::to_string(&spec).unwrap(),
        r#"{"entities":{"n":"\\d+"},"responses":{"a":{"en":"x {n|y}"}},"fallback":{"en":"z"},"default_language":null}"#
    );
    let dialogue = Dialogue::compile(&spec).unwrap();
    assert!(dialogue.is_plain() && !shop().is_plain());
    assert_eq!(
        dialogue.branches(),
        BTreeSet::from(["a/respond".to_owned(), "fallback".to_owned()])
    );
    let json = serde_json::to_string(&parse::<DialogueSpec>(SHOP, "").unwrap()).unwrap();
    let again: DialogueSpec = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), json);
}

#[test]
fn the_stories_of_the_support_bot_pass() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../datasets/support/dialogue.yaml");
    let spec: DialogueSpec = botops_spec::read(&path).unwrap();
    let report = Dialogue::compile(&spec).unwrap().replay(&spec.tests, None).unwrap();
    let failed: Vec<_> = report.stories.iter().filter(|story| !story.passed).collect();
    assert!(report.passed, "{failed:#?}");
    assert_eq!(report.stories.len(), 5);
}
