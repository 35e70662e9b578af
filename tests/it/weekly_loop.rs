//! The weekly loop on the command line: labels of the log, behavioural tests, stages at once, shared results.

use crate::support::repository;
use botops_predictions::{
    PredictionLog, PredictionLogSettings, RawRecord, Record, TextPolicy, ship,
};
use botops_store::Store;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

/// The time of every run.
const NOW: i64 = 1_780_000_000;

/// A loop without a champion, so that a run takes about a second.
const LOOP: &str = "
version: 1
name: loop
stages:
  - compact: {}
  - validate: { data: data.csv }
  - split: { from: validate }
  - window: { from: split, log: { window: 7d } }
  - train: { from: window }
  - train: { name: second, from: split }
  - evaluate: { model: train, on: split }
  - evaluate: { name: evaluate-window, model: train, on: window, on_insufficient: warn }
  - gate: { from: evaluate, rules: { metrics: { accuracy: { min: 0.1 } } } }
  - gate: { name: gate-window, from: evaluate-window, rules: { metrics: { accuracy: { min: 0.1 } } } }
  - drift: { reference: split, model: train, window: window }
";

struct Workspace(tempfile::TempDir);

impl Workspace {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        let all = fs::read_to_string(repository().join("datasets/support/utterances.csv")).unwrap();
        let mut reader = csv::Reader::from_reader(all.as_bytes());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(reader.headers().unwrap()).unwrap();
        for record in reader.records().step_by(6) {
            writer.write_record(&record.unwrap()).unwrap();
        }
        fs::write(this.path().join("data.csv"), writer.into_inner().unwrap()).unwrap();
        this.write("botops.yaml", "version: 1\nmodel: support\n");
        this.write("loop.yaml", LOOP);
        this
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn output(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(".botops/pipelines/loop").join(name)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_botops"))
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("USER", "tester")
            .env("SOURCE_DATE_EPOCH", NOW.to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command, and returns its exit code and its JSON document.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[&["--format", "json"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let document = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), document)
    }

    /// Logs the utterances of the holdout, one a conversation, over the hours before the run, and records verdicts: of a
    /// reviewer on every second, of an end user, and wrong, on the others.
    fn log(&self, n: usize) {
        let holdout =
            fs::read_to_string(repository().join("datasets/support/holdout.csv")).unwrap();
        let mut reader = csv::Reader::from_reader(holdout.as_bytes());
        let settings = PredictionLogSettings {
            folder: self.path().join("spool"),
            replica: "a".to_owned(),
            group: Duration::from_millis(5),
            segment_age: Duration::from_secs(60),
            most_bytes: 1 << 30,
            text: TextPolicy::Redacted,
            key: Arc::from(&b"key"[..]),
            name_of: Arc::new(|id: &str| format!("h-{id}")),
        };
        let log = PredictionLog::start(&settings, |event| panic!("{event}")).unwrap();
        let mut verdicts = String::new();
        for (i, row) in reader.records().take(n).enumerate() {
            let row = row.unwrap();
            let record = Record {
                at: (NOW - 3_600 * (2 + i as i64 % 100)) * 1_000,
                request_id: format!("r{i}"),
                endpoint: "chat".to_owned(),
                conversation: Some(format!("c{i}")),
                digest: "sha256:ab".to_owned(),
                arm: "primary".to_owned(),
                intent: "complaint".to_owned(),
                confidence: 0.5,
                ..Record::default()
            };
            log.add(RawRecord { record, text: row[0].to_owned() });
            let verdict = match i % 2 {
                0 => {
                    json!({"request_id": format!("r{i}"), "intent": &row[1], "source": "reviewer"})
                }
                _ => {
                    json!({"request_id": format!("r{i}"), "intent": "billing_question", "source": "end_user"})
                }
            };
            verdicts.push_str(&format!("{verdict}\n"));
        }
        log.flush(true);
        let folder = log.folder().to_owned();
        drop(log);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let registry = self.path().join("registry");
        let store = Store::open(registry.to_str().unwrap(), &BTreeMap::new()).unwrap();
        runtime.block_on(ship(&store, "production", &folder)).unwrap();
        self.write("verdicts.jsonl", &verdicts);
        let output = self.run(&["predictions", "feedback", "verdicts.jsonl"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Returns the outcome of each stage.
fn outcomes(document: &Value) -> BTreeMap<String, String> {
    let stages = document["data"]["stages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    stages.iter().map(|stage| (text(&stage["stage"]), text(&stage["outcome"]))).collect()
}

fn texts(csv: &str) -> BTreeSet<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.records().map(|row| row.unwrap()[0].to_owned()).collect()
}

#[test]
fn the_loop_learns_labels_of_reviewers_and_never_those_of_its_test_side() {
    let workspace = Workspace::new();
    // An empty log is no evidence, and nothing stands in.
    let (exit, document) = workspace.json(&["run", "loop.yaml"]);
    assert_eq!((exit, document["findings"][0]["code"].as_str()), (4, Some("BOT-7086")));

    // A new workspace goes on without, if its pipeline says so.
    let until = ["run", "loop.yaml", "--until", "gate-window"];
    workspace.write(
        "loop.yaml",
        &LOOP.replace("log: { window: 7d } }", "log: { window: 7d }, on_insufficient: warn }"),
    );
    let (exit, document) = workspace.json(&until);
    assert_eq!(exit, 0, "{document:#}");
    let of = outcomes(&document);
    assert_eq!((of["window"].as_str(), of["gate-window"].as_str()), ("passed", "warned"), "{of:?}");
    assert_eq!(workspace.output("window/train.csv"), workspace.output("split/train.csv"));
    workspace.write("loop.yaml", LOOP);

    workspace.log(400);
    let (exit, document) = workspace.json(&["run", "loop.yaml"]);
    assert_eq!(exit, 0, "{document:#}");
    let report: Value = serde_json::from_str(&workspace.output("window/window.json")).unwrap();
    assert_eq!((report["source"].as_str(), report["messages"].as_u64()), (Some("log"), Some(400)));
    let merged = report["labels"]["merged"].as_u64().unwrap();
    assert!(merged > 80 && report["test"].as_u64().unwrap() > 30, "{report}");

    // The train side of the split, and labels of reviewers: never a message that only an end user judged.
    let learned = texts(&workspace.output("window/train.csv"));
    let before = texts(&workspace.output("split/train.csv"));
    let new: Vec<&String> = learned.difference(&before).collect();
    assert_eq!(new.len() as u64, merged);
    let holdout = fs::read_to_string(repository().join("datasets/support/holdout.csv")).unwrap();
    let holdout: Vec<String> = csv::Reader::from_reader(holdout.as_bytes())
        .records()
        .map(|row| row.unwrap()[0].to_owned())
        .collect();
    let reviewed: HashSet<String> =
        holdout.iter().take(400).step_by(2).map(|text| botops_text::redact(text)).collect();
    assert!(new.iter().all(|text| reviewed.contains(*text)), "an end user's verdict was learned");
    // The truth of a message is in the traffic only if its conversation is on the test side.
    let test = texts(&workspace.output("window/test.csv"));
    let mut n_truths = 0;
    for line in workspace.output("window/traffic.jsonl").lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let text = message["text"].as_str().unwrap();
        if message.get("truth").is_some() {
            n_truths += 1;
            assert!(!new.iter().any(|learned| *learned == text), "{text} was tested and learned");
        } else {
            assert!(!test.contains(text), "{text}");
        }
    }
    assert!(n_truths >= test.len() as u64 && n_truths < 120, "{n_truths}");
    let candidates = workspace.output("window/candidates.jsonl");
    let first: Value = serde_json::from_str(candidates.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first["by"].as_str(), first["said"].as_str()),
        (Some("end_user"), Some("billing_question"))
    );
    assert!(candidates.lines().all(|line| !line.contains("reviewer")));

    // The same hour again: nothing to do. Sides are fixed, for a dry run, too.
    let (exit, document) = workspace.json(&["run", "loop.yaml"]);
    assert_eq!(exit, 0);
    let ran: Vec<String> = outcomes(&document)
        .into_iter()
        .filter(|(_, it)| it != "skipped")
        .map(|(name, _)| name)
        .collect();
    // The compaction of the first run gave the log other files; the messages are the same.
    assert!(ran.is_empty() || ran == ["window"], "{document:#}");
    assert!(workspace.output("drift/drift.json").contains("\"label_shift\""));
    // A version has the report of every gate that its push waits for.
    let push = "  - push: { model: train, gate: gate, after: [gate-window] }\n";
    let pushed = LOOP.replace("name: loop\n", "name: loop\nmodel: support\n") + push;
    workspace.write("loop.yaml", &pushed);
    let (exit, document) = workspace.json(&["run", "loop.yaml"]);
    assert_eq!(exit, 0, "{document:#}");
    let (_, shown) = workspace.json(&["registry", "show", "support@1"]);
    for file in ["gate.json", "gate.gate-window.json"] {
        assert!(shown.to_string().contains(&format!("\"{file}\"")), "{file}: {shown:#}");
    }
    workspace.write("loop.yaml", &LOOP.replace("window: 7d }", "window: 7d }, test_share: 0.1"));
    for arguments in [&["run", "loop.yaml"][..], &["run", "loop.yaml", "--dry-run"]] {
        let (exit, document) = workspace.json(arguments);
        assert_eq!(
            (exit, document["findings"][0]["code"].as_str()),
            (2, Some("BOT-7083")),
            "{document:#}"
        );
    }
}

#[test]
fn stages_at_once_give_the_same_bytes_and_the_same_run() {
    let yaml = LOOP.replace("log: { window: 7d }", "recorded: traffic.jsonl");
    let result = |jobs: &str| {
        let workspace = Workspace::new();
        let traffic =
            fs::read_to_string(repository().join("datasets/support/traffic.jsonl")).unwrap();
        let traffic: Vec<&str> = traffic.lines().take(400).collect();
        workspace.write("traffic.jsonl", &(traffic.join("\n") + "\n"));
        workspace.write("loop.yaml", &yaml);
        let (exit, document) = workspace.json(&["run", "loop.yaml", "--jobs", jobs]);
        assert_eq!(exit, 0, "{document:#}");
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for stage in document["data"]["stages"].as_array().unwrap() {
            for file in stage["wrote"].as_array().unwrap() {
                let file = file.as_str().unwrap();
                files.insert(file.to_owned(), fs::read(workspace.path().join(file)).unwrap());
            }
        }
        assert!(files.len() > 15, "{:?}", files.keys());
        let order: Vec<Value> = document["data"]["stages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stage| json!([stage["stage"], stage["outcome"], stage["summary"]]))
            .collect();
        // A finding names files by their full paths.
        let folder = workspace.path().display().to_string();
        let findings = document["findings"].to_string().replace(&folder, "");
        (files, order, document["data"]["run"].clone(), findings)
    };
    let one = result("1");
    assert_eq!(one, result("4"));
    let window = one.1.iter().find(|stage| stage[0] == "window").unwrap();
    assert!(
        window[2].as_str().unwrap().starts_with("no log yet: traffic.jsonl stands in"),
        "{window}"
    );
}

#[test]
fn parts_of_a_pipeline_run_and_stages_are_forced() {
    let workspace = Workspace::new();
    workspace.log(150);
    let (exit, document) = workspace.json(&["run", "loop.yaml", "--until", "split"]);
    assert_eq!(exit, 0, "{document:#}");
    let ran = |document: &Value| -> Vec<String> {
        let ran = outcomes(document).into_iter();
        ran.filter(|(_, it)| it != "skipped" && it != "not_run").map(|(name, _)| name).collect()
    };
    assert_eq!(ran(&document), ["split", "validate"]);
    // What is left out before must be up to date, in a dry run, too.
    for arguments in [
        &["run", "loop.yaml", "--from", "train"][..],
        &["run", "loop.yaml", "--from", "train", "--dry-run"],
    ] {
        let (exit, document) = workspace.json(arguments);
        assert_eq!(
            (exit, document["findings"][0]["code"].as_str()),
            (2, Some("BOT-7087")),
            "{document:#}"
        );
    }
    let (exit, document) = workspace.json(&["run", "loop.yaml", "--until", "trian"]);
    assert_eq!((exit, document["findings"][0]["code"].as_str()), (2, Some("BOT-8002")));
    assert_eq!(workspace.json(&["run", "loop.yaml"]).0, 0);
    let (exit, document) =
        workspace.json(&["run", "loop.yaml", "--force=second", "--from", "second"]);
    assert_eq!((exit, ran(&document)), (0, vec!["second".to_owned()]), "{document:#}");
    let graph = workspace.run(&["pipeline", "graph", "loop.yaml", "--mermaid"]);
    let graph = String::from_utf8(graph.stdout).unwrap();
    assert!(
        graph.starts_with("flowchart TD\n") && graph.contains("evaluate-window<br/>evaluate"),
        "{graph}"
    );
}

#[test]
fn a_result_of_another_machine_is_taken_from_the_store_and_checked() {
    let yaml = "
version: 1
name: loop
share: true
stages:
  - validate: { data: data.csv }
  - split: { from: validate }
  - train: { from: split }
  - evaluate: { model: train, on: split }
  - gate: { from: evaluate, rules: { metrics: { accuracy: { min: 0.1 } } } }
";
    let (ci, laptop) = (Workspace::new(), Workspace::new());
    for workspace in [&ci, &laptop] {
        workspace.write("loop.yaml", yaml);
    }
    let store = ci.path().join("experiments").display().to_string();
    laptop.write("botops.yaml", &format!("version: 1\nmodel: support\nexperiments: {store}\n"));
    assert_eq!(ci.json(&["run", "loop.yaml"]).0, 0);
    let summaries = |document: &Value| -> Vec<String> {
        let stages = document["data"]["stages"].as_array().unwrap();
        stages.iter().map(|stage| stage["summary"].as_str().unwrap().to_owned()).collect()
    };
    let (exit, document) = laptop.json(&["run", "loop.yaml"]);
    assert_eq!(exit, 0, "{document:#}");
    let shared: Vec<bool> =
        summaries(&document).iter().map(|summary| summary.starts_with("shared: ")).collect();
    // A gate decides where it stands.
    assert_eq!(shared, [true, true, true, true, false], "{document:#}");
    assert_eq!(ci.output("train/stage.json"), laptop.output("train/stage.json"));
    let model = |workspace: &Workspace| {
        fs::read(workspace.path().join(".botops/pipelines/loop/train/model.botops")).unwrap()
    };
    assert_eq!(model(&ci), model(&laptop));
    // A damaged object is not used, and the stage runs.
    let folder = ci.path().join("experiments/stages");
    for shard in fs::read_dir(&folder).unwrap() {
        for file in fs::read_dir(shard.unwrap().path()).unwrap() {
            fs::write(file.unwrap().path(), b"{}").unwrap();
        }
    }
    fs::remove_dir_all(laptop.path().join(".botops")).unwrap();
    let (exit, document) = laptop.json(&["run", "loop.yaml"]);
    assert_eq!(exit, 0, "{document:#}");
    assert!(outcomes(&document).values().all(|outcome| outcome != "skipped"), "{document:#}");
}

#[test]
fn behavioural_tests_are_run_listed_and_judged() {
    let workspace = Workspace::new();
    assert!(workspace.run(&["train", "data.csv", "--out", "m.botops"]).status.success());
    workspace.write(
        "behaviour.yaml",
        "{version: 1, minimum: [{capability: a parcel, intent: order_status, lang: en, must_pass: [where is my parcel?]}, \
         {capability: wrong, intent: complaint, lang: en, must_pass: [track my parcel please]}]}",
    );
    workspace.write("rules.yaml", "behaviour: {must_pass: true}\n");
    let line = [
        "evaluate",
        "m.botops",
        "data.csv",
        "--behaviour",
        "behaviour.yaml",
        "--rules",
        "rules.yaml",
    ];
    let (exit, document) = workspace.json(&line);
    assert_eq!(exit, 3, "{document:#}");
    let tests = &document["data"]["behaviour"];
    assert_eq!(
        (tests["must_pass"].as_u64(), tests["must_pass_failed"].as_u64()),
        (Some(2), Some(1))
    );
    assert_eq!(tests["failures"][0]["text"], "track my parcel please");
    assert_eq!(document["data"]["gate"]["basis"]["behaviour"], tests["digest"]);
    // Without tests, a rule on them fails.
    let (exit, _) = workspace.json(&["evaluate", "m.botops", "data.csv", "--rules", "rules.yaml"]);
    assert_eq!(exit, 3);
    workspace.write(
        "behaviour.yaml",
        "{version: 1, minimum: [{capability: x, intent: y, utterances: []}]}",
    );
    let (exit, document) = workspace.json(&line);
    assert_eq!((exit, document["findings"][0]["code"].as_str()), (2, Some("BOT-7080")));
}
