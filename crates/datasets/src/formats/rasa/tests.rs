use super::{annotation::compose, writing::RasaWriter, *};
use crate::EntitySpan;
use proptest::prelude::*;

const TRAINING: &str = r#"version: "3.1"
nlu:
- intent: greet
  examples: |
    - hey
    - hello [Bob](name)

- intent: faq/ask_hours
  metadata: {sentiment: neutral}
  examples:
    - text: |
        when do you open in [NYC]{"entity": "city", "value": "New York"}
      metadata: {sentiment: good}
    - "are you open?"
- intent: book_flight
  examples: |
    - from [Paris]{"entity":"city","role":"from","group":"1"} to [Rome]{"entity":"city","role":"to"}
    - say [cheese][{"entity":"food"},{"entity":"word","value":"smile"}]
    - a [date:tomorrow] and [x] (y) [] [éà](word)
- synonym: New York
  examples: |
    - NYC
    - the big apple
- regex: zip
  examples: |
    - \d{5}
- lookup: city
  examples: |
    - Paris
stories:
- story: one
"#;

fn span(entity: &str, value: &str, start: usize, end: usize) -> EntitySpan {
    EntitySpan::new(entity, value, start, end)
}

#[test]
fn intents_entities_and_terms_are_read_with_their_lines() {
    let training = parse(TRAINING, "nlu.yml").unwrap();
    let seen: Vec<_> = training
        .records
        .iter()
        .map(|r| (r.record, r.line, r.intent.as_deref().unwrap(), r.text.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (1, 5, "greet", "hey"),
            (2, 6, "greet", "hello Bob"),
            (3, 11, "faq/ask_hours", "when do you open in NYC"),
            (4, 14, "faq/ask_hours", "are you open?"),
            (5, 17, "book_flight", "from Paris to Rome"),
            (6, 18, "book_flight", "say cheese"),
            (7, 19, "book_flight", "a [date:tomorrow] and [x] (y) [] éà"),
        ]
    );
    let entities = |i: usize| training.records[i].entities.clone();
    assert_eq!(entities(1), [span("name", "Bob", 6, 9)]);
    let city = EntitySpan { synonym_of: Some("New York".into()), ..span("city", "NYC", 20, 23) };
    assert_eq!(entities(2), [city]);
    let from = EntitySpan {
        role: Some("from".into()),
        group: Some("1".into()),
        ..span("city", "Paris", 5, 10)
    };
    let to = EntitySpan { role: Some("to".into()), ..span("city", "Rome", 14, 18) };
    assert_eq!(entities(4), [from, to]);
    let word = EntitySpan { synonym_of: Some("smile".into()), ..span("word", "cheese", 4, 10) };
    assert_eq!(entities(5), [span("food", "cheese", 4, 10), word]);
    assert_eq!(entities(6), [span("word", "éà", 33, 35)]);
    let terms: Vec<_> = training
        .non_records
        .terms
        .iter()
        .map(|t| (t.kind, t.name.as_str(), t.examples.join("|"), t.place.line.unwrap()))
        .collect();
    assert_eq!(
        terms,
        [
            (TermKind::Synonym, "New York", "NYC|the big apple".to_owned(), 20),
            (TermKind::Regex, "zip", r"\d{5}".to_owned(), 24),
            (TermKind::Lookup, "city", "Paris".to_owned(), 27),
        ]
    );
    let lost: Vec<_> = training
        .non_records
        .findings
        .iter()
        .map(|f| (f.place.line.unwrap(), f.message.as_str()))
        .collect();
    assert_eq!(
        lost,
        [
            (9, "`metadata` of the intent `faq/ask_hours`: it is not carried over"),
            (13, "`metadata` of an example: it is not carried over"),
            (31, "`stories` is not training data: it is not carried over"),
        ]
    );
}

#[test]
fn brackets_without_an_annotation_are_text_and_cost_linear_time() {
    use std::time::Instant;
    for (marked, text, n_entities) in [
        ("[[a](city)", "[a", 1),
        ("[] [a] [b](c", "[] [a] [b](c", 0),
        ("[[x] [Paris](city) [", "[[x] Paris [", 1),
        ("[a]() [b](city)", "[a]() b", 1),
        ("[é[", "[é[", 0),
    ] {
        let (found, entities) = super::annotation::parse(marked).unwrap();
        assert_eq!((found.as_str(), entities.len()), (text, n_entities), "{marked}");
    }
    // Eight times the text costs about eight times as much; if each bracket searched the rest, 64 times as much.
    for hostile in ["[", "[a](", "[a]{"] {
        let seconds = |n: usize| {
            let text = format!("{}]", hostile.repeat(n));
            let once = || {
                let began = Instant::now();
                assert_eq!(super::annotation::parse(&text).unwrap().1.len(), 0);
                began.elapsed().as_secs_f64()
            };
            (0..5).map(|_| once()).fold(f64::INFINITY, f64::min)
        };
        let (short, long) = (seconds(20_000), seconds(160_000));
        assert!(long < 32.0 * short, "{hostile}: {short} s, then {long} s");
    }
}

#[test]
fn malformed_training_data_is_reported_with_its_line() {
    for (yaml, code, line, message) in [
        ("nlu: [", "BOT-2164", Some(1), "malformed"),
        ("version: 1\ncolumns: {}\n", "BOT-2164", None, "no list `nlu`"),
        ("nlu: yes\n", "BOT-2164", Some(1), "not a list"),
        ("nlu:\n- examples: |\n    - a\n", "BOT-2164", Some(2), "none of `intent`"),
        ("nlu:\n- intent: [a]\n", "BOT-2164", Some(2), "not a string"),
        (
            "nlu:\n- intent: a\n  examples: |\n    - a\n    b\n",
            "BOT-2164",
            Some(5),
            "`b` is not an example",
        ),
        ("nlu:\n- intent: a\n  examples: {b: c}\n", "BOT-2164", Some(3), "not a list"),
        ("nlu:\n- intent: a\n  examples:\n  - metadata: c\n", "BOT-2164", Some(4), "no `text`"),
        (
            "nlu:\n- intent: a\n  examples: &x |\n   - b\n- intent: *x\n",
            "BOT-2164",
            Some(5),
            "alias",
        ),
        (
            "nlu:\n- intent: a\n  examples: |\n    - fine\n    - [x]{\"entity\": 1}\n    - [x]{nothing}\n",
            "BOT-2165",
            Some(5),
            "and 1 more such",
        ),
        (
            "nlu:\n- intent: a\n  examples: |\n    - [x]{\"entity\": \"a\", \"rol\": \"b\"}\n",
            "BOT-2165",
            Some(4),
            "unknown field `rol`",
        ),
    ] {
        let fault = parse(yaml, "nlu.yml").unwrap_err();
        assert_eq!((fault.code(), fault.place().line), (code, line), "{yaml}: {fault}");
        assert!(fault.message().contains(message), "{yaml}: {fault}");
        assert_eq!(fault.place().file.as_deref(), Some("nlu.yml"));
    }
}

#[test]
fn every_document_of_a_file_is_read() {
    let yaml = "nlu:\n- intent: a\n  examples: |\n    - one\n---\nversion: '3.1'\nnlu:\n- intent: b\n  examples: |\n    - two\n---\n";
    let training = parse(yaml, "nlu.yml").unwrap();
    let seen: Vec<_> =
        training.records.iter().map(|r| (r.record, r.line, r.text.as_str())).collect();
    assert_eq!(seen, [(1, 4, "one"), (2, 10, "two")]);
    let fault = parse("nlu: []\n--- [a]\n", "nlu.yml").unwrap_err();
    assert_eq!((fault.code(), fault.place().line), ("BOT-2164", Some(2)), "{fault}");
}

#[test]
fn an_item_without_a_name_is_refused() {
    for name in ["", " ~", " null", " \"\"", " ''"] {
        for kind in ["intent", "synonym", "lookup", "regex"] {
            let yaml = format!("nlu:\n- intent: x\n- {kind}:{name}\n  examples: |\n    - a\n");
            let fault = parse(&yaml, "nlu.yml").unwrap_err();
            assert_eq!((fault.code(), fault.place().line), ("BOT-2164", Some(3)), "{yaml}");
            assert_eq!(fault.message(), format!("`{kind}` has no name"));
        }
    }
    // In quotes, it is a name.
    let training = parse("nlu:\n- intent: 'null'\n  examples: |\n    - ~\n", "f").unwrap();
    let record = &training.records[0];
    assert_eq!((record.intent.as_deref(), record.text.as_str()), (Some("null"), "~"));
}

#[test]
fn an_intent_without_examples_and_an_unknown_key_are_reported() {
    let yaml = "nlu:\n- intent: a\n- intent: b\n  examples:\n- intent: c\n  examples: []\n- intent: d\n  examples: \"\"\n- intent: e\n  example: |\n    - lost\n- intent: f\n  metadata: x\n  notes: y\n  examples:\n    - text: hi\n      meta: z\n- synonym: s\n";
    let training = parse(yaml, "nlu.yml").unwrap();
    assert_eq!(training.records.len(), 1);
    // An intent may have its examples in another item.
    let elsewhere = "nlu:\n- intent: a\n- intent: a\n  examples: |\n    - one\n";
    assert_eq!(parse(elsewhere, "f").unwrap().non_records.findings, []);
    let found: Vec<_> = training
        .non_records
        .findings
        .iter()
        .map(|f| (f.code.as_str(), f.place.line.unwrap(), f.message.as_str(), f.help.as_str()))
        .collect();
    let none = "write examples below `examples`, or remove the intent";
    assert_eq!(
        found,
        [
            ("BOT-2234", 2, "the intent `a` has no examples", none),
            ("BOT-2234", 3, "the intent `b` has no examples", none),
            ("BOT-2234", 5, "the intent `c` has no examples", none),
            ("BOT-2234", 7, "the intent `d` has no examples", none),
            (
                "BOT-2233",
                11,
                "`example` of the intent `e` is unknown: it is not read",
                "did you mean `examples`?"
            ),
            (
                "BOT-2166",
                13,
                "`metadata` of the intent `f`: it is not carried over",
                "keep the file it stands in"
            ),
            (
                "BOT-2233",
                14,
                "`notes` of the intent `f` is unknown: it is not read",
                "the keys are `intent`, `examples`, `metadata`"
            ),
            (
                "BOT-2233",
                17,
                "`meta` of an example is unknown: it is not read",
                "did you mean `metadata`?"
            ),
        ]
    );
}

#[test]
fn a_misspelt_key_of_the_file_is_reported_and_those_of_rasa_are_not() {
    let yaml = "version: '3.1'\nnlu:\n- intent: a\n  examples: |\n    - hi\nnlus:\n- intent: bye\n  examples: |\n    - bye\nstories: []\nlookup_tables: []\nzzz: 1\n";
    let findings = parse(yaml, "nlu.yml").unwrap().non_records.findings;
    let unknown: Vec<_> = findings
        .iter()
        .filter(|f| f.code == "BOT-2233")
        .map(|f| {
            (f.place.line.unwrap(), f.message.as_str(), f.help.starts_with("did you mean `nlu`?"))
        })
        .collect();
    let message = |key: &str| format!("`{key}` of the file is unknown: it is not read");
    assert_eq!(unknown, [(7, &*message("nlus"), true), (12, &*message("zzz"), false)]);
}

#[test]
fn a_quoted_text_that_continues_at_the_column_of_its_key_is_read() {
    let yaml = "nlu:\n- intent: a\n  examples:\n  - text: \"hello\n    there\"\n  - \"one\n  two\"\n- intent: b\n  examples:\n  - text: 'three\nfour'\n";
    let training = parse(yaml, "nlu.yml").unwrap();
    let seen: Vec<_> = training.records.iter().map(|r| (r.line, r.text.as_str())).collect();
    assert_eq!(seen, [(4, "hello there"), (6, "one two"), (10, "three four")]);
}

/// Writes `records` and `terms`. Returns them as read back, and the records that were written, by intent.
fn read_back(records: &[Record], terms: &[Term]) -> (Training, Vec<Record>) {
    let mut rasa = RasaWriter::default();
    let kept: Vec<Record> = records
        .iter()
        .filter(|record| rasa.add(record, Place::default()).is_ok())
        .cloned()
        .collect();
    let mut yaml = Vec::new();
    rasa.write(terms, &mut yaml).unwrap();
    let yaml = String::from_utf8(yaml).unwrap();
    let mut order: Vec<Option<String>> = Vec::new();
    for record in &kept {
        if !order.contains(&record.intent) {
            order.push(record.intent.clone());
        }
    }
    let mut kept = kept;
    kept.sort_by_key(|record| order.iter().position(|intent| *intent == record.intent));
    (parse(&yaml, "back.yml").unwrap_or_else(|fault| panic!("{fault:?}:\n{yaml}")), kept)
}

#[test]
fn training_data_is_read_back_unchanged() {
    let training = parse(TRAINING, "nlu.yml").unwrap();
    let (back, kept) = read_back(&training.records, &training.non_records.terms);
    assert_eq!(kept.len(), training.records.len());
    let bare = |records: &[Record]| -> Vec<_> {
        records.iter().map(|r| (r.text.clone(), r.intent.clone(), r.entities.clone())).collect()
    };
    assert_eq!(bare(&back.records), bare(&kept));
    let names = |terms: &[Term]| {
        let mut names: Vec<_> =
            terms.iter().map(|t| (t.kind, t.name.clone(), t.examples.clone())).collect();
        names.sort();
        names
    };
    assert_eq!(names(&back.non_records.terms), names(&training.non_records.terms));
    assert_eq!(back.non_records.findings, []);
}

#[test]
fn records_that_rasa_would_misread_are_left_out_with_a_reason() {
    let record = |text: &str, entities: Vec<EntitySpan>| Record {
        text: text.to_owned(),
        intent: Some("a".to_owned()),
        lang: None,
        entities,
        record: 1,
        line: 2,
        file: None,
    };
    let over = vec![span("x", "ab", 0, 2), span("y", "bc", 1, 3)];
    for (left_out, why) in [
        (record("[a](b)", vec![]), "cannot be written"),
        (record("abc", over), "cannot be written"),
        (record("abc", vec![span("x", "zz", 0, 2)]), "cannot be written"),
        (record("abc", vec![span("x", "ab", 0, 9)]), "cannot be written"),
        (record("a[bc", vec![span("x", "bc", 2, 4)]), "cannot be written"),
        (record(" ", vec![]), "empty"),
        (Record { intent: None, ..record("a", vec![]) }, "no intent"),
    ] {
        let finding = RasaWriter::default().add(&left_out, Place::default()).unwrap_err();
        assert_eq!(finding.code, "BOT-2167");
        assert!(finding.message.contains(why), "{}", finding.message);
    }
}

/// Texts with characters that YAML, annotations or line breaking treat specially.
fn any_text() -> impl Strategy<Value = String> {
    prop::string::string_regex(
        "[a-zé🙂 \\[\\](){}:\"'#&*!|>%@`,?\\-\\\\\n\r\t\u{85}\u{2028}\u{feff}\u{0}\u{7f}]{1,14}",
    )
    .unwrap()
}

proptest! {
    #[test]
    fn any_records_are_read_back_or_left_out(
        rows in prop::collection::vec((any_text(), any_text(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), any_text(), 0..4_u8), 0..8),
        terms in prop::collection::vec((0..3_usize, any_text(), prop::collection::vec(any_text(), 0..3)), 0..3),
    ) {
        let records: Vec<Record> = rows.into_iter().zip(1..).map(|((text, intent, a, b, other, shape), i)| {
            let chars: Vec<char> = text.chars().collect();
            let (a, b) = (a.index(chars.len()), b.index(chars.len()));
            let (start, end) = (a.min(b), a.max(b) + 1);
            let value: String = chars[start..end].iter().collect();
            let entities = match shape {
                0 => vec![],
                1 => vec![span("city", &value, start, end)],
                2 => vec![EntitySpan { role: Some(other.clone()), synonym_of: Some(other), ..span("c", &value, start, end) }],
                _ => vec![span("a", &value, start, end), span(&other, &value, start, end)],
            };
            let intent = Some(intent.trim().to_owned()).filter(|intent| !intent.is_empty());
            Record { text, intent, lang: None, entities, record: i, line: i, file: None }
        }).collect();
        let terms: Vec<Term> = terms.into_iter().map(|(kind, name, examples)| Term {
            kind: TermKind::ALL[kind],
            name: format!("n{}", name.trim()),
            examples,
            place: Place::default(),
        }).collect();
        let (back, kept) = read_back(&records, &terms);
        let bare = |records: &[Record]| -> Vec<_> {
            records.iter().map(|r| (r.text.clone(), r.intent.clone(), r.entities.clone())).collect()
        };
        prop_assert_eq!(bare(&back.records), bare(&kept));
        let named = |terms: &[Term]| -> Vec<_> {
            let mut named: Vec<_> = terms.iter().map(|t| (t.kind, t.name.clone(), t.examples.clone())).collect();
            named.sort();
            named
        };
        prop_assert_eq!(named(&back.non_records.terms), named(&terms));
    }

    #[test]
    fn plain_texts_are_never_left_out(text in "[a-zéA-Z0-9 .,?!'-]{0,20}[a-z]") {
        prop_assert_eq!(compose(&text, &[]), Some(text));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s)(nlu:\n- intent: a\n  examples: \\|\n)?.{0,60}") {
        if let Err(fault) = parse(&text, "x.yml") {
            prop_assert!(matches!(fault.code(), "BOT-2164" | "BOT-2165"));
            prop_assert!(fault.place().file.is_some());
        }
    }
}
