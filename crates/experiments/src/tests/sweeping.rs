use super::*;
use async_trait::async_trait;
use botops_store::blob_path;
use bytes::Bytes;
use chrono::TimeDelta;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory, path::Path,
};
use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const NOW: &str = "2026-11-20T12:00:00Z";

fn rule(retention: Retention) -> SweepRule {
    SweepRule {
        retention,
        runs_in_use: BTreeSet::new(),
        blobs_in_use: BTreeSet::new(),
        logged: BTreeSet::new(),
        grace: TimeDelta::zero(),
        now: NOW.parse().unwrap(),
        // Every object in the store is older than this by an hour.
        clock: Utc::now() + TimeDelta::hours(1),
    }
}

/// A run of `day` with a model of its own, and the training data `data`.
fn trained(day: u32, data: &str) -> (RunRecord, Vec<Bytes>) {
    let files = vec![Bytes::from(format!("model of day {day}")), Bytes::from(data.to_owned())];
    let mut record = run(&format!("2026-11-{day:02}T10:00:00Z"), "train", 0.9);
    record.artifacts = vec![Artifact::of("model.botops", &files[0])];
    record.data = [("train".to_owned(), Digest::of(&files[1]))].into();
    record.sources = [("train".to_owned(), Source { kept: true, ..Source::default() })].into();
    (record, files)
}

async fn three() -> (Experiments, [String; 3]) {
    let runs = opened();
    let mut ids = Vec::new();
    for (day, data) in [(1, "first data"), (2, "shared data"), (3, "shared data")] {
        let (record, files) = trained(day, data);
        ids.push(runs.commit(record, &files).await.unwrap());
    }
    (runs, ids.try_into().unwrap())
}

async fn ids(runs: &Experiments) -> Vec<String> {
    runs.list().await.unwrap().into_iter().map(|run| run.id).collect()
}

/// Asserts that every recorded run has all its blobs.
async fn assert_complete(runs: &Experiments) {
    for run in runs.list().await.unwrap() {
        for digest in run.blobs() {
            runs.store().blob(&digest).await.unwrap();
        }
    }
}

#[tokio::test]
async fn old_runs_are_removed_with_blobs_that_only_they_refer_to() {
    let (runs, [first, second, third]) = three().await;
    let rule = rule(Retention::Newest(1));
    let plan = runs.plan_sweep(&rule).await.unwrap();
    let planned: Vec<&String> = plan.runs.iter().map(|run| &run.id).collect();
    assert_eq!(planned, [&first, &second]);
    // Two models and the first data. The third run uses the shared data too.
    assert_eq!((plan.blobs.len(), plan.runs_kept), (3, 1));
    let sizes = ["model of day 1", "model of day 2", "first data"].map(str::len);
    assert_eq!(plan.bytes, sizes.iter().sum::<usize>() as u64);
    assert_eq!(ids(&runs).await.len(), 3, "a plan removes nothing");

    let swept = runs.sweep(&plan, &rule, "mark").await.unwrap();
    assert_eq!(swept, plan);
    assert_eq!(ids(&runs).await, [third]);
    assert_eq!(runs.store().blobs().await.unwrap().len(), 2);
    assert!(runs.store().list("sweeps").await.unwrap().is_empty(), "the mark is removed");
    assert_complete(&runs).await;
    let again = runs.plan_sweep(&rule).await.unwrap();
    assert!(again.runs.is_empty() && again.blobs.is_empty());
}

#[tokio::test]
async fn age_is_counted_from_the_end_of_a_run() {
    let (runs, [first, ..]) = three().await;
    // Run 2 ended on day 2 at 10:00:03, 18 days, 1 hour, 59 minutes and 57 seconds before now.
    let age = TimeDelta::days(18) + TimeDelta::hours(2);
    let plan = runs.plan_sweep(&rule(Retention::YoungerThan(age))).await.unwrap();
    assert_eq!(plan.runs.iter().map(|run| &run.id).collect::<Vec<_>>(), [&first]);
    let age = age - TimeDelta::seconds(4);
    let plan = runs.plan_sweep(&rule(Retention::YoungerThan(age))).await.unwrap();
    assert_eq!(plan.runs.len(), 2);
}

#[tokio::test]
async fn runs_and_blobs_in_use_stay() {
    let (runs, [first, second, third]) = three().await;
    let mut rule = rule(Retention::Newest(0));
    rule.runs_in_use = [first.clone(), "20250101-0123456789ab".to_owned()].into();
    rule.blobs_in_use = [Digest::of(b"model of day 2")].into();
    let plan = runs.plan_sweep(&rule).await.unwrap();
    assert_eq!(plan.runs.iter().map(|run| &run.id).collect::<Vec<_>>(), [&second, &third]);
    assert_eq!(plan.runs_spared, [first.as_str()]);
    runs.sweep(&plan, &rule, "mark").await.unwrap();
    assert_eq!(ids(&runs).await, [first]);
    assert_complete(&runs).await;
    assert!(runs.store().has_blob(&Digest::of(b"model of day 2")).await.unwrap());
    assert!(!runs.store().has_blob(&Digest::of(b"shared data")).await.unwrap());
}

#[tokio::test]
async fn young_runs_and_blobs_stay() {
    let (runs, _) = three().await;
    let mut rule = rule(Retention::Newest(0));
    rule.grace = TimeDelta::days(18);
    rule.clock = Utc::now();
    // A blob whose run is not recorded yet.
    runs.store().put_blob(Bytes::from_static(b"early")).await.unwrap();
    let plan = runs.plan_sweep(&rule).await.unwrap();
    // The runs of days 1 and 2 are older than 18 days; all blobs were written just now.
    assert_eq!((plan.runs.len(), plan.runs_young, plan.blobs.len()), (2, 1, 0));
    assert_eq!(
        plan.blobs_young, 4,
        "the two models and the data of the removed runs, and the blob without a run"
    );
}

#[tokio::test]
async fn nothing_is_removed_while_a_record_cannot_be_read() {
    let (runs, _) = three().await;
    let broken = "runs/20261121-0123456789ab/run.json";
    runs.store().create(broken, Bytes::from_static(b"{")).await.unwrap();
    let fault = runs.plan_sweep(&rule(Retention::Newest(0))).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5006");
}

#[tokio::test]
async fn a_store_with_an_unknown_folder_is_refused() {
    let (runs, _) = three().await;
    runs.store().create("tunes/a/trials/0-0.json", Bytes::from_static(b"{}")).await.unwrap();
    assert!(runs.plan_sweep(&rule(Retention::Newest(0))).await.is_ok());
    runs.store().create("snapshots/a.json", Bytes::from_static(b"{}")).await.unwrap();
    let fault = runs.plan_sweep(&rule(Retention::Newest(0))).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5046", FaultKind::Policy));
    assert!(fault.message().contains("`snapshots/`"), "{fault}");
}

#[tokio::test]
async fn a_run_recorded_between_plan_and_sweep_keeps_its_blobs() {
    let (runs, _) = three().await;
    let rule = rule(Retention::Newest(0));
    let plan = runs.plan_sweep(&rule).await.unwrap();
    let (record, files) = trained(19, "shared data");
    let id = runs.commit(record, &files).await.unwrap();
    runs.sweep(&plan, &rule, "mark").await.unwrap();
    assert_eq!(ids(&runs).await, [id]);
    assert_complete(&runs).await;
}

#[tokio::test]
async fn a_run_recorded_while_its_blob_is_being_removed_stores_it_again() {
    let raw = Arc::new(InMemory::new());
    let shared = Digest::of(b"shared data");
    let halting = Arc::new(Halting {
        inner: raw.clone(),
        at: Path::parse(blob_path(&shared)).unwrap(),
        reached: Semaphore::new(0),
        go: Arc::new(Semaphore::new(0)),
    });
    let runs = Experiments::open(Store::wrap(raw, "memory://"));
    let (record, files) = trained(1, "shared data");
    runs.commit(record, &files).await.unwrap();

    let rule = rule(Retention::Newest(0));
    let plan = runs.plan_sweep(&rule).await.unwrap();
    let sweeper = Experiments::open(Store::wrap(halting.clone(), "memory://"));
    let sweep = tokio::spawn(async move { sweeper.sweep(&plan, &rule, "mark").await });
    // The runs are listed, and the removal of the blob has begun.
    halting.reached.acquire().await.unwrap().forget();
    let recorder = runs.clone();
    let mut commit = tokio::spawn(async move {
        let (record, files) = trained(19, "shared data");
        recorder.commit(record, &files).await
    });
    let early = tokio::time::timeout(Duration::from_millis(400), &mut commit).await;
    assert!(early.is_err(), "it does not wait for the sweep");
    halting.go.add_permits(1);
    sweep.await.unwrap().unwrap();
    let id = commit.await.unwrap().unwrap();
    assert_eq!(ids(&runs).await, [id]);
    assert_complete(&runs).await;
}

#[tokio::test]
async fn the_mark_of_a_killed_sweep_expires() {
    let (runs, _) = three().await;
    runs.store().create("sweeps/killed", Bytes::from_static(b"x")).await.unwrap();
    runs.store().outlast_sweeps(Duration::from_millis(150)).await.unwrap();
    assert!(runs.store().list("sweeps").await.unwrap().is_empty());
}

/// A store that waits for a permit in `go` before it removes `at`.
#[derive(Debug)]
struct Halting {
    inner: Arc<InMemory>,
    at: Path,
    reached: Semaphore,
    go: Arc<Semaphore>,
}

impl fmt::Display for Halting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Halting")
    }
}

#[async_trait]
impl ObjectStore for Halting {
    async fn put_opts(
        &self,
        at: &Path,
        bytes: PutPayload,
        how: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(at, bytes, how).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let (inner, at, go) = (self.inner.clone(), self.at.clone(), self.go.clone());
        self.reached.add_permits(1);
        let halted = paths.then(move |path| {
            let (at, go) = (at.clone(), go.clone());
            async move {
                let path = path?;
                if path == at {
                    go.acquire().await.expect("the semaphore stays open").forget();
                }
                Ok(path)
            }
        });
        inner.delete_stream(halted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        how: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}
