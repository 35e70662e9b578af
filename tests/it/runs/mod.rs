//! Runs: comparing, ranking, reproducing, sweeping and exporting them.

mod comparing;
mod exporting;
mod mlflow;
mod reproducing;
mod sweeping;

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;
use std::{fs, path::PathBuf};

/// Test data that differs from the training data of [`two_intents`]: some of it is hard.
const TEST: &str = "text,intent
parcel please,order_status
where is my parcel,order_status
arrives today,order_status
the parcel arrives again,order_status
still about my order,order_status
password arrives,order_status
parcel forgotten,order_status
my password,account_help
password please,account_help
forgotten again,account_help
i have forgotten it,account_help
password still about my account,account_help
parcel password,account_help
nothing of this,account_help
";

/// Returns a terminal with training and test data, in a workspace, where runs are always recorded.
fn workspace() -> Terminal {
    let terminal = Terminal::new();
    terminal
        .write("botops.yaml", "version: 1\nmodel: support\n")
        .write("train.csv", two_intents(60))
        .write("test.csv", TEST);
    terminal
}

/// Runs `line`, which must end with `exit`, and returns its JSON document.
fn json(terminal: &Terminal, exit: i32, line: &str) -> Value {
    let output = terminal.command(&format!("--format json {line}")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
    assert_eq!(output.status.code(), Some(exit), "{line}: {text}");
    document
}

/// Trains with `flags`, and returns the id of the run.
fn train(terminal: &Terminal, flags: &str) -> String {
    let line = format!("train train.csv --out model.botops {flags}");
    json(terminal, 0, &line)["data"]["run"].as_str().unwrap().to_owned()
}

/// Returns the stored record of a run.
fn record(terminal: &Terminal, id: &str) -> Value {
    serde_json::from_slice(&fs::read(record_path(terminal, id)).unwrap()).unwrap()
}

fn record_path(terminal: &Terminal, id: &str) -> PathBuf {
    terminal.path().join(format!("experiments/runs/{id}/run.json"))
}

/// Returns the file of the blob that `digest` (`sha256:…`) names.
fn blob(terminal: &Terminal, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").unwrap();
    terminal.path().join(format!("experiments/blobs/sha256/{}/{hex}", &hex[..2]))
}

/// Returns the codes of the findings of a document.
fn codes(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// Returns `text` without the values that differ between machines and versions.
fn normalized(text: &str) -> String {
    crate::support::normalized(text, None)
}
