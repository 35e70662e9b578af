//! Evidence about a model and its knowledge, and about nothing else.

use crate::{
    BoundResult, GateBasis, GateReport, GateResult, PassedGates, QuestionBasis, VersionSet, passed,
};
use botops_digest::Digest;
use std::collections::BTreeMap;

fn knowledge(documents: &[u8]) -> BTreeMap<String, Digest> {
    BTreeMap::from([("faq".to_owned(), Digest::of(documents))])
}

/// Returns a passed evaluation of the model with `knowledge`; `judged` are the names with questions.
fn report(knowledge: BTreeMap<String, Digest>, judged: &[&str]) -> GateReport {
    let question = || QuestionBasis {
        data: "questions.jsonl".to_owned(),
        data_digest: Digest::of(b"questions"),
        n: 40,
        champion: None,
    };
    let report = GateReport {
        schema: "botops.gate/2".to_owned(),
        model: Digest::of(b"model"),
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
            questions: judged.iter().map(|name| ((*name).to_owned(), question())).collect(),
        }),
    };
    report.with_knowledge(knowledge)
}

fn set(knowledge: BTreeMap<String, Digest>) -> VersionSet {
    VersionSet { model: Digest::of(b"model"), knowledge }
}

#[test]
fn evidence_proves_its_own_documents_and_no_others() {
    let proof = passed(&report(knowledge(b"old"), &["faq"])).unwrap();
    assert_eq!(proof.report().schema, "botops.gate/3");
    let (bytes, evidence) = (proof.to_bytes(), proof.evidence());
    let again = PassedGates::from_evidence(&bytes, evidence, set(knowledge(b"old"))).unwrap();
    assert_eq!(again.set(), set(knowledge(b"old")));

    let renamed = BTreeMap::from([("help".to_owned(), Digest::of(b"old"))]);
    for (other, part) in [
        (set(knowledge(b"new")), "it is about knowledge `faq`"),
        (set(renamed), "it is about knowledge `help` no such knowledge"),
        (Digest::of(b"model").into(), "not no such knowledge"),
    ] {
        let fault = PassedGates::from_evidence(&bytes, evidence, other).unwrap_err();
        assert_eq!(fault.code(), "BOT-3011");
        assert!(fault.message().contains(part), "{}", fault.message());
    }
}

#[test]
fn evidence_of_a_model_alone_does_not_prove_a_version_with_documents() {
    let old = report(BTreeMap::new(), &[]);
    let proof = passed(&old).unwrap();
    let fault =
        PassedGates::from_evidence(&proof.to_bytes(), proof.evidence(), set(knowledge(b"new")))
            .unwrap_err();
    assert!(fault.message().contains("it is about knowledge `faq` no such knowledge"));
    // Its bytes are those of a program that knew no knowledge.
    let text = String::from_utf8(proof.to_bytes()).unwrap();
    assert!(!text.contains("\"knowledge\"") && !text.contains("questions"), "{text}");
}

#[test]
fn an_evaluation_that_judged_no_documents_is_no_proof_of_them() {
    assert!(passed(&report(knowledge(b"old"), &[])).is_none());
    assert!(passed(&report(knowledge(b"old"), &["help"])).is_none());
    let mut without_rule = report(knowledge(b"old"), &["faq"]);
    without_rule.basis.as_mut().unwrap().bounds.clear();
    assert!(passed(&without_rule).is_none());
    // A program that knows no knowledge would read the schema before it, and ignore the documents.
    let mut disguised = report(knowledge(b"old"), &["faq"]);
    disguised.schema = "botops.gate/2".to_owned();
    assert!(passed(&disguised).is_none());
}
