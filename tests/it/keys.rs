//! `botops keys`: a secret is printed once, alone, and never again.

use crate::terminal::Terminal;
use serde_json::Value;
use std::fs;

fn json(terminal: &Terminal, line: &str) -> Value {
    let output = terminal.command(&format!("{line} --format json")).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the text of every file under the registry.
fn stored(terminal: &Terminal) -> String {
    let folder = terminal.path().join("registry/access/production/log");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn a_key_is_made_listed_rotated_and_revoked() {
    let terminal = Terminal::new();
    let create = "keys create --name ci --role operator --expires 90d --reason weekly";
    let dry = terminal.run(&format!("{create} --dry-run"));
    assert!(
        dry.starts_with("exit: 0\n") && dry.contains("(dry run: nothing was changed)"),
        "{dry}"
    );
    assert!(!terminal.path().join("registry").exists());

    let first = terminal.stdout(create);
    assert!(first.starts_with("botops_") && first.lines().count() == 1, "{first}");
    let again = terminal.run(create);
    assert!(again.starts_with("exit: 5\n") && again.contains("BOT-1042"), "{again}");
    let rotated = json(&terminal, "keys rotate ci --grace 1h");
    let second = rotated["data"]["secret"].as_str().unwrap().to_owned();
    assert_ne!(second, first.trim());
    assert_eq!(rotated["schema"], "botops.keys.rotate/1");

    let listed = terminal.run("keys list");
    assert!(listed.contains("active; old secret until 2026-05-28 21:26:40"), "{listed}");
    assert!(listed.contains("emergency, operate, read"), "{listed}");
    assert!(listed.contains("2026-08-26 20:26:40"), "90 days: {listed}");
    let stored = stored(&terminal);
    let named = json(&terminal, "keys list").to_string() + &listed + &stored;
    for secret in [first.trim(), &second] {
        let secret = secret.rsplit_once('_').unwrap().1;
        assert!(!named.contains(secret), "{named}");
    }
    assert!(stored.contains(r#""by":{"kind":"claimed","name":"tester@"#), "{stored}");

    let unknown = terminal.run("keys revoke other --reason lost");
    assert!(unknown.starts_with("exit: 2\n") && unknown.contains("BOT-1043"), "{unknown}");
    let dry = terminal.run("keys revoke ci --reason lost --dry-run");
    assert!(dry.contains("would be revoked"), "{dry}");
    let revoked = terminal.run("keys revoke ci --reason lost");
    assert!(revoked.contains("ci: revoked"), "{revoked}");
    let listed = json(&terminal, "keys list");
    assert_eq!(listed["data"]["keys"][0]["state"], "revoked");
    assert_eq!(listed["data"]["keys"][0]["revoked"]["reason"], "lost");
    let reused = terminal.run(create);
    assert!(reused.contains("existed, and was revoked"), "{reused}");
    assert!(terminal.run("keys list --environment staging").contains("staging has no key"));
}

#[test]
fn mistakes_are_explained_and_nothing_is_written() {
    let terminal = Terminal::new();
    for (line, problem) in [
        ("keys create --name ci", "--role <ROLE>"),
        ("keys create --name ci --role boss", "operator"),
        ("keys create --name ci --role viewer --scopes read", "cannot be used"),
        ("keys create --name ci --scopes read,fly", "approve"),
        ("keys create --name \"a b\" --role viewer", "BOT-1041"),
        ("keys create --name ci --role viewer --expires 0s", "BOT-1041"),
        ("keys create --name ci --role viewer --expires soon", "--expires"),
        ("keys create --name ci --role viewer --environment ../x", "BOT-1041"),
        ("keys rotate ci", "BOT-1043"),
        ("keys revoke ci", "--reason"),
    ] {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2\n") && refused.contains(problem), "{line}: {refused}");
        assert!(!terminal.path().join("registry").exists(), "{line}");
    }
}
