//! The weekly pipeline on the command line: caching, crashes, and decisions.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// A workspace with a small data set of the same kind as `datasets/support`.
struct Workspace {
    folder: tempfile::TempDir,
}

/// Every n-th record of the project's own data, so that a run takes about a second.
const EVERY: usize = 6;

impl Workspace {
    fn new() -> Self {
        Self::with(EVERY, usize::MAX)
    }

    /// An even smaller workspace, for a test that runs it dozens of times. Its traffic is too little for evidence, so
    /// its plan requires none.
    fn tiny() -> Self {
        let this = Self::with(2 * EVERY, 600);
        let plan = pipeline("linear_svm", "weekly")
            .replace(", require: promote-evidence", "")
            .replace("min_units: 50", "min_units: 10")
            .replace("min_units: 200", "min_units: 60")
            .replace("min_time: 12h", "min_time: 1h")
            .replace("min_time: 24h", "min_time: 1h");
        this.write("weekly.yaml", &plan);
        this
    }

    fn with(every: usize, messages: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let data = folder.path().join("data");
        fs::create_dir_all(&data).unwrap();
        let mut reader =
            csv::Reader::from_path(project.join("datasets/support/utterances.csv")).unwrap();
        let mut writer = csv::Writer::from_path(data.join("utterances.csv")).unwrap();
        writer.write_record(reader.headers().unwrap()).unwrap();
        for record in reader.records().step_by(every) {
            writer.write_record(&record.unwrap()).unwrap();
        }
        writer.flush().unwrap();
        let traffic = fs::read_to_string(project.join("datasets/support/traffic.jsonl")).unwrap();
        let traffic: Vec<&str> = traffic.lines().take(messages).collect();
        fs::write(data.join("traffic.jsonl"), traffic.join("\n") + "\n").unwrap();
        let this = Self { folder };
        this.write("botops.yaml", "version: 1\nmodel: support\n");
        this.write("weekly.yaml", &pipeline("linear_svm", "weekly"));
        this
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_botops"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("USER", "tester")
            .env("SOURCE_DATE_EPOCH", "1780000000")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the pipeline and returns the exit code and the JSON document.
    fn pipeline(&self, file: &str) -> (i32, Value) {
        let output = self.run(&["--format", "json", "run", file]);
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{error}: {}\n{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        });
        (output.status.code().unwrap(), document)
    }

    /// Returns every file of the workspace by path, without locks and temporary logs.
    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().is_some_and(|name| name != "lock") {
                    let name = path.strip_prefix(self.path()).unwrap().to_owned();
                    files.insert(name, fs::read(&path).unwrap_or_default());
                }
            }
        }
        files
    }
}

fn pipeline(head: &str, name: &str) -> String {
    format!(
        "version: 1
name: {name}
model: support
baseline:
  head: {{ kind: random_forest, n_trees: 8, n_features: 300 }}
stages:
  - validate: {{ data: data/utterances.csv }}
  - split: {{ from: validate, test_share: 0.25 }}
  - train:
      from: split
      model: {{ head: {{ kind: {head} }} }}
  - evaluate: {{ model: train, on: split }}
  - gate:
      from: evaluate
      rules: {{ metrics: {{ accuracy: {{ min: 0.1 }} }} }}
  - drift: {{ reference: split, model: train, current: data/traffic.jsonl }}
  - push: {{ model: train, gate: gate }}
  - promote:
      version: push
      traffic: data/traffic.jsonl
      plan:
        steps:
          - {{ weight: 10, min_time: 12h, min_units: 50, deadline: 5d }}
          - {{ weight: 50, min_time: 24h, min_units: 200, deadline: 10d, require: promote-evidence }}
        judge: {{ metrics: {{ error: gate, fallback: observe, wrong: gate }} }}
        interval: 1h
"
    )
}

fn outcomes(document: &Value) -> BTreeMap<String, String> {
    document["data"]["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| {
            (
                stage["stage"].as_str().unwrap().to_owned(),
                stage["outcome"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// Returns the stages that ran, sorted by name.
fn stages_run(document: &Value) -> Vec<String> {
    outcomes(document)
        .into_iter()
        .filter(|(_, outcome)| outcome != "skipped")
        .map(|(stage, _)| stage)
        .collect()
}

#[test]
fn a_setting_out_of_range_is_refused_before_any_stage_runs() {
    let workspace = Workspace::new();
    let before = workspace.tree();
    for (setting, wrong, code, key) in [
        ("n_trees: 8", "n_trees: 0", "BOT-7010", "baseline"),
        ("test_share: 0.25", "test_share: 1.5", "BOT-2130", "stages.split.test_share"),
        ("{ kind: linear_svm }", "{ kind: linear_svm, c: -1 }", "BOT-7010", "stages.train.model"),
        ("accuracy: { min", "acuracy: { min", "BOT-3010", "stages.gate.rules.metrics.acuracy"),
        (
            "current: data/traffic.jsonl }",
            "current: data/traffic.jsonl, rules: { alpha: 2 } }",
            "BOT-4001",
            "stages.drift.rules.alpha",
        ),
        ("weight: 10,", "weight: 110,", "BOT-6001", "stages.promote.plan.steps[0].weight"),
    ] {
        let yaml = pipeline("linear_svm", "weekly");
        assert!(yaml.contains(setting), "{setting}");
        workspace.write("weekly.yaml", &yaml.replace(setting, wrong));
        let output = workspace.run(&["run", "weekly.yaml"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("error[{code}]")), "{stderr}");
        assert!(stderr.contains(&format!("--> weekly.yaml, key `{key}`")), "{stderr}");
        workspace.write("weekly.yaml", &yaml);
        assert_eq!(workspace.tree().len(), before.len(), "nothing was written: {wrong}");
    }
}

#[test]
fn the_first_run_registers_a_baseline_and_promotes_the_challenger_over_it() {
    let workspace = Workspace::new();
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(exit, 0, "{document:#}");
    let stages = outcomes(&document);
    assert_eq!(stages["baseline"], "passed");
    assert_eq!(stages["drift"], "warned", "the shift is there to be seen");
    assert_eq!(stages["promote"], "passed");
    let log = String::from_utf8(workspace.run(&["registry", "log", "support"]).stdout).unwrap();
    assert!(log.contains("support@1") || log.contains("version 1"), "{log}");
    let list: Value = serde_json::from_slice(
        &workspace.run(&["--format", "json", "registry", "list", "support"]).stdout,
    )
    .unwrap();
    let versions = list["data"].as_array().or_else(|| list["data"]["versions"].as_array()).unwrap();
    assert_eq!(versions.len(), 2, "{list:#}");
    let champion =
        versions.iter().find(|v| v["aliases"].as_array().unwrap().iter().any(|a| a == "champion"));
    assert_eq!(champion.unwrap()["number"], 2);
}

/// Asserts that `run FILE` and `run FILE --dry-run` fail with `code` before the first stage. Returns the document.
fn refused_before_the_first_stage(workspace: &Workspace, exit: i32, code: &str) -> Value {
    let before = workspace.tree();
    let dry = workspace.run(&["--format", "json", "run", "weekly.yaml", "--dry-run"]);
    let dry_document: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!(dry.status.code(), Some(exit), "{dry_document:#}");
    let (found, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(found, exit, "{document:#}");
    assert_eq!(document["findings"][0]["code"], code, "{document:#}");
    assert_eq!(document["findings"], dry_document["findings"], "a dry run has the same checks");
    let changed: Vec<PathBuf> =
        workspace.tree().into_keys().filter(|path| !before.contains_key(path)).collect();
    assert!(changed.is_empty(), "{changed:?}");
    document
}

#[test]
fn a_promotion_that_nothing_can_judge_fails_before_the_first_stage() {
    let workspace = Workspace::tiny();
    let plan = workspace.read("weekly.yaml");
    workspace.write("weekly.yaml", &plan.replace("      traffic: data/traffic.jsonl\n", ""));
    let document = refused_before_the_first_stage(&workspace, 2, "BOT-8005");
    let finding = &document["findings"][0];
    assert_eq!(
        (finding["file"].as_str(), finding["key"].as_str()),
        (Some("weekly.yaml"), Some("stages.promote.traffic")),
        "{finding:#}"
    );
    let help = finding["help"].as_str().unwrap();
    assert!(help.contains("`traffic:` in the promote stage"), "{help}");
    assert!(!help.contains("--traffic"), "`botops run` has no such flag: {help}");

    // The same for traffic that is missing, or is none.
    workspace.write(
        "weekly.yaml",
        &plan.replace("traffic: data/traffic.jsonl", "traffic: data/none.jsonl"),
    );
    refused_before_the_first_stage(&workspace, 2, "BOT-1001");
    workspace.write("data/none.jsonl", "{\"text\": \"when?\"}\n");
    refused_before_the_first_stage(&workspace, 3, "BOT-2133");
}

#[test]
fn a_server_that_cannot_be_asked_fails_the_run_before_the_first_stage() {
    let workspace = Workspace::tiny();
    assert_eq!(workspace.pipeline("weekly.yaml").0, 0);
    // A new record, so that there is something to promote.
    let mut data = workspace.read("data/utterances.csv");
    data.push_str("\"my parcel has been in the depot of the carrier since monday, when will it move\",order_status,en,\n");
    workspace.write("data/utterances.csv", &data);
    workspace.write(
        "botops.yaml",
        "version: 1\nmodel: support\nserver: { admin_url: \"http://127.0.0.1:9\" }\n",
    );
    refused_before_the_first_stage(&workspace, 2, "BOT-6030");
    fs::write(workspace.path().join("token"), "sesame-open-sesame-open-sesame-open").unwrap();
    workspace.write(
        "botops.yaml",
        "version: 1\nmodel: support\nserver: { admin_url: \"http://127.0.0.1:9\", admin_token: \"${file:token}\" }\n",
    );
    refused_before_the_first_stage(&workspace, 7, "BOT-6031");
}

#[test]
fn a_server_that_cannot_be_asked_fails_the_first_run_of_a_model_before_the_first_stage() {
    let workspace = Workspace::tiny();
    fs::write(workspace.path().join("token"), "sesame-open-sesame-open-sesame-open").unwrap();
    workspace.write(
        "botops.yaml",
        "version: 1\nmodel: support\nserver: { admin_url: \"http://127.0.0.1:9\", admin_token: \"${file:token}\" }\n",
    );
    refused_before_the_first_stage(&workspace, 7, "BOT-6031");
}

#[test]
fn a_first_version_is_promoted_without_traffic_and_a_second_run_has_nothing_to_do() {
    let workspace = Workspace::tiny();
    let plan = workspace.read("weekly.yaml").replace("      traffic: data/traffic.jsonl\n", "");
    let from = plan.find("baseline:").unwrap();
    let to = from + plan[from..].find("stages:").unwrap();
    workspace.write("weekly.yaml", &format!("{}{}", &plan[..from], &plan[to..]));
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(outcomes(&document)["promote"], "passed");
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!((exit, stages_run(&document)), (0, Vec::new()), "{document:#}");
}

#[test]
fn a_second_run_skips_everything_and_each_change_reruns_only_what_depends_on_it() {
    let workspace = Workspace::new();
    assert_eq!(workspace.pipeline("weekly.yaml").0, 0);
    let before = workspace.tree();
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(exit, 0);
    assert_eq!(stages_run(&document), Vec::<String>::new(), "{document:#}");
    assert!(document["data"]["stages"][0]["summary"].as_str().unwrap().starts_with("cached: "));
    assert!(before == workspace.tree(), "a run with nothing to do changed a file");

    // An altered output is made again.
    let model = workspace.path().join(".botops/pipelines/weekly/train/model.botops");
    let bytes = fs::read(&model).unwrap();
    fs::write(&model, &bytes[..bytes.len() / 2]).unwrap();
    let status =
        String::from_utf8(workspace.run(&["pipeline", "status", "weekly.yaml"]).stdout).unwrap();
    assert!(status.contains("its output `model.botops` was altered"), "{status}");
    assert_eq!(stages_run(&workspace.pipeline("weekly.yaml").1), ["train"]);
    assert_eq!(fs::read(&model).unwrap(), bytes);

    // A new line of traffic: drift and promote run again.
    let mut traffic = workspace.read("data/traffic.jsonl");
    traffic.push_str(
        "{\"at\":\"2026-11-08T23:59:59Z\",\"conversation_id\":\"c-new\",\"text\":\"bonjour\"}\n",
    );
    workspace.write("data/traffic.jsonl", &traffic);
    let status =
        String::from_utf8(workspace.run(&["pipeline", "status", "weekly.yaml"]).stdout).unwrap();
    assert!(status.contains("its input `current` changed"), "{status}");
    assert_eq!(stages_run(&workspace.pipeline("weekly.yaml").1), ["drift", "promote"]);

    // A new line of training data: every stage but the baseline runs again.
    let mut data = workspace.read("data/utterances.csv");
    data.push_str("\"my parcel has been in the depot of the carrier since monday, when will it move\",order_status,en,\n");
    workspace.write("data/utterances.csv", &data);
    let (_, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(outcomes(&document)["baseline"], "skipped", "{document:#}");
    assert_eq!(outcomes(&document)["validate"], "passed");
    assert_ne!(outcomes(&document)["train"], "skipped");
}

#[test]
fn a_worse_challenger_is_rolled_back_with_the_numbers_that_decided() {
    let workspace = Workspace::new();
    assert_eq!(workspace.pipeline("weekly.yaml").0, 0);
    // A challenger trained on swapped labels. The gate requires almost nothing, so it passes.
    let data = workspace.read("data/utterances.csv");
    let rotated = data
        .replace(",complaint,", ",TMP,")
        .replace(",order_status,", ",complaint,")
        .replace(",TMP,", ",order_status,");
    workspace.write("data/utterances.csv", &rotated);
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(exit, 3, "{document:#}");
    assert_eq!(outcomes(&document)["promote"], "failed");
    let decision: Value =
        serde_json::from_str(&workspace.read(".botops/pipelines/weekly/promote/decision.json"))
            .unwrap();
    assert_eq!(decision["verdict"], "rolled_back");
    assert!(decision["reason"].as_str().unwrap().contains("wrong"), "{decision:#}");
    let wrong =
        decision["evidence"].as_array().unwrap().iter().find(|e| e["kind"] == "wrong").unwrap();
    assert!(
        wrong["log_e_rollback"].as_f64().unwrap() >= wrong["log_threshold"].as_f64().unwrap(),
        "{wrong:#}"
    );
    let show =
        String::from_utf8(workspace.run(&["registry", "show", "support@champion"]).stdout).unwrap();
    assert!(show.contains("support@2"), "the champion moved: {show}");
}

#[test]
fn a_run_killed_after_any_write_continues_to_the_same_bytes() {
    let reference = Workspace::tiny();
    assert_eq!(reference.pipeline("weekly.yaml").0, 0);
    let expected = reference.tree();
    let mut kills = 0;
    for writes in 1.. {
        let workspace = Workspace::tiny();
        let mut child = workspace
            .command(&["--quiet", "run", "weekly.yaml"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let killed = kill_after(&mut child, &workspace, writes);
        let (exit, document) = workspace.pipeline("weekly.yaml");
        assert_eq!(exit, 0, "after {writes} writes: {document:#}");
        let got = workspace.tree();
        let differ: Vec<_> = expected
            .keys()
            .chain(got.keys())
            .filter(|path| expected.get(*path) != got.get(*path))
            // A temporary file of the store that was being written remains under its own name, and is never listed.
            .filter(|path| !path.to_string_lossy().contains('#'))
            // Each store has an identity of its own.
            .filter(|path| !path.components().any(|part| part.as_os_str() == "probes"))
            .collect();
        assert!(differ.is_empty(), "after {writes} writes these differ: {differ:?}");
        if !killed {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 8, "the run was killed only {kills} times: writes are not seen");
}

/// Kills `child` after `writes` changes to the files of the workspace. Returns whether it was still running.
fn kill_after(child: &mut Child, workspace: &Workspace, writes: usize) -> bool {
    let mut seen = 0;
    let mut last = listing(workspace.path());
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(Instant::now() < deadline, "the run did not end");
        let now = listing(workspace.path());
        if now != last {
            seen += 1;
            last = now;
            if seen >= writes {
                child.kill().unwrap();
                child.wait().unwrap();
                return true;
            }
        }
    }
}

/// Returns the names and sizes of everything below `folder`.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => {
                    found.push((path.clone(), 0));
                    folders.push(path);
                }
                Ok(metadata) => found.push((path, metadata.len())),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn two_concurrent_runs_are_a_conflict_and_a_dead_run_is_not() {
    let workspace = Workspace::new();
    let folder = workspace.path().join(".botops/pipelines/weekly");
    fs::create_dir_all(&folder).unwrap();
    let lock = fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(exit, 5, "{document:#}");
    assert_eq!(document["findings"][0]["code"], "BOT-8010");
    drop(lock);
    // A process that died leaves its number, but no kernel lock.
    fs::write(folder.join("lock"), "4194305").unwrap();
    let output = workspace.run(&["run", "weekly.yaml"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("process 4194305 ended without finishing its run"), "{stderr}");
}

#[test]
fn a_step_summary_is_appended_to_the_file_that_github_names() {
    let workspace = Workspace::new();
    let path = workspace.path().join("summary.md");
    fs::write(&path, "before\n").unwrap();
    let output = workspace
        .command(&["run", "weekly.yaml"])
        .env("GITHUB_STEP_SUMMARY", &path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let summary = fs::read_to_string(&path).unwrap();
    assert!(summary.starts_with("before\n## botops: weekly\n"), "{summary}");
    assert!(summary.contains("| promote | passed |"), "{summary}");
    assert!(summary.contains("| accuracy |"), "{summary}");
}

/// Returns the summary of a stage.
fn summary(document: &Value, stage: &str) -> String {
    let stages = document["data"]["stages"].as_array().unwrap();
    let found = stages.iter().find(|line| line["stage"] == stage).unwrap();
    found["summary"].as_str().unwrap().to_owned()
}

/// Returns the numbers of the versions, and that of the champion.
fn versions(workspace: &Workspace) -> (Vec<u64>, u64) {
    let output = workspace.run(&["--format", "json", "registry", "list", "support"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = list["data"].as_array().or_else(|| list["data"]["versions"].as_array()).unwrap();
    let is_champion = |v: &&Value| v["aliases"].as_array().unwrap().iter().any(|a| a == "champion");
    let number = |v: &Value| v["number"].as_u64().unwrap();
    (list.iter().map(number).collect(), number(list.iter().find(is_champion).unwrap()))
}

#[test]
fn a_changed_rule_does_not_register_the_model_of_the_champion_again() {
    let workspace = Workspace::new();
    assert_eq!(workspace.pipeline("weekly.yaml").0, 0);
    let plan = workspace.read("weekly.yaml");
    workspace.write("weekly.yaml", &plan.replace("min: 0.1 ", "min: 0.2 "));
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(stages_run(&document), ["gate", "push"]);
    let expected = "same model as the champion support@2: nothing to do";
    assert_eq!(summary(&document, "push"), expected);
    assert_eq!(versions(&workspace), (vec![1, 2], 2));
    for _ in 0..2 {
        let (exit, document) = workspace.pipeline("weekly.yaml");
        assert_eq!((exit, stages_run(&document)), (0, Vec::new()), "{document:#}");
    }
}

#[test]
fn a_clone_without_state_neither_registers_nor_canaries_the_model_of_the_champion() {
    let workspace = Workspace::new();
    assert_eq!(workspace.pipeline("weekly.yaml").0, 0);
    assert_eq!(versions(&workspace), (vec![1, 2], 2));
    fs::remove_dir_all(workspace.path().join(".botops")).unwrap();
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!(exit, 0, "{document:#}");
    let expected = "same model as the champion support@2: nothing to do";
    assert_eq!(summary(&document, "push"), expected);
    assert_eq!(summary(&document, "promote"), expected);
    // The rival is the champion: the model gains and loses nothing against itself.
    let evaluated = summary(&document, "evaluate");
    assert!(evaluated.contains("; support@2 had "), "{evaluated}");
    assert!(evaluated.contains("newly right 0, newly wrong 0"), "{evaluated}");
    assert_eq!(versions(&workspace), (vec![1, 2], 2));
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!((exit, stages_run(&document)), (0, Vec::new()), "{document:#}");

    let output = workspace.run(&["rollback", "--reason", "test"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("from support@2 back to support@1"), "{text}");
}

#[test]
fn a_cached_push_writes_lost_blobs_again() {
    let workspace = Workspace::new();
    assert_eq!(workspace.pipeline("weekly.yaml").0, 0);
    let model = fs::read(workspace.path().join(".botops/pipelines/weekly/train/model.botops"));
    let hex = botops_digest::Digest::of(&model.unwrap()).hex();
    let blob = format!("registry/blobs/sha256/{}/{hex}", &hex[..2]);
    fs::remove_file(workspace.path().join(&blob)).unwrap();
    assert_eq!(workspace.run(&["registry", "verify"]).status.code(), Some(3));
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!((exit, stages_run(&document)), (0, Vec::new()), "{document:#}");
    assert!(workspace.path().join(&blob).exists());
    assert_eq!(workspace.run(&["registry", "verify"]).status.code(), Some(0));
}

#[test]
fn a_rollback_returns_only_to_former_champions() {
    let workspace = Workspace::new();
    assert_eq!(workspace.pipeline("weekly.yaml").0, 0);
    // The champions were 1 and 2. A rollback returns to 1, and never to 2.
    let rollback = || {
        let output = workspace.run(&["rollback", "--reason", "test"]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = rollback();
    assert_eq!(code, Some(0));
    assert!(text.contains("from support@2 back to support@1"), "{text}");
    assert_eq!(rollback().0, Some(2), "there is nothing before the first");

    // A version that was rolled back is reported, and not promoted again.
    let (exit, document) = workspace.pipeline("weekly.yaml");
    assert_eq!((exit, stages_run(&document)), (0, Vec::new()), "{document:#}");
    let codes: Vec<_> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["code"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"BOT-8023"), "{document:#}");

    // A version that never was champion is refused, in a dry run too.
    workspace.run(&["train", "data/utterances.csv", "--out", "m.botops", "--seed", "5"]);
    assert_eq!(workspace.run(&["push", "m.botops"]).status.code(), Some(0));
    for dry in [&["--dry-run"][..], &[]] {
        let rollback = ["--format", "json", "rollback", "--to", "support@3", "--reason", "x"];
        let output = workspace.run(&[&rollback[..], dry].concat());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["exit"], 6, "{document:#}");
        assert_eq!(document["findings"][0]["code"], "BOT-5031");
    }
    assert_eq!(versions(&workspace), (vec![1, 2, 3], 1));
}

#[test]
fn the_model_of_the_champion_is_not_pushed_again_and_its_lost_blobs_are_written_again() {
    let workspace = Workspace::new();
    workspace.run(&["train", "data/utterances.csv", "--out", "m.botops", "--seed", "5"]);
    assert_eq!(workspace.run(&["push", "m.botops"]).status.code(), Some(0));
    assert_eq!(workspace.run(&["promote"]).status.code(), Some(0));
    let push = |more: &[&str]| {
        let push = ["--format", "json", "push", "m.botops"];
        let output = workspace.run(&[&push[..], more].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let test = ["--test", "data/utterances.csv"];
    for more in [&test[..], &["--test", "data/utterances.csv", "--dry-run"]] {
        let document = push(more);
        assert_eq!(document["exit"], 0, "{document:#}");
        assert_eq!(document["data"]["reference"], "support@1");
        assert_eq!(
            (&document["data"]["same_model"], &document["data"]["registered"]),
            (&true.into(), &false.into())
        );
    }
    let text = String::from_utf8(
        workspace.run(&["push", "m.botops", "--test", "data/utterances.csv"]).stdout,
    );
    assert!(text.unwrap().contains("is the same model as the champion support@1"));
    assert_eq!(versions(&workspace), (vec![1], 1));

    let hex =
        botops_digest::Digest::of(&fs::read(workspace.path().join("m.botops")).unwrap()).hex();
    let blob = workspace.path().join(format!("registry/blobs/sha256/{}/{hex}", &hex[..2]));
    for more in [&[][..], &test[..]] {
        fs::remove_file(&blob).unwrap();
        assert_eq!(workspace.run(&["registry", "verify"]).status.code(), Some(3));
        let document = push(more);
        assert_eq!(
            (&document["exit"], &document["data"]["restored"]),
            (&0.into(), &1.into()),
            "{document:#}"
        );
        assert_eq!(workspace.run(&["registry", "verify"]).status.code(), Some(0));
    }
    let promoted = workspace.run(&["promote", "support@1"]);
    assert_eq!(promoted.status.code(), Some(0));
}

#[test]
fn a_pattern_in_a_pipeline_names_files_as_in_the_verbs() {
    let workspace = Workspace::tiny();
    let all = workspace.read("data/utterances.csv");
    let rows: Vec<&str> = all.lines().collect();
    let header = rows[0];
    let (first, second) = rows[1..].split_at(rows.len() / 2);
    let part = |rows: &[&str]| format!("{header}\n{}\n", rows.join("\n"));
    workspace.write("data/part-1.csv", &part(first));
    workspace
        .write("data/part-2.csv", &(part(second) + "an unlabelled text of the second file,,en,\n"));
    workspace.write("expectations.yaml", "version: 1\nmax_rejected_share: 0.5\n");
    workspace.write(
        "parts.yaml",
        "version: 1\nname: parts\nstages:\n  - validate: { data: \"data/part-*.csv\", expectations: expectations.yaml }\n  - split: { from: validate }\n",
    );
    let (exit, document) = workspace.pipeline("parts.yaml");
    assert_eq!(exit, 0, "{document}");
    let n = rows.len();
    assert!(summary(&document, "validate").starts_with(&format!("{} of {n} records", n - 1)));
    let quarantine = workspace.read(".botops/pipelines/parts/validate/quarantine.csv");
    assert!(quarantine.contains("\ndata/part-2.csv,"), "{quarantine}");
    let (_, document) = workspace.pipeline("parts.yaml");
    assert!(stages_run(&document).is_empty(), "{document}");
    // One more file that matches makes the stage stale.
    workspace.write("data/part-3.csv", &part(&["where is the third parcel then,order_status,en,"]));
    let (exit, document) = workspace.pipeline("parts.yaml");
    assert_eq!((exit, stages_run(&document)), (0, vec!["split".to_owned(), "validate".to_owned()]));
    workspace.write(
        "parts.yaml",
        "version: 1\nname: parts\nstages:\n  - validate: { data: \"data/none-*.csv\" }\n",
    );
    let document = refused_before_the_first_stage_of(&workspace, "parts.yaml");
    assert!(document.contains("no file matches `data/none-*.csv`"), "{document}");
}

/// Returns what a run of `pipeline` prints that is refused as a usage error.
fn refused_before_the_first_stage_of(workspace: &Workspace, pipeline: &str) -> String {
    let output = workspace.run(&["run", pipeline]);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}
