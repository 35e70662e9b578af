//! The settings of answers from documents.

use crate::{AnswerMode, FILE_NAME, Overrides, Workspace};
use botops_findings::{Fault, FaultKind};
use std::{collections::BTreeMap, fs, time::Duration};

fn found(yaml: &str, profile: Option<&str>) -> Result<Workspace, Fault> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE_NAME), yaml).unwrap();
    let environment = BTreeMap::from([("LLM_KEY".to_owned(), "sk-invented".to_owned())]);
    let profile = profile.map(str::to_owned);
    let overrides = Overrides { profile, flags: Vec::new(), environment };
    Workspace::discover(folder.path(), &overrides)
}

const WHOLE: &str = "knowledge:
  answer: generated
  min_confidence: 0.4
  top_k: 8
  generation:
    url: https://llm.example.com/v1/
    model: small
    key: ${env:LLM_KEY}
    rules: Be brief.
    timeout: 20s
    first_token_timeout: 1500ms
    max_tokens: 300
    stream: false
    budget: {tokens_per_day: 100000, cost_per_day: 2.5}
    price: {input_per_million: 0.5, output_per_million: 1.5}
  access:
    shop: [customers, staff]
profiles:
  plain:
    knowledge: {top_k: 2}
";

#[test]
fn without_the_block_answers_are_quotes() {
    let knowledge = found("model: m\n", None).unwrap().knowledge;
    assert_eq!(knowledge.value.answer, AnswerMode::Extractive);
    assert_eq!((knowledge.value.top_k, knowledge.value.generation), (5, None));
    assert_eq!(knowledge.origin, crate::Origin::Default);
}

#[test]
fn every_key_is_read_and_the_block_of_a_profile_replaces_it() {
    let workspace = found(WHOLE, None).unwrap();
    let knowledge = &workspace.knowledge.value;
    assert_eq!(knowledge.answer, AnswerMode::Generated);
    assert_eq!((knowledge.min_confidence, knowledge.top_k), (Some(0.4), 8));
    assert!(knowledge.access["shop"].contains("staff"));
    let generation = knowledge.generation.as_ref().unwrap();
    assert_eq!(generation.url, "https://llm.example.com/v1");
    assert_eq!(generation.rules, "Be brief.");
    assert_eq!(generation.first_token_timeout, Duration::from_millis(1_500));
    assert_eq!((generation.max_tokens, generation.retries, generation.stream), (300, 2, false));
    assert_eq!(generation.budget.tokens_per_day, Some(100_000));
    let key = generation.key.0.resolve().unwrap().unwrap();
    assert_eq!(key.expose(), "sk-invented");
    let shown = format!("{workspace:?}") + &serde_json::to_string(&workspace).unwrap();
    assert!(!shown.contains("sk-invented"), "{shown}");
    let of_profile = found(WHOLE, Some("plain")).unwrap().knowledge.value;
    assert_eq!((of_profile.answer, of_profile.top_k), (AnswerMode::Extractive, 2));
}

#[test]
fn unfit_values_are_refused_with_their_key_and_a_remedy() {
    let generation = |rest: &str| {
        format!("knowledge:\n  generation:\n    url: https://llm.example.com\n    model: m\n{rest}")
    };
    let cases = [
        ("knowledge: {min_confidence: 1.5}".to_owned(), "BOT-1012", "min_confidence"),
        ("knowledge: {top_k: 0}".to_owned(), "BOT-1012", "top_k"),
        ("knowledge: {answer: generated}".to_owned(), "BOT-1012", "generation"),
        (generation(&format!("    rules: {}", "é".repeat(8_001))), "BOT-1012", "rules"),
        (generation("    timeout: 0s"), "BOT-1012", "timeout"),
        (generation("    max_tokens: 0"), "BOT-1012", "max_tokens"),
        (generation("    retries: 9"), "BOT-1012", "retries"),
        (generation("    budget: {cost_per_day: 1}"), "BOT-1012", "price"),
        (
            generation("    price: {input_per_million: -1, output_per_million: 1}"),
            "BOT-1012",
            "input_per_million",
        ),
        (generation("    key: sk-written-out"), "BOT-1021", "key"),
        (WHOLE.replace("https://llm", "ftp://llm"), "BOT-1022", "url"),
        (WHOLE.replace("https://llm", "https://me:secret-word@llm"), "BOT-1022", "url"),
    ];
    for (yaml, code, named) in cases {
        let fault = found(&yaml, None).unwrap_err();
        let text = format!("{fault} {:?} {:?}", fault.place(), fault.hints());
        assert_eq!((fault.code(), fault.kind()), (code, FaultKind::Usage), "{text}");
        assert!(text.contains(named), "{text}");
        assert!(!fault.hints().is_empty(), "{text}");
        assert!(!text.contains("secret-word") && !text.contains("sk-written-out"), "{text}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let cases = [
        ("knowledge: {top: 3}", "top_k"),
        ("knowledge: {answer: generate}", "generated"),
        ("knowledge: {generation: {url: 'https://a.example', model: m, modle: n}}", "model"),
    ];
    for (yaml, nearest) in cases {
        let fault = found(yaml, None).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Usage, "{fault}");
        let hints = fault.hints().join(" ");
        assert!(hints.contains(nearest), "{fault}: {hints}");
    }
}
