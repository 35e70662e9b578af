//! The registry: versions, aliases, promotion with proof, races, faults at every call, verification.

use crate::{
    faulty::{Faulty, Side, Until},
    servers::{Moto, S3Server},
    store::Bench,
    switched::Switched,
};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::{self as evaluation, GateReport, GateResult, Metric, PassedGates};
use botops_findings::FaultKind;
use botops_registry::{
    Act, Action, CHAMPION, DEFAULT_ENVIRONMENT, Event, GATE_FILE, MODEL_FILE, Manifest,
    ManifestFile, Reference, Registry, Version, deployment_log,
};
use botops_store::{Retries, Store, blob_path};
use bytes::Bytes;
use object_store::{ObjectStore, memory::InMemory};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const MODEL: &str = "support";
/// The alias of the version in canary.
const CHALLENGER: &str = "challenger";

fn act(actor: &str) -> Act {
    Act::claimed(actor, "weekly run", "2026-11-20T10:15:00Z".parse().unwrap())
}

fn report(model: &Bytes) -> GateReport {
    GateReport {
        schema: "botops.gate/1".to_owned(),
        model: Digest::of(model),
        evidence: "evaluation".to_owned(),
        results: vec![GateResult {
            rule: "accuracy >= 0.800".to_owned(),
            observed: "0.912".to_owned(),
            passed: true,
        }],
        passed: true,
        knowledge: std::collections::BTreeMap::new(),
        basis: None,
    }
}

/// Returns a version whose model file is `content`, with or without its gate report.
fn version(content: &str, gated: bool) -> (Manifest, Vec<(String, Bytes)>) {
    let model = Bytes::from(content.to_owned());
    let gate = Bytes::from(canonical_json(&report(&model)));
    let mut files = vec![(MODEL_FILE.to_owned(), model)];
    if gated {
        files.push((GATE_FILE.to_owned(), gate.clone()));
    }
    let manifest = Manifest {
        schema: "botops.model/1".to_owned(),
        model: MODEL.to_owned(),
        files: files
            .iter()
            .map(|(path, bytes)| ManifestFile {
                path: path.clone(),
                digest: Digest::of(bytes),
                size_bytes: bytes.len() as u64,
                media_type: "application/octet-stream".to_owned(),
            })
            .collect(),
        run: Some("20261120-0123456789ab".to_owned()),
        data: Some(Digest::of(b"data")),
        params: [("model.head.c".to_owned(), serde_json::json!(0.3))].into(),
        metrics: [("accuracy".to_owned(), Metric { value: 0.912, ci95: [0.902, 0.922], n: 3080 })]
            .into(),
        gates: gated.then(|| Digest::of(&gate)),
        botops: "0.1.0".to_owned(),
        git_commit: None,
        creator: "ci".to_owned(),
        intents: vec!["complaint".to_owned(), "order_status".to_owned()],
    };
    (manifest, files)
}

async fn register(registry: &Registry, content: &str) -> Version {
    let (manifest, files) = version(content, true);
    registry.register(manifest, files, &act("ci")).await.unwrap().version
}

fn passed(content: &str) -> PassedGates {
    evaluation::passed(&report(&Bytes::from(content.to_owned()))).unwrap()
}

async fn resolve(registry: &Registry, reference: &str) -> Result<Version, String> {
    let reference: Reference = reference.parse().unwrap();
    registry.resolve(&reference).await.map_err(|fault| {
        assert_eq!(fault.kind(), FaultKind::Usage);
        format!("{}: {}", fault.code(), fault.message())
    })
}

async fn numbers(registry: &Registry) -> Vec<u64> {
    registry.versions(MODEL).await.unwrap().iter().map(|version| version.number).collect()
}

fn quick_retries() -> Retries {
    Retries { tries: 4, first_pause: Duration::ZERO, at_most: Duration::from_secs(5) }
}

/// Checks a release from registration to verification, in a store.
async fn check_release(store: &Store) {
    let registry = Registry::open(store.clone());
    assert!(registry.models().await.unwrap().is_empty());
    assert_eq!(registry.alias(MODEL, CHAMPION).await.unwrap(), None);
    assert_eq!(registry.versions(MODEL).await.unwrap_err().code(), "BOT-5011");

    let first = register(&registry, "one").await;
    assert_eq!((first.number, first.reference().as_str()), (1, "support@1"));
    assert_eq!(first.model_digest(), Some(Digest::of(b"one")));
    let second = register(&registry, "two").await;
    assert_eq!(register(&registry, "one").await, first, "registering again is harmless");
    assert_eq!(numbers(&registry).await, [1, 2]);
    assert_eq!(registry.models().await.unwrap(), [MODEL]);

    let proof = registry.proof(&first).await.unwrap();
    registry.promote(&first, None, &proof, &act("ana")).await.unwrap();
    registry.move_alias(CHALLENGER, &second, None, &act("ana")).await.unwrap();
    let before = Some(first.manifest_digest);
    registry.promote(&second, before, &passed("two"), &act("ben")).await.unwrap();
    // A second call, as a retry makes it, writes nothing.
    registry.promote(&second, before, &passed("two"), &act("ben")).await.unwrap();
    registry.remove_alias(MODEL, CHALLENGER, &act("ben")).await.unwrap();

    let champion = registry.alias(MODEL, CHAMPION).await.unwrap().unwrap();
    assert_eq!((champion.number, champion.aliases.as_slice()), (2, &[CHAMPION.to_owned()][..]));
    let previous = registry.champion_before(MODEL, &champion.manifest_digest).await.unwrap();
    assert_eq!(previous.map(|version| version.number), Some(1));
    let none = registry.champion_before(MODEL, &first.manifest_digest).await.unwrap();
    assert_eq!(none, None);

    let hex = second.manifest_digest.hex();
    for reference in ["support".to_owned(), "support@2".to_owned(), "support@latest".to_owned()]
        .into_iter()
        .chain([format!("support@sha256:{hex}"), format!("support@sha256:{}", &hex[..8])])
    {
        assert_eq!(resolve(&registry, &reference).await.unwrap().number, 2, "{reference}");
    }
    assert_eq!(registry.file(&second, MODEL_FILE).await.unwrap(), "two");
    assert_eq!(registry.file(&second, "weights").await.unwrap_err().code(), "BOT-5018");

    let history = registry.history(MODEL).await.unwrap();
    let lines: Vec<String> = history
        .iter()
        .map(|entry| {
            let Event { actor, reason, action, .. } = &entry.payload;
            assert_eq!(reason, "weekly run");
            match action {
                Action::Registered { .. } => format!("{actor} registered"),
                Action::AliasMoved { alias, evidence, .. } => {
                    format!("{actor} moved {alias} {}", evidence.is_some())
                }
                Action::AliasRemoved { alias, .. } => format!("{actor} removed {alias}"),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let expected =
        ["ci registered", "ci registered", "ana moved challenger false", "ben removed challenger"];
    assert_eq!(lines, expected);
    let environment = registry.environment().await.unwrap();
    let moves = environment.model(MODEL).unwrap().reigns.iter();
    let moves: Vec<_> = moves
        .map(|reign| (reign.actor.as_str(), reign.moved.to(), reign.moved.evidence()))
        .collect();
    let expected = [("ana", &first), ("ben", &second)]
        .map(|(actor, version)| (actor, version.manifest_digest, version.manifest.gates));
    assert_eq!(moves, expected);

    let verification = registry.verify(None).await.unwrap();
    assert_eq!(verification.problems, []);
    // Two versions, each with a manifest, a model and a gate report, which is also the evidence.
    assert_eq!((verification.entries, verification.blobs), (6, 6));
}

#[tokio::test]
async fn a_release_works_in_memory() {
    check_release(&Bench::memory().store).await;
}

#[tokio::test]
async fn a_release_works_in_a_local_folder() {
    let folder = tempfile::tempdir().unwrap();
    check_release(&Bench::local(&folder).store).await;
}

#[tokio::test]
async fn a_release_works_on_s3s_fs() {
    let server = S3Server::start();
    check_release(&Bench::s3(&server.endpoint(), "registry").store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_and_its_races_work_on_moto() {
    let Some(moto) = Moto::start() else { return };
    check_release(&Bench::s3(&moto.endpoint(), "release").store).await;
    for round in 0..3 {
        let store = Bench::s3(&moto.endpoint(), &format!("promotions-{round}")).store;
        check_promotion_race(&store).await;
        let store = Bench::s3(&moto.endpoint(), &format!("registrations-{round}")).store;
        check_registration_race(&store).await;
    }
}

/// Two tasks promote different versions at once: one wins, and the fault of the other names the winner.
async fn check_promotion_race(store: &Store) {
    let registry = Registry::open(store.clone());
    let first = register(&registry, "one").await;
    registry.promote(&first, None, &passed("one"), &act("ci")).await.unwrap();
    let expected = Some(first.manifest_digest);
    let start = Arc::new(tokio::sync::Barrier::new(2));
    let mut tasks = Vec::new();
    for (actor, content) in [("ana", "two"), ("ben", "three")] {
        let (registry, start) = (registry.clone(), start.clone());
        let version = register(&registry, content).await;
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            let proof = passed(content);
            let result = registry.promote(&version, expected, &proof, &act(actor)).await;
            (actor, version, result)
        }));
    }
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results.sort_by_key(|(_, _, result)| result.is_err());
    let [(winner, won, Ok(())), (loser, _, Err(fault))] = &results[..] else {
        panic!("one wins and one is refused: {results:?}")
    };
    assert_eq!((fault.code(), fault.kind()), ("BOT-5014", FaultKind::Conflict));
    let message = format!(
        "`champion` of `support` is not where it was: `{winner}` moved it to `{}` at 2026-11-20 10:15:00 UTC (weekly run); `support@1` was expected",
        won.reference()
    );
    assert_eq!(fault.message(), message);
    let champion = registry.alias(MODEL, CHAMPION).await.unwrap().unwrap();
    assert_eq!(champion.manifest_digest, won.manifest_digest);
    let log = deployment_log(registry.store(), DEFAULT_ENVIRONMENT).entries().await.unwrap();
    assert!(!log.iter().any(|entry| entry.payload.actor == *loser), "the loser wrote");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_concurrent_promotions_one_wins_and_the_other_names_the_winner() {
    for _ in 0..40 {
        check_promotion_race(&Bench::memory().store).await;
    }
    let folder = tempfile::tempdir().unwrap();
    check_promotion_race(&Bench::local(&folder).store).await;
}

/// Eight tasks register the same three versions: each becomes one version.
async fn check_registration_race(store: &Store) {
    let registry = Registry::open(store.clone());
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let mut numbers = BTreeMap::new();
                for content in 0..3 {
                    let content = format!("model {}", (content + task) % 3);
                    let registered = register(&registry, &content).await;
                    numbers.insert(content, registered.number);
                }
                numbers
            })
        })
        .collect();
    let mut output = Vec::new();
    for task in tasks {
        output.push(task.await.unwrap());
    }
    assert!(output.iter().all(|numbers| numbers == &output[0]), "{output:?}");
    assert_eq!(numbers(&registry).await, [1, 2, 3]);
    assert_eq!(registry.history(MODEL).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_registrations_of_a_version_make_one_version() {
    check_registration_race(&Bench::memory().store).await;
    let folder = tempfile::tempdir().unwrap();
    check_registration_race(&Bench::local(&folder).store).await;
}

/// The changes that are tried on a store that fails at its n-th call.
#[derive(Debug, Clone, Copy)]
enum Step {
    Register,
    MoveAlias,
    RemoveAlias,
    Promote,
}

impl Step {
    async fn run(self, registry: &Registry) -> botops_findings::Result<()> {
        let at = |number: usize| format!("support@{number}").parse::<Reference>().unwrap();
        match self {
            Self::Register => {
                let (manifest, files) = version("three", true);
                registry.register(manifest, files, &act("ana")).await.map(|done| {
                    assert_eq!(done.version.number, 3);
                })
            }
            Self::MoveAlias => {
                let second = registry.resolve(&at(2)).await?;
                registry.move_alias("canary", &second, None, &act("ana")).await
            }
            // An earlier try removed it, and its response was lost.
            Self::RemoveAlias => match registry.remove_alias(MODEL, "shadow", &act("ana")).await {
                Err(fault) if fault.code() == "BOT-5012" => Ok(()),
                other => other,
            },
            Self::Promote => {
                let first = registry.resolve(&at(1)).await?;
                let second = registry.resolve(&at(2)).await?;
                let expected = Some(first.manifest_digest);
                registry.promote(&second, expected, &passed("two"), &act("ana")).await
            }
        }
    }
}

/// Returns a registry with two versions, a champion and the alias `shadow`: 4 entries.
async fn prepared_registry() -> (Arc<dyn ObjectStore>, Registry) {
    let raw: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = Registry::open(Store::wrap(raw.clone(), "memory://"));
    let first = register(&registry, "one").await;
    register(&registry, "two").await;
    registry.promote(&first, None, &passed("one"), &act("ci")).await.unwrap();
    registry.move_alias("shadow", &first, None, &act("ci")).await.unwrap();
    (raw, registry)
}

/// Returns the number of entries of the log of the model, and of the deployment log.
async fn entries(registry: &Registry) -> usize {
    let deployments = deployment_log(registry.store(), DEFAULT_ENVIRONMENT);
    let n = deployments.entries().await.unwrap().len();
    registry.history(MODEL).await.unwrap().len() + n
}

async fn assert_applied_once(registry: &Registry, context: &str) {
    assert_eq!(entries(registry).await, 5, "{context}");
    assert_eq!(registry.verify(None).await.unwrap().problems, [], "{context}");
}

#[tokio::test]
async fn an_interrupted_change_is_complete_or_absent_and_a_retry_does_it_once() {
    for step in [Step::Register, Step::MoveAlias, Step::RemoveAlias, Step::Promote] {
        for side in [Side::Before, Side::After] {
            let (mut absent, mut complete) = (0, 0);
            for at in 1.. {
                let context = format!("{step:?}, cut off {side:?} call {at}");
                let (raw, healthy) = prepared_registry().await;
                let faulty = Arc::new(Faulty::new(raw, at, side, Until::Forever));
                let store = Store::wrap(faulty.clone(), "memory://").with_retries(Retries::none());
                let result = step.run(&Registry::open(store)).await;
                if !faulty.has_failed() {
                    result.unwrap();
                    assert!(at > 3, "{step:?} took {at} calls");
                    break;
                }
                match entries(&healthy).await {
                    4 => absent += 1,
                    5 => complete += 1,
                    other => panic!("{context}: {other} entries"),
                }
                if let Err(fault) = result {
                    assert_eq!(fault.kind(), FaultKind::Unreachable, "{context}: {fault}");
                }
                assert_eq!(healthy.verify(None).await.unwrap().problems, [], "{context}");
                step.run(&healthy).await.unwrap();
                assert_applied_once(&healthy, &context).await;
            }
            assert!(absent > 0, "{step:?} {side:?}: never before the point of commitment");
            let commits_last = !matches!(step, Step::Register);
            assert!(
                complete > 0 || (side == Side::Before && commits_last),
                "{step:?} {side:?}: never after the point of commitment"
            );
        }
    }
}

#[tokio::test]
async fn one_lost_call_anywhere_is_repaired_by_a_retry() {
    for step in [Step::Register, Step::MoveAlias, Step::RemoveAlias, Step::Promote] {
        for side in [Side::Before, Side::After] {
            for at in 1.. {
                let context = format!("{step:?}, {side:?} call {at} lost");
                let (raw, healthy) = prepared_registry().await;
                let faulty = Arc::new(Faulty::new(raw, at, side, Until::Once));
                let store = Store::wrap(faulty.clone(), "memory://").with_retries(quick_retries());
                let result = step.run(&Registry::open(store)).await;
                assert!(result.is_ok(), "{context}: {result:?}");
                assert_applied_once(&healthy, &context).await;
                if !faulty.has_failed() {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn missing_models_versions_and_aliases_are_named() {
    let registry = Registry::open(Bench::memory().store);
    let none = "BOT-5011: `memory://` has no model `support`";
    assert_eq!(resolve(&registry, "support@1").await.unwrap_err(), none);
    register(&registry, "one").await;
    let resolve = async |reference: &str| resolve(&registry, reference).await.unwrap_err();
    let other = "BOT-5011: `memory://` has no model `suport`";
    assert_eq!(resolve("suport").await, other);
    assert_eq!(resolve("support").await, "BOT-5012: `support` has no champion yet");
    let number = "BOT-5012: `support` has no version 7: its newest is 1";
    assert_eq!(resolve("support@7").await, number);
    assert_eq!(resolve("support@canary").await, "BOT-5012: `support` has no alias `canary`");
    let digest = "BOT-5012: `support` has no version `sha256:00000000`";
    assert_eq!(resolve("support@sha256:00000000").await, digest);
    assert_eq!(registry.history("suport").await.unwrap_err().code(), "BOT-5011");
    assert_eq!(registry.verify(Some("suport")).await.unwrap_err().code(), "BOT-5011");
}

#[tokio::test]
async fn the_champion_moves_only_with_proof_about_the_same_file() {
    let registry = Registry::open(Bench::memory().store);
    let first = register(&registry, "one").await;
    let refused = registry.move_alias(CHAMPION, &first, None, &act("ana")).await.unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("BOT-5015", FaultKind::Policy));
    let refused = registry.remove_alias(MODEL, CHAMPION, &act("ana")).await.unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("BOT-5015", FaultKind::Policy));
    let other = passed("another file");
    let refused = registry.promote(&first, None, &other, &act("ana")).await.unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("BOT-5016", FaultKind::Policy));
    assert_eq!(registry.alias(MODEL, CHAMPION).await.unwrap(), None);

    let (manifest, files) = version("ungated", false);
    let ungated = registry.register(manifest, files, &act("ci")).await.unwrap().version;
    let refused = registry.proof(&ungated).await.unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("BOT-5017", FaultKind::Policy));
}

#[tokio::test]
async fn the_model_of_the_champion_is_not_registered_again() {
    let registry = Registry::open(Bench::memory().store);
    let first = register(&registry, "one").await;
    let (other, files) = version("one", false);
    assert_ne!(Digest::of_json(&other), first.manifest_digest);
    registry.promote(&first, None, &passed("one"), &act("ana")).await.unwrap();
    let done = registry.register(other.clone(), files.clone(), &act("ci")).await.unwrap();
    assert_eq!((done.version.number, done.is_new, done.restored), (1, false, 0));
    assert_eq!(numbers(&registry).await, [1]);
    // Another model is registered, and once it is champion, so is the first one.
    let second = register(&registry, "two").await;
    let expected = Some(first.manifest_digest);
    registry.promote(&second, expected, &passed("two"), &act("ana")).await.unwrap();
    let done = registry.register(other, files, &act("ci")).await.unwrap();
    assert_eq!((done.version.number, done.is_new), (3, true));
}

#[tokio::test]
async fn a_rollback_skips_versions_with_the_same_model() {
    let bench = Bench::memory();
    let registry = Registry::open(bench.store.clone());
    let first = register(&registry, "one").await;
    let second = register(&registry, "two").await;
    // Registries of earlier versions of botops hold the same model twice.
    let (manifest, files) = version("two", false);
    let third = registry.register(manifest, files, &act("ci")).await.unwrap().version;
    let mut before = None;
    for (version, content) in [(&first, "one"), (&second, "two"), (&third, "two")] {
        registry.promote(version, before, &passed(content), &act("ana")).await.unwrap();
        before = Some(version.manifest_digest);
    }
    let previous = async |version: &Version| {
        let found = registry.previous_champion(MODEL, &version.manifest_digest).await.unwrap();
        found.map(|former| former.reference())
    };
    assert_eq!(previous(&third).await.as_deref(), Some("support@1"));
    assert_eq!(previous(&second).await.as_deref(), Some("support@1"));
    assert_eq!(previous(&first).await, None);
    let version = registry.champion_before(MODEL, &third.manifest_digest).await.unwrap();
    assert_eq!(version, Some(registry.resolve(&"support@1".parse().unwrap()).await.unwrap()));
    // A lost manifest does not keep a rollback from another model.
    bench.remove(&blob_path(&third.manifest_digest)).await;
    assert_eq!(previous(&third).await.as_deref(), Some("support@2"));
}

#[tokio::test]
async fn the_champion_goes_back_only_to_a_former_champion_and_no_blob_is_read() {
    let bench = Bench::memory();
    let registry = Registry::open(bench.store.clone());
    let first = register(&registry, "one").await;
    let second = register(&registry, "two").await;
    register(&registry, "three").await;
    registry.promote(&first, None, &passed("one"), &act("ana")).await.unwrap();
    let expected = Some(first.manifest_digest);
    registry.promote(&second, expected, &passed("two"), &act("ana")).await.unwrap();

    let former = async |name: &str| registry.former_champion(&name.parse().unwrap()).await;
    let fault = former("support@3").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5031", FaultKind::Policy));
    assert_eq!(former("support@9").await.unwrap_err().code(), "BOT-5012");
    assert_eq!(former("support").await.unwrap().reference(), "support@2");
    let back = former("support@1").await.unwrap();
    let wrong = registry.go_back(&back, Some(back.manifest()), &act("ana")).await.unwrap_err();
    assert_eq!((wrong.code(), wrong.kind()), ("BOT-5014", FaultKind::Conflict));

    // Every blob is lost but those that show which version is champion.
    for file in [&first, &second].iter().flat_map(|version| &version.manifest.files) {
        bench.remove(&blob_path(&file.digest)).await;
    }
    registry.go_back(&back, Some(second.manifest_digest), &act("ana")).await.unwrap();
    let environment = registry.environment().await.unwrap();
    let last = &environment.model(MODEL).unwrap().reigns.last().unwrap().moved;
    assert_eq!((last.to(), last.evidence()), (first.manifest_digest, first.manifest.gates));
}

#[tokio::test]
async fn a_lost_blob_is_written_again_by_the_next_registration() {
    let bench = Bench::memory();
    let registry = Registry::open(bench.store.clone());
    let first = register(&registry, "one").await;
    let (other, other_files) = version("one", false);
    let gate = first.manifest.gates.unwrap();
    let model = first.model_digest().unwrap();
    for is_champion in [false, true] {
        if is_champion {
            registry.promote(&first, None, &passed("one"), &act("ana")).await.unwrap();
        }
        for lost in [vec![first.manifest_digest], vec![model, gate]] {
            for digest in &lost {
                bench.remove(&blob_path(digest)).await;
            }
            let problems = registry.verify(None).await.unwrap().problems;
            assert!(!problems.is_empty());
            let (manifest, files) = version("one", true);
            let done = registry.register(manifest, files, &act("ci")).await.unwrap();
            assert_eq!((done.is_new, done.restored), (false, lost.len() as u64));
            assert_eq!(done.version.number, 1);
            assert!(registry.verify(None).await.unwrap().problems.is_empty());
        }
    }
    // Another registration of the champion's model writes its blobs, and nothing of its own.
    bench.remove(&blob_path(&model)).await;
    let own = Digest::of_json(&other);
    let done = registry.register(other, other_files, &act("ci")).await.unwrap();
    assert_eq!((done.version.number, done.is_new, done.restored), (1, false, 1));
    assert!(registry.verify(None).await.unwrap().problems.is_empty());
    assert!(!bench.store.has_blob(&own).await.unwrap());
    // A blob that it does not have is reported.
    bench.remove(&blob_path(&gate)).await;
    let (manifest, files) = version("one", false);
    let fault = registry.register(manifest, files, &act("ci")).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5004", FaultKind::Internal));
    assert!(fault.message().contains("`gate.json` of `support@1`"), "{fault}");
}

#[tokio::test]
async fn altered_evidence_proves_nothing() {
    let bench = Bench::memory();
    let registry = Registry::open(bench.store.clone());
    let first = register(&registry, "one").await;
    let evidence = first.manifest.gates.unwrap();
    bench.alter(&blob_path(&evidence), |bytes| [&bytes[..], b" "].concat()).await;
    assert_eq!(registry.proof(&first).await.unwrap_err().code(), "BOT-5005");
}

#[tokio::test]
async fn an_alias_moves_only_from_the_expected_version() {
    let registry = Registry::open(Bench::memory().store);
    let first = register(&registry, "one").await;
    let second = register(&registry, "two").await;
    let at = |version: &Version| Some(version.manifest_digest);
    registry.move_alias(CHALLENGER, &first, None, &act("ana")).await.unwrap();
    let fault = registry.move_alias(CHALLENGER, &second, None, &act("ben")).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5014", FaultKind::Conflict));
    let message = "`challenger` of `support` is not where it was: `ana` moved it to `support@1` at 2026-11-20 10:15:00 UTC (weekly run); it was expected to be unset";
    assert_eq!(fault.message(), message);

    registry.remove_alias(MODEL, CHALLENGER, &act("cleo")).await.unwrap();
    let fault = registry.move_alias(CHALLENGER, &second, at(&first), &act("ben")).await;
    let message = "`challenger` of `support` is not where it was: `cleo` removed it at 2026-11-20 10:15:00 UTC (weekly run); `support@1` was expected";
    assert_eq!(fault.unwrap_err().message(), message);
    let gone = registry.remove_alias(MODEL, CHALLENGER, &act("cleo")).await.unwrap_err();
    assert_eq!(gone.code(), "BOT-5012");

    for alias in ["latest", "7", "Blue", "a b", "", "sha256:00"] {
        let fault = registry.move_alias(alias, &first, None, &act("ana")).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-5013", FaultKind::Usage), "{alias}");
    }
    let elsewhere = register(&Registry::open(Bench::memory().store), "elsewhere").await;
    let fault = registry.move_alias("blue", &elsewhere, None, &act("ana")).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5012");
}

#[tokio::test]
async fn a_manifest_that_disagrees_with_its_files_is_not_registered() {
    let registry = Registry::open(Bench::memory().store);
    let refused = async |change: fn(&mut Manifest, &mut Vec<(String, Bytes)>)| {
        let (mut manifest, mut files) = version("one", true);
        change(&mut manifest, &mut files);
        registry.register(manifest, files, &act("ci")).await.unwrap_err().code()
    };
    assert_eq!(
        refused(|manifest, _| "Support Bot".clone_into(&mut manifest.model)).await,
        "BOT-5013"
    );
    assert_eq!(refused(|_, files| files[0].1 = Bytes::from_static(b"other")).await, "BOT-5019");
    assert_eq!(refused(|_, files| drop(files.remove(0))).await, "BOT-5019");
    assert_eq!(refused(|manifest, _| drop(manifest.files.remove(0))).await, "BOT-5019");
    assert_eq!(refused(|manifest, _| manifest.files[0].size_bytes += 1).await, "BOT-5019");
    assert_eq!(refused(|manifest, _| manifest.gates = Some(Digest::of(b"x"))).await, "BOT-5019");
    let not_a_number = refused(|manifest, _| {
        let metric = manifest.metrics.get_mut("accuracy").unwrap();
        metric.value = f64::NAN;
    });
    assert_eq!(not_a_number.await, "BOT-5019");
    assert!(registry.models().await.unwrap().is_empty());
}

#[tokio::test]
async fn verification_names_every_damaged_object() {
    let fresh = async || {
        let bench = Bench::memory();
        let registry = Registry::open(bench.store.clone());
        let first = register(&registry, "one").await;
        let second = register(&registry, "two").await;
        register(&registry, "three").await;
        registry.promote(&first, None, &passed("one"), &act("ci")).await.unwrap();
        let from = Some(first.manifest_digest);
        registry.promote(&second, from, &passed("two"), &act("ci")).await.unwrap();
        (bench, registry, first)
    };
    let (_, _, first) = fresh().await;
    let flip = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let model = blob_path(&first.model_digest().unwrap());
    let manifest = blob_path(&first.manifest_digest);
    let gate = blob_path(&first.manifest.gates.unwrap());
    let entry = |seq: u64| format!("models/{MODEL}/log/{seq:020}.json");
    for (object, altered, removed) in [
        (model, "BOT-5005", "BOT-5004"),
        (manifest, "BOT-5005", "BOT-5004"),
        (gate, "BOT-5005", "BOT-5004"),
        (entry(1), "BOT-5006", "BOT-5006"),
        (entry(2), "BOT-5006", "BOT-5006"),
        (format!("deployments/production/log/{:020}.json", 1), "BOT-5006", "BOT-5006"),
    ] {
        let (bench, registry, _) = fresh().await;
        bench.alter(&object, flip).await;
        let problems = registry.verify(None).await.unwrap().problems;
        let place = Some(bench.store.object_url(&object));
        let found = |code: &str, problems: &[botops_findings::Finding]| {
            problems.iter().any(|problem| problem.code == code && problem.place.file == place)
        };
        assert!(found(altered, &problems), "{object} altered: {problems:?}");
        bench.remove(&object).await;
        let problems = registry.verify(Some(MODEL)).await.unwrap().problems;
        assert!(found(removed, &problems), "{object} removed: {problems:?}");
    }
}

#[tokio::test]
async fn verification_finds_moves_that_the_rules_forbid() {
    let bench = Bench::memory();
    let registry = Registry::open(bench.store.clone());
    let first = register(&registry, "one").await;
    // A writer that knows the format and not the rules: the chain is intact, but the moves are not allowed.
    let log = bench.store.log::<Event>(&format!("models/{MODEL}/log"));
    let moved = |alias: &str, to: Digest| Event {
        at: act("eve").at,
        actor: "eve".to_owned(),
        reason: String::new(),
        action: Action::AliasMoved { alias: alias.to_owned(), from: None, to, evidence: None },
    };
    for event in [
        moved(CHAMPION, first.manifest_digest),
        moved("blue", Digest::of(b"never registered")),
        moved("blue", first.manifest_digest),
    ] {
        let entries = log.entries().await.unwrap();
        log.append(entries.last(), event).await.unwrap();
    }
    let problems = registry.verify(None).await.unwrap().problems;
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let expected = [
        "entry 2 of the log of `support` moves `champion` without evidence",
        "entry 3 of the log of `support` moves `blue` to a version that was not registered",
        "entry 4 of the log of `support` moves `blue` from a version that it did not point to",
    ];
    assert_eq!(messages, expected);
}

#[tokio::test]
async fn an_unreachable_store_ends_a_verification() {
    let (raw, _) = prepared_registry().await;
    let faulty = Arc::new(Faulty::new(raw, 5, Side::Before, Until::Forever));
    let registry = Registry::open(Store::wrap(faulty, "memory://").with_retries(Retries::none()));
    let fault = registry.verify(None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5003", FaultKind::Unreachable));
}

#[tokio::test]
async fn a_log_is_read_from_its_last_known_entry_on() {
    let counted = Switched::new();
    let store = Store::wrap(counted.clone(), "memory://");
    let registry = Registry::open(store.clone());
    for number in 1..=50 {
        let version = register(&registry, &format!("model {number}")).await;
        assert_eq!(version.number, number);
        registry.move_alias("newest", &version, None, &act("ci")).await.ok();
        registry.resolve(&"support@latest".parse().unwrap()).await.unwrap();
    }
    // Each look asks for the next entry alone, however long the log is: about ten looks for each of the 50 rounds.
    assert!(counted.log_reads() <= 50 * 10, "{} reads", counted.log_reads());
    let other = Registry::open(store);
    let before = counted.log_reads();
    for _ in 0..50 {
        other.resolve(&"support@latest".parse().unwrap()).await.unwrap();
    }
    // Each entry once, and a look for the next entry of the model's log and of the environment's each time.
    assert!(counted.log_reads() - before <= 51 + 2 * 50, "{} reads", counted.log_reads() - before);
    // An entry of another writer is read, and only that.
    register(&registry, "one more").await;
    let before = counted.log_reads();
    let newest = other.resolve(&"support@latest".parse().unwrap()).await.unwrap();
    assert_eq!(newest.number, 51);
    assert!(counted.log_reads() - before <= 4, "{} reads", counted.log_reads() - before);
}
