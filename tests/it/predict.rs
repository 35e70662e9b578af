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
fn every_output_holds_the_same_predictions() {
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
    // The output can be classified again.
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
    let output = terminal.run("predict m.botops --data bad.csv --out p.csv");
    assert!(output.starts_with("exit: 3"), "{output}");
    assert!(
        output.contains("BOT-2104") && output.contains("record 200001 (line 200002)"),
        "{output}"
    );
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
    let output = terminal.run("predict m.botops --data train.csv --out p.csv --dry-run");
    assert!(output.starts_with("exit: 0") && output.contains("not written"), "{output}");
    assert!(!terminal.path().join("p.csv").exists());
}

#[test]
fn a_record_without_a_text_is_counted_and_reported() {
    let terminal = trained();
    terminal.write(
        "some.jsonl",
        "{\"text\":\"where is it\"}\n{\"utterance\":\"\"}\n{\"text\":\"  \"}\n{\"text\":\"mail jo@example.com\"}\n",
    );
    let output = terminal.stdout("predict m.botops --data some.jsonl --out p.jsonl");
    assert!(
        output.contains("warning[BOT-7067]") && output.contains("some.jsonl, record 2 (line 2)"),
        "{output}"
    );
    assert!(output.contains("of 4 records, 2 have no text"), "{output}");
    let rows = fs::read_to_string(terminal.path().join("p.jsonl")).unwrap();
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[1]["text"], &rows[1]["fallback"]), (&"".into(), &true.into()));
    assert_eq!(rows[1]["scores"][0]["intent"], rows[1]["intent"]);
    let answer = json(&terminal, "predict m.botops --data some.jsonl --format json");
    assert_eq!(
        (answer["data"]["n"].as_u64(), answer["data"]["n_without_text"].as_u64()),
        (Some(4), Some(2))
    );
    // The printed table has no personal data; the files for programs have the original texts.
    let shown = terminal.stdout("predict m.botops --data some.jsonl");
    assert!(shown.contains("mail [email]") && !shown.contains("jo@"), "{shown}");
    assert_eq!(rows[3]["text"], "mail jo@example.com");
}

#[test]
fn printed_errors_have_no_personal_data() {
    let terminal = trained();
    let data = two_intents(30);
    let mut lines = data.lines();
    let header = lines.next().unwrap();
    // Every text gets the other intent, and an address.
    let intents: Vec<&str> = lines.clone().map(|line| line.rsplit(',').next().unwrap()).collect();
    let other = |intent: &str| *intents.iter().find(|known| **known != intent).unwrap();
    let rows: String = lines
        .map(|line| {
            let (text, intent) = line.rsplit_once(',').unwrap();
            format!("{text} jo@example.com,{}\n", other(intent))
        })
        .collect();
    terminal.write("wrong.csv", format!("{header}\n{rows}"));
    let output = terminal.stdout("evaluate m.botops wrong.csv");
    assert!(output.contains("[email]") && !output.contains("jo@"), "{output}");
    let answer = json(&terminal, "evaluate m.botops wrong.csv --format json");
    assert!(answer["data"].to_string().contains("jo@example.com"));
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
    // Without the data, no nearest records are shown: they are not in the model, unless a run stored the data.
    let alone = json(&terminal, "predict m.botops parcel --explain --format json");
    assert!(alone["data"]["predictions"][0]["explanation"].get("nearest").is_none());
}

#[test]
fn the_nearest_records_come_from_the_run_that_kept_its_data() {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(30));
    terminal.run("train train.csv --out m.botops --record");
    fs::remove_file(terminal.path().join("train.csv")).unwrap();
    let answer = json(&terminal, "predict m.botops parcel --explain --format json");
    let nearest = answer["data"]["predictions"][0]["explanation"]["nearest"].as_array().unwrap();
    assert_eq!(nearest.len(), 5);
}

#[test]
fn a_whole_file_cannot_be_explained() {
    let terminal = trained();
    let output = terminal.run("predict m.botops --data train.csv --explain");
    assert!(output.starts_with("exit: 2") && output.contains("BOT-1003"), "{output}");
}
