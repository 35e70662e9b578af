//! Champions of environments: promotion, the way back, races, and what older versions of botops wrote.

use super::*;
use botops_digest::canonical_json;
use botops_evaluation::{GateReport, GateResult, PassedGates};
use botops_findings::Severity;
use botops_store::{Appended, Store};
use std::sync::Arc;

mod as_of;
mod garbage;
mod knowledge_sets;
mod model_checkpoints;
mod withdrawal;

const MODEL: &str = "support";

fn act(actor: &str) -> Act {
    Act::claimed(actor, "a test", DateTime::UNIX_EPOCH)
}

fn report(model: Digest) -> Vec<u8> {
    canonical_json(&GateReport {
        schema: "botops.gate/1".to_owned(),
        model,
        evidence: "evaluation".to_owned(),
        results: vec![GateResult {
            rule: "accuracy >= 0.800".to_owned(),
            observed: "0.912".to_owned(),
            passed: true,
        }],
        passed: true,
        knowledge: std::collections::BTreeMap::new(),
        basis: None,
    })
}

fn proof(content: &str) -> PassedGates {
    let model = Digest::of(content.as_bytes());
    let gate = report(model);
    PassedGates::from_evidence(&gate, Digest::of(&gate), model).unwrap()
}

/// Registers a version whose model file is `content`, without a gate report.
async fn register(registry: &Registry, content: &str) -> Version {
    let bytes = content.as_bytes().to_vec();
    let manifest = Manifest {
        schema: "botops.model/1".to_owned(),
        model: MODEL.to_owned(),
        files: vec![ManifestFile {
            path: MODEL_FILE.to_owned(),
            digest: Digest::of(&bytes),
            size_bytes: bytes.len() as u64,
            media_type: "application/octet-stream".to_owned(),
        }],
        run: None,
        data: None,
        params: BTreeMap::new(),
        metrics: BTreeMap::new(),
        gates: None,
        botops: "0.1.0".to_owned(),
        git_commit: None,
        creator: "ada".to_owned(),
        intents: vec!["balance".to_owned()],
    };
    let files = vec![(MODEL_FILE.to_owned(), bytes.into())];
    registry.register(manifest, files, &act("ada")).await.unwrap().version
}

/// Returns a registry with the versions 1 to 3, whose model files are `one`, `two` and `three`, and no champion.
async fn bench() -> (Store, Registry, Vec<Version>) {
    let store = Store::in_memory();
    let registry = Registry::open(store.clone());
    let mut versions = Vec::new();
    for content in ["one", "two", "three"] {
        versions.push(register(&registry, content).await);
    }
    (store, registry, versions)
}

/// Moves `champion` in the log of the model, as older versions of botops did.
async fn move_as_before(store: &Store, from: Option<Digest>, to: Digest, evidence: Digest) {
    let log = store.log::<Event>("models/support/log");
    let entries = log.entries().await.unwrap();
    let alias = CHAMPION.to_owned();
    let action = Action::AliasMoved { alias, from, to, evidence: Some(evidence) };
    let event = act("old").event(action);
    assert!(matches!(log.append(entries.last(), event).await.unwrap(), Appended::Written(_)));
}

async fn resolved(registry: &Registry, reference: &str) -> String {
    match registry.resolve(&reference.parse().unwrap()).await {
        Ok(version) => version.reference(),
        Err(fault) => format!("{}: {}", fault.code(), fault.message()),
    }
}

#[tokio::test]
async fn each_environment_has_its_own_champion() {
    let (_, production, versions) = bench().await;
    let staging = production.in_environment("staging").unwrap();
    production.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    staging.promote(&versions[1], None, &proof("two"), &act("ben")).await.unwrap();
    for (reference, expected) in [
        ("support@champion", ["support@1", "support@2"]),
        ("support", ["support@1", "support@2"]),
        ("support@production", ["support@1", "support@1"]),
        ("support@staging", ["support@2", "support@2"]),
    ] {
        let found = [resolved(&production, reference).await, resolved(&staging, reference).await];
        assert_eq!(found, expected, "{reference}");
    }
    let version = staging.resolve(&"support@2".parse().unwrap()).await.unwrap();
    assert_eq!(version.aliases, ["champion"]);
    let version = production.resolve(&"support@2".parse().unwrap()).await.unwrap();
    assert_eq!(version.aliases, [""; 0]);
    let everywhere = production.champions_everywhere(MODEL).await.unwrap();
    let expected = [("production", 0), ("staging", 1)]
        .map(|(name, at)| (name.to_owned(), versions[at].manifest_digest));
    assert_eq!(everywhere, BTreeMap::from(expected));
    let environment = staging.environment().await.unwrap();
    let reign = &environment.model(MODEL).unwrap().reigns[0];
    assert_eq!((reign.actor.as_str(), reign.moved.to()), ("ben", versions[1].manifest_digest));
}

#[tokio::test]
async fn the_evidence_of_one_environment_proves_a_version_in_another() {
    let (_, production, versions) = bench().await;
    let fault = production.prepare_promotion(&versions[1], None).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5017");
    let staging = production.in_environment("staging").unwrap();
    staging.promote(&versions[1], None, &proof("two"), &act("ada")).await.unwrap();
    let version = production.resolve(&"support@staging".parse().unwrap()).await.unwrap();
    let passed = production.proof(&version).await.unwrap();
    production.promote(&version, None, &passed, &act("ada")).await.unwrap();
    assert_eq!(resolved(&production, "support").await, "support@2");
    let environment = production.environment().await.unwrap();
    let moved = &environment.model(MODEL).unwrap().reigns[0].moved;
    assert_eq!(moved.evidence(), Some(Digest::of(&report(Digest::of(b"two")))));
}

#[tokio::test]
async fn of_two_concurrent_promotions_one_wins() {
    let (store, registry, versions) = bench().await;
    registry.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    let from = Some(versions[0].manifest_digest);
    let other = Registry::open(store.clone());
    let (ada, ben) = (act("ada"), act("ben"));
    let (two, three) = (proof("two"), proof("three"));
    let (first, second) = tokio::join!(
        registry.promote(&versions[1], from, &two, &ada),
        other.promote(&versions[2], from, &three, &ben),
    );
    let lost = match (first, second) {
        (Ok(()), Err(fault)) | (Err(fault), Ok(())) => fault,
        both => panic!("{both:?}"),
    };
    assert_eq!(lost.code(), "BOT-5014");
    assert!(lost.message().contains("`support@1` was expected"), "{lost}");
    assert_eq!(deployment_log(&store, "production").entries().await.unwrap().len(), 2);
}

#[tokio::test]
async fn champions_in_the_log_of_the_model_are_those_of_the_default_environment() {
    let (store, registry, versions) = bench().await;
    let [one, two, three] = [0, 1, 2].map(|at| versions[at].manifest_digest);
    let evidence = store.put_blob(report(Digest::of(b"one")).into()).await.unwrap();
    move_as_before(&store, None, one, evidence).await;
    assert_eq!(resolved(&registry, "support").await, "support@1");
    let staging = registry.in_environment("staging").unwrap();
    assert_eq!(
        resolved(&staging, "support").await,
        "BOT-5012: `support` has no champion in `staging` yet"
    );
    registry.promote(&versions[1], Some(one), &proof("two"), &act("ada")).await.unwrap();
    let former = registry.previous_champion(MODEL, &two).await.unwrap().unwrap();
    assert_eq!((former.reference(), former.evidence()), ("support@1".to_owned(), Some(evidence)));
    // An older botops goes on writing to the log of the model.
    move_as_before(&store, Some(one), three, evidence).await;
    assert_eq!(resolved(&registry, "support").await, "support@2");
    let fault = registry.former_champion(&"support@3".parse().unwrap()).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5031");
    registry.go_back(&former, Some(two), &act("ada")).await.unwrap();
    assert_eq!(resolved(&registry, "support").await, "support@1");
    let (champion, problem) = registry.verified_champion(MODEL).await.unwrap();
    assert_eq!(champion.number, 1);
    assert!(problem.is_none(), "{problem:?}");
}

#[tokio::test]
async fn an_alias_of_older_versions_gives_way_to_the_champion_of_an_environment() {
    let (_, registry, versions) = bench().await;
    registry.move_alias("staging", &versions[2], None, &act("ada")).await.unwrap();
    assert_eq!(resolved(&registry, "support@staging").await, "support@3");
    let staging = registry.in_environment("staging").unwrap();
    staging.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    assert_eq!(resolved(&registry, "support@staging").await, "support@1");
    let expected = Some(versions[2].manifest_digest);
    let moved = registry.move_alias("staging", &versions[1], expected, &act("ada")).await;
    assert_eq!(moved.unwrap_err().code(), "BOT-5028");
    let refused = registry.move_alias(CHAMPION, &versions[1], None, &act("ada")).await;
    assert_eq!(refused.unwrap_err().code(), "BOT-5015");
    for name in ["", "latest", "champion", "Prod", "a/b", "1"] {
        assert_eq!(registry.in_environment(name).err().unwrap().code(), "BOT-5029", "{name}");
    }
}

#[tokio::test]
async fn a_damaged_deployment_log_hides_the_champion_and_not_the_versions() {
    let (store, registry, versions) = bench().await;
    registry.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    let from = Some(versions[0].manifest_digest);
    registry.promote(&versions[1], from, &proof("two"), &act("ada")).await.unwrap();
    assert_eq!(registry.environment_warnings().await.unwrap(), []);
    let broken = Store::in_memory();
    for path in store.objects("", None).await.unwrap() {
        let bytes = store.read(&path).await.unwrap().unwrap();
        let bytes = match path.ends_with("production/log/00000000000000000002.json") {
            true => "{}".into(),
            false => bytes,
        };
        broken.create(&path, bytes).await.unwrap();
    }
    let registry = Registry::open(broken);
    let warnings = registry.environment_warnings().await.unwrap();
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!((warning.code.as_str(), warning.severity), ("BOT-5006", Severity::Warning));
    assert!(warning.message.starts_with("the champions of `production` are unknown: "));
    assert!(resolved(&registry, "support").await.starts_with("BOT-5006"));
    assert_eq!(resolved(&registry, "support@2").await, "support@2");
    let promoted = registry.promote(&versions[2], from, &proof("three"), &act("ada")).await;
    assert_eq!(promoted.unwrap_err().code(), "BOT-5006");
    let (champion, problem) = registry.verified_champion(MODEL).await.unwrap();
    assert_eq!((champion.number, problem.unwrap().code()), (1, "BOT-5006"));
}

#[tokio::test]
async fn clones_in_several_environments_read_each_log_once() {
    let (_, registry, versions) = bench().await;
    let staging = registry.in_environment("staging").unwrap();
    staging.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    let other = registry.in_environment("staging").unwrap();
    let (here, there) = (staging.environment().await.unwrap(), other.environment().await.unwrap());
    assert!(Arc::ptr_eq(&here, &there));
}

/// Returns the codes and messages of what a verification finds.
async fn problems(registry: &Registry) -> Vec<String> {
    let found = registry.verify(None).await.unwrap().problems;
    found.into_iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect()
}

#[tokio::test]
async fn verification_finds_moves_of_champions_that_the_rules_forbid() {
    let (store, registry, versions) = bench().await;
    registry.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    assert_eq!(problems(&registry).await, [""; 0]);
    let about_another = store.put_blob(report(Digest::of(b"x")).into()).await.unwrap();
    let forged = [
        (None, versions[1].manifest_digest, None),
        (Some(versions[1].manifest_digest), Digest::of(b"nobody"), Some(Digest::of(b"lost"))),
        (Some(Digest::of(b"nobody")), versions[2].manifest_digest, Some(about_another)),
    ];
    for (from, to, evidence) in forged {
        let moved = serde_json::json!({"from": from, "to": to, "evidence": evidence});
        let change = Change::Champion(serde_json::from_value(moved).unwrap());
        let by = (act("eve").by, "forged");
        let entry = Deployment::new(by, DateTime::UNIX_EPOCH, MODEL, change);
        let log = deployment_log(&store, "production");
        let entries = log.entries().await.unwrap();
        assert!(matches!(log.append(entries.last(), entry).await.unwrap(), Appended::Written(_)));
    }
    let found = problems(&registry).await;
    let expected = [
        "entry 2 of the deployment log of `production` moves `champion` of `support` from a version that was not champion",
        "moves `champion` of `support` without evidence",
        "entry 3 of the deployment log of `production` moves `champion` of `support` to a version that was not registered",
        "evidence of entry 3 of the deployment log of `production`: ",
        "evidence of entry 4 of the deployment log of `production`: ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (problem, expected) in found.iter().zip(expected) {
        assert!(problem.starts_with("BOT-") && problem.contains(expected), "{problem}");
    }
}

#[tokio::test]
async fn verification_finds_a_move_that_an_older_version_made_in_vain() {
    let (store, registry, versions) = bench().await;
    let evidence = store.put_blob(report(Digest::of(b"one")).into()).await.unwrap();
    move_as_before(&store, None, versions[0].manifest_digest, evidence).await;
    let from = Some(versions[0].manifest_digest);
    registry.promote(&versions[1], from, &proof("two"), &act("ada")).await.unwrap();
    assert_eq!(problems(&registry).await, [""; 0]);
    let late = store.put_blob(report(Digest::of(b"three")).into()).await.unwrap();
    move_as_before(&store, from, versions[2].manifest_digest, late).await;
    let found = problems(&registry).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("BOT-5027: `old` moved `champion` of `support` to `support@3`"));
}

#[tokio::test]
async fn evidence_of_deployment_logs_is_referenced() {
    let (_, registry, versions) = bench().await;
    let staging = registry.in_environment("staging").unwrap();
    staging.promote(&versions[1], None, &proof("two"), &act("ada")).await.unwrap();
    let evidence = Digest::of(&report(Digest::of(b"two")));
    assert!(registry.references().await.unwrap().blobs.contains(&evidence));
}

#[tokio::test]
async fn a_crash_between_evidence_and_entry_leaves_a_blob_that_the_next_promotion_uses() {
    let (store, registry, versions) = bench().await;
    // All that a promotion does before its entry.
    let moved = registry.forward(&versions[0], None, &proof("one")).await.unwrap();
    assert!(store.has_blob(&moved.evidence().unwrap()).await.unwrap());
    assert!(deployment_log(&store, "production").is_empty().await.unwrap());
    assert_eq!(registry.champion(MODEL).await.unwrap(), None);
    assert_eq!(problems(&registry).await, [""; 0]);
    registry.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    assert_eq!(resolved(&registry, "support").await, "support@1");
    registry.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    assert_eq!(deployment_log(&store, "production").entries().await.unwrap().len(), 1);
}
