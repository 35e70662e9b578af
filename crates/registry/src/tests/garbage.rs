//! Sweeps: nothing that is named is removed, whatever the store holds and whoever writes to it meanwhile.

use super::*;
use crate::{GarbageChange, GarbagePlan, GarbageRule};
use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::json;
use std::collections::BTreeSet;

/// A week and a day after everything was written.
fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(8)
}

fn rule() -> GarbageRule {
    GarbageRule { grace: TimeDelta::days(7), clock: later() }
}

async fn plan(registry: &Registry) -> GarbagePlan {
    registry.plan_garbage(rule(), "PLAN").await.unwrap()
}

fn digests(plan: &GarbagePlan) -> BTreeSet<Digest> {
    plan.blobs.iter().map(|blob| blob.digest).collect()
}

async fn stored(store: &Store) -> BTreeSet<Digest> {
    store.blobs().await.unwrap().into_iter().map(|(digest, _)| digest).collect()
}

async fn put(store: &Store, content: &str) -> Digest {
    store.put_blob(Bytes::from(content.to_owned())).await.unwrap()
}

/// Numbers that look random, the same for the same seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Appends an entry to a log of any kind.
async fn append(store: &Store, path: &str, payload: serde_json::Value) {
    let log = store.log::<serde_json::Value>(path);
    let entries = log.entries().await.unwrap();
    assert!(matches!(log.append(entries.last(), payload).await.unwrap(), Appended::Written(_)));
}

/// Fills a store with random objects, and returns the blobs that they name.
async fn filled(seed: u64) -> (Store, Registry, BTreeSet<Digest>) {
    let store = Store::in_memory();
    let registry = Registry::open(store.clone());
    let mut draw = Draw(seed);
    let mut named = BTreeSet::new();
    let mut pool = Vec::new();
    for n in 0..20 + draw.below(40) {
        pool.push(put(&store, &format!("blob {seed} {n}")).await);
    }
    for n in 0..3 + draw.below(15) {
        let (a, b) = (
            pool[draw.below(pool.len() as u64) as usize],
            pool[draw.below(pool.len() as u64) as usize],
        );
        match draw.below(6) {
            0 => {
                let version = register(&registry, &format!("model {n}")).await;
                named.extend([version.manifest_digest, version.model_digest().unwrap()]);
            }
            1 => {
                // A manifest of a data set that names packs, one of which names nothing.
                let manifest = json!({"schema": "botops.snapshot/1", "packs": [a, b]}).to_string();
                let manifest = put(&store, &manifest).await;
                let entry = json!({"action": {"action": "taken", "manifest": manifest}});
                append(&store, &format!("datasets/d{}/log", draw.below(3)), entry).await;
                named.extend([manifest, a, b]);
            }
            2 => {
                let run = json!({"artifacts": [{"name": "x", "digest": a}], "data": {"train": b}});
                let path = format!("runs/20261120-{n:012x}/run.json");
                store.create(&path, run.to_string().into()).await.unwrap();
                named.extend([a, b]);
            }
            3 => {
                let stage = json!({"record": {"outputs": {"model.botops": a}}}).to_string();
                store.create(&format!("stages/aa/{n}.json"), stage.into()).await.unwrap();
                named.insert(a);
            }
            4 => {
                let entry = json!({"change": {"evidence": a, "plan": {"deep": [b]}}});
                let path =
                    ["deployments/edge/log", "deployments/staging/log"][draw.below(2) as usize];
                append(&store, path, entry).await;
                named.extend([a, b]);
            }
            _ => {
                // A tree of blobs, which only its root is named of.
                let leaf = put(&store, &json!({"of": [a]}).to_string()).await;
                let root = put(&store, &json!([leaf.hex(), n]).to_string()).await;
                append(&store, "models/tree/log", json!({"root": root})).await;
                named.extend([root, leaf, a]);
            }
        }
    }
    // Names of these objects keep no blob.
    let spare = pool[0];
    store.create("sweeps/old", spare.to_string().into()).await.unwrap();
    store.create("tunes/a/trials/1.json", json!({ "d": spare }).to_string().into()).await.unwrap();
    (store, registry, named)
}

#[tokio::test]
async fn of_random_stores_exactly_the_unnamed_blobs_are_removed() {
    let mut removed = 0;
    for seed in 1..=60 {
        let (store, registry, named) = filled(seed).await;
        let before = stored(&store).await;
        let plan = plan(&registry).await;
        let expected: BTreeSet<Digest> = before.difference(&named).copied().collect();
        assert_eq!(digests(&plan), expected, "seed {seed}");
        assert_eq!(stored(&store).await, before, "a plan removes nothing");
        let swept = registry.sweep_garbage(&plan, later(), &act("ada")).await.unwrap();
        assert_eq!((swept.blobs, swept.kept, swept.absent), (expected.len() as u64, 0, 0));
        assert_eq!(stored(&store).await, named, "seed {seed}");
        removed += swept.blobs;
        assert_eq!(self::plan(&registry).await.blobs, []);
    }
    assert!(removed > 500, "only {removed}");
}

#[tokio::test]
async fn a_young_blob_stays_and_a_plan_is_checked_again() {
    let (store, registry, _) = bench().await;
    let (old, named) = (put(&store, "old").await, put(&store, "named later").await);
    let young =
        registry.plan_garbage(GarbageRule { clock: Utc::now(), ..rule() }, "A").await.unwrap();
    assert_eq!((young.blobs.len(), young.blobs_young, young.blobs_named), (0, 2, 6));
    let mut planned = plan(&registry).await;
    assert_eq!(digests(&planned), BTreeSet::from([old, named]));

    // Before the plan is carried out, a version comes to name one of them. A plan that was edited removes no more.
    let version = register(&registry, "named later").await;
    planned.blobs.push(GarbageBlob { digest: version.manifest_digest, ..planned.blobs[0].clone() });
    let swept = registry.sweep_garbage(&planned, later(), &act("ada")).await.unwrap();
    assert_eq!((swept.blobs, swept.kept), (1, 2));
    assert_eq!(registry.file(&version, MODEL_FILE).await.unwrap(), "named later");
    assert!(!store.has_blob(&old).await.unwrap());
    let steps: Vec<_> = registry.sweeps().await.unwrap().into_iter().map(|it| it.change).collect();
    assert!(
        matches!(&steps[..], [
        GarbageChange::Began { blobs: 3, .. },
        GarbageChange::Tombstoned { blobs },
        GarbageChange::Finished { blobs: 1, .. },
    ] if *blobs == [old]),
        "{steps:?}"
    );
    assert_eq!(registry.verify(None).await.unwrap().problems, []);

    // The same plan again does nothing, and one of another store is refused.
    let swept = registry.sweep_garbage(&planned, later(), &act("ada")).await.unwrap();
    assert_eq!((swept.blobs, swept.absent), (0, 3));
    let other = GarbagePlan { store: "other".to_owned(), ..planned };
    let fault = registry.sweep_garbage(&other, later(), &act("ada")).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5138");
}

#[tokio::test]
async fn unknown_references_stop_a_sweep() {
    let (store, registry, versions) = bench().await;
    put(&store, "garbage").await;
    let code = async || registry.plan_garbage(rule(), "A").await.unwrap_err().code();
    store.create("notes/x/log/1.json", "{}".into()).await.unwrap();
    assert_eq!(code().await, "BOT-5135");
    store.remove("notes/x/log/1.json").await.unwrap();

    store.create("runs/20261120-0123456789ab/run.json", "{\"half".into()).await.unwrap();
    assert_eq!(code().await, "BOT-5136");
    store.remove("runs/20261120-0123456789ab/run.json").await.unwrap();

    let path = botops_store::blob_path(&versions[0].manifest_digest);
    let bytes = store.read(&path).await.unwrap().unwrap();
    store.remove(&path).await.unwrap();
    assert_eq!(code().await, "BOT-5136");
    store.create(&path, [&bytes[..], b" "].concat().into()).await.unwrap();
    assert_eq!(code().await, "BOT-5136", "a damaged manifest may name other blobs");
    store.remove(&path).await.unwrap();
    store.create(&path, bytes).await.unwrap();

    let entry = "models/support/log/00000000000000000002.json";
    store.remove(entry).await.unwrap();
    assert_eq!(code().await, "BOT-5006");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_version_that_is_pushed_during_a_sweep_keeps_its_blobs() {
    let mut removed = 0;
    for round in 0..40 {
        let (store, registry, _) = bench().await;
        // The files of the version lie around as garbage, and the sweep is about to remove them.
        let content = format!("pushed {round}");
        for n in 0..20 {
            put(&store, &format!("garbage {n}")).await;
        }
        put(&store, &content).await;
        let plan = plan(&registry).await;
        assert_eq!(plan.blobs.len(), 21);
        let sweeper = registry.clone();
        let sweep = tokio::spawn(async move {
            sweeper.sweep_garbage(&plan, later(), &act("ada")).await.unwrap()
        });
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let other = Registry::open(store.clone());
        let version = register(&other, &content).await;
        removed += sweep.await.unwrap().blobs;
        assert_eq!(other.file(&version, MODEL_FILE).await.unwrap(), content, "round {round}");
        assert_eq!(other.verify(None).await.unwrap().problems, []);
    }
    assert!(removed >= 40 * 20, "{removed}");
}

#[test]
fn a_plan_that_was_edited_is_refused_before_anything_is_written() {
    let plan = GarbagePlan {
        schema: "botops.gc_plan/1".to_owned(),
        id: "01M8Q3JM7QS3B0ZSFWSAR5GHT3".to_owned(),
        store: "registry".to_owned(),
        planned_at: Utc::now(),
        grace_seconds: 600,
        blobs: Vec::new(),
        bytes: 0,
        blobs_named: 0,
        blobs_young: 0,
    };
    let read = |plan: &GarbagePlan| {
        let bytes = serde_json::to_vec(plan).unwrap();
        GarbagePlan::from_bytes(&bytes, std::path::Path::new("plan.json"))
    };
    assert_eq!(read(&plan).unwrap(), plan);
    for grace_seconds in [i64::MAX, i64::MIN, -600] {
        let fault = read(&GarbagePlan { grace_seconds, ..plan.clone() }).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5137", 2), "{grace_seconds}");
    }
    for id in ["../../x", "", "a b"] {
        let fault = read(&GarbagePlan { id: id.to_owned(), ..plan.clone() }).unwrap_err();
        assert_eq!(fault.code(), "BOT-5137", "{id}");
    }
}

#[tokio::test]
async fn a_sweep_of_runs_knows_what_stages_and_knowledge_of_the_same_store_name() {
    let store = Store::in_memory();
    let registry = Registry::open(store.clone());
    let document = put(&store, "a document").await;
    let manifest = put(&store, &json!({ "documents": [{ "source": document }] }).to_string()).await;
    let output = put(&store, "an output of a stage").await;
    let other = put(&store, "a file of a run").await;
    append(&store, "knowledge/help/log", json!({ "manifest": manifest })).await;
    let stage = json!({ "outputs": { "model": output } }).to_string();
    store.create("stages/ab/ab12.json", Bytes::from(stage)).await.unwrap();
    let run = json!({ "file": other }).to_string();
    store.create("runs/20261121-0123456789ab/run.json", Bytes::from(run)).await.unwrap();
    let named = registry.blobs_beside_runs().await.unwrap();
    assert!(named.is_superset(&[document, manifest, output].into()), "{named:?}");
    assert!(!named.contains(&other), "runs are read by the sweep itself");
}
