//! The proof of passed gates that moving `champion` requires. Its fields are private to this file, so that promotion
//! without evidence does not compile.

use crate::{
    gate_report::{GateReport, GateResult, SCHEMA, SCHEMA_OF_SETS},
    version_set::VersionSet,
};
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Result};
use botops_models::{IntentModel, SelfTest};
use std::collections::BTreeMap;

/// The schemas this program reads. Reports of version 1 name neither their data nor their bounds.
const READABLE: [&str; 3] = ["botops.gate/1", SCHEMA, SCHEMA_OF_SETS];

/// The kinds of evidence of a gate report.
const EVIDENCE: [&str; 2] = ["evaluation", "golden-self-test"];

/// Proof that a model passed its gates. Only this module makes one, and moving `champion` requires one.
///
/// - its report has at least one result, and every one of them passed
/// - `evidence` is the digest of the report in canonical JSON
#[derive(Debug, Clone)]
pub struct PassedGates {
    report: GateReport,
    evidence: Digest,
}

impl PassedGates {
    /// Returns the digest of the model file.
    #[must_use]
    pub fn model(&self) -> Digest {
        self.report.model
    }

    /// Returns the model file and the knowledge that passed together.
    #[must_use]
    pub fn set(&self) -> VersionSet {
        self.report.set()
    }

    /// Returns the report of the gates.
    #[must_use]
    pub fn report(&self) -> &GateReport {
        &self.report
    }

    /// Returns the digest of the report in canonical JSON, under which the evidence is stored.
    #[must_use]
    pub fn evidence(&self) -> Digest {
        self.evidence
    }

    /// Returns the report in canonical JSON, the bytes with the digest [`Self::evidence`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical_json(&self.report)
    }

    /// Rebuilds the proof from stored evidence: `bytes` must be a gate report with digest `evidence`, about the model and the
    /// knowledge of `set`, with every gate passed. A digest alone is the set of a version without knowledge.
    ///
    /// # Errors
    /// `BOT-3011` (exit 6) when one of these conditions does not hold.
    pub fn from_evidence(
        bytes: &[u8],
        evidence: Digest,
        set: impl Into<VersionSet>,
    ) -> Result<Self> {
        let VersionSet { model, knowledge } = set.into();
        let refuse = |reason: String| {
            Fault::policy("BOT-3011", format!("the stored evidence is not valid: {reason}"))
                .hint("judge the model again: `botops gate MODEL DATA --rules FILE`, then `botops push MODEL`")
        };
        let found = Digest::of(bytes);
        if found != evidence {
            return Err(refuse(format!(
                "its digest is {}, not the {} that was recorded",
                found.short(),
                evidence.short()
            )));
        }
        let report: GateReport = serde_json::from_slice(bytes)
            .map_err(|error| refuse("it is not a gate report".to_owned()).caused_by(error))?;
        if !READABLE.contains(&report.schema.as_str()) {
            return Err(refuse(format!("its schema is `{}`, not `{SCHEMA}`", report.schema)));
        }
        if report.model != model {
            return Err(refuse(format!(
                "it is about model {}, not {}",
                report.model.short(),
                model.short()
            )));
        }
        if let Some(problem) = other_knowledge(&report.knowledge, &knowledge) {
            return Err(refuse(problem));
        }
        match passed(&report) {
            Some(proof) if proof.evidence == evidence => Ok(proof),
            Some(_) => Err(refuse("it is not in canonical form".to_owned())),
            None => Err(refuse(match report.results.iter().find(|result| !result.passed) {
                Some(result) => format!("`{}` did not hold: {}", result.rule, result.observed),
                None if !judges_knowledge(&report) => {
                    "none of its rules judged the knowledge of the version".to_owned()
                }
                None => "the report does not say that it passed".to_owned(),
            })),
        }
    }
}

/// Returns the first difference between the knowledge of a report and that of a version, in words.
fn other_knowledge(
    judged: &BTreeMap<String, Digest>,
    held: &BTreeMap<String, Digest>,
) -> Option<String> {
    let changed = held.iter().find(|(name, digest)| judged.get(*name) != Some(digest));
    let words = |name: &str, judged: Option<&Digest>, held: Option<&Digest>| {
        let shown = |digest: Option<&Digest>| {
            digest.map_or("no such knowledge".to_owned(), |digest| digest.short().to_string())
        };
        format!("it is about knowledge `{name}` {}, not {}", shown(judged), shown(held))
    };
    let changed = changed.map(|(name, digest)| words(name, judged.get(name), Some(digest)));
    changed.or_else(|| {
        let gone = judged.iter().find(|(name, _)| !held.contains_key(*name))?;
        Some(words(gone.0, Some(gone.1), None))
    })
}

/// Returns whether an evaluation judged every knowledge base that it names, by a rule. A golden self-test judges none: it makes
/// the first champion only.
fn judges_knowledge(report: &GateReport) -> bool {
    if report.knowledge.is_empty() || report.evidence != EVIDENCE[0] {
        return true;
    }
    report.basis.as_ref().is_some_and(|basis| {
        let has_rule = basis.bounds.iter().any(|bound| bound.key.starts_with("knowledge."));
        has_rule && report.knowledge.keys().all(|name| basis.questions.contains_key(name))
    })
}

/// Returns the proof for a report whose gates all passed, or `None`.
///
/// The verdict of the report is not enough: it must have at least one result, and every result must have passed. An
/// evaluation of a version with knowledge must have judged all of it.
#[must_use]
pub fn passed(report: &GateReport) -> Option<PassedGates> {
    let holds = report.passed
        && READABLE.contains(&report.schema.as_str())
        && EVIDENCE.contains(&report.evidence.as_str())
        && (report.knowledge.is_empty() || report.schema == SCHEMA_OF_SETS)
        && judges_knowledge(report)
        && !report.results.is_empty()
        && report.results.iter().all(|result| result.passed);
    holds.then(|| PassedGates { report: report.clone(), evidence: Digest::of_json(report) })
}

/// Judges a model by its stored goldens: the gate of a first version, which has no champion to be compared with.
#[must_use]
pub fn gate_by_self_test(model: &IntentModel, digest: Digest) -> GateReport {
    judge_self_test(&model.self_test(), digest)
}

/// Judges the result of a self-test: the model must have goldens, and answer each as stored.
#[must_use]
pub fn judge_self_test(self_test: &SelfTest, model: Digest) -> GateReport {
    let n_failed = self_test.failures.len();
    let observed = match (self_test.n, self_test.failures.first()) {
        (0, None) => "not measured: the model holds no goldens".to_owned(),
        (0, Some(first)) => format!("generated texts fail, such as {first}"),
        (n, None) => format!("all {n} as stored"),
        (n, Some(first)) => {
            let n = n + self_test.n_generated;
            format!("{n_failed} of {n} fail, such as {first}")
        }
    };
    let passed = self_test.n > 0 && n_failed == 0;
    GateReport {
        schema: SCHEMA.to_owned(),
        model,
        evidence: EVIDENCE[1].to_owned(),
        results: vec![GateResult {
            rule: "every golden is answered as stored".to_owned(),
            observed,
            passed,
        }],
        passed,
        knowledge: BTreeMap::new(),
        basis: None,
    }
}
