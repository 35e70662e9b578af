//! `botops promote`: what it refuses before it starts anything, and its dry run.

use crate::terminal::{Terminal, two_intents};

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
