//! `botops registry gc | mirror | forget | verify --repair`, as a user sees them, and killed by the system.

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

/// A registry with a champion, a second version, a snapshot of the data and the runs of both.
fn stored() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("botops.yaml", "version: 1\nmodel: bot\n");
    let data =
        format!("{}please send the invoice to Erika Mustermann,account_help\n", two_intents(30));
    terminal.write("data.csv", data);
    terminal.write("rules.yaml", "metrics: { accuracy: { min: 0.1 } }\n");
    terminal.stdout("data snapshot data.csv --name bot --reason first");
    terminal.stdout("train data.csv --out 1.botops --record");
    terminal.stdout("push 1.botops --name bot");
    terminal.stdout("promote bot@1");
    terminal.stdout("train data.csv --out 2.botops --head complement_naive_bayes");
    terminal.stdout("push 2.botops --name bot --test data.csv --rules rules.yaml");
    terminal
}

fn json(terminal: &Terminal, line: &str) -> Value {
    let shown = terminal.command(&format!("{line} --format json")).output().unwrap();
    serde_json::from_slice(&shown.stdout).unwrap()
}

/// Returns the files under `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Writes `n` blobs that nothing names.
fn litter(terminal: &Terminal, n: usize) {
    for n in 0..n {
        let bytes = format!("garbage {n}");
        let hex = botops_digest::Digest::of(bytes.as_bytes()).hex();
        terminal.write(&format!("registry/blobs/sha256/{}/{hex}", &hex[..2]), bytes);
    }
}

#[test]
fn a_sweep_is_planned_then_carried_out() {
    let terminal = stored();
    let before = files(&terminal.path().join("registry/blobs"));
    litter(&terminal, 3);
    let young = json(&terminal, "registry gc");
    assert_eq!(
        (&young["data"]["blobs_young"], young["data"]["blobs"].as_array().unwrap().len()),
        (&3.into(), 0)
    );
    terminal.stdout("registry gc --grace 0s --plan plan.json");
    let dry = json(&terminal, "registry gc --apply plan.json --dry-run");
    assert_eq!(dry["data"]["blobs"].as_array().unwrap().len(), 3);
    assert!(
        dry["data"]["swept"].is_null() && dry["next"][0] == "botops registry gc --apply plan.json",
        "{dry}"
    );
    assert_eq!(files(&terminal.path().join("registry/blobs")).len(), before.len() + 3);

    let applied = terminal.stdout("registry gc --apply plan.json --reason monthly");
    assert!(applied.starts_with("removed: 3 blobs, 27 bytes, in "), "{applied}");
    assert_eq!(files(&terminal.path().join("registry/blobs")), before);
    let logged = files(&terminal.path().join("registry/gc/log"));
    let first: Value = serde_json::from_slice(&fs::read(&logged[0]).unwrap()).unwrap();
    assert_eq!(first["payload"]["reason"], "monthly");
    assert_eq!(logged.len(), 3);
    terminal.stdout("registry verify");

    terminal.write("plan.json", "{}");
    let refused = terminal.run("registry gc --apply plan.json");
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-5137"), "{refused}");
    terminal.write("registry/strange/x.json", "{}");
    let refused = terminal.run("registry gc");
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-5135"), "{refused}");
}

#[test]
fn a_sweep_that_is_killed_by_the_system_is_continued() {
    let terminal = stored();
    let before = files(&terminal.path().join("registry/blobs"));
    litter(&terminal, 1_200);
    let mut killed = 0;
    for pause in (0..40).map(|n| Duration::from_millis(25 * n)) {
        let mut sweep = terminal
            .command("registry gc --apply --grace 0s")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(pause);
        sweep.kill().unwrap();
        if sweep.wait().unwrap().success() {
            break;
        }
        killed += 1;
    }
    assert!(killed > 0, "none was killed");
    let left = json(&terminal, "registry gc --grace 0s");
    terminal.stdout("registry gc --apply --grace 0s");
    assert_eq!(files(&terminal.path().join("registry/blobs")), before, "{left}");
    let verified = terminal.run("registry verify");
    assert!(verified.starts_with("exit: 0\n"), "{verified}");
    assert_eq!(json(&terminal, "registry gc")["data"]["unfinished"], Value::Array(Vec::new()));
}

#[test]
fn a_lost_registry_is_mirrored_and_repaired_from_the_mirror_and_from_pulled_files() {
    let terminal = stored();
    terminal.stdout("registry pull bot@1 --out pulled.botops");
    let dry = json(&terminal, "registry mirror registry copy --dry-run");
    assert!(
        dry["data"]["blobs"].as_u64().unwrap() > 4 && !terminal.path().join("copy").exists(),
        "{dry}"
    );
    terminal.stdout("registry mirror registry copy --reason nightly");
    terminal.stdout("registry verify --registry copy");
    terminal.stdout("data verify --registry copy");
    let again = terminal.stdout("registry mirror registry copy");
    assert!(again.contains(": 0 blobs, 0 log entries, 0 other objects; 0 bytes;"), "{again}");

    for blob in files(&terminal.path().join("registry/blobs")) {
        fs::remove_file(blob).unwrap();
    }
    let failed = terminal.run("registry verify");
    assert!(failed.starts_with("exit: 3\n"), "{failed}");
    let partly = terminal.run("registry verify --repair --file pulled.botops");
    assert!(partly.starts_with("exit: 3\n") && partly.contains("cannot be repaired"), "{partly}");
    let dry = terminal.run("registry verify --repair --from copy --dry-run");
    assert!(dry.starts_with("exit: 3\n") && dry.contains("would be restored from copy"), "{dry}");
    let repaired = terminal.run("registry verify --repair --from copy --reason disk");
    assert!(
        repaired.starts_with("exit: 0\n") && repaired.contains("restored from copy"),
        "{repaired}"
    );
    terminal.stdout("registry verify");
    terminal.stdout("data verify");
    assert!(!files(&terminal.path().join("registry/repairs/log")).is_empty());

    terminal.stdout("registry alias bot beta 1 --registry copy --reason mine");
    terminal.stdout("registry alias bot beta 2 --reason ours");
    let conflict = terminal.run("registry mirror registry copy");
    assert!(conflict.starts_with("exit: 5\n") && conflict.contains("BOT-5146"), "{conflict}");
    let same = terminal.run("registry mirror copy copy");
    assert!(same.starts_with("exit: 2\n") && same.contains("BOT-5144"), "{same}");
}

#[test]
fn an_utterance_is_erased_everywhere_and_never_named() {
    let terminal = stored();
    let utterance = "please send the invoice to Erika Mustermann";
    terminal.write("request.txt", format!("{}\n", utterance.to_uppercase()));
    let everything = || -> Vec<PathBuf> {
        let stores = ["registry", "experiments"].map(|store| files(&terminal.path().join(store)));
        stores.concat()
    };
    let before = everything();
    // The utterance may be one of the goldens of the champion.
    let forget = "registry forget --utterances request.txt --reason asked --force";
    let dry = json(&terminal, &format!("{forget} --dry-run"));
    assert_eq!(dry["data"]["snapshots"][0], "bot@1", "{dry}");
    assert!(!dry["data"]["blobs_of_runs"].as_array().unwrap().is_empty(), "{dry}");
    assert_eq!(everything(), before);

    let erased = terminal.run(forget);
    assert!(erased.starts_with("exit: 0\n") && erased.contains("in the log"), "{erased}");
    for file in everything() {
        let bytes = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains("the invoice to erika"), "{}", file.display());
    }
    let verified = terminal.run("data verify");
    assert!(
        verified.starts_with("exit: 0\n") && verified.contains("erased on purpose"),
        "{verified}"
    );
    let refused = terminal.run("data pull bot@1 --out again");
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-5130"), "{refused}");
    let nothing = terminal.stdout(forget);
    assert!(nothing.starts_with("nothing to erase"), "{nothing}");
    terminal.write("request.txt", "hello\n");
    let short = terminal.run("registry forget --utterances request.txt --reason asked");
    assert!(
        short.starts_with("exit: 2\n") && short.contains("BOT-5140") && !short.contains("hello"),
        "{short}"
    );
}

#[test]
fn a_version_is_erased_and_the_champion_is_not() {
    let terminal = stored();
    let refused = terminal.run("registry forget bot@1 --reason asked");
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-5143"), "{refused}");
    let dry = terminal.run("registry forget bot@1 --reason asked --dry-run");
    assert!(dry.starts_with("exit: 6\n"), "a dry run makes the same checks: {dry}");
    terminal.stdout("registry forget bot@2 --reason \"request 4711\"");
    assert!(terminal.stdout("registry list bot").contains("erased"));
    let log = terminal.stdout("registry log bot");
    assert!(log.contains("erased ") && log.contains("request 4711"), "{log}");
    for line in ["registry pull bot@2 --out new.botops", "predict bot@2 hello"] {
        let refused = terminal.run(line);
        assert!(
            refused.starts_with("exit: 6\n") && refused.contains("BOT-5130"),
            "{line}: {refused}"
        );
    }
    let refused = terminal.run("promote bot@2 --dry-run");
    // The evidence is looked for before the log: each says that it was erased.
    assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-5130"), "{refused}");
    let verified = terminal.run("registry verify");
    assert!(verified.starts_with("exit: 0\n") && verified.contains("not missing"), "{verified}");
    let again = terminal.run("push 2.botops --name bot --test data.csv --rules rules.yaml");
    assert!(again.starts_with("exit: 6\n") && again.contains("BOT-5131"), "{again}");
    terminal.stdout("predict bot@champion hello");
}
