//! The language of an answer.

use super::routing::Served;
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
    let both =
        |en: &str, fr: &str| [("en".to_owned(), en.into()), ("fr-CA".to_owned(), fr.into())].into();
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
