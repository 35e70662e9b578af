use super::{json, record, train, workspace};
use crate::{
    faulty::{Faulty, Side, Until},
    servers::S3Server,
    store::Bench,
    terminal::Terminal,
};
use botops_digest::Digest;
use botops_experiments::{
    Artifact, CodeState, Environment, Experiments, Retention, RunRecord, SweepRule,
};
use botops_store::{Retries, Store};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use object_store::{ObjectStore, memory::InMemory};
use std::{collections::BTreeMap, fs, sync::Arc};

/// Returns the relative path of every file under `experiments`.
fn files(terminal: &Terminal) -> Vec<String> {
    let root = terminal.path().join("experiments");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(&root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn ids(terminal: &Terminal) -> Vec<String> {
    let listed = json(terminal, 0, "runs list");
    let runs = listed["data"]["runs"].as_array().unwrap();
    runs.iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn runs_of_a_version_are_kept_and_others_are_removed_with_their_files() {
    let terminal = workspace();
    let pushed = train(&terminal, "--seed 1");
    json(&terminal, 0, "push model.botops --name support");
    let others = [train(&terminal, "--seed 2"), train(&terminal, "--seed 3")];
    let before = files(&terminal);

    // A run of the last minutes is never removed.
    let young = json(&terminal, 0, "runs gc --keep 0");
    assert_eq!(young["data"]["runs_young"], 2);
    assert_eq!(files(&terminal), before);

    let dry = json(&terminal, 0, "runs gc --keep 0 --grace 0s --dry-run");
    assert_eq!(dry["data"]["runs_spared"], serde_json::json!([pushed]));
    assert_eq!(dry["data"]["blobs"].as_array().unwrap().len(), 2, "two models; the data is shared");
    assert_eq!(dry["next"], serde_json::json!(["botops runs gc --keep 0 --grace 0s"]));
    assert_eq!(files(&terminal), before);

    let done = json(&terminal, 0, "runs gc --keep 0 --grace 0s");
    assert_eq!(done["data"]["runs"].as_array().unwrap().len(), 2);
    let sizes: u64 = done["data"]["blobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|blob| blob["size_bytes"].as_u64().unwrap())
        .sum();
    assert_eq!((done["data"]["bytes"].as_u64().unwrap(), sizes > 1_000), (sizes, true));
    assert_eq!(ids(&terminal), [pushed.as_str()]);
    assert_eq!(files(&terminal).len(), before.len() - 4);
    json(&terminal, 0, &format!("runs reproduce {pushed}"));
    let gone = terminal.run(&format!("runs show {}", others[0]));
    assert!(gone.starts_with("exit: 2\n") && gone.contains("BOT-5020"), "{gone}");
    let again = terminal.run("runs gc --keep 0 --grace 0s");
    assert!(again.contains("nothing to remove"), "{again}");
}

#[test]
fn age_is_measured_by_the_clock_that_dates_the_runs() {
    let terminal = workspace();
    let old = train(&terminal, "--seed 1");
    // A hundred days later.
    let mut command = terminal.command("--format json train train.csv --out m.botops --seed 2");
    command.env("SOURCE_DATE_EPOCH", (1_780_000_000 + 100 * 86_400).to_string());
    assert!(command.output().unwrap().status.success());
    let mut command = terminal.command("--format json runs gc --older-than 90d --grace 0s");
    command.env("SOURCE_DATE_EPOCH", (1_780_000_000 + 100 * 86_400).to_string());
    let output = command.output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["data"]["runs"][0]["id"], old.as_str());
    assert_eq!(ids(&terminal).len(), 1);
}

#[test]
fn a_registry_in_the_same_store_loses_nothing() {
    let terminal = workspace();
    terminal.write("botops.yaml", "version: 1\nmodel: support\nregistry: experiments\n");
    let pushed = train(&terminal, "--seed 1");
    json(&terminal, 0, "push model.botops --name support");
    train(&terminal, "--seed 2");
    // The second round uses another registry.
    for registry in ["experiments", "elsewhere"] {
        json(&terminal, 0, &format!("runs gc --keep 0 --grace 0s --registry {registry}"));
        assert_eq!(ids(&terminal), [pushed.as_str()]);
        let verified = json(&terminal, 0, "registry verify");
        assert_eq!(verified["data"]["problems"], serde_json::json!([]));
    }
}

#[test]
fn a_pipeline_records_a_removed_run_again() {
    let terminal = workspace();
    terminal.write("expectations.yaml", "version: 1\nmax_rejected_share: 0.5\n").write(
        "p.yaml",
        "version: 1\nname: p\nstages:\n  - validate: {data: train.csv}\n  - split: {from: validate}\n",
    );
    let first = json(&terminal, 0, "run p.yaml")["data"]["run"].clone();
    assert_eq!(json(&terminal, 0, "run p.yaml")["data"]["run"], first);
    json(&terminal, 0, "runs gc --keep 0 --grace 0s");
    assert!(ids(&terminal).is_empty());
    let again = json(&terminal, 0, "run p.yaml")["data"]["run"].clone();
    assert_eq!(ids(&terminal), [again.as_str().unwrap()]);
    let kept = record(&terminal, again.as_str().unwrap());
    for artifact in kept["artifacts"].as_array().unwrap() {
        assert!(
            super::blob(&terminal, artifact["digest"].as_str().unwrap()).exists(),
            "{artifact}"
        );
    }
}

#[test]
fn without_a_rule_nothing_is_removed() {
    let terminal = workspace();
    train(&terminal, "");
    for line in [
        "runs gc",
        "runs gc --dry-run",
        "runs gc --keep 1 --older-than 90d",
        "runs gc --older-than soon",
    ] {
        let text = terminal.run(line);
        assert!(text.starts_with("exit: 2\n"), "{line}: {text}");
    }
    assert_eq!(ids(&terminal).len(), 1);
}

fn rule(retention: Retention) -> SweepRule {
    SweepRule {
        retention,
        runs_in_use: [].into(),
        blobs_in_use: [].into(),
        logged: [].into(),
        grace: TimeDelta::zero(),
        now: Utc::now(),
        clock: Utc::now() + TimeDelta::hours(1),
    }
}

/// Records a run of `day` with its own file and one that all runs share.
async fn recorded(runs: &Experiments, day: u32) -> String {
    let files = [Bytes::from(format!("model {day}")), Bytes::from_static(b"shared")];
    let at = format!("2026-10-{day:02}T10:00:00Z").parse().unwrap();
    let run = RunRecord {
        schema: String::new(),
        id: String::new(),
        kind: "train".to_owned(),
        started_at: at,
        finished_at: at,
        params: BTreeMap::new(),
        metrics: BTreeMap::new(),
        data: BTreeMap::new(),
        code: CodeState::default(),
        environment: Environment::default(),
        artifacts: files.iter().map(|bytes| Artifact::of("file", bytes)).collect(),
        stages: BTreeMap::new(),
        sources: BTreeMap::new(),
        recipe: None,
        costs: Vec::new(),
        measured_on: None,
        twin_of: None,
    };
    runs.commit(run, &files).await.unwrap()
}

#[tokio::test]
async fn a_sweep_works_on_a_bucket() {
    let server = S3Server::start();
    let Bench { store, .. } = Bench::s3(&server.endpoint(), "runs of ours");
    let runs = Experiments::open(store);
    let mut ids = Vec::new();
    for day in 1..=3 {
        ids.push(recorded(&runs, day).await);
    }
    let rule = rule(Retention::Newest(1));
    let plan = runs.plan_sweep(&rule).await.unwrap();
    assert_eq!((plan.runs.len(), plan.blobs.len()), (2, 2));
    runs.sweep(&plan, &rule, "mark").await.unwrap();
    let left: Vec<String> = runs.list().await.unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(left, ids[2..]);
    assert_eq!(runs.store().blobs().await.unwrap().len(), 2);
    assert_eq!(runs.store().blob(&Digest::of(b"shared")).await.unwrap(), "shared");
}

#[tokio::test]
async fn an_interrupted_sweep_leaves_every_run_complete_and_the_next_one_finishes_it() {
    for at in 1..60 {
        let raw: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let sound = Experiments::open(Store::wrap(raw.clone(), "memory://"));
        for day in 1..=3 {
            recorded(&sound, day).await;
        }
        let faulty = Arc::new(Faulty::new(raw.clone(), at, Side::Before, Until::Forever));
        let store = Store::wrap(faulty.clone(), "memory://").with_retries(Retries::none());
        let broken = Experiments::open(store);
        let rule = rule(Retention::Newest(1));
        let ended = match broken.plan_sweep(&rule).await {
            Ok(plan) => broken.sweep(&plan, &rule, "mark").await.map(|_| ()),
            Err(fault) => Err(fault),
        };
        for run in sound.list().await.unwrap() {
            for digest in run.blobs() {
                assert!(sound.store().has_blob(&digest).await.unwrap(), "call {at}: {}", run.id);
            }
        }
        let plan = sound.plan_sweep(&rule).await.unwrap();
        sound.sweep(&plan, &rule, "again").await.unwrap();
        assert_eq!(sound.store().blobs().await.unwrap().len(), 2, "call {at}");
        if ended.is_ok() {
            assert!(!faulty.has_failed() && at > 5, "a sweep takes more than {at} calls");
            return;
        }
    }
    panic!("a sweep of three runs takes fewer calls than that");
}
