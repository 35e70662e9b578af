//! Feedback tokens: read back by every process of the environment, and refused in every other form.

use super::*;
use std::collections::BTreeSet;

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

fn tokens(secret: &str, environment: &str, model: &str) -> FeedbackTokens {
    FeedbackTokens::new(TokenKeys::parse(secret).unwrap(), environment, model).unwrap()
}

fn answer() -> JudgedAnswer<'static> {
    JudgedAnswer {
        request: std::array::from_fn(|i| i as u8),
        conversation: Some(42),
        place: Some((rollout_mark("r1"), Slot::new(2, 0.25, Arm::Canary))),
        intent: "order_status".into(),
        fallback: false,
        expires: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
    }
}

#[test]
fn any_process_of_the_environment_opens_a_token() {
    let [one, two] = [tokens(OLD, "production", "m"), tokens(OLD, "production", "m")];
    for answer in [
        answer(),
        JudgedAnswer { fallback: true, ..answer() },
        JudgedAnswer { place: None, ..answer() },
        JudgedAnswer { place: None, conversation: None, ..answer() },
        JudgedAnswer {
            place: Some((rollout_mark("r2"), Slot::new(0, 1.0, Arm::Primary))),
            intent: "é".repeat(128).into(),
            ..answer()
        },
    ] {
        let token = one.make(&answer).unwrap();
        assert!(token.len() <= LONGEST_FEEDBACK_TOKEN, "{}", token.len());
        assert_eq!(two.open(&token), Ok(answer.clone()));
        assert_eq!(one.open(&token), Ok(answer));
    }
}

#[test]
fn a_token_tells_nothing_and_none_repeats() {
    let made = tokens(OLD, "production", "m");
    let on = |place, conversation| JudgedAnswer { place, conversation, ..answer() };
    let lengths: BTreeSet<usize> = [
        answer(),
        on(None, Some(1)),
        on(None, None),
        on(Some((1, Slot::new(0, 0.05, Arm::Primary))), Some(7)),
    ]
    .iter()
    .map(|answer| made.make(answer).unwrap().len())
    .collect();
    assert_eq!(lengths.len(), 1, "in a rollout or not, on either arm: {lengths:?}");
    let all: BTreeSet<String> = (0..1_000).map(|_| made.make(&answer()).unwrap()).collect();
    assert_eq!(all.len(), 1_000);
    let raw = URL_SAFE_NO_PAD.decode(made.make(&answer()).unwrap()).unwrap();
    assert!(!raw.windows(5).any(|part| part == b"order"), "the intent is encrypted");
}

#[test]
fn every_changed_bit_and_every_cut_makes_a_token_invalid() {
    let made = tokens(OLD, "production", "m");
    let token = made.make(&answer()).unwrap();
    let raw = URL_SAFE_NO_PAD.decode(&token).unwrap();
    for bit in 0..raw.len() * 8 {
        let mut changed = raw.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = made.open(&URL_SAFE_NO_PAD.encode(changed));
        let expected = match bit / 8 {
            0 => InvalidToken::Malformed,
            1..=KEY_ID_BYTES => InvalidToken::UnknownKey,
            _ => InvalidToken::Forged,
        };
        assert_eq!(opened, Err(expected), "bit {bit}");
    }
    for length in 0..raw.len() {
        assert!(made.open(&URL_SAFE_NO_PAD.encode(&raw[..length])).is_err(), "{length} bytes");
    }
    for text in ["", "a", "=", "é", &"A".repeat(LONGEST_FEEDBACK_TOKEN + 1), &format!("{token}=")]
    {
        assert_eq!(made.open(text), Err(InvalidToken::Malformed), "{text}");
    }
}

#[test]
fn another_environment_model_or_key_opens_no_token() {
    let token = tokens(OLD, "production", "m").make(&answer()).unwrap();
    for (environment, model) in [("staging", "m"), ("production", "n"), ("productionm", "")] {
        let opened = tokens(OLD, environment, model).open(&token);
        assert_eq!(opened, Err(InvalidToken::Forged), "{environment} {model}");
    }
    let opened = tokens(NEW, "production", "m").open(&token);
    assert_eq!(opened, Err(InvalidToken::UnknownKey));
    let alone = || FeedbackTokens::new(TokenKeys::alone().unwrap(), "e", "m").unwrap();
    assert!(alone().shared_key_ids().is_empty());
    let token = alone().make(&answer()).unwrap();
    assert_eq!(alone().open(&token), Err(InvalidToken::UnknownKey));
}

#[test]
fn a_key_is_changed_in_three_steps_without_losing_a_token() {
    let before = tokens(OLD, "e", "m");
    let [reads_both, makes_new] =
        [format!("{OLD} {NEW}"), format!("{NEW}\n{OLD}\n")].map(|secret| tokens(&secret, "e", "m"));
    let after = tokens(NEW, "e", "m");
    let [old, new] = [&before, &makes_new].map(|by| by.make(&answer()).unwrap());
    assert!(before.open(&old).is_ok() && reads_both.open(&old).is_ok());
    assert!(reads_both.open(&new).is_ok() && makes_new.open(&old).is_ok());
    assert!(makes_new.open(&new).is_ok() && after.open(&new).is_ok());
    assert_eq!(after.open(&old), Err(InvalidToken::UnknownKey));
    assert_eq!(reads_both.shared_key_ids()[0], before.shared_key_ids()[0]);
    assert_eq!(makes_new.shared_key_ids()[0], after.shared_key_ids()[0]);
}

#[test]
fn unusable_keys_are_refused_and_never_shown() {
    let short = "short-and-secret";
    let three = [OLD, NEW, OLD].join(" ");
    for (secret, part) in [
        ("", "too short"),
        (" \n", "too short"),
        (short, "too short"),
        (&format!("{OLD} {short}"), "too short"),
        (&three, "there are 3 token keys"),
    ] {
        let fault = TokenKeys::parse(secret).unwrap_err();
        assert_eq!(fault.code(), "BOT-6131");
        let shown = format!("{fault} {:?}", fault.hints());
        assert!(shown.contains(part) && !shown.contains(short) && !shown.contains(OLD), "{shown}");
    }
    let keys = TokenKeys::parse(OLD).unwrap();
    assert!(!format!("{keys:?}").contains(OLD));
    assert_eq!(keys.ids()[0].len(), 8);
}

#[test]
fn an_intent_that_does_not_fit_has_no_token() {
    let made = tokens(OLD, "e", "m");
    for intent in [String::new(), "a".repeat(LONGEST_INTENT + 1)] {
        assert_eq!(made.make(&JudgedAnswer { intent: intent.into(), ..answer() }), None);
    }
}
