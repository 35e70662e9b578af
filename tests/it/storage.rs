//! The upkeep of a store: sweeps, mirrors, repairs and erasures, interrupted at every call.

use crate::{
    faulty::{Faulty, Side, Until},
    servers::{self, Moto},
    store::Bench,
};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::{GateReport, GateResult};
use botops_registry::{
    Act, GATE_FILE, GarbageRule, MODEL_FILE, Manifest, ManifestFile, Mirrored, Registry,
    RepairSources, Version,
};
use botops_store::{Retries, Store, blob_path};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path as ObjectPath};
use std::{collections::BTreeSet, sync::Arc};

const MODEL: &str = "support";

fn act() -> Act {
    Act::claimed("ada", "a test", DateTime::UNIX_EPOCH)
}

/// Registers a version with a model file, a gate report and an evaluation.
async fn register(registry: &Registry, content: &str) -> Version {
    let model = Bytes::from(content.to_owned());
    let gate = Bytes::from(canonical_json(&GateReport {
        schema: "botops.gate/1".to_owned(),
        model: Digest::of(&model),
        evidence: "evaluation".to_owned(),
        results: vec![GateResult {
            rule: "accuracy >= 0.800".to_owned(),
            observed: "0.912".to_owned(),
            passed: true,
        }],
        passed: true,
        knowledge: std::collections::BTreeMap::new(),
        basis: None,
    }));
    let evaluation = format!("{{\"mistakes\":[{{\"text\":\"the mistake of {content}\"}}]}}");
    let files = vec![
        ("evaluation.json".to_owned(), Bytes::from(evaluation)),
        (GATE_FILE.to_owned(), gate.clone()),
        (MODEL_FILE.to_owned(), model),
    ];
    let file = |(path, bytes): &(String, Bytes)| ManifestFile {
        path: path.clone(),
        digest: Digest::of(bytes),
        size_bytes: bytes.len() as u64,
        media_type: "application/octet-stream".to_owned(),
    };
    let manifest = Manifest {
        schema: "botops.model/1".to_owned(),
        model: MODEL.to_owned(),
        files: files.iter().map(file).collect(),
        run: None,
        data: None,
        params: [].into(),
        metrics: [].into(),
        gates: Some(Digest::of(&gate)),
        botops: "0.1.0".to_owned(),
        git_commit: None,
        creator: "ada".to_owned(),
        intents: vec!["balance".to_owned()],
    };
    registry.register(manifest, files, &act()).await.unwrap().version
}

/// A store with two versions, of which the first is champion, and `n` blobs that nothing names.
async fn filled(n: usize) -> (Bench, Vec<Version>) {
    let bench = Bench::memory();
    let registry = Registry::open(bench.store.clone());
    let versions = vec![register(&registry, "one").await, register(&registry, "two").await];
    let proof = registry.proof(&versions[0]).await.unwrap();
    registry.promote(&versions[0], None, &proof, &act()).await.unwrap();
    for n in 0..n {
        bench.store.put_blob(format!("garbage {n}").into()).await.unwrap();
    }
    (bench, versions)
}

/// Returns the same objects behind a store that fails on call `at`, and from then on.
fn killed(bench: &Bench, at: usize, side: Side) -> (Store, Arc<Faulty>) {
    let faulty = Arc::new(Faulty::new(bench.raw.clone(), at, side, Until::Forever));
    let store = Store::wrap(faulty.clone(), bench.store.url()).with_retries(Retries::none());
    (store, faulty)
}

async fn blobs(store: &Store) -> BTreeSet<Digest> {
    store.blobs().await.unwrap().into_iter().map(|(digest, _)| digest).collect()
}

async fn problems(store: &Store) -> Vec<String> {
    let found = Registry::open(store.clone()).verify(None).await.unwrap().problems;
    found.into_iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect()
}

fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(8)
}

async fn sweep(store: &Store, id: &str) -> botops_findings::Result<u64> {
    let registry = Registry::open(store.clone());
    let rule = GarbageRule { grace: TimeDelta::days(7), clock: later() };
    let plan = registry.plan_garbage(rule, id).await?;
    Ok(registry.sweep_garbage(&plan, later(), &act()).await?.blobs)
}

#[tokio::test]
async fn a_sweep_that_is_killed_at_any_call_loses_nothing_and_is_continued() {
    let mut kills = 0;
    for side in [Side::Before, Side::After] {
        for at in 1.. {
            let (bench, _) = filled(5).await;
            let all = blobs(&bench.store).await;
            let (store, faulty) = killed(&bench, at, side);
            let swept = sweep(&store, "KILLED").await;
            if !faulty.has_failed() {
                assert_eq!(swept.unwrap(), 5);
                break;
            }
            kills += 1;
            assert_eq!(problems(&bench.store).await, [""; 0], "{side:?} {at}");
            sweep(&bench.store, "NEXT").await.unwrap();
            let left = blobs(&bench.store).await;
            assert_eq!(left.len(), all.len() - 5, "{side:?} {at}");
            assert_eq!(problems(&bench.store).await, [""; 0], "{side:?} {at}");
            let registry = Registry::open(bench.store.clone());
            assert!(registry.unfinished_sweeps().await.unwrap().is_empty(), "{side:?} {at}");
        }
    }
    assert!(kills > 50, "{kills}");
}

#[tokio::test]
async fn an_erasure_that_is_killed_at_any_call_is_continued() {
    let mut kills = 0;
    for side in [Side::Before, Side::After] {
        for at in 1.. {
            let (bench, versions) = filled(0).await;
            let evaluation = versions[1].manifest.file("evaluation.json").unwrap().digest;
            let model = versions[1].model_digest().unwrap();
            let lost = BTreeSet::from([evaluation, model]);
            let erase = async |store: &Store| {
                let registry = Registry::open(store.clone());
                let plan = registry.plan_erasure(lost.clone()).await?;
                registry.refuse_champion_erasure(&plan)?;
                registry.erase(&plan, "E", &act()).await
            };
            let (store, faulty) = killed(&bench, at, side);
            let erased = erase(&store).await;
            if faulty.has_failed() {
                kills += 1;
                erase(&bench.store).await.unwrap();
            } else {
                erased.unwrap();
            }
            let registry = Registry::open(bench.store.clone());
            let verification = registry.verify(None).await.unwrap();
            assert_eq!(verification.problems, [], "{side:?} {at}");
            assert_eq!(verification.erased.len(), 2, "{side:?} {at}");
            let version = registry.resolve(&"support@2".parse().unwrap()).await.unwrap();
            assert_eq!(version.erased.as_ref().unwrap().files.len(), 2);
            assert_eq!(registry.file(&version, MODEL_FILE).await.unwrap_err().code(), "BOT-5130");
            assert_eq!(registry.proof(&version).await.unwrap_err().code(), "BOT-5132");
            let latest = registry.resolve(&"support@latest".parse().unwrap()).await.unwrap();
            assert_eq!(latest.number, 1);
            if !faulty.has_failed() {
                // The same file is not stored again, and a sweep keeps the mark.
                let again = bench.store.put_blob("two".into()).await.unwrap_err();
                assert_eq!((again.code(), again.kind().exit_code()), ("BOT-5131", 6));
                sweep(&bench.store, "S").await.unwrap();
                assert_eq!(bench.store.erased_blobs().await.unwrap(), lost);
                break;
            }
        }
    }
    assert!(kills > 20, "{kills}");
}

#[tokio::test]
async fn a_champion_is_erased_only_by_force_unless_it_can_still_be_served() {
    let (bench, versions) = filled(0).await;
    let registry = Registry::open(bench.store.clone());
    let digest = |name: &str| versions[0].manifest.file(name).unwrap().digest;
    for file in [MODEL_FILE, GATE_FILE] {
        let plan = registry.plan_erasure([digest(file)].into()).await.unwrap();
        assert!(plan.versions[0].unusable && plan.versions[0].champion_of == ["production"]);
        let fault = registry.refuse_champion_erasure(&plan).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5143", 6));
    }
    let plan = registry.plan_erasure([digest("evaluation.json")].into()).await.unwrap();
    registry.refuse_champion_erasure(&plan).unwrap();
    registry.erase(&plan, "E", &act()).await.unwrap();
    let champion = registry.champion(MODEL).await.unwrap().unwrap();
    assert_eq!(registry.file(&champion, MODEL_FILE).await.unwrap(), "one");
    registry.proof(&champion).await.unwrap();

    let manifest = [versions[1].manifest_digest].into();
    assert_eq!(registry.plan_erasure(manifest).await.unwrap_err().code(), "BOT-5141");
}

#[tokio::test]
async fn a_mirror_that_is_killed_at_any_call_can_be_read_and_is_continued() {
    let (from, _) = filled(1).await;
    let registry = Registry::open(from.store.clone());
    let version = registry.resolve(&"support@2".parse().unwrap()).await.unwrap();
    let lost = registry.blobs_of(&[version]).await.unwrap();
    let plan = registry.plan_erasure(lost).await.unwrap();
    registry.erase(&plan, "E", &act()).await.unwrap();
    let mut kills = 0;
    for side in [Side::Before, Side::After] {
        for at in 1.. {
            let raw: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let to = Bench { store: Store::wrap(raw.clone(), "copy://"), raw };
            // The copy has a blob that was erased in the store since.
            to.store.put_blob("two".into()).await.unwrap();
            let (store, faulty) = killed(&to, at, side);
            let copied = Mirrored::copy(&from.store, &store, &act(), false).await;
            // Whatever arrived names nothing that did not.
            let incomplete = problems(&to.store).await;
            assert!(
                incomplete.iter().all(|problem| problem.starts_with("BOT-5133")),
                "{side:?} {at}: {incomplete:?}"
            );
            if !faulty.has_failed() {
                copied.unwrap();
                break;
            }
            kills += 1;
            let done = Mirrored::copy(&from.store, &to.store, &act(), false).await.unwrap();
            assert_eq!(done.conflicts, []);
            assert_eq!(problems(&to.store).await, [""; 0], "{side:?} {at}");
            assert_eq!(blobs(&to.store).await, blobs(&from.store).await);
            let again = Mirrored::copy(&from.store, &to.store, &act(), true).await.unwrap();
            assert_eq!((again.blobs, again.entries, again.others, again.erased), (0, 0, 0, 0));
        }
    }
    assert!(kills > 40, "{kills}");
}

#[tokio::test]
async fn a_mirror_that_others_write_to_is_a_conflict() {
    let (from, versions) = filled(0).await;
    let to = Store::wrap(Arc::new(InMemory::new()), "copy://");
    Mirrored::copy(&from.store, &to, &act(), false).await.unwrap();
    register(&Registry::open(to.clone()), "written to the copy").await;
    register(&Registry::open(from.store.clone()), "three").await;
    let done = Mirrored::copy(&from.store, &to, &act(), false).await.unwrap();
    assert_eq!(done.conflicts.len(), 1, "{:?}", done.conflicts);
    assert!(done.conflicts[0].object.starts_with("models/support/log/"), "{:?}", done.conflicts);
    let copy = Registry::open(to.clone());
    assert_eq!(
        copy.versions(MODEL).await.unwrap().len(),
        versions.len() + 1,
        "nothing is overwritten"
    );
    assert_eq!(copy.verify(None).await.unwrap().problems, []);
    let fault = Mirrored::copy(&to, &to, &act(), false).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5144", 2));
}

#[tokio::test]
async fn damage_is_repaired_from_a_mirror_and_the_damaged_bytes_are_kept() {
    let (bench, versions) = filled(0).await;
    let mirror = Store::wrap(Arc::new(InMemory::new()), "copy://");
    Mirrored::copy(&bench.store, &mirror, &act(), false).await.unwrap();
    let entry = "models/support/log/00000000000000000002.json";
    let model = blob_path(&versions[0].model_digest().unwrap());
    let manifest = blob_path(&versions[1].manifest_digest);
    bench.remove(&manifest).await;
    bench.alter(&model, |_| b"altered".to_vec()).await;
    bench
        .alter(entry, |mut bytes| {
            let at = bytes.len() - 3;
            bytes[at] ^= 1;
            bytes
        })
        .await;
    let first = "deployments/production/log/00000000000000000001.json";
    let checkpoint = "models/support/checkpoints/00000000000000000001.json";
    bench.store.create(checkpoint, "{}".into()).await.unwrap();

    let sources = RepairSources { stores: vec![mirror], ..RepairSources::default() };
    let mut repaired = BTreeSet::new();
    for _ in 0..10 {
        let registry = Registry::open(bench.store.clone());
        let found = registry.verify(None).await.unwrap().problems;
        let dry = registry.repair(&found, &sources, true).await.unwrap();
        let done = registry.repair(&found, &sources, false).await.unwrap();
        assert_eq!(dry.is_empty(), done.is_empty());
        if done.is_empty() {
            break;
        }
        repaired.extend(done.iter().map(|it| it.object.clone()));
        registry.record_repairs(done, &act()).await.unwrap();
    }
    assert_eq!(problems(&bench.store).await, [""; 0]);
    assert_eq!(repaired, [model, manifest, entry.to_owned(), checkpoint.to_owned()].into());
    assert!(bench.store.read(first).await.unwrap().is_some());
    let kept = bench.store.objects("repairs/aside", None).await.unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    let registry = Registry::open(bench.store.clone());
    assert_eq!(registry.file(&versions[0], MODEL_FILE).await.unwrap(), "one");
    // A sweep leaves what was put aside, and a copy does not take it.
    sweep(&bench.store, "S").await.unwrap();
    assert_eq!(bench.store.objects("repairs/aside", None).await.unwrap(), kept);
}

#[tokio::test]
async fn a_log_that_is_gone_is_missed_and_a_mirror_brings_it_back() {
    let (bench, _) = filled(0).await;
    let mirror = Store::wrap(Arc::new(InMemory::new()), "copy://");
    Mirrored::copy(&bench.store, &mirror, &act(), false).await.unwrap();
    for path in bench.store.objects("models/support", None).await.unwrap() {
        bench.remove(&path).await;
    }
    let found = problems(&bench.store).await;
    assert!(found.iter().any(|it| it.contains("the log of `support` is gone")), "{found:?}");
    let back = Mirrored::copy(&mirror, &bench.store, &act(), false).await.unwrap();
    assert!(back.entries > 0 && back.conflicts.is_empty(), "{back:?}");
    assert_eq!(problems(&bench.store).await, [""; 0]);
}

#[tokio::test]
async fn an_entry_is_not_taken_from_a_store_in_which_it_does_not_fit() {
    let (bench, _) = filled(0).await;
    let other = Bench::memory();
    let registry = Registry::open(other.store.clone());
    for content in ["other", "versions", "of it"] {
        register(&registry, content).await;
    }
    let entry = "models/support/log/00000000000000000001.json";
    bench.remove(entry).await;
    let sources = RepairSources { stores: vec![other.store], ..RepairSources::default() };
    let registry = Registry::open(bench.store.clone());
    let found = registry.verify(None).await.unwrap().problems;
    assert_eq!(registry.repair(&found, &sources, false).await.unwrap(), []);
    assert_eq!(bench.store.read(entry).await.unwrap(), None);
}

/// Sweeps more objects than one page of a listing has, in a bucket, with an interruption.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_more_than_a_thousand_blobs_is_swept_and_mirrored() {
    const GARBAGE: usize = 1_050;
    let Some(moto) = Moto::start() else { return };
    let bench = Bench::s3(&moto.endpoint(), "sweep");
    let registry = Registry::open(bench.store.clone());
    let version = register(&registry, "one").await;
    futures::future::join_all((0..16).map(|worker| {
        let raw = bench.raw.clone();
        async move {
            for n in (worker..GARBAGE).step_by(16) {
                let bytes = Bytes::from(format!("garbage {n}"));
                let path = ObjectPath::parse(blob_path(&Digest::of(&bytes))).unwrap();
                raw.put(&path, bytes.into()).await.unwrap();
            }
        }
    }))
    .await;
    let (store, faulty) = killed(&bench, 700, Side::After);
    sweep(&store, "KILLED").await.unwrap_err();
    assert!(faulty.has_failed());
    let left = blobs(&bench.store).await.len();
    assert!((5..GARBAGE).contains(&left), "{left} are left after the kill");
    sweep(&bench.store, "NEXT").await.unwrap();
    assert_eq!(blobs(&bench.store).await.len(), 4);
    assert_eq!(registry.file(&version, MODEL_FILE).await.unwrap(), "one");
    assert_eq!(problems(&bench.store).await, [""; 0]);

    let copy = Bench::s3(&moto.endpoint(), "copy");
    let done = Mirrored::copy(&bench.store, &copy.store, &act(), false).await.unwrap();
    assert_eq!((done.blobs, done.conflicts.len()), (4, 0));
    assert_eq!(problems(&copy.store).await, [""; 0]);
}

/// Asks for the headers of an object. moto wants a signature, and does not check it.
fn head(endpoint: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "HEAD /{}/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20261130/us-east-1/s3/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n",
        servers::BUCKET
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.to_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_encrypted_at_rest_as_the_settings_say() {
    let Some(moto) = Moto::start() else { return };
    let endpoint = moto.endpoint();
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 3] = [
        ("plain", &[], &[]),
        (
            "s3",
            &[("AWS_SERVER_SIDE_ENCRYPTION", "AES256")],
            &["x-amz-server-side-encryption: aes256"],
        ),
        (
            "kms",
            &[
                ("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms"),
                ("AWS_SSE_KMS_KEY_ID", "key-of-the-team"),
                ("AWS_SSE_BUCKET_KEY_ENABLED", "true"),
            ],
            &[
                "x-amz-server-side-encryption: aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id: key-of-the-team",
            ],
        ),
    ];
    for (prefix, variables, expected) in cases {
        let mut settings = servers::settings(&endpoint);
        settings.extend(
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let store = Store::open(&format!("s3://{}/{prefix}", servers::BUCKET), &settings).unwrap();
        let version = register(&Registry::open(store.clone()), "one").await;
        let blob = blob_path(&version.model_digest().unwrap());
        for path in [&*blob, "models/support/log/00000000000000000001.json", "probes/proof.json"] {
            let headers = head(&endpoint, &format!("{prefix}/{path}"));
            assert!(headers.starts_with("http/1.1 200"), "{headers}");
            for header in expected {
                assert!(headers.contains(header), "{header} is not in {headers}");
            }
            assert!(!expected.is_empty() || !headers.contains("server-side"), "{headers}");
        }
        // It is read back as any other.
        assert_eq!(store.blob(&version.model_digest().unwrap()).await.unwrap(), "one");
    }
    let mut settings = servers::settings(&endpoint);
    settings.insert("AWS_SSE_KMS_KEY_ID".to_owned(), "key".to_owned());
    let Err(fault) = Store::open("s3://botops/x", &settings) else { panic!("it is refused") };
    assert_eq!(fault.code(), "BOT-5139");
}
