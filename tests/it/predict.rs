//! `botops predict`: files in a stream, and explanations.

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;
use std::fs;

fn trained() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(30));
    assert!(terminal.run("train train.csv --out m.botops").starts_with("exit: 0"));
    terminal
}

fn json(terminal: &Terminal, command: &str) -> Value {
    serde_json::from_str(&terminal.stdout(command)).unwrap()
}

#[test]
fn csv_jsonl_and_parquet_say_the_same() {
    let terminal = trained();
    let answer = json(&terminal, "predict m.botops --data train.csv --format json");
    let kept = answer["data"]["predictions"].as_array().unwrap();
    assert_eq!(kept.len(), 60);
    terminal.run("predict m.botops --data train.csv --out p.jsonl");
    terminal.run("predict m.botops --data train.csv --out p.csv");
    let lines = fs::read_to_string(terminal.path().join("p.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, kept);
    let table = fs::read_to_string(terminal.path().join("p.csv")).unwrap();
    assert_eq!(table.lines().next().unwrap(), "record,text,truth,intent,confidence,fallback");
    assert_eq!(table.lines().count(), 61);
    // What was written can be classified in turn: JSONL, too.
    let again = json(&terminal, "predict m.botops --data p.jsonl --format json --top 1");
    assert_eq!(again["data"]["n"], 60);
    assert_eq!(again["data"]["predicted"], answer["data"]["predicted"]);
    let shown = terminal.stdout("predict m.botops --data train.csv");
    assert_eq!(shown.lines().count(), 61, "a header, and a line each");
}

#[test]
fn a_fault_in_the_middle_leaves_no_file() {
    let terminal = trained();
    let mut bytes = b"text\n".to_vec();
    bytes.extend("a fine text\n".repeat(200_000).bytes());
    bytes.extend(b"caf\xe9\n");
    terminal.write("bad.csv", bytes);
    let said = terminal.run("predict m.botops --data bad.csv --out p.csv");
    assert!(said.starts_with("exit: 3"), "{said}");
    assert!(said.contains("BOT-2104") && said.contains("record 200001 (line 200002)"), "{said}");
    let left: Vec<_> = fs::read_dir(terminal.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("p.csv"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let terminal = trained();
    let said = terminal.run("predict m.botops --data train.csv --out p.csv --dry-run");
    assert!(said.starts_with("exit: 0") && said.contains("not written"), "{said}");
    assert!(!terminal.path().join("p.csv").exists());
}

#[test]
fn an_explanation_names_terms_and_the_nearest_records() {
    let terminal = trained();
    let answer =
        json(&terminal, "predict m.botops parcel --explain --data train.csv --format json");
    let explanation = &answer["data"]["predictions"][0]["explanation"];
    assert_eq!(explanation["winner"], answer["data"]["predictions"][0]["intent"]);
    assert!(explanation["terms"].as_array().unwrap().iter().any(|one| one["term"] == "parcel"));
    let nearest = explanation["nearest"].as_array().unwrap();
    assert_eq!(nearest.len(), 5);
    assert!(nearest[0]["text"].as_str().unwrap().contains("parcel"));
    assert_eq!(nearest[0]["line"], nearest[0]["record"].as_u64().unwrap() + 1);
    // Without the data nothing is said of records: they are not in the model.
    let alone = json(&terminal, "predict m.botops parcel --explain --format json");
    assert!(alone["data"]["predictions"][0]["explanation"].get("nearest").is_none());
}

#[test]
fn a_file_as_such_is_not_explained() {
    let terminal = trained();
    let said = terminal.run("predict m.botops --data train.csv --explain");
    assert!(said.starts_with("exit: 2") && said.contains("BOT-1003"), "{said}");
}
