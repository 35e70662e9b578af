//! `botops conversations` and `botops db`: what a server stored is listed, shown, exported and erased.

use crate::terminal::Terminal;
use botops_conversations::{Conversations, DataKeys, Head, Location, Names, Turn};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

/// The key under which [`stored`] names conversations.
pub(crate) const IDENTITY_KEY: &str = "0123456789abcdef0123456789abcdef";
const DATA_KEY: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW_DATA_KEY: &str = "k2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Stores turns as a server does: two conversations of alice and one of bob.
fn stored(terminal: &Terminal) {
    stored_with(terminal, Some(DataKeys::parse(DATA_KEY).unwrap()));
}

/// Like [`stored`]; the texts are sealed if there are `keys`.
pub(crate) fn stored_with(terminal: &Terminal, keys: Option<DataKeys>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let location = Location::parse(".botops/conversations", terminal.path()).unwrap();
        let store = location.open(true).await.unwrap();
        let names = Names::new(IDENTITY_KEY.as_bytes(), None);
        let of = Conversations::new(store, names, keys);
        for (id, user, text) in [
            ("c1", "alice", "where is my order"),
            ("c2", "alice", "refund me"),
            ("c3", "bob", "good morning"),
        ] {
            let turn = Turn {
                text: text.to_owned(),
                answer: json!({"response": "One moment."}).to_string(),
                intent: Some("order_status".to_owned()),
                ..Turn::default()
            };
            let named = of.named(id, Some(user));
            of.append(&named, &Head::default(), (&turn, false, 1_780_000_000_000)).await.unwrap();
        }
    });
}

fn command(terminal: &Terminal, line: &str, data_key: &str) -> Command {
    let mut command = terminal.command(line);
    command.env("BOTOPS_IDENTITY_KEY", IDENTITY_KEY).env("BOTOPS_DATA_KEY", data_key);
    command
}

fn run(terminal: &Terminal, line: &str) -> String {
    terminal.show(&mut command(terminal, line, DATA_KEY))
}

fn data(terminal: &Terminal, line: &str) -> Value {
    let output = command(terminal, &format!("{line} --format json"), DATA_KEY).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    answer["data"].clone()
}

#[test]
fn conversations_are_listed_shown_exported_and_forgotten() {
    let terminal = Terminal::new();
    let nothing = run(&terminal, "conversations list");
    assert!(nothing.starts_with("exit: 2\n") && nothing.contains("BOT-6126"), "{nothing}");
    assert!(!terminal.path().join(".botops").exists(), "a list makes nothing");
    stored(&terminal);
    let listed = data(&terminal, "conversations list");
    assert_eq!(listed["conversations"].as_array().unwrap().len(), 3);
    let text = listed.to_string();
    assert!(!text.contains("alice") && !text.contains("\"c1\""), "names are HMACs: {text}");
    let shown = run(&terminal, "conversations show c1");
    assert!(shown.contains("where is my order") && shown.contains("One moment."), "{shown}");
    let name = listed["conversations"][0]["conversation"].as_str().unwrap();
    let by_name = run(&terminal, &format!("conversations show {name}"));
    assert!(by_name.starts_with("exit: 0\n") && by_name.contains("1 turn"), "{by_name}");

    let exported = run(&terminal, "conversations export --person alice --out alice.jsonl");
    assert!(exported.contains("wrote 2 turns of 2 conversations"), "{exported}");
    let lines = fs::read_to_string(terminal.path().join("alice.jsonl")).unwrap();
    let mode = fs::metadata(terminal.path().join("alice.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "texts of a person are for their reader alone");
    let texts: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[0]["answer"]["response"], "One moment.");

    let forget = "conversations forget --person alice --reason \"she asked\"";
    let dry = run(&terminal, &format!("{forget} --dry-run"));
    assert!(dry.contains("2 turns of 2 conversations would be erased (dry run)"), "{dry}");
    assert!(!terminal.path().join("registry").exists(), "a dry run writes nothing");
    let forgotten = data(&terminal, forget);
    assert_eq!((&forgotten["turns"], &forgotten["keys"]), (&json!(2), &json!(2)));
    let again = run(&terminal, forget);
    assert!(again.starts_with("exit: 2\n") && again.contains("BOT-6126"), "{again}");
    let bob = run(&terminal, "conversations show --person bob");
    assert!(bob.contains("good morning"), "{bob}");
    let log = terminal.path().join("registry/erasures/log");
    let entries: Vec<_> = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 2, "begun and done");
    for entry in entries {
        let text = fs::read_to_string(entry).unwrap();
        assert!(text.contains("she asked") && !text.contains("alice"), "{text}");
    }
}

#[test]
fn a_data_key_is_replaced_and_never_printed() {
    let terminal = Terminal::new();
    stored(&terminal);
    let both = format!("{NEW_DATA_KEY},{DATA_KEY}");
    let with = |line: &str, key: &str| terminal.show(&mut command(&terminal, line, key));
    let missing = with("conversations show c1", NEW_DATA_KEY);
    assert!(missing.starts_with("exit: 2\n") && missing.contains("BOT-6117"), "{missing}");
    let dry = with("conversations rewrap --dry-run", &both);
    assert!(dry.contains("3 keys or more would be wrapped by `k2`"), "{dry}");
    let wrapped = with("conversations rewrap", &both);
    assert!(wrapped.contains("3 keys wrapped by `k2`"), "{wrapped}");
    let shown = with("conversations show c1", NEW_DATA_KEY);
    assert!(shown.contains("where is my order"), "{shown}");
    let doctor = with("doctor", &both);
    for text in [missing, dry, wrapped, doctor] {
        assert!(!text.contains("AAAAAAAAAA") && !text.contains("AQEBAQEB"), "{text}");
    }
}

#[test]
fn tables_are_migrated_and_taken_back() {
    let terminal = Terminal::new();
    let status = data(&terminal, "db status");
    assert_eq!((&status["version"], &status["newest"]), (&json!(0), &json!(1)));
    let dry = run(&terminal, "db migrate --dry-run");
    assert!(dry.contains("version 0 of 1; would apply: 1 turns"), "{dry}");
    assert!(!terminal.path().join(".botops").exists());
    assert!(run(&terminal, "db migrate").contains("version 1 of 1; applied: 1 turns"));
    assert!(run(&terminal, "db migrate").contains("nothing to do"));
    stored(&terminal);
    let refused = run(&terminal, "db rollback --to 0");
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-6127"), "{refused}");
    let back = run(&terminal, "db rollback --to 0 --force");
    assert!(back.contains("took back: 1 turns; 3 turns go with the tables"), "{back}");
    assert_eq!(data(&terminal, "db status")["version"], 0);
    terminal.write("botops.yaml", "conversations: {store: 'redis://127.0.0.1:1/0'}\n");
    let redis = run(&terminal, "db status");
    assert!(redis.starts_with("exit: 2\n") && redis.contains("BOT-6115"), "{redis}");
    terminal.write("botops.yaml", "conversations: {store: 'postgres://b:hunter2@db/chat'}\n");
    let secret = run(&terminal, "db status");
    assert!(secret.contains("BOT-1021") && !secret.contains("hunter2"), "{secret}");
}
