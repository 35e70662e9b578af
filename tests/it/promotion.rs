//! `botops promote`: refusals before it starts anything, its dry run, and its environments.

use crate::terminal::{Terminal, two_intents};
use serde_json::{Value, json};

fn traffic() -> String {
    let message = |i: usize| {
        let text = if i.is_multiple_of(2) { "parcel today" } else { "password now" };
        format!(
            "{{\"at\":\"2026-01-05T08:{:02}:{:02}Z\",\"conversation_id\":\"c{i}\",\"text\":\"{text}\"}}\n",
            i / 60,
            i % 60
        )
    };
    (0..300).map(message).collect()
}

/// A registry with two versions, of which the first is champion.
fn two_versions() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30)).write("traffic.jsonl", traffic());
    terminal.write("rules.yaml", "metrics: { accuracy: { min: 0.1 } }\n");
    terminal.stdout("train data.csv --out 1.botops");
    terminal.stdout("train data.csv --out 2.botops --head complement_naive_bayes");
    terminal.stdout("push 1.botops --name bot");
    terminal.stdout("promote bot@1");
    terminal.stdout("push 2.botops --name bot --test data.csv --rules rules.yaml");
    terminal
}

#[test]
fn traffic_that_no_server_would_get_is_refused() {
    let terminal = two_versions();
    let server =
        "version: 1\nserver: { admin_url: \"http://127.0.0.1:9\", admin_token: \"${file:token}\"";
    terminal.write("token", "sesame-open-sesame-open-sesame-open");
    terminal.write("botops.yaml", format!("{server} }}\n"));
    let line = "promote bot@2 --traffic traffic.jsonl";
    let refused = terminal.run(line);
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-6070"), "{refused}");
    assert!(refused.contains("`server.url`"), "{refused}");
    // With a public address the server is asked.
    terminal.write("botops.yaml", format!("{server}, url: \"http://127.0.0.1:9\" }}\n"));
    let asked = terminal.run(line);
    assert!(asked.starts_with("exit: 7\n"), "{asked}");
}

#[test]
fn a_dry_run_of_a_promotion_writes_no_page() {
    let terminal = two_versions();
    let line = "promote bot@2 --traffic traffic.jsonl --html page.html";
    let rehearsed = terminal.run(&format!("{line} --dry-run"));
    assert!(!rehearsed.starts_with("exit: 2\n"), "{rehearsed}");
    assert!(!terminal.path().join("page.html").exists(), "{rehearsed}");
    terminal.run(line);
    assert!(terminal.path().join("page.html").is_file());
}

#[test]
fn a_promotion_in_one_environment_does_not_move_the_champion_of_another() {
    let terminal = two_versions();
    let promoted = terminal.stdout("promote bot@2 --environment staging");
    assert!(promoted.contains("bot@2 is the first champion in staging"), "{promoted}");
    let shown = |line: &str| -> Value {
        let text = terminal.stdout(&format!("{line} --format json"));
        serde_json::from_str::<Value>(&text).unwrap()["data"].clone()
    };
    for (line, number) in [
        ("registry show bot", 1),
        ("registry show bot@production", 1),
        ("registry show bot@staging", 2),
        ("registry show bot --environment staging", 2),
        ("registry show bot@production --environment staging", 1),
    ] {
        assert_eq!(shown(line)["number"], number, "{line}");
    }
    assert_eq!(shown("registry show bot@2")["aliases"], json!(["staging"]));
    let aliases = |at: usize| shown("registry list bot")["versions"][at]["aliases"].clone();
    assert_eq!((aliases(0), aliases(1)), (json!(["champion"]), json!(["staging"])));
    let log = shown("registry log bot --environment staging");
    assert_eq!(log["environment"], "staging");
    let gates = shown("registry show bot@2")["manifest"]["gates"].clone();
    assert!(gates.is_string());
    assert_eq!(log["champions"][0]["moved"]["evidence"], gates);
    assert!(terminal.stdout("registry log bot").contains("champions in production"));

    // The evidence is carried along.
    let carried = terminal.stdout("promote bot@staging --to qa");
    assert!(carried.contains("bot@2 is the first champion in qa"), "{carried}");
    assert_eq!(shown("registry show bot@qa")["number"], 2);
    let again = terminal.stdout("promote bot@staging --to qa");
    assert!(again.contains("bot@2 is the champion already"), "{again}");
    // With a champion, the promotion goes through its canary there.
    let refused = terminal.run("promote bot@staging --to production");
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-8005"), "{refused}");
    assert_eq!(shown("registry show bot")["number"], 1);
    let rolled = terminal.run("rollback bot --environment staging --reason worse");
    assert!(rolled.contains("BOT-5012"), "there is no other champion in staging: {rolled}");
    assert_eq!(shown("registry verify")["problems"], json!([]));

    let alias = terminal.run("registry alias bot staging bot@1 --reason x");
    assert!(alias.starts_with("exit: 2\n") && alias.contains("BOT-5028"), "{alias}");
    for name in ["champion", "../x"] {
        let invalid = terminal.run(&format!("registry list bot --environment {name}"));
        assert!(invalid.starts_with("exit: 2\n") && invalid.contains("BOT-5029"), "{invalid}");
    }
}

#[test]
fn doctor_shows_where_the_environment_comes_from() {
    let terminal = Terminal::new();
    let origin = |line: &str| {
        let text = terminal.stdout(line);
        let line = text.lines().find(|line| line.starts_with("environment")).unwrap().to_owned();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(origin("doctor"), "production default");
    let profiles = "profiles: { blue: { environment: blue } }\n";
    terminal.write("botops.yaml", format!("version: 1\nenvironment: staging\n{profiles}"));
    assert_eq!(origin("doctor"), "staging botops.yaml:2");
    assert_eq!(origin("doctor --profile blue"), "blue profile blue");
    assert_eq!(origin("doctor --environment qa --profile blue"), "qa --environment");
}
