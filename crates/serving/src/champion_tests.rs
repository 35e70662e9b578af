//! The champion that a server serves when the log of its model moves `champion` without evidence.

use super::{Running, Source, start};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::{GateReport, GateResult, PassedGates};
use botops_registry::{
    Act, CHAMPION, Change, Deployment, Manifest, ManifestFile, Registry, Version, deployment_log,
};
use botops_store::{Appended, Store};
use botops_workspace::Secret;
use chrono::DateTime;
use std::time::Duration;

/// The shared admin token: whoever sends it sees versions.
const TOKEN: &str = "the shared token of these tests, long enough";

fn act() -> Act {
    Act::claimed("ada", "a test", DateTime::UNIX_EPOCH)
}

/// Returns the gate report of a model that passed.
fn report(model: Digest) -> Vec<u8> {
    canonical_json(&GateReport {
        schema: "botops.gate/1".to_owned(),
        model,
        evidence: "golden-self-test".to_owned(),
        results: vec![GateResult {
            rule: "golden self-test".to_owned(),
            observed: "8 of 8".to_owned(),
            passed: true,
        }],
        passed: true,
        knowledge: std::collections::BTreeMap::new(),
        basis: None,
    })
}

/// A registry with three versions of `support`, the first of which is champion.
pub(super) struct Bench {
    store: Store,
    pub(super) registry: Registry,
    versions: Vec<Version>,
    proof: PassedGates,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let store = Store::in_memory();
        let registry = Registry::open(store.clone());
        let bytes = crate::tests::model().to_bytes();
        let digest = Digest::of(&bytes);
        let gate = report(digest);
        let proof = PassedGates::from_evidence(&gate, Digest::of(&gate), digest).unwrap();
        let mut versions = Vec::new();
        for creator in ["ada", "ben", "eve"] {
            let manifest = manifest_of(&bytes, creator);
            let files = vec![("model.botops".to_owned(), bytes.clone().into())];
            versions.push(registry.register(manifest, files, &act()).await.unwrap().version);
        }
        registry.promote(&versions[0], None, &proof, &act()).await.unwrap();
        Self { store, registry, versions, proof }
    }

    /// Promotes version `to` with evidence.
    async fn promote(&self, to: usize) {
        let now = self.registry.alias("support", CHAMPION).await.unwrap().unwrap().manifest_digest;
        let version = &self.versions[to - 1];
        self.registry.promote(version, Some(now), &self.proof, &act()).await.unwrap();
    }

    /// Appends an entry that moves `champion` to version `to`, as another program could.
    async fn forge(&self, to: usize, evidence: Option<Digest>) {
        let log = deployment_log(&self.store, "production");
        let entries = log.entries().await.unwrap();
        let from = self.registry.champion("support").await.unwrap();
        let moved = serde_json::json!({
            "from": from.map(|from| from.manifest_digest),
            "to": self.versions[to - 1].manifest_digest,
            "evidence": evidence,
        });
        let change = Change::Champion(serde_json::from_value(moved).unwrap());
        let act = act();
        let event = Deployment::new((act.by, act.reason), act.at, "support", change);
        let appended = log.append(entries.last(), event).await.unwrap();
        assert!(matches!(appended, Appended::Written(_)));
    }

    async fn serve(&self) -> Running {
        let registry = Registry::open(self.store.clone());
        let source = Source::Registry { registry, model: "support".to_owned(), pinned: None };
        let metrics = crate::MetricsAccess::Open;
        let listeners = crate::ListenerSettings { metrics, ..Default::default() };
        let admin_token = Some(Secret::new(TOKEN));
        let settings = crate::ServerSettings { listeners, admin_token, ..crate::tests::settings() };
        start(settings, source).await.unwrap()
    }

    async fn is_verified(&self) -> bool {
        self.registry.verify(None).await.unwrap().problems.is_empty()
    }
}

fn manifest_of(bytes: &[u8], creator: &str) -> Manifest {
    Manifest {
        schema: "botops.model/1".to_owned(),
        model: "support".to_owned(),
        files: vec![ManifestFile {
            path: "model.botops".to_owned(),
            digest: Digest::of(bytes),
            size_bytes: bytes.len() as u64,
            media_type: "application/vnd.botops.model".to_owned(),
        }],
        run: None,
        data: None,
        params: [].into(),
        metrics: [].into(),
        gates: None,
        botops: "0.1.0".to_owned(),
        git_commit: None,
        creator: creator.to_owned(),
        intents: Vec::new(),
    }
}

async fn get(running: &Running, path: &str) -> String {
    let client = super::client::http().unwrap();
    let url = format!("http://{}{path}", running.address());
    client.get(url).bearer_auth(TOKEN).send().await.unwrap().text().await.unwrap()
}

/// Waits until the readiness of a server contains `text`.
async fn wait_for(running: &Running, text: &str) -> String {
    for _ in 0..100 {
        let ready = get(running, "/readiness").await;
        if ready.contains(text) {
            return ready;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the readiness never contained {text}: {}", get(running, "/readiness").await);
}

#[tokio::test]
async fn a_server_does_not_start_on_a_champion_that_was_moved_without_evidence() {
    for kind in ["none", "of another model", "lost"] {
        let bench = Bench::new().await;
        assert!(bench.is_verified().await, "{kind}");
        let evidence = match kind {
            "none" => None,
            "lost" => Some(Digest::of(b"lost")),
            _ => Some(bench.store.put_blob(report(Digest::of(b"x")).into()).await.unwrap()),
        };
        bench.forge(2, evidence).await;
        assert!(!bench.is_verified().await, "{kind}");
        let running = bench.serve().await;
        let ready = get(&running, "/readiness").await;
        assert!(ready.contains("\"degraded\"") && ready.contains("support@1"), "{kind}: {ready}");
        assert!(ready.contains("BOT-5006"), "{kind}: {ready}");
        running.shutdown().await;
    }
}

#[tokio::test]
async fn a_server_does_not_follow_a_champion_that_was_moved_without_evidence() {
    let bench = Bench::new().await;
    let running = bench.serve().await;
    assert!(get(&running, "/readiness").await.contains("\"ready\""));
    bench.forge(2, None).await;
    let ready = wait_for(&running, "\"degraded\"").await;
    assert!(ready.contains("support@1"), "{ready}");
    assert!(get(&running, "/metrics").await.contains("botops_degraded{code=\"BOT-5006\"} 1"));
    bench.promote(3).await;
    wait_for(&running, "support@3").await;
    running.shutdown().await;
}

#[tokio::test]
async fn a_server_starts_on_a_former_champion_whose_promotion_had_evidence() {
    let bench = Bench::new().await;
    bench.promote(2).await;
    bench.forge(1, None).await;
    let running = bench.serve().await;
    let ready = get(&running, "/readiness").await;
    assert!(ready.contains("\"ready\"") && ready.contains("support@1"), "{ready}");
    running.shutdown().await;
}

#[tokio::test]
async fn the_evidence_of_version_0_1_proves_its_champion() {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/version_0_1/registry");
    let store = Store::open(place, &std::collections::BTreeMap::new()).unwrap();
    let (version, problem) = Registry::open(store).verified_champion("support").await.unwrap();
    assert!(problem.is_none(), "{problem:?}");
    assert_eq!(version.reference(), "support@1");
}
