//! Profiles as sides of `botops drift`: in the file of a model, written by `data profile`, and made in parts.

use crate::{
    support,
    terminal::{Terminal, two_intents},
};
use regex::{Captures, Regex};
use serde_json::Value;
use std::{fs, process::Stdio, time::Duration};

/// Runs a line with `--format json`; returns its exit code, its data, and the codes of its findings.
fn json(terminal: &Terminal, line: &str) -> (Option<i32>, Value, Vec<String>) {
    let mut command = terminal.command(&format!("{line} --quiet --format json"));
    let (code, text) = support::terminal(&mut command, Duration::from_secs(120));
    let document: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let findings = document["findings"].as_array().cloned().unwrap_or_default();
    let codes = findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned());
    (code, document["data"].clone(), codes.collect())
}

/// Returns a folder with training data, a model, a week like it, and a week in which one intent is rare.
fn trained() -> Terminal {
    let terminal = Terminal::new();
    // Both intents share the number of a pair, so a number of its own would be unseen in a week only.
    let data = Regex::new(r" (\d+),")
        .unwrap()
        .replace_all(&two_intents(320), |found: &Captures<'_>| {
            format!(" {},", found[1].parse::<usize>().unwrap() % 12)
        })
        .into_owned();
    let (header, records) = data.split_once('\n').unwrap();
    let records: Vec<&str> = records.lines().collect();
    let table = |wanted: &dyn Fn(usize) -> bool| {
        let chosen = records.iter().enumerate().filter(|(i, _)| wanted(*i)).map(|(_, r)| *r);
        format!("{header}\n{}\n", chosen.collect::<Vec<_>>().join("\n"))
    };
    // The words repeat after 12 pairs of records, so each block has all of them.
    let is_later = |i: usize| (i / 24) % 2 == 1;
    terminal
        .write("train.csv", table(&|i| !is_later(i)))
        .write("week.csv", table(&|i| is_later(i)))
        .write("shifted.csv", table(&|i| is_later(i) && (i % 2 == 0 || i % 40 == 1)));
    terminal.stdout("train train.csv --out model.botops --quiet");
    terminal
}

#[test]
fn the_training_data_of_a_model_is_a_reference_without_its_file() {
    let terminal = trained();
    fs::remove_file(terminal.path().join("train.csv")).unwrap();
    let (code, data, codes) = json(&terminal, "drift week.csv --model model.botops");
    assert_eq!((code, data["verdict"].as_str()), (Some(0), Some("no_drift")), "{data:#}");
    assert_eq!((&data["n_reference"], &data["n_current"]), (&328.into(), &312.into()));
    assert_eq!(data["reference"], "the training data of model.botops");
    assert!(codes.is_empty(), "{codes:?}");
    let names: Vec<&str> =
        data["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    for name in ["intent", "confidence", "oos_score", "fallback", "unseen_word_rate", "entities"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let (code, data, _) = json(&terminal, "drift shifted.csv --model model.botops");
    assert_eq!(code, Some(3), "{data:#}");
    let intent = &data["checks"].as_array().unwrap()[0];
    assert_eq!((&intent["name"], &intent["verdict"]), (&"intent".into(), &"drift".into()));
    // The same with a profile of the week, which has no texts.
    terminal.stdout("data profile shifted.csv --out week.profile.json --model model.botops");
    let text = fs::read_to_string(terminal.path().join("week.profile.json")).unwrap();
    assert!(
        !text.contains("forgotten again") && text.starts_with("{\"schema\":\"botops.reference/1\"")
    );
    let (code, again, _) = json(&terminal, "drift week.profile.json --model model.botops");
    assert_eq!((code, &again["checks"]), (Some(3), &data["checks"]));
}

#[test]
fn a_side_that_is_missing_damaged_newer_or_of_another_model_is_refused() {
    let terminal = trained();
    let refused = |line: &str, exit: i32, code: &str| {
        let output = terminal.run(line);
        assert!(output.starts_with(&format!("exit: {exit}\n")), "{line}: {output}");
        assert!(output.contains(&format!("error[{code}]")), "{line}: {output}");
    };
    refused("drift week.csv", 2, "BOT-2268");
    terminal
        .write("old.profile.json", "{}")
        .write("newer.profile.json", r#"{"schema":"botops.reference/9","labels":[]}"#);
    refused("drift old.profile.json week.csv", 3, "BOT-2260");
    refused("drift week.csv newer.profile.json", 6, "BOT-2263");
    refused("drift missing.profile.json week.csv", 2, "BOT-1001");
    // Another model with the same intents, and one with others.
    terminal.stdout("data profile week.csv --out week.profile.json --model model.botops");
    terminal.stdout("train week.csv --out other.botops --quiet");
    refused("drift week.profile.json --model other.botops", 3, "BOT-2262");
    let renamed = two_intents(40).replace(",account_help", ",login");
    terminal.write("renamed.csv", renamed);
    terminal.stdout("train renamed.csv --out renamed.botops --quiet");
    refused("drift week.profile.json --model renamed.botops", 3, "BOT-2261");
    // A model of an older version has no profile.
    let older = support::repository().join("tests/fixtures/models");
    let older = fs::read_dir(older).unwrap().map(|entry| entry.unwrap().path());
    let mut older: Vec<_> =
        older.filter(|path| path.extension().is_some_and(|ending| ending == "botops")).collect();
    older.sort();
    fs::copy(&older[0], terminal.path().join("older.botops")).unwrap();
    refused("drift week.csv --model older.botops", 2, "BOT-2266");
    // The training data itself: the model knows it by heart.
    let (_, _, codes) = json(&terminal, "drift train.csv --model model.botops");
    assert_eq!(codes, ["BOT-3056"]);
}

#[test]
fn eight_parts_in_processes_merge_to_the_bytes_of_one_pass() {
    let terminal = trained();
    let flags = "--model model.botops";
    terminal.stdout(&format!("data profile week.csv --out whole.profile.json {flags}"));
    let missing =
        terminal.run(&format!("data profile week.csv --merge 8 --out w.profile.json {flags}"));
    assert!(missing.contains("error[BOT-2267]") && missing.starts_with("exit: 3"), "{missing}");
    let part = |i: u32| {
        let mut command = terminal.command(&format!("data profile week.csv --shard {i}/8 {flags}"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut processes: Vec<_> = (0..8).map(|i| part(i).spawn().unwrap()).collect();
    // One is killed, wherever it stands, and runs again.
    processes[5].kill().unwrap();
    for (i, process) in processes.iter_mut().enumerate() {
        let status = process.wait().unwrap();
        assert!(status.success() || i == 5, "part {i}: {status}");
    }
    assert!(part(5).status().unwrap().success());
    // A part that is there is written again without a change.
    let again =
        terminal.stdout(&format!("data profile week.csv --shard 2/8 {flags} --format json"));
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["data"]["existed"], true, "{again:#}");
    let object = terminal.path().join("registry").join(again["data"]["object"].as_str().unwrap());
    assert!(object.is_file(), "{object:?}");
    terminal.stdout(&format!("data profile week.csv --merge 8 --out merged.profile.json {flags}"));
    let read = |name: &str| fs::read_to_string(terminal.path().join(name)).unwrap();
    assert_eq!(read("merged.profile.json"), read("whole.profile.json"));
    assert!(!object.exists(), "parts hold rare words, so they are removed");
}
