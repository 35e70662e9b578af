//! Data from a pipe, which can be read only once: each verb must read each of its inputs once.

use crate::{
    support,
    terminal::{Terminal, two_intents},
};
use botops_digest::Digest;
use serde_json::Value;
use std::{
    fs::{self, File},
    process::Command,
    thread,
    time::Duration,
};

/// The longest run of a command. A second read of a named pipe would wait for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// Returns the command of `line` with the contents of `file` on standard input.
fn with_stdin(terminal: &Terminal, line: &str, file: &str) -> Command {
    let mut command = terminal.command(line);
    command.stdin(File::open(terminal.path().join(file)).unwrap());
    command
}

/// Runs a command and returns its exit code and its JSON document. Progress must be off.
fn document(command: &mut Command) -> (Option<i32>, Value) {
    let (code, text) = support::terminal(command, LIMIT);
    let document = serde_json::from_str(&text);
    (code, document.unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// Recorded traffic: one message for each text of [`two_intents`].
fn traffic(n: usize) -> String {
    let data = two_intents(n);
    let texts = data.lines().skip(1).filter_map(|line| line.split(',').next());
    let message = |(i, text): (usize, &str)| {
        format!(
            "{{\"at\":\"2026-01-05T08:00:{:02}Z\",\"conversation_id\":\"c{i}\",\"text\":\"{text}\"}}\n",
            i % 60
        )
    };
    texts.enumerate().map(message).collect()
}

#[test]
fn a_cross_validation_of_several_configurations_reads_its_data_once() {
    let terminal = Terminal::new();
    let data = two_intents(20);
    terminal
        .write("train.csv", &data)
        .write("svm.yaml", "head: { kind: linear_svm }\n")
        .write("bayes.yaml", "head: { kind: complement_naive_bayes }\n");
    let line = "train - --cross-validate 3 --config svm.yaml --config bayes.yaml --record --quiet --format json";
    let (code, answer) = document(&mut with_stdin(&terminal, line, "train.csv"));
    assert_eq!(code, Some(0), "{answer:#}");
    assert_eq!(answer["data"]["n_samples"], 40);
    let runs = answer["data"]["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "{answer:#}");
    // A second read of standard input would be empty, so both records must hold the bytes of the first.
    for run in runs {
        let line = format!("runs show {} --format json", run.as_str().unwrap());
        let record = &serde_json::from_str::<Value>(&terminal.stdout(&line)).unwrap()["data"];
        assert_eq!(record["data"]["train"], Digest::of(data.as_bytes()).to_string());
        assert_eq!(record["sources"]["train"]["size_bytes"], data.len());
    }
}

#[test]
fn a_recorded_training_reads_its_data_once() {
    let terminal = Terminal::new();
    let data = two_intents(20);
    terminal.write("train.csv", &data);
    let line = "train - --out m.botops --record --quiet --format json";
    let (code, answer) = document(&mut with_stdin(&terminal, line, "train.csv"));
    assert_eq!(code, Some(0), "{answer:#}");
    let line = format!("runs show {} --format json", answer["data"]["run"].as_str().unwrap());
    let record: Value = serde_json::from_str(&terminal.stdout(&line)).unwrap();
    assert_eq!(record["data"]["data"]["train"], Digest::of(data.as_bytes()).to_string());
}

#[test]
fn drift_reads_the_training_data_of_its_model_once() {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(30)).write("now.csv", two_intents(20));
    terminal.stdout("train train.csv --out m.botops");
    let line = "drift - now.csv --model m.botops --min-rows 20 --quiet --format json";
    let (_, answer) = document(&mut with_stdin(&terminal, line, "train.csv"));
    assert_eq!(answer["data"]["trained_on_reference"], true, "{answer:#}");
    assert_eq!(answer["data"]["n_reference"], 60);
}

#[test]
fn drift_reads_recorded_traffic_from_a_named_pipe() {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(30));
    let pipe = terminal.path().join("traffic.jsonl");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // The writer ends after one read. A reader that opens the pipe again would wait until the limit.
    thread::spawn(move || fs::write(pipe, traffic(25)));
    let line = "drift train.csv traffic.jsonl --min-rows 20 --quiet --format json";
    let (code, answer) = document(&mut terminal.command(line));
    assert!(code.is_some(), "{answer:#}");
    assert_eq!(answer["data"]["n_current"], 50, "{answer:#}");
}
