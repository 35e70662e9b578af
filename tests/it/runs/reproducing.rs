use super::{blob, codes, json, normalized, record, record_path, train, workspace};
use crate::{
    support::Folder,
    terminal::{Terminal, two_intents},
};
use insta::assert_snapshot;
use serde_json::{Value, json as value};
use std::fs;

/// Changes the stored record of a run.
fn alter(terminal: &Terminal, id: &str, change: impl FnOnce(&mut Value)) {
    let mut altered = record(terminal, id);
    change(&mut altered);
    fs::write(record_path(terminal, id), altered.to_string()).unwrap();
}

#[test]
fn a_run_is_reproduced_byte_for_byte_from_the_store_alone() {
    for head in ["linear_svm", "logistic_regression", "random_forest"] {
        let terminal = Terminal::new();
        // Tabs and other column names: the run records the flags with which the file is read.
        let table = two_intents(30).replace(',', "\t").replace("text\tintent", "said\tmeaning");
        terminal.write("botops.yaml", "version: 1\n").write("train.csv", table).write(
            "dialogue.yaml",
            "entities:\n  n: '[0-9]+'\nresponses:\n  order_status: { en: 'Order {n|yours}.' }\n",
        );
        let run = train(
            &terminal,
            &format!(
                "--head {head} --text-column said --intent-column meaning --dialogue dialogue.yaml"
            ),
        );
        for file in ["train.csv", "model.botops", "dialogue.yaml"] {
            fs::remove_file(terminal.path().join(file)).unwrap();
        }
        let document = json(&terminal, 0, &format!("runs reproduce {run}"));
        let data = &document["data"];
        assert_eq!(
            (&data["identical"], &data["recorded"]),
            (&value!(true), &data["again"]),
            "{head}"
        );
        let steps = data["steps"].as_array().unwrap();
        let names: Vec<&str> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
        assert_eq!(names[..3], ["data", "records", "accepted"]);
        let last = ["weights", "calibration", "goldens", "reference", "file"];
        assert!(names.ends_with(&last), "{names:?}");
        assert!(steps.iter().all(|step| step["recorded"] == step["again"]));
        assert!(codes(&document).is_empty());
    }
}

#[test]
fn a_different_result_is_reported_with_its_place_and_size() {
    let terminal = workspace();
    let run = train(&terminal, "--test test.csv");
    alter(&terminal, &run, |record| {
        record["recipe"]["spec"]["head"]["c"] = value!(0.001);
        record["environment"]["botops"] = value!("0.0.9");
        record["recipe"]["steps"].as_array_mut().unwrap().retain(|step| step["name"] != "lineage");
    });
    let document = json(&terminal, 3, &format!("runs reproduce {run}"));
    assert_eq!(codes(&document), ["BOT-5037"]);
    let data = &document["data"];
    assert_eq!((&data["identical"], &data["diverges_at"]), (&value!(false), &value!("lineage")));
    // The data and the vocabulary are the same, but the weights are not.
    let same = |name: &str| {
        let steps = data["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        step["recorded"] == step["again"]
    };
    assert!(same("data") && same("vocabulary") && !same("weights") && !same("file"));
    let predictions = &data["predictions"];
    assert_eq!((&predictions["on"], &predictions["n"]), (&value!("test"), &value!(14)));
    assert!(predictions["max_confidence_difference"].as_f64().unwrap() > 0.01);
    let metrics = data["metrics"].as_array().unwrap();
    assert!(metrics.iter().any(|metric| metric["name"] == "log_loss"), "{metrics:?}");
    let names: Vec<&str> = data["circumstances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["botops"]);
    let text = terminal.run(&format!("runs reproduce {run}"));
    assert!(text.contains("the model differs: the settings in the model is the first"), "{text}");
}

#[test]
fn a_lost_model_is_reproduced() {
    let terminal = workspace();
    let run = train(&terminal, "");
    let before = fs::read(terminal.path().join("model.botops")).unwrap();
    let digest = record(&terminal, &run)["artifacts"][0]["digest"].as_str().unwrap().to_owned();
    fs::remove_file(blob(&terminal, &digest)).unwrap();
    let dry = json(&terminal, 0, &format!("runs reproduce {run} --out again.botops --dry-run"));
    assert_eq!(dry["data"]["model"], Value::Null);
    assert!(!terminal.path().join("again.botops").exists());
    json(&terminal, 0, &format!("runs reproduce {run} --out again.botops"));
    assert_eq!(fs::read(terminal.path().join("again.botops")).unwrap(), before);
}

#[test]
fn data_missing_from_the_store_is_requested_and_checked() {
    let terminal = workspace();
    let run = train(&terminal, "");
    let digest = record(&terminal, &run)["data"]["train"].as_str().unwrap().to_owned();
    let path = blob(&terminal, &digest);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes, fs::read(terminal.path().join("train.csv")).unwrap());

    fs::write(&path, &bytes[1..]).unwrap();
    let altered = terminal.run(&format!("runs reproduce {run}"));
    assert!(altered.starts_with("exit: 3\n") && altered.contains("BOT-5005"), "{altered}");
    fs::remove_file(&path).unwrap();
    assert_snapshot!(
        "missing_data_of_a_run_is_requested",
        normalized(&terminal.run(&format!("runs reproduce {run}")))
    );
    json(&terminal, 0, &format!("runs reproduce {run} --data train.csv"));
    terminal.write("edited.csv", String::from_utf8(bytes).unwrap().replace("parcel", "package"));
    assert_snapshot!(
        "altered_data_is_refused",
        normalized(&terminal.run(&format!("runs reproduce {run} --data edited.csv")))
    );
}

#[test]
fn a_pipeline_run_is_reproduced_even_if_recorded_without_a_recipe() {
    let terminal = Terminal::new();
    terminal.write("botops.yaml", "version: 1\nmodel: support\n").write("train.csv", two_intents(60)).write("expectations.yaml", "version: 1\nmax_rejected_share: 0.5\n").write(
        "p.yaml",
        "version: 1\nname: p\nstages:\n  - validate: {data: train.csv}\n  - split: {from: validate}\n  \
         - train: {from: split}\n  - evaluate: {model: train, on: split}\n",
    );
    let run = json(&terminal, 0, "run p.yaml")["data"]["run"].as_str().unwrap().to_owned();
    let kept = record(&terminal, &run);
    assert_eq!(kept["sources"]["train"]["kept"], true);
    assert_eq!(kept["recipe"]["model"], "train/model.botops");
    let split = terminal.path().join(".botops/pipelines/p/split");
    for side in ["train", "test"] {
        let digest = kept["data"][side].as_str().unwrap();
        assert_eq!(
            fs::read(blob(&terminal, digest)).unwrap(),
            fs::read(split.join(format!("{side}.csv"))).unwrap()
        );
    }
    let data = json(&terminal, 0, &format!("runs reproduce {run}"));
    assert_eq!(data["data"]["identical"], true);
    assert_eq!(json(&terminal, 0, "runs best")["data"]["best"], run.as_str());

    // The record as an earlier version wrote it.
    alter(&terminal, &run, |record| {
        let record = record.as_object_mut().unwrap();
        for new in ["sources", "recipe"] {
            record.remove(new);
        }
        for new in ["train", "test"] {
            record["data"].as_object_mut().unwrap().remove(new);
        }
    });
    let text = terminal.run(&format!("runs reproduce {run}"));
    assert!(text.starts_with("exit: 2\n") && text.contains("BOT-5035"), "{text}");
    let given = ".botops/pipelines/p/split/train.csv";
    let document = json(&terminal, 0, &format!("runs reproduce {run} --data {given}"));
    assert_eq!(document["data"]["identical"], true);
    let wrong = terminal.run(&format!("runs reproduce {run} --data train.csv"));
    assert!(wrong.contains("BOT-5036") && wrong.contains("one side of its split"), "{wrong}");
}

#[test]
fn a_run_that_trained_no_model_cannot_be_reproduced() {
    let terminal = Terminal::new();
    terminal
        .write("botops.yaml", "version: 1\n")
        .write("p.yaml", "version: 1\nname: p\nstages:\n  - shell: {run: \"true\"}\n");
    let run = json(&terminal, 0, "run p.yaml")["data"]["run"].as_str().unwrap().to_owned();
    let text = terminal.run(&format!("runs reproduce {run}"));
    assert!(text.starts_with("exit: 2\n") && text.contains("BOT-5034"), "{text}");
}

#[test]
fn a_run_on_the_data_of_this_repository_is_reproduced() {
    let folder = Folder::workspace();
    let trained = folder
        .botops([
            "--format",
            "json",
            "train",
            "datasets/support/utterances.csv",
            "--out",
            "m.botops",
        ])
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&trained.stdout).unwrap();
    let run = document["data"]["run"].as_str().unwrap();
    let output = folder.botops(["runs", "reproduce", run]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.ends_with("the model is identical\n"), "{text}");
}
