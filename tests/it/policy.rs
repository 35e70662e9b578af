//! Policies and freezes, as a release manager meets them: weak rules, wrong files, frozen environments, windows.

use crate::terminal::{Terminal, two_intents};

/// The rules of a pusher that any model passes.
const WEAK: &str = "metrics: { accuracy: { min: 0.0 } }\n";

/// A registry with the champion `bot@1`, and `bot@2`: a model of labels that are wrong, pushed with weak rules.
fn weak_challenger() -> Terminal {
    let terminal = Terminal::new();
    let data = two_intents(30);
    let swapped = data
        .replace("order_status", "-")
        .replace("account_help", "order_status")
        .replace(",-", ",account_help");
    terminal.write("data.csv", data).write("swapped.csv", swapped).write("weak.yaml", WEAK);
    terminal.stdout("train data.csv --out 1.botops");
    terminal.stdout("train swapped.csv --out 2.botops");
    terminal.stdout("push 1.botops --name bot");
    terminal.stdout("promote bot@1");
    terminal.stdout("push 2.botops --name bot --test data.csv --rules weak.yaml");
    terminal.write("traffic.jsonl", traffic());
    terminal
}

fn traffic() -> String {
    let message = |i: usize| {
        format!(
            "{{\"at\":\"2026-01-05T08:{:02}:{:02}Z\",\"conversation_id\":\"c{i}\",\"text\":\"parcel today\"}}\n",
            i / 60,
            i % 60
        )
    };
    (0..300).map(message).collect()
}

fn policy(mode: &str) -> String {
    format!("version: 1\nmode: {mode}\ngates:\n  metrics:\n    accuracy: {{ min: 0.85 }}\n")
}

#[test]
fn evidence_with_weak_rules_is_refused_warned_of_or_passed_by_the_mode() {
    let terminal = weak_challenger();
    let promote = "promote bot@2 --traffic traffic.jsonl --dry-run";
    for (mode, exit) in [("off", 0), ("warn", 0), ("enforce", 6)] {
        terminal.write("policy.yaml", policy(mode));
        let checked = terminal.run("policy check bot@2 --file policy.yaml");
        assert!(checked.starts_with(&format!("exit: {exit}\n")), "{mode}: {checked}");
        assert!(checked.contains("accuracy >= 0, measured 0"), "{mode}: {checked}");
        assert!(checked.contains("not in force"), "{checked}");
        let json = terminal.run("policy check bot@2 --file policy.yaml --format json");
        let json = json.replace(' ', "");
        assert!(json.contains(&format!("\"refused\":{}", exit == 6)), "{json}");
        assert!(json.contains("BOT-6050"), "{json}");

        terminal.stdout("policy apply --file policy.yaml --reason weekly");
        let promoted = terminal.run(promote);
        assert_eq!(promoted.starts_with("exit: 6\n"), mode == "enforce", "{mode}: {promoted}");
        assert_eq!(promoted.contains("BOT-6050"), mode != "off", "{mode}: {promoted}");
    }
    // The file is gone, and the policy is in the log.
    std::fs::remove_file(terminal.path().join("policy.yaml")).unwrap();
    assert!(terminal.run(promote).starts_with("exit: 6\n"));
    let explained = terminal.stdout("policy explain");
    assert!(explained.contains("gates.metrics.accuracy.min"), "{explained}");
    assert!(explained.contains("accuracy >= 0.85"), "{explained}");
}

#[test]
fn an_unknown_key_of_a_policy_names_the_line_and_the_nearest_key() {
    let terminal = Terminal::new();
    terminal.write("policy.yaml", "version: 1\nmode: warn\ngate:\n  metrics: {}\n");
    let refused = terminal.run("policy explain --file policy.yaml");
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-1011"), "{refused}");
    assert!(refused.contains("policy.yaml:3") && refused.contains("`gates`"), "{refused}");
    let none = terminal.run("policy explain");
    assert!(none.starts_with("exit: 2\n") && none.contains("BOT-1065"), "{none}");
    terminal.write("policy.yaml", "");
    let empty = terminal.run("policy apply --file policy.yaml");
    assert!(empty.starts_with("exit: 2\n") && empty.contains("is empty"), "{empty}");
    terminal.write("policy.yaml", "version: 1\n");
    let nothing = terminal.stdout("policy apply --file policy.yaml");
    assert!(nothing.contains("warning[BOT-1066]: the policy demands nothing"), "{nothing}");
    terminal.write("staging.yaml", "environment: staging\n");
    let other = terminal.run("policy apply --file staging.yaml");
    assert!(other.starts_with("exit: 2\n") && other.contains("BOT-6057"), "{other}");
    terminal.stdout("policy apply --file staging.yaml --environment staging");
    terminal.write("botops.yaml", "version: 1\nenvironment: staging\npolicy: staging.yaml\n");
    let explained = terminal.stdout("policy explain");
    assert!(explained.contains("in force since"), "{explained}");
}

#[test]
fn a_frozen_environment_refuses_a_promotion_and_says_who_and_why() {
    let terminal = weak_challenger();
    let promote = "promote bot@2 --traffic traffic.jsonl --dry-run";
    let dry = terminal.stdout("freeze --for 12h --reason Christmas --dry-run --actor eve");
    assert!(dry.contains("would be frozen until"), "{dry}");
    assert!(!terminal.run(promote).starts_with("exit: 6\n"), "a dry run freezes nothing");
    terminal.stdout("freeze --for 12h --reason Christmas --actor eve");
    let refused = terminal.run(promote);
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-6051"), "{refused}");
    assert!(
        refused.contains("frozen by `eve` until") && refused.contains("Christmas"),
        "{refused}"
    );
    terminal.write("policy.yaml", "mode: off\n");
    let checked = terminal.run("policy check bot@2 --file policy.yaml");
    assert!(checked.starts_with("exit: 6\n") && checked.contains("frozen by `eve`"), "{checked}");
    terminal.stdout("freeze --reason longer");
    assert!(terminal.run(promote).contains("until somebody ends it: longer"));
    terminal.stdout("unfreeze --reason done");
    assert!(!terminal.run(promote).starts_with("exit: 6\n"));
    let again = terminal.run("unfreeze --reason done");
    assert!(again.starts_with("exit: 5\n") && again.contains("BOT-6054"), "{again}");
    let past = terminal.run("freeze --until 2020-01-01T00:00:00Z --reason late");
    assert!(past.starts_with("exit: 2\n") && past.contains("BOT-6053"), "{past}");
}

#[test]
fn a_promotion_outside_the_windows_is_refused_with_the_next_opening() {
    let terminal = weak_challenger();
    // A window that is closed now: it opens in two days, for a minute.
    let day = chrono::Utc::now() + chrono::TimeDelta::days(2);
    let window = format!("{} 12:00-12:01 UTC", day.format("%a"));
    terminal.write("policy.yaml", format!("windows:\n  - {window}\n"));
    terminal.stdout("policy apply --file policy.yaml");
    let refused = terminal.run("promote bot@2 --traffic traffic.jsonl --dry-run");
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-6052"), "{refused}");
    assert!(refused.contains("are closed until ") && refused.contains(" 12:00 UTC"), "{refused}");
    let checked = terminal.run("policy check bot@2");
    assert!(checked.starts_with("exit: 6\n") && checked.contains("closed until "), "{checked}");
    assert!(checked.contains("refused: the policy does not allow bot@2"), "{checked}");
    let explained = terminal.stdout("policy explain");
    assert!(explained.contains("now: outside the promotion windows"), "{explained}");
}
