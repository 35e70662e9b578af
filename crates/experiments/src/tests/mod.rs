mod comparing;
mod ranking;
mod sweeping;

use super::{records::path_of, *};
use botops_findings::FaultKind;
use bytes::Bytes;

fn run(at: &str, kind: &str, accuracy: f64) -> RunRecord {
    let started_at: DateTime<Utc> = at.parse().unwrap();
    let metric = Metric { value: accuracy, ci95: [accuracy - 0.01, accuracy + 0.01], n: 100 };
    RunRecord {
        schema: String::new(),
        id: String::new(),
        kind: kind.to_owned(),
        started_at,
        finished_at: started_at + chrono::TimeDelta::seconds(3),
        params: [("model.head.c".to_owned(), serde_json::json!(1.0))].into(),
        metrics: [("accuracy".to_owned(), metric)].into(),
        data: [("train".to_owned(), Digest::of(b"train"))].into(),
        code: CodeState::default(),
        environment: Environment::default(),
        artifacts: Vec::new(),
        stages: BTreeMap::new(),
        sources: BTreeMap::new(),
        recipe: None,
        measured_on: None,
        costs: Vec::new(),
        twin_of: None,
    }
}

fn opened() -> Experiments {
    Experiments::open(Store::in_memory())
}

#[tokio::test]
async fn the_same_work_on_the_same_day_is_one_run() {
    let runs = opened();
    let first = runs.record(run("2026-11-20T10:00:00Z", "train", 0.9)).await.unwrap();
    assert!(first.starts_with("20261120-") && first.len() == 21, "{first}");
    let again = runs.record(run("2026-11-20T23:59:59Z", "train", 0.9)).await.unwrap();
    assert_eq!(again, first);
    let recorded = runs.list().await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].started_at, run("2026-11-20T10:00:00Z", "train", 0.9).started_at);

    let later = runs.record(run("2026-11-21T10:00:00Z", "train", 0.9)).await.unwrap();
    assert_eq!(later[9..], first[9..]);
    assert_ne!(later[..8], first[..8]);
    let other = runs.record(run("2026-11-20T10:00:00Z", "train", 0.91)).await.unwrap();
    assert_ne!(other[9..], first[9..]);
}

#[tokio::test]
async fn runs_of_one_second_are_listed_newest_first() {
    let runs = opened();
    let mut expected = Vec::new();
    for (at, seconds) in [("00.1Z", 3), ("00.25Z", 1), ("00.3Z", 1), ("00.3Z", 2)] {
        let mut record = run(&format!("2026-11-20T10:00:{at}"), "train", 0.9);
        record.finished_at = record.started_at + chrono::TimeDelta::seconds(seconds);
        // Different data, so that it is a different run.
        record.data =
            [("train".to_owned(), Digest::of(format!("{at}{seconds}").as_bytes()))].into();
        expected.push(runs.record(record).await.unwrap());
    }
    expected.reverse();
    let ids: Vec<_> = runs.list().await.unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(ids, expected);
    assert_eq!(runs.find("latest").await.unwrap().id, expected[0]);
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_found_by_their_first_characters() {
    let runs = opened();
    let old = runs.record(run("2026-11-19T10:00:00Z", "train", 0.90)).await.unwrap();
    let new = runs.record(run("2026-11-20T12:00:00Z", "train", 0.91)).await.unwrap();
    let mid = runs.record(run("2026-11-20T11:00:00Z", "weekly", 0.92)).await.unwrap();
    let ids: Vec<_> = runs.list().await.unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(ids, [new.clone(), mid.clone(), old.clone()]);
    assert_eq!(runs.find("latest").await.unwrap().id, new);
    assert_eq!(runs.find("20261119").await.unwrap().id, old);
    assert_eq!(runs.find(&mid).await.unwrap().kind, "weekly");

    let several = runs.find("20261120").await.unwrap_err();
    assert_eq!((several.code(), several.kind()), ("BOT-5020", FaultKind::Usage));
    let (first, second) = if new < mid { (&new, &mid) } else { (&mid, &new) };
    assert_eq!(
        several.message(),
        format!("`20261120` is ambiguous: it may be `{first}`, `{second}`")
    );
    let none = runs.find("2027").await.unwrap_err();
    assert_eq!(none.message(), "there is no run `2027`");
    assert_eq!(
        opened().find("latest").await.unwrap_err().message(),
        "no run has been recorded yet"
    );
    assert_eq!(runs.find("").await.unwrap_err().code(), "BOT-5020");
}

#[tokio::test]
async fn a_run_that_was_never_finished_is_left_out_and_a_damaged_one_is_named() {
    let runs = opened();
    let id = runs.record(run("2026-11-20T10:00:00Z", "train", 0.9)).await.unwrap();
    let store = runs.store().clone();
    // A writer that was killed leaves a folder, and other tools leave folders with other names.
    store.create("runs/20261120-0123456789ab/half", Bytes::new()).await.unwrap();
    store.create("runs/notes/run.json", Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(runs.list().await.unwrap().len(), 1);

    let broken = "runs/20261121-0123456789ab/run.json";
    store.create(broken, Bytes::from_static(b"{\"schema\":\"botops.run/1\"")).await.unwrap();
    let fault = runs.list().await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5006", FaultKind::Gate));
    assert_eq!(fault.place().file.as_deref(), Some(store.object_url(broken).as_str()));
    assert_eq!(runs.find(&id).await.unwrap().id, id);

    let newer = "runs/20261122-0123456789ab/run.json";
    store.create(newer, Bytes::from_static(b"{\"schema\":\"botops.run/2\"}")).await.unwrap();
    let fault = runs.find("20261122").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5007", FaultKind::Policy));
}

#[tokio::test]
async fn a_record_under_the_id_of_another_run_is_refused() {
    let runs = opened();
    let id = runs.record(run("2026-11-20T10:00:00Z", "train", 0.9)).await.unwrap();
    let stored = runs.store().read(&path_of(&id)).await.unwrap().unwrap();
    let forged = Experiments::open(Store::in_memory());
    let altered = String::from_utf8(stored.to_vec()).unwrap().replace("0.9", "0.99");
    forged.store().create(&path_of(&id), altered.into()).await.unwrap();
    let fault = forged.record(run("2026-11-20T10:00:00Z", "train", 0.9)).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5006");

    let moved = "20261120-0123456789ab";
    runs.store().create(&path_of(moved), stored).await.unwrap();
    let fault = runs.find(moved).await.unwrap_err();
    assert_eq!(fault.message(), format!("the record of run `{moved}` belongs to run `{id}`"));
}

#[tokio::test]
async fn a_metric_that_is_not_a_number_is_refused_before_it_is_stored() {
    let runs = opened();
    let fault = runs.record(run("2026-11-20T10:00:00Z", "train", f64::NAN)).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5019");
    assert!(runs.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_artifact_is_read_as_it_was_stored() {
    let runs = opened();
    let bytes = Bytes::from_static(b"model");
    let artifact = Artifact::of("model.botops", &bytes);
    runs.store().put_blob(bytes.clone()).await.unwrap();
    assert_eq!((artifact.name.as_str(), artifact.size_bytes), ("model.botops", 5));
    assert_eq!(artifact.digest, Digest::of(&bytes));
    assert_eq!(runs.artifact(&artifact).await.unwrap(), bytes);
}
