use super::{dialogue::BUILT_IN_FALLBACK, *};
use botops_spec::{parse, read};
use proptest::prelude::*;
use std::{collections::BTreeMap, path::Path, sync::LazyLock};

/// The support bot, compiled once for the property tests.
static SUPPORT: LazyLock<Dialogue> =
    LazyLock::new(|| Dialogue::compile(&support()).expect("the support bot compiles"));

fn support() -> DialogueSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/support/dialogue.yaml");
    read(&path).unwrap()
}

/// The moment of the messages: Monday, 30 November 2026, at noon.
fn noon() -> Moment<'static> {
    let at = "2026-11-30T12:00:00Z".parse().expect("a time");
    Moment::new(at, Some("en"))
}

fn spec_of(yaml: &str) -> DialogueSpec {
    parse(yaml, "dialogue.yaml").unwrap()
}

fn found(dialogue: &Dialogue, text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    dialogue
        .entities(text, &noon(), Vec::new())
        .into_iter()
        .map(|e| {
            let slice: String = chars[e.start..e.end].iter().collect();
            assert_eq!(slice, e.value, "offsets count code points");
            format!("{}={}", e.entity, e.value)
        })
        .collect()
}

#[test]
fn the_support_bot_compiles_and_responds_in_both_languages() {
    let spec = support();
    let dialogue = Dialogue::compile(&spec).unwrap();
    let intents = [
        "account_help",
        "billing_question",
        "complaint",
        "order_status",
        "product_information",
        "return_request",
        "technical_support",
    ];
    assert_eq!(spec.responses.keys().map(String::as_str).collect::<Vec<_>>(), intents);
    let mut responses = std::collections::BTreeSet::new();
    for intent in intents.into_iter().map(Some).chain([None]) {
        for language in ["en", "fr"] {
            let (response, used) = dialogue.respond(intent, Some(language), &[]).unwrap();
            assert_eq!(used, language, "{intent:?}");
            assert!(!response.contains(['{', '}', '|', '\n']), "{response}");
            assert!(!response.contains("  "), "{response}");
            responses.insert(response);
        }
    }
    assert_eq!(responses.len(), 16, "7 intents and a fallback, each in 2 languages, all different");
}

#[test]
fn the_support_bot_finds_entities_in_real_messages() {
    let dialogue = Dialogue::compile(&support()).unwrap();
    for (text, expected) in [
        ("Order FR-204913, where is it?", vec!["order_number=FR-204913"]),
        ("svp #20447 et commande n° 118200", vec!["order_number=#20447", "order_number=118200"]),
        ("my order number: 204913", vec!["order_number=204913"]),
        ("écrivez à zoé.x@a.b ou zoe.x@mail.example.com.", vec!["email=zoe.x@mail.example.com"]),
        ("payé 1 249,90 € le 31/10", vec!["amount=1 249,90 €", "date=31/10"]),
        ("I paid €46.80 and 15 euros", vec!["amount=€46.80", "amount=15 euros"]),
        ("rappelez-moi au 06 39 98 13 70 vendredi", vec!["phone=06 39 98 13 70", "date=vendredi"]),
        ("+33 6 39 98 13 70 or 555-0142", vec!["phone=+33 6 39 98 13 70", "phone=555-0142"]),
        ("born 14 March 1988, came 2026-10-31", vec!["date=14 March 1988", "date=2026-10-31"]),
        ("le 1er juin", vec!["date=1er juin"]),
        ("may I return 2 of 3? version 7.2, 64 GB, in 4x", vec![]),
    ] {
        assert_eq!(found(&dialogue, text), expected, "{text}");
    }
}

#[test]
fn a_value_replaces_its_placeholder() {
    let dialogue = Dialogue::compile(&support()).unwrap();
    let text = "Où est ma commande FR-204913 ?";
    let (with, _) = dialogue
        .respond(Some("order_status"), Some("fr"), &dialogue.entities(text, &noon(), Vec::new()))
        .unwrap();
    assert!(with.starts_with("Vous pouvez suivre FR-204913 dans"), "{with}");
    let (without, _) = dialogue.respond(Some("order_status"), Some("fr"), &[]).unwrap();
    assert!(without.starts_with("Vous pouvez suivre votre commande dans"), "{without}");
}

#[test]
fn overlapping_entities_are_resolved_by_start_then_length_then_match() {
    let dialogue = Dialogue::compile(&spec_of(
        r"
entities:
  a_number: '\d{3,}'
  code: '[A-Z]{2}-\d+'
  order: 'order (\d+)'
  tail: '34 km'
",
    ))
    .unwrap();
    assert_eq!(found(&dialogue, "FR-1234 x"), ["code=FR-1234"], "starts first");
    assert_eq!(found(&dialogue, "order 1234 km"), ["order=1234"], "same value, longer match");
    assert_eq!(found(&dialogue, "é 12 34 km 567"), ["tail=34 km", "a_number=567"]);
    let twins = Dialogue::compile(&spec_of("entities: {b: '\\d+', a: '\\d+'}")).unwrap();
    assert_eq!(found(&twins, "7"), ["a=7"], "equal matches: the first name");
}

#[test]
fn the_language_falls_back_to_its_base_the_default_and_english() {
    let yaml = "
default_language: fr
responses:
  hi: {en: hello, fr: bonjour, de: hallo}
  bye: {de: tschüss}
fallback: {en: pardon, fr: comment}
";
    let dialogue = Dialogue::compile(&spec_of(yaml)).unwrap();
    let respond = |intent, language| dialogue.respond(intent, language, &[]).unwrap();
    let pair = |text: &str, language: &str| (text.to_owned(), language.to_owned());
    assert_eq!(respond(Some("hi"), Some("de_AT")), pair("hallo", "de"));
    assert_eq!(respond(Some("hi"), Some("EN")), pair("hello", "en"));
    assert_eq!(respond(Some("hi"), Some("it")), pair("bonjour", "fr"));
    assert_eq!(respond(Some("hi"), None), pair("bonjour", "fr"));
    assert_eq!(
        respond(Some("bye"), Some("en")),
        pair("tschüss", "de"),
        "another language before none"
    );
    assert_eq!(respond(None, Some("it")), pair("comment", "fr"));
    let empty = Dialogue::compile(&DialogueSpec::default()).unwrap();
    assert_eq!(empty.respond(None, Some("fr"), &[]), Some(pair(BUILT_IN_FALLBACK, "en")));
}

#[test]
fn a_variant_of_a_language_answers_for_the_language() {
    let dialogue = Dialogue::compile(&spec_of(
        "default_language: pt\nresponses: {hi: {fr-CA: allo, pt_BR: oi, de-AT: servus, de: hallo}}",
    ))
    .unwrap();
    let used = |language| dialogue.respond(Some("hi"), language, &[]).unwrap().1;
    assert_eq!(used(Some("fr")), "fr-ca");
    assert_eq!(used(Some("fr-FR")), "fr-ca");
    assert_eq!(used(Some("de")), "de");
    assert_eq!(used(Some("de_at")), "de-at");
    assert_eq!(used(Some("it")), "pt-br", "the default language, in the variant that there is");
    assert_eq!(used(None), "pt-br");
    assert_eq!(
        dialogue.languages().into_iter().collect::<Vec<_>>(),
        ["de", "de-at", "fr-ca", "pt-br"]
    );
}

#[test]
fn an_understood_intent_without_a_response_gets_none_and_not_the_fallback() {
    let dialogue = Dialogue::compile(&spec_of(
        "responses: {hi: {en: hello}, bye: {}}\nfallback: {en: pardon}",
    ))
    .unwrap();
    assert_eq!(dialogue.respond(Some("unheard"), Some("en"), &[]), None);
    assert_eq!(dialogue.respond(Some("bye"), Some("en"), &[]), None);
    assert_eq!(dialogue.respond(None, Some("en"), &[]).unwrap().0, "pardon");
    let silent = Dialogue::compile(&DialogueSpec::default()).unwrap();
    assert_eq!(silent.respond(Some("hi"), None, &[]), None);
}

#[test]
fn intents_without_a_response_and_responses_without_an_intent_are_reported() {
    let spec = spec_of("responses: {hi: {en: hello}, bye: {}, refnud: {en: ok}}");
    let found = spec.findings(&["bye", "hi", "hours", "refund"]);
    let found: Vec<(&str, &str)> =
        found.iter().map(|finding| (finding.code.as_str(), finding.message.as_str())).collect();
    assert_eq!(
        found,
        [
            (
                "BOT-1050",
                "the dialogue has no response to `bye`, `hours`, `refund`: `response` is null then"
            ),
            ("BOT-1051", "the dialogue has responses to `refnud`, no intent of the model"),
        ]
    );
    let all = ["bye", "hi", "refnud"]
        .map(|intent| (intent.to_owned(), [("en".to_owned(), "x".into())].into()));
    assert!(
        DialogueSpec { responses: all.into(), ..spec }
            .findings(&["bye", "hi", "refnud"])
            .is_empty()
    );
    // A model without a dialogue only classifies.
    assert!(DialogueSpec::default().findings(&["hi"]).is_empty());
}

#[test]
fn a_template_reads_escaped_braces_and_alternatives() {
    let dialogue = Dialogue::compile(&spec_of(
        "entities: {n: '\\d+'}\nresponses: {a: {en: 'Your {n} {{is}} here, {n|friend}.'}}",
    ))
    .unwrap();
    let entity = Entity::new("n", "{n}", 0, 3);
    assert_eq!(dialogue.respond(Some("a"), None, &[]).unwrap().0, "Your {is} here, friend.");
    // Braces in a value are not placeholders.
    assert_eq!(dialogue.respond(Some("a"), None, &[entity]).unwrap().0, "Your {n} {is} here, {n}.");
}

#[test]
fn an_invalid_spec_is_reported_with_its_key() {
    for (yaml, key, message, hint) in [
        ("entities: {n: '('}", "entities.n", "does not compile", "edge of a word"),
        ("entities: {n: '(?=a)b'}", "entities.n", "does not compile", "look-around"),
        ("entities: {n: '\\d*'}", "entities.n", "empty string", "`+`"),
        ("entities: {n: '\\w{9999}'}", "entities.n", "too large", "limit"),
        ("entities: {'a b': 'x'}", "entities.a b", "cannot be an entity name", "order_number"),
        (
            "entities: {order_number: '\\d+'}\nresponses: {a: {en: 'x {order_nr}'}}",
            "responses.a.en",
            "`{order_nr}` does not name an entity",
            "did you mean `{order_number}`?",
        ),
        ("responses: {a: {en: 'x {y}'}}", "responses.a.en", "does not name an entity", "entities:"),
        ("entities: {n: x}\nfallback: {fr: 'x {n'}", "fallback.fr", "unclosed `{`", "{{"),
        ("entities: {n: x}\nfallback: {fr: 'x {n|{n}}'}", "fallback.fr", "unclosed `{`", "{{"),
        ("fallback: {fr: 'x } y'}", "fallback.fr", "unmatched `}`", "}}"),
        ("fallback: {fr: ' '}", "fallback.fr", "empty", "write the text"),
        ("fallback: {fr: a, en: b}\ndefault_language: frr", "default_language", "`frr`", "`fr`"),
    ] {
        let fault = Dialogue::compile(&spec_of(yaml)).expect_err(yaml);
        assert_eq!(fault.code(), "BOT-1030", "{yaml}");
        assert_eq!(fault.kind(), botops_findings::FaultKind::Usage);
        assert_eq!(fault.place().key.as_deref(), Some(key), "{yaml}");
        assert!(fault.message().contains(message), "{yaml}: {fault}");
        assert!(fault.hints().join(" ").contains(hint), "{yaml}: {:?}", fault.hints());
    }
}

#[test]
fn every_pattern_finds_at_most_64_matches() {
    let dialogue = Dialogue::compile(&support()).unwrap();
    let text = "é FR-204913, #20447 0 0 0 0 0 0 (((( @@@@ a@a.a 1 000 000 ";
    let all = dialogue.entities_while(&text.repeat(32), &noon(), Vec::new(), || true);
    assert_eq!(all.found.iter().filter(|e| e.entity == "order_number").count(), 64);
    assert!(!all.cut);
    let cut = dialogue.entities_while(&text.repeat(1_000), &noon(), Vec::new(), || true);
    assert_eq!(cut.found.iter().filter(|e| e.entity == "order_number").count(), 64);
    assert!(cut.cut);
    // Patterns are independent: the matches of one do not use up those of another.
    let text = format!("{}a@b.example vendredi", "#20447 ".repeat(100));
    let found = dialogue.entities_while(&text, &noon(), Vec::new(), || true);
    assert_eq!(
        found
            .found
            .iter()
            .map(|e| e.entity.as_str())
            .filter(|e| *e != "order_number")
            .collect::<Vec<_>>(),
        ["email", "date"]
    );
}

#[test]
fn a_pattern_that_reads_the_whole_text_for_each_match_is_searched_a_limited_number_of_times() {
    for pattern in [".*[^A-Z]|[A-Z]", "(?:A+)+B|A", "A.*Z|A", "[A-Z]+\\d|A"] {
        let yaml = format!("entities: {{n: '{pattern}'}}");
        let dialogue = Dialogue::compile(&spec_of(&yaml)).unwrap();
        let mut searches = 0;
        let entities = dialogue.entities_while(&"A".repeat(5_000), &noon(), Vec::new(), || {
            searches += 1;
            true
        });
        assert!(entities.cut && entities.found.len() <= 64, "{pattern}");
        assert_eq!(searches, 64, "{pattern}");
    }
}

#[test]
fn a_search_without_time_is_cut_and_keeps_what_it_found() {
    let dialogue = Dialogue::compile(&spec_of("entities: {a: '\\d+', b: '[a-z]+'}")).unwrap();
    for (searches, found, cut) in
        [(0, 0, true), (2, 2, true), (3, 2, true), (4, 3, true), (6, 4, false)]
    {
        let mut left = searches;
        let entities = dialogue.entities_while("1 2 x y", &noon(), Vec::new(), || {
            left -= 1;
            left >= 0
        });
        assert_eq!((entities.found.len(), entities.cut), (found, cut), "{searches}");
    }
}

#[test]
fn too_many_and_too_long_patterns_are_refused() {
    let many = |n: usize| DialogueSpec {
        entities: (0..n).map(|i| (format!("e{i}"), format!("x{i}").into())).collect(),
        ..DialogueSpec::default()
    };
    assert!(Dialogue::compile(&many(64)).is_ok());
    let fault = Dialogue::compile(&many(65)).unwrap_err();
    assert_eq!((fault.code(), fault.place().key.as_deref()), ("BOT-1030", Some("entities")));
    let long = |n: usize| DialogueSpec {
        entities: BTreeMap::from([("n".to_owned(), "x".repeat(n).into())]),
        ..DialogueSpec::default()
    };
    assert!(Dialogue::compile(&long(8 << 10)).is_ok());
    let fault = Dialogue::compile(&long((8 << 10) + 1)).unwrap_err();
    assert_eq!((fault.code(), fault.place().key.as_deref()), ("BOT-1030", Some("entities.n")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn entities_of_any_text_are_sorted_disjoint_and_verbatim(
        text in "(?s)(\\PC|[0-9@#€ ./:-]|FR-|order |\\+33 |é|🙂|\u{0}){0,60}"
    ) {
        let dialogue = &*SUPPORT;
        let chars: Vec<char> = text.chars().collect();
        let mut end = 0;
        for entity in dialogue.entities(&text, &noon(), Vec::new()) {
            prop_assert!(entity.start >= end && entity.start < entity.end);
            let value: String = chars[entity.start..entity.end].iter().collect();
            prop_assert_eq!(&value, &entity.value);
            end = entity.end;
            let (response, _) = dialogue.respond(Some("order_status"), None, &[entity]).unwrap();
            prop_assert!(!response.is_empty());
        }
    }

    #[test]
    fn any_spec_compiles_or_is_refused(pattern in "\\PC{0,30}", template in "[a{}|n ]{0,12}") {
        let spec = DialogueSpec {
            entities: BTreeMap::from([("n".to_owned(), pattern.into())]),
            responses: BTreeMap::from([("a".to_owned(), BTreeMap::from([("en".to_owned(), template.into())]))]),
            ..DialogueSpec::default()
        };
        match Dialogue::compile(&spec) {
            Ok(dialogue) => {
                let entities = dialogue.entities("a n é 12", &noon(), Vec::new());
                prop_assert!(!dialogue.respond(Some("a"), Some("en"), &entities).unwrap().1.is_empty());
            }
            Err(fault) => prop_assert_eq!(fault.code(), "BOT-1030"),
        }
    }
}

#[test]
fn rules_win_over_the_tagger_and_take_its_role() {
    let dialogue =
        Dialogue::compile(&spec_of("entities: {n: '\\d+', city: {learned: true}}")).unwrap();
    let tagged = |entity: &str, value: &str, start: usize, role: Option<&str>| Entity {
        role: role.map(str::to_owned),
        ..Entity::new(entity, value, start, start + value.chars().count())
    };
    let text = "é Lyon 12 to Paris 34";
    let found = dialogue.entities(
        text,
        &noon(),
        vec![
            tagged("city", "Paris", 13, Some("destination")),
            tagged("city", "Lyon 1", 2, None),
            tagged("city", "Lyon", 2, Some("origin")),
            tagged("n", "34", 19, Some("amount")),
            tagged("n", "12 to", 7, Some("first")),
            tagged("city", "Nice", 13, None),
            tagged("city", "far", 90, None),
        ],
    );
    let shown: Vec<(&str, &str, Option<&str>)> =
        found.iter().map(|e| (e.entity.as_str(), e.value.as_str(), e.role.as_deref())).collect();
    assert_eq!(
        shown,
        [
            ("city", "Lyon", Some("origin")),
            ("n", "12", Some("first")),
            ("city", "Paris", Some("destination")),
            ("n", "34", Some("amount")),
        ]
    );
}

#[test]
fn an_entity_is_a_pattern_or_a_mapping_and_keeps_its_form() {
    let yaml =
        "entities: {a: '\\d+', b: {learned: true}, c: {type: date, date_order: month_first}}";
    let spec = spec_of(yaml);
    assert_eq!(spec.entities["a"], "\\d+".into());
    assert!(spec.entities["b"].is_learned() && !spec.entities["b"].is_found_by_rule());
    let json = serde_json::to_value(&spec).unwrap();
    assert_eq!(
        json["entities"],
        serde_json::json!({
            "a": "\\d+", "b": {"learned": true}, "c": {"type": "date", "date_order": "month_first"}
        })
    );
    assert_eq!(json.get("timezone"), None, "what is not used is not written");
    assert_eq!(serde_json::from_value::<DialogueSpec>(json).unwrap(), spec);
    let entity = serde_json::to_string(&Entity::new("a", "1", 0, 1)).unwrap();
    assert_eq!(entity, r#"{"entity":"a","value":"1","start":0,"end":1}"#);
    let fault = parse::<DialogueSpec>("entities: {a: {lerned: true}}", "d.yaml").unwrap_err();
    assert_eq!(fault.code(), "BOT-1011");
    assert!(fault.hints().join(" ").contains("`learned`"), "{:?}", fault.hints());
}
