//! Tests of the tagger: learning, decoding, storage, hostile texts.

use super::*;
use botops_dialogue::Entity;
use std::collections::BTreeMap;

/// Returns the span of `value` in `text`.
fn span<'a>(text: &str, entity: &'a str, value: &str) -> Span<'a> {
    let at = text.find(value).unwrap();
    let start = text[..at].chars().count();
    let end = start + value.chars().count();
    Span { entity, start, end, synonym_of: None, role: None, group: None }
}

/// Utterances with order numbers and cities.
fn corpus() -> Vec<(String, Vec<(&'static str, String)>)> {
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

fn learned(spec: &TaggerSpec, seed: u64) -> Tagger {
    let corpus = corpus();
    let annotated: Vec<Annotated<'_>> = corpus
        .iter()
        .map(|(text, spans)| Annotated {
            text,
            spans: spans.iter().map(|(entity, value)| span(text, entity, value)).collect(),
        })
        .collect();
    learn(&annotated, &BTreeMap::new(), spec, seed).unwrap().unwrap()
}

fn tags(tagger: &Tagger, text: &str) -> Vec<(String, String)> {
    let found: Vec<Entity> = tagger.tag(text, &mut TagScratch::default());
    found.into_iter().map(|found| (found.entity, found.value)).collect()
}

#[test]
fn entities_of_unseen_texts_are_found() {
    let tagger = learned(&TaggerSpec::default(), 17);
    let text = "please send order FR-99887 to Berlin";
    let expected = [("number", "FR-99887"), ("city", "Berlin")];
    let expected = expected.map(|(entity, value)| (entity.to_owned(), value.to_owned()));
    assert_eq!(tags(&tagger, text), expected);
    assert_eq!(tags(&tagger, "nothing came"), []);
}
