//! Tests of the tagger: learning, decoding, storage, hostile texts.

use super::{decoding::TagScratch, lattice::*, *};
use crate::heads::head::Tensor;
use botops_dialogue::Entity;
use botops_findings::FaultKind;
use botops_stats::random::Random;
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::LazyLock, time::Instant};

/// Returns the span of `value` in `text`.
fn span<'a>(text: &str, entity: &'a str, value: &str) -> Span<'a> {
    let at = text.find(value).unwrap();
    let start = text[..at].chars().count();
    let end = start + value.chars().count();
    Span { entity, start, end, synonym_of: None, role: None, group: None }
}

type Row = (String, Vec<(&'static str, String)>);

/// Utterances with order numbers and cities, and utterances with neither.
fn corpus() -> Vec<Row> {
    let cities = ["Lyon", "Paris", "New York", "Rome", "Oslo", "Zürich"];
    let mut rows = Vec::new();
    for (i, city) in cities.iter().cycle().take(36).enumerate() {
        let number = format!("FR-{}", 10_000 + 37 * i);
        rows.push((
            format!("send order {number} to {city} please"),
            vec![("number", number), ("city", (*city).to_owned())],
        ));
        rows.push((format!("ship it to {city} today"), vec![("city", (*city).to_owned())]));
        rows.push((format!("I paid {i} times and nothing came"), vec![]));
    }
    rows
}

fn annotated(corpus: &[Row]) -> Vec<Annotated<'_>> {
    corpus
        .iter()
        .map(|(text, spans)| Annotated {
            text,
            spans: spans.iter().map(|(entity, value)| span(text, entity, value)).collect(),
        })
        .collect()
}

fn learned(spec: &TaggerSpec, seed: u64) -> Tagger {
    learn(&annotated(&corpus()), &BTreeMap::new(), spec, seed).unwrap().unwrap()
}

static TAGGER: LazyLock<Tagger> = LazyLock::new(|| learned(&TaggerSpec::default(), 17));

fn found(tagger: &Tagger, text: &str) -> Vec<Entity> {
    tagger.tag(text, &mut TagScratch::default())
}

/// Returns kind and value of each entity of `text`.
fn tags(tagger: &Tagger, text: &str) -> Vec<(String, String)> {
    found(tagger, text).into_iter().map(|found| (found.entity, found.value)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(entity, value)| ((*entity).to_owned(), (*value).to_owned())).collect()
}

/// Returns the two parts of a tagger as bytes.
fn stored(tagger: &Tagger) -> (Vec<u8>, Vec<u8>) {
    let (names, tensors) = write(tagger);
    (names, Tensor::to_bytes(&tensors))
}

#[test]
fn entities_of_unseen_texts_are_found() {
    let expected = [("number", "FR-99887"), ("city", "Berlin")];
    assert_eq!(tags(&TAGGER, "please send order FR-99887 to Berlin"), pairs(&expected));
    assert_eq!(tags(&TAGGER, "nothing came"), []);
    let kinds: Vec<_> = TAGGER.kinds().iter().map(|k| (k.entity.as_str(), k.n_spans)).collect();
    assert_eq!(kinds, [("city", 72), ("number", 36)]);
    assert!(TAGGER.finds("city") && !TAGGER.finds("date"));
}

#[test]
fn offsets_are_code_points_whatever_the_form_of_the_letters() {
    for (text, value, start) in [
        ("é é ship it to Zürich today", "Zürich", 15),
        ("e\u{301} é ship it to Zu\u{308}rich today", "Zu\u{308}rich", 16),
        ("ship it to \u{200f}Zü\u{ad}rich today", "Zü\u{ad}rich", 12),
        ("👍🏽 ship it to Paris", "Paris", 14),
    ] {
        let entities = found(&TAGGER, text);
        assert_eq!(entities.len(), 1, "{text:?}: {entities:?}");
        let end = start + value.chars().count();
        assert_eq!(entities[0], Entity::new("city", value, start, end), "{text:?}");
    }
}

#[test]
fn roles_groups_and_synonyms_are_learned() {
    let towns = ["Lyon", "Paris", "Nice", "Brest", "Lille"];
    let mut rows = Vec::new();
    for from in towns {
        for to in towns {
            rows.push((format!("a train from {from} to {to} tomorrow"), from, to));
        }
    }
    let annotated: Vec<Annotated<'_>> = rows
        .iter()
        .map(|(text, from, to)| {
            let start = text.find(" to ").unwrap() + 4;
            let end = start + to.len();
            let canonical = (*from == "Paris").then_some("Paris (75)");
            Annotated {
                text,
                spans: vec![
                    Span { role: Some("from"), synonym_of: canonical, ..span(text, "city", from) },
                    Span {
                        role: Some("to"),
                        group: Some("1"),
                        start,
                        end,
                        ..span(text, "city", to)
                    },
                ],
            }
        })
        .collect();
    let tagger = learn(&annotated, &BTreeMap::new(), &TaggerSpec::default(), 1).unwrap().unwrap();
    let entities = found(&tagger, "from PARIS to Bordeaux");
    let expected = [
        Entity {
            role: Some("from".to_owned()),
            normalised: Some("Paris (75)".into()),
            ..Entity::new("city", "PARIS", 5, 10)
        },
        Entity {
            role: Some("to".to_owned()),
            group: Some("1".to_owned()),
            ..Entity::new("city", "Bordeaux", 14, 22)
        },
    ];
    assert_eq!(entities, expected);
    let (names, tensors) = stored(&tagger);
    assert!(read(&names, &tensors).unwrap() == tagger);
}

#[test]
fn names_of_a_lookup_list_are_told_from_other_words() {
    let cities = ["lyon", "paris", "new york", "rome", "las vegas", "nice", "el paso", "brest"];
    let others = ["figs", "tea", "old music", "rain", "soup", "noise", "lemons", "bread"];
    let text = |name: &str| format!("i love {name} a lot");
    let frames = ["i love _ a lot", "talk about _ please", "give me _ now", "_ again"];
    let in_frames = |names: [&str; 8]| -> Vec<String> {
        let frames = frames.iter();
        frames.flat_map(|frame| names.map(|name| frame.replace('_', name))).collect()
    };
    let texts = [in_frames(cities), in_frames(others)].concat();
    let annotated: Vec<Annotated<'_>> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| Annotated {
            text,
            spans: match i < 32 {
                true => vec![span(text, "city", cities[i % 8])],
                false => Vec::new(),
            },
        })
        .collect();
    let mut listed = cities.map(str::to_owned).to_vec();
    listed.extend(["nova goa".to_owned(), "bern".to_owned()]);
    let lists = BTreeMap::from([("city".to_owned(), listed)]);
    let with = learn(&annotated, &lists, &TaggerSpec::default(), 17).unwrap().unwrap();
    let without = learn(&annotated, &BTreeMap::new(), &TaggerSpec::default(), 17).unwrap().unwrap();
    assert_eq!(tags(&without, &text("bern")), []);
    assert_eq!(tags(&with, &text("bern")), pairs(&[("city", "bern")]));
    assert_eq!(tags(&with, &text("beer")), []);
    let (names, tensors) = stored(&with);
    let again = read(&names, &tensors).unwrap();
    assert!(again == with);
    assert_eq!(tags(&again, &text("bern")), pairs(&[("city", "bern")]));
}

#[test]
fn entries_of_several_words_are_matched_whole() {
    let lists = BTreeMap::from([
        ("a".to_owned(), vec!["New  York".to_owned(), String::new(), "york".to_owned()]),
        ("b".to_owned(), vec!["new york".to_owned(), "one ".repeat(9)]),
    ]);
    let gazetteer = sentences::gazetteer(&lists);
    let (mut tokens, mut words, mut found) = (Vec::new(), attributes::Words::default(), Vec::new());
    let text = "NEW york, new Yorker one one one one one one one one one";
    tokens::tokenise(text, &mut tokens);
    words.read(text, &tokens);
    gazetteer.find(words.hashes(), &mut found);
    let found: Vec<_> = found.iter().map(|f| (f.token, f.list, f.first)).collect();
    let expected = [(0, 0, true), (0, 1, true), (1, 0, false), (1, 0, true), (1, 1, false)];
    assert_eq!(found, expected);
}

#[test]
fn the_seed_decides_and_the_number_of_threads_does_not() {
    let bytes = |threads: usize, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| stored(&learned(&TaggerSpec::default(), seed)))
    };
    let first = bytes(1, 17);
    assert!(first == bytes(4, 17));
    assert!(first == stored(&TAGGER));
    assert!(first != bytes(1, 18));
}

#[test]
fn what_cannot_be_learned_is_left_out_or_refused() {
    let corpus = corpus();
    let annotated = annotated(&corpus);
    let learn_with = |spec: &TaggerSpec| learn(&annotated, &BTreeMap::new(), spec, 17);
    let never = TaggerSpec { learn: LearnEntities::Never, ..TaggerSpec::default() };
    assert!(learn_with(&never).unwrap().is_none());
    // Only cities have as many spans.
    let many = TaggerSpec { min_examples: 40, ..TaggerSpec::default() };
    let tagger = learn_with(&many).unwrap().unwrap();
    assert_eq!(tagger.kinds().len(), 1);
    assert_eq!(tags(&tagger, "send order FR-99887 to Berlin"), pairs(&[("city", "Berlin")]));
    let more = TaggerSpec { min_examples: 73, ..TaggerSpec::default() };
    assert!(learn_with(&more).unwrap().is_none());
    let always = TaggerSpec { learn: LearnEntities::Always, ..more };
    let fault = learn_with(&always).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-1140", FaultKind::Insufficient));

    let roles: Vec<String> = (0..257).map(|i| i.to_string()).collect();
    let numbered: Vec<Annotated<'_>> = roles
        .iter()
        .map(|role| Annotated {
            text: "to Lyon",
            spans: vec![Span { role: Some(role), ..span("to Lyon", "city", "Lyon") }],
        })
        .collect();
    let fault = learn(&numbered, &BTreeMap::new(), &TaggerSpec::default(), 17).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-1141", FaultKind::Gate));
}

#[test]
fn spans_inside_words_and_overlapping_spans_have_problems() {
    let text = "to New York now";
    let at = |start, end| Span { start, end, ..span(text, "city", "New York") };
    for (spans, expected) in [
        (vec![at(3, 11)], vec![]),
        (vec![at(2, 12)], vec![]),
        (vec![at(3, 6), at(3, 11)], vec![(0, SpanProblem::Overlaps)]),
        (vec![at(3, 6), at(3, 6)], vec![(1, SpanProblem::Overlaps)]),
        (vec![at(3, 10)], vec![(0, SpanProblem::Borders)]),
        (vec![at(4, 11)], vec![(0, SpanProblem::Borders)]),
        (vec![at(2, 3)], vec![(0, SpanProblem::Borders)]),
        (vec![at(6, 3)], vec![(0, SpanProblem::Borders)]),
        (vec![at(90, 99)], vec![(0, SpanProblem::Borders)]),
        (vec![at(0, usize::MAX)], vec![]),
    ] {
        assert_eq!(span_problems(text, &spans), expected, "{spans:?}");
    }
}

/// The probabilities of all label sequences of a lattice, by enumeration.
#[test]
fn the_loss_and_its_gradient_are_those_of_all_sequences() {
    const N: usize = 3;
    let n_labels = labels::n_labels(2);
    let mut random = Random::new(3);
    let mut draw = |n: usize| (0..n).map(|_| 4.0 * random.unit() as f32 - 2.0).collect::<Vec<_>>();
    let (scores, first, between) = (draw(N * n_labels), draw(n_labels), draw(n_labels * n_labels));
    let gold = [1_u16, 2, 0];
    let mut transitions = Transitions::new(n_labels);
    transitions.set(&first, &between);
    let mut lattice = Lattice::default();
    let loss = lattice.read(&scores, &gold, &transitions).unwrap();
    let mut delta = vec![0.0; N * n_labels];
    let (mut d_first, mut d_between) = (vec![0.0; n_labels], vec![0.0; n_labels * n_labels]);
    lattice.gradient(&gold, &transitions, &mut delta, (&mut d_first, &mut d_between));

    let may_follow = |label: usize, past: usize| labels::before(label, n_labels).contains(&past);
    let weight = |path: [usize; N]| -> f64 {
        let mut sum = f64::from(first[path[0]]);
        for i in 0..N {
            sum += f64::from(scores[i * n_labels + path[i]]);
            if i > 0 {
                sum += f64::from(between[path[i] * n_labels + path[i - 1]]);
            }
        }
        sum.exp()
    };
    let mut paths = Vec::new();
    for a in (0..n_labels).filter(|a| !labels::is_inside(*a)) {
        for b in (0..n_labels).filter(|b| may_follow(*b, a)) {
            paths.extend((0..n_labels).filter(|c| may_follow(*c, b)).map(|c| [a, b, c]));
        }
    }
    let total: f64 = paths.iter().map(|path| weight(*path)).sum();
    let expected = total.ln() - weight(gold.map(usize::from)).ln();
    assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
    for i in 0..N {
        for label in 0..n_labels {
            let with: f64 = paths.iter().filter(|p| p[i] == label).map(|p| weight(*p)).sum();
            let is_gold = f64::from(u8::from(usize::from(gold[i]) == label));
            let expected = with / total - is_gold;
            assert!((f64::from(delta[i * n_labels + label]) - expected).abs() < 1e-5);
        }
    }
    for (at, d) in d_between.iter().enumerate() {
        let (later, past) = (at / n_labels, at % n_labels);
        let expected: f64 = (1..N)
            .map(|i| {
                let with = paths.iter().filter(|p| p[i] == later && p[i - 1] == past);
                let share = with.map(|p| weight(*p)).sum::<f64>() / total;
                let pair = (usize::from(gold[i]), usize::from(gold[i - 1]));
                share - f64::from(u8::from(pair == (later, past)))
            })
            .sum();
        assert!((d - expected).abs() < 1e-5, "{later} after {past}: {d} {expected}");
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    let mut scratch = TagScratch::default();
    let texts = [
        "a".repeat(5_000),
        "a ".repeat(2_500),
        "e\u{301}\u{301}\u{301}".repeat(1_250),
        "\u{202e}كم سعر\u{200f} ".repeat(500),
        "\u{200b}".repeat(5_000),
        "\u{fdfa}".repeat(5_000),
        "to Lyon FR-1 ".repeat(400),
        "👨\u{200d}👩\u{200d}👧".repeat(1_000),
        "去北京".repeat(1_600),
        "\0\r\n\t\u{7f}".repeat(1_000),
    ];
    for text in texts {
        let began = Instant::now();
        for entity in TAGGER.tag(&text, &mut scratch) {
            let chars = text.chars().skip(entity.start).take(entity.end - entity.start);
            assert_eq!(chars.collect::<String>(), entity.value);
        }
        // Without optimisation; a quadratic search would take minutes.
        assert!(began.elapsed().as_secs() < 5, "{:?}", &text[..text.floor_char_boundary(20)]);
    }
}

#[test]
fn parts_that_do_not_fit_each_other_are_refused() {
    let (names, tensors) = write(&TAGGER);
    let whole = Tensor::to_bytes(&tensors);
    assert!(read(&names, &whole).is_ok());
    let without = |name: &str| -> Vec<u8> {
        let kept = tensors.iter().filter(|tensor| tensor.name() != name).cloned();
        Tensor::to_bytes(&kept.collect::<Vec<_>>())
    };
    for name in ["bias", "first", "transitions", "keys", "ends", "codes", "weights"] {
        assert_eq!(read(&names, &without(name)).unwrap_err().code(), "BOT-7003", "{name}");
    }
    let with = |changed: Tensor| -> Vec<u8> {
        let other = |tensor: &Tensor| match tensor.name() == changed.name() {
            true => changed.clone(),
            false => tensor.clone(),
        };
        Tensor::to_bytes(&tensors.iter().map(other).collect::<Vec<_>>())
    };
    let integers = |name: &str| Tensor::integers(&tensors, name).unwrap().to_vec();
    let mut keys = integers("keys");
    keys.swap(1, 3);
    let mut ends = integers("ends");
    ends[0] = u32::MAX;
    let mut codes = integers("codes");
    codes[0] = u32::MAX;
    let n = TAGGER.n_weights();
    for (name, bytes) in [
        ("keys out of order", with(Tensor::of_integers("keys", keys))),
        ("half a key", with(Tensor::of_integers("keys", integers("keys")[1..].to_vec()))),
        ("an end beyond the weights", with(Tensor::of_integers("ends", ends))),
        ("a code beyond the labels", with(Tensor::of_integers("codes", codes))),
        ("too few codes", with(Tensor::of_integers("codes", integers("codes")[1..].to_vec()))),
        ("not a number", with(Tensor::of_floats("weights", vec![n], vec![f32::NAN; n]))),
        ("too few weights", with(Tensor::of_floats("weights", vec![1], vec![0.0]))),
    ] {
        assert_eq!(read(&names, &bytes).unwrap_err().code(), "BOT-7003", "{name}");
    }
    for changed in [
        r#"{"tags":[],"kinds":[]}"#,
        r#"{"tags":[{"entity":"b"},{"entity":"a"}],"kinds":[{"entity":"a","n_spans":1},{"entity":"b","n_spans":1}]}"#,
        r#"{"tags":[{"entity":"a"}],"kinds":[]}"#,
        r#"{"tags":[{"entity":"a"}],"kinds":[{"entity":"a","n_spans":1}]}"#,
        r#"{"tags":1}"#,
        "",
    ] {
        assert_eq!(read(changed.as_bytes(), &whole).unwrap_err().code(), "BOT-7003", "{changed}");
    }
}

proptest! {
    #[test]
    fn entities_are_in_order_and_give_their_values(text in "\\PC{0,40}|.{0,40}|(to|order|FR-[0-9]{1,6}|Lyon|New York|é|e\u{301}|\u{200b}|\u{5d0}|[ ,.]){0,16}") {
        let mut scratch = TagScratch::default();
        let entities = TAGGER.tag(&text, &mut scratch);
        let mut end = 0;
        for entity in &entities {
            prop_assert!(entity.start >= end && entity.end > entity.start);
            end = entity.end;
            let chars = text.chars().skip(entity.start).take(entity.end - entity.start);
            prop_assert_eq!(&chars.collect::<String>(), &entity.value);
        }
        // The working memory of another text changes nothing.
        TAGGER.tag("send order FR-1 to Lyon", &mut scratch);
        prop_assert_eq!(TAGGER.tag(&text, &mut scratch), entities);
    }

    #[test]
    fn a_damaged_part_is_refused_or_harmless(
        in_names in any::<bool>(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let (mut names, mut tensors) = stored(&TAGGER);
        let part = if in_names { &mut names } else { &mut tensors };
        let at = at.index(part.len());
        match cut {
            true => part.truncate(at),
            false => part[at] = value,
        }
        if let Ok(tagger) = read(&names, &tensors) {
            found(&tagger, "send order FR-99887 to Berlin, Zürich");
        }
    }

    #[test]
    fn a_span_over_tokens_is_found_in_the_tokens_that_it_covers(
        words in prop::collection::vec("[a-z]{1,4}|[0-9]{1,3}|é", 1..8),
        a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>(),
    ) {
        let (a, b) = (a.index(words.len()), b.index(words.len()));
        let (a, b) = (a.min(b), a.max(b));
        let text = words.join(" ");
        let start = words[..a].iter().map(|word| word.chars().count() + 1).sum();
        let end = start + words[a..=b].join(" ").chars().count();
        let span = Span { entity: "x", start, end, synonym_of: None, role: None, group: None };
        prop_assert_eq!(span_problems(&text, &[span]), []);
    }
}
