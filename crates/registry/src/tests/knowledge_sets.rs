//! Versions as sets of a model and its knowledge.

use super::{MODEL, act};
use crate::{
    GATE_FILE, KNOWLEDGE_MEDIA_TYPE, MODEL_FILE, Manifest, ManifestFile, Registration, Registry,
    knowledge_path,
};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::{
    BoundResult, GateBasis, GateReport, GateResult, PassedGates, QuestionBasis,
};
use botops_findings::{FaultKind, Result};
use botops_store::Store;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Returns the evidence of the model `one` with `documents`.
fn report(documents: &[u8]) -> GateReport {
    let questions = QuestionBasis {
        data: "questions.jsonl".to_owned(),
        data_digest: Digest::of(b"questions"),
        n: 40,
        champion: None,
    };
    let report = GateReport {
        schema: "botops.gate/2".to_owned(),
        model: Digest::of(b"one"),
        knowledge: BTreeMap::new(),
        evidence: "evaluation".to_owned(),
        results: vec![GateResult {
            rule: "recall_at_5 >= 0.900".to_owned(),
            observed: "0.950".to_owned(),
            passed: true,
        }],
        passed: true,
        basis: Some(GateBasis {
            data: "test.csv".to_owned(),
            data_digest: Digest::of(b"data"),
            n: 100,
            champion: None,
            bounds: vec![BoundResult {
                key: "knowledge.recall_at_5.min".to_owned(),
                bound: 0.9,
                value: Some(0.95),
            }],
            behaviour: None,
            questions: BTreeMap::from([("faq".to_owned(), questions)]),
        }),
    };
    report.with_knowledge(BTreeMap::from([("faq".to_owned(), Digest::of(documents))]))
}

fn proof(documents: &[u8]) -> PassedGates {
    let report = report(documents);
    let bytes = canonical_json(&report);
    PassedGates::from_evidence(&bytes, Digest::of(&bytes), report.set()).unwrap()
}

/// Registers the model `one` with `documents` and the evidence of `judged`; `run` only makes manifests differ.
async fn push(
    registry: &Registry,
    (documents, judged): (&[u8], &[u8]),
    run: &str,
    media_type: &str,
) -> Result<Registration> {
    let gate = canonical_json(&report(judged));
    let files = [
        (GATE_FILE.to_owned(), gate.clone(), "application/json"),
        (knowledge_path("faq"), documents.to_vec(), media_type),
        (MODEL_FILE.to_owned(), b"one".to_vec(), "application/vnd.botops.model"),
    ];
    let listed = files.iter().map(|(path, bytes, media_type)| ManifestFile {
        path: path.clone(),
        digest: Digest::of(bytes),
        size_bytes: bytes.len() as u64,
        media_type: (*media_type).to_owned(),
    });
    let manifest = Manifest {
        schema: "botops.model/1".to_owned(),
        model: MODEL.to_owned(),
        files: listed.collect(),
        run: Some(run.to_owned()),
        data: None,
        params: BTreeMap::new(),
        metrics: BTreeMap::new(),
        gates: Some(Digest::of(&gate)),
        botops: "0.1.0".to_owned(),
        git_commit: None,
        creator: "ada".to_owned(),
        intents: vec!["balance".to_owned()],
    };
    let files = files.into_iter().map(|(path, bytes, _)| (path, Bytes::from(bytes)));
    registry.register(manifest, files.collect(), &act("ada")).await
}

async fn same(registry: &Registry, documents: &[u8], run: &str) -> Registration {
    push(registry, (documents, documents), run, KNOWLEDGE_MEDIA_TYPE).await.unwrap()
}

#[tokio::test]
async fn an_update_of_documents_alone_is_a_version_that_is_promoted_and_rolled_back() {
    let registry = Registry::open(Store::in_memory());
    let first = same(&registry, b"old", "1").await.version;
    assert_eq!(first.knowledge(), [("faq".to_owned(), Digest::of(b"old"))]);
    let passed = registry.proof(&first).await.unwrap();
    registry.promote(&first, None, &passed, &act("ada")).await.unwrap();

    // The same set is the champion, whatever else its manifest says.
    let again = same(&registry, b"old", "2").await;
    assert_eq!((again.is_new, again.version.number), (false, 1));
    let second = same(&registry, b"new", "2").await;
    assert_eq!((second.is_new, second.version.number), (true, 2));
    let second = second.version;
    assert_eq!(second.model_digest(), first.model_digest());
    let passed = registry.proof(&second).await.unwrap();
    let from = Some(first.manifest_digest);
    registry.promote(&second, from, &passed, &act("ada")).await.unwrap();
    let champion = registry.champion(MODEL).await.unwrap().unwrap();
    assert_eq!(champion.knowledge(), [("faq".to_owned(), Digest::of(b"new"))]);
    // The way back is the version with the same model and the old documents.
    let before = registry.champion_before(MODEL, &second.manifest_digest).await.unwrap();
    assert_eq!(before.map(|version| version.number), Some(1));
    let verified = registry.verify(None).await.unwrap();
    assert_eq!(verified.problems, []);
    assert_eq!(registry.verified_champion(MODEL).await.unwrap().0.number, 2);
}

#[tokio::test]
async fn evidence_about_other_documents_promotes_nothing() {
    let registry = Registry::open(Store::in_memory());
    let first = same(&registry, b"old", "1").await.version;
    let other = registry.promote(&first, None, &proof(b"new"), &act("ada")).await.unwrap_err();
    assert_eq!((other.code(), other.kind()), ("BOT-5016", FaultKind::Policy));
    assert!(other.message().contains("with other knowledge"), "{}", other.message());

    // A forged version carries the evidence of other documents.
    let forged = push(&registry, (b"new", b"old"), "2", KNOWLEDGE_MEDIA_TYPE).await.unwrap();
    let fault = registry.proof(&forged.version).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-3011", FaultKind::Policy));
    assert!(fault.message().contains("it is about knowledge `faq`"), "{}", fault.message());
    assert_eq!(registry.champion(MODEL).await.unwrap(), None);
}

#[tokio::test]
async fn a_knowledge_file_of_another_media_type_is_refused() {
    let registry = Registry::open(Store::in_memory());
    let fault = push(&registry, (b"old", b"old"), "1", "text/html").await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5019");
    assert!(fault.message().contains("the media type `text/html`"), "{}", fault.message());
}
