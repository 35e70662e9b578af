//! Files that earlier versions wrote are still read.

use crate::{support::repository, terminal::Terminal};
use serde_json::Value;
use std::{fs, path::Path};

/// Returns a terminal in a copy of the workspace that botops 0.1.0 wrote.
pub(crate) fn version_0_1() -> Terminal {
    let terminal = Terminal::new();
    copy(&repository().join("tests/fixtures/version_0_1"), terminal.path());
    terminal
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_registry_of_version_0_1_verifies_and_its_champion_predicts_the_same() {
    let terminal = version_0_1();
    let verified = json(&terminal.stdout("registry verify --format json"));
    assert_eq!(verified["ok"], true, "{verified}");
    let listed = json(&terminal.stdout("registry list support --format json"));
    assert!(listed.to_string().contains("champion"), "{listed}");
    let predicted =
        json(&terminal.stdout("predict support@champion \"where is my parcel\" --format json"));
    let stored = json(&fs::read_to_string(terminal.path().join("prediction.json")).unwrap());
    assert_eq!(predicted["data"]["predictions"], stored["data"]["predictions"]);
    assert_eq!(predicted["data"]["digest"], stored["data"]["digest"]);
}

#[test]
fn a_champion_in_the_log_of_a_model_of_version_0_1_is_that_of_production() {
    let terminal = version_0_1();
    let number = |line: &str| {
        json(&terminal.stdout(&format!("{line} --format json")))["data"]["number"].clone()
    };
    let champion = number("registry show support");
    assert_eq!(number("registry show support@production"), champion);
    let elsewhere = terminal.run("registry show support --environment staging");
    assert!(elsewhere.starts_with("exit: 2\n"), "{elsewhere}");
    assert!(elsewhere.contains("`support` has no champion in `staging` yet"), "{elsewhere}");
    // The champion becomes that of another environment by the evidence of its promotion, and both logs verify.
    terminal.stdout("promote support@champion --to staging");
    assert_eq!(number("registry show support@staging"), champion);
    assert!(terminal.stdout("registry verify").contains("no problems"));
}

#[test]
fn a_snapshot_of_version_0_1_is_pulled_with_its_bytes() {
    let terminal = version_0_1();
    terminal.stdout("data verify");
    terminal.stdout("data pull utterances@1 --out pulled");
    let pulled = fs::read(terminal.path().join("pulled/data.csv")).unwrap();
    assert_eq!(pulled, fs::read(terminal.path().join("data.csv")).unwrap());
}

#[test]
fn a_split_lock_of_version_0_1_moves_no_record() {
    let terminal = version_0_1();
    terminal.stdout("data split data.csv --lock split.lock.json --out again");
    for side in ["train.csv", "test.csv"] {
        let now = fs::read(terminal.path().join("again").join(side)).unwrap();
        assert_eq!(now, fs::read(terminal.path().join("sides").join(side)).unwrap(), "{side}");
    }
}

#[test]
fn a_baseline_of_version_0_1_still_knows_its_findings() {
    let terminal = version_0_1();
    let report = json(&terminal.stdout("validate bad.csv --baseline baseline.json --format json"));
    assert_eq!(report["data"]["known"], 2, "{report}");
    assert_eq!(report["exit"], 0, "{report}");
}

#[test]
fn a_quarantine_of_version_0_1_is_merged_back_at_its_place() {
    let terminal = version_0_1();
    let path = terminal.path().join("quarantine.csv");
    let quarantine = fs::read_to_string(&path).unwrap();
    fs::write(&path, quarantine.replace(",,order_status", ",where is it,order_status")).unwrap();
    terminal.stdout("data repair bad.csv --quarantine quarantine.csv --out whole.csv");
    let whole = fs::read_to_string(terminal.path().join("whole.csv")).unwrap();
    assert_eq!(whole, "text,intent\nwhere is it,order_status\nhi there,order_status\n");
}

#[test]
fn runs_of_version_0_1_are_listed_and_shown() {
    let terminal = version_0_1();
    let listed = json(&terminal.stdout("runs list --format json"));
    let run = listed["data"]["runs"][0]["id"].as_str().unwrap().to_owned();
    let shown = json(&terminal.stdout(&format!("runs show {run} --format json")));
    assert_eq!(shown["data"]["params"]["model.head.kind"], "linear_svm", "{shown}");
}
