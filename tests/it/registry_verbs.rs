//! `botops registry yank | deprecate | resolve | diff`, and `botops promote --accept-labels`.

use crate::terminal::{Terminal, two_intents};

/// A registry with two versions, of which the first is champion.
fn two_versions() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("botops.yaml", "version: 1\nmodel: bot\n");
    terminal.write("data.csv", two_intents(30));
    terminal.write("rules.yaml", "metrics: { accuracy: { min: 0.1 } }\n");
    terminal.stdout("train data.csv --out 1.botops");
    terminal.stdout("train data.csv --out 2.botops --head complement_naive_bayes");
    terminal.stdout("push 1.botops --name bot");
    terminal.stdout("promote bot@1");
    terminal.stdout("push 2.botops --name bot --test data.csv --rules rules.yaml");
    terminal
}

fn json(terminal: &Terminal, line: &str) -> serde_json::Value {
    serde_json::from_str(&terminal.stdout(&format!("{line} --format json"))).unwrap()
}

#[test]
fn a_yanked_version_is_refused_and_the_champion_is_not_yanked() {
    let terminal = two_versions();
    let refused = terminal.run("registry yank bot@1 --reason wrong");
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-5023"), "{refused}");
    let dry = terminal.run("registry yank bot@1 --reason wrong --dry-run");
    assert!(dry.starts_with("exit: 6\n"), "{dry}");

    let dry = terminal.stdout("registry yank bot@2 --reason wrong --dry-run");
    assert!(dry.contains("dry run"), "{dry}");
    assert!(!terminal.stdout("registry list bot").contains("yanked"));
    terminal.stdout("registry yank bot@2 --reason \"wrong labels\"");
    assert!(terminal.stdout("registry list bot").contains("yanked"));
    let shown = terminal.run("registry show bot@2");
    assert!(shown.contains("warning[BOT-5024]: bot@2 is yanked: wrong labels"), "{shown}");
    assert!(terminal.stdout("registry log bot").contains("yanked @2"));
    let refused = terminal.run("promote bot@2 --dry-run");
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-5022"), "{refused}");
    assert!(terminal.stdout("registry resolve bot@latest").contains("bot@1 (sha256:"));

    terminal.stdout("registry yank bot@2 --undo --reason sound");
    assert!(!terminal.stdout("registry list bot").contains("yanked"));
    terminal.stdout("registry deprecate bot@2 --reason old");
    let shown = terminal.run("registry show bot@2");
    assert!(shown.contains("warning[BOT-5025]"), "{shown}");
}

#[test]
fn a_reference_is_resolved_now_and_in_the_past() {
    let terminal = two_versions();
    let now = terminal.stdout("registry resolve bot@champion");
    assert!(now.contains("bot@1 (sha256:") && now.contains("since "), "{now}");
    for time in ["2001-01-01T10:00Z", "yesterday", "2999-01-01"] {
        let refused = terminal.run(&format!("registry resolve bot@champion --as-of {time}"));
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-5026"), "{refused}");
    }
}

#[test]
fn a_difference_names_params_and_flips() {
    let terminal = two_versions();
    let found = json(&terminal, "registry diff @1 @2 --data data.csv").to_string();
    for part in ["botops.registry-diff/1", "complement_naive_bayes", "\"mcnemar_p\":"] {
        assert!(found.contains(part), "`{part}` is not in {found}");
    }
    let table = terminal.stdout("registry diff @1 bot@2 --data data.csv");
    assert!(table.contains("\non 60 records: accuracy 1.000"), "{table}");
}

#[test]
fn a_difference_counts_the_records_of_the_training_data() {
    let terminal = two_versions();
    let without = json(&terminal, "registry diff @1 @2");
    let data = &without["data"]["training_data"][0];
    assert!(data["digest"].is_string() && data["records"].is_null(), "no snapshot: {data}");
    assert!(!terminal.stdout("registry diff @1 @2").contains("records"));

    terminal.write("set/data.csv", two_intents(30));
    terminal.stdout("data snapshot set --name bot");
    terminal.write("set/data.csv", two_intents(45));
    terminal.stdout("data snapshot set --name bot");
    terminal.stdout("train set/data.csv --out 3.botops");
    terminal.stdout("push 3.botops --name bot");
    let found = json(&terminal, "registry diff @1 @3");
    let [old, new] = [0, 1].map(|side| &found["data"]["training_data"][side]);
    assert_eq!((&old["file"], &old["records"]), (&"bot@1:data.csv".into(), &60.into()), "{found}");
    assert_eq!((&new["file"], &new["records"]), (&"bot@2:data.csv".into(), &90.into()), "{found}");
    let table = terminal.stdout("registry diff @1 @3");
    let row = |name: &str| table.lines().find(|line| line.contains(name)).unwrap_or("").to_owned();
    assert!(row("records").contains("60") && row("records").contains("90"), "{table}");
    assert!(row("snapshot").contains("bot@1:data.csv"), "{table}");
}

#[test]
fn a_renamed_intent_is_acknowledged() {
    let terminal = two_versions();
    terminal.write("renamed.csv", two_intents(30).replace(",order_status", ",parcels"));
    let message = |i: usize| {
        format!(
            "{{\"at\":\"2026-01-05T08:{:02}:{:02}Z\",\"conversation_id\":\"c{i}\",\"text\":\"parcel today\"}}\n",
            i / 60,
            i % 60
        )
    };
    terminal.write("traffic.jsonl", (0..300).map(message).collect::<String>());
    terminal.stdout("train renamed.csv --out 3.botops");
    terminal.stdout("push 3.botops --name bot --test renamed.csv --rules rules.yaml");
    let line = "promote bot@3 --traffic traffic.jsonl --dry-run";
    let refused = terminal.run(line);
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-5047"), "{refused}");
    assert!(refused.contains("adds `parcels`, and removes `order_status`"), "{refused}");
    let accepted = terminal.run(&format!("{line} --accept-labels"));
    assert!(!accepted.contains("BOT-5047"), "{accepted}");
    let unchanged = terminal.run("promote bot@2 --traffic traffic.jsonl --dry-run");
    assert!(!unchanged.contains("BOT-5047"), "{unchanged}");
}
