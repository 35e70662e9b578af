//! Policies and freezes of an environment, at the log that decides.

use super::*;
use crate::{GATE_FILE, MODEL_FILE, Manifest, ManifestFile};
use botops_digest::Digest;
use botops_digest::canonical_json;
use botops_evaluation::{BoundResult, GateBasis, GateReport, GateResult};
use botops_findings::Severity;
use botops_store::Store;
use bytes::Bytes;
use chrono::TimeDelta;
use std::collections::BTreeMap;

fn at(hours: i64) -> DateTime<Utc> {
    // A Monday at midnight.
    "2026-11-30T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hours)
}

fn act(actor: &str, hours: i64) -> Act {
    Act::claimed(actor, "because", at(hours))
}

/// Returns a gate report on the model file `content` with the rule `accuracy >= min`, measured as `accuracy`.
fn report(content: &str, min: f64, accuracy: f64) -> GateReport {
    GateReport {
        schema: "botops.gate/2".to_owned(),
        model: Digest::of(content.as_bytes()),
        evidence: "evaluation".to_owned(),
        results: vec![GateResult {
            rule: format!("accuracy >= {min}"),
            observed: accuracy.to_string(),
            passed: true,
        }],
        passed: true,
        knowledge: std::collections::BTreeMap::new(),
        basis: Some(GateBasis {
            data: "test.csv".to_owned(),
            data_digest: Digest::of(b"data"),
            n: 100,
            champion: None,
            bounds: vec![BoundResult {
                key: "metrics.accuracy.min".to_owned(),
                bound: min,
                value: Some(accuracy),
            }],
            behaviour: None,
            questions: std::collections::BTreeMap::new(),
        }),
    }
}

/// Registers the model file `content` with that report.
async fn version(registry: &Registry, content: &str, min: f64, accuracy: f64) -> Version {
    let files = [
        (MODEL_FILE, content.as_bytes().to_vec()),
        (GATE_FILE, canonical_json(&report(content, min, accuracy))),
    ];
    let mut listed: Vec<ManifestFile> = files
        .iter()
        .map(|(path, bytes)| ManifestFile {
            path: (*path).to_owned(),
            digest: Digest::of(bytes),
            size_bytes: bytes.len() as u64,
            media_type: "application/json".to_owned(),
        })
        .collect();
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = Manifest {
        schema: "botops.model/1".to_owned(),
        model: "support".to_owned(),
        files: listed,
        run: None,
        data: None,
        params: BTreeMap::new(),
        metrics: BTreeMap::new(),
        gates: Some(Digest::of(&files[1].1)),
        botops: "0".to_owned(),
        git_commit: None,
        creator: "ada".to_owned(),
        intents: vec!["a".to_owned(), "b".to_owned()],
    };
    let files = files.map(|(path, bytes)| (path.to_owned(), Bytes::from(bytes)));
    let registered = registry.register(manifest, files.into(), &act("ada", 0)).await.unwrap();
    registered.version
}

fn policy(yaml: &str) -> Policy {
    spec::parse::<PolicySpec>(yaml, "policy.yaml").unwrap().check().unwrap()
}

/// Promotes `version` by its stored evidence, and returns the code of a refusal.
async fn promote(registry: &Registry, version: &Version, hours: i64) -> Option<&'static str> {
    let from = registry.champion("support").await.unwrap().map(|it| it.manifest_digest);
    let passed = registry.proof(version).await.unwrap();
    let promoted = registry.promote(version, from, &passed, &act("ada", hours)).await;
    promoted.err().map(|fault| {
        assert!(fault.kind().exit_code() != 6 || !fault.hints().is_empty(), "{fault}");
        fault.code()
    })
}

async fn last(registry: &Registry) -> Deployment {
    let log = crate::deployment_log(registry.store(), registry.environment_name());
    log.entries().await.unwrap().pop().unwrap().payload
}

const GATES: &str = "gates: {metrics: {accuracy: {min: 0.85}}}";

#[tokio::test]
async fn a_model_of_4_percent_with_weak_rules_is_promoted_only_without_an_enforced_policy() {
    for (mode, refused) in [("off", None), ("warn", None), ("enforce", Some("BOT-6050"))] {
        let registry = Registry::open(Store::in_memory());
        let bad = version(&registry, "bad", 0.0, 0.04).await;
        let good = version(&registry, "good", 0.9, 0.93).await;
        let policy = policy(&format!("mode: {mode}\n{GATES}"));
        assert!(registry.apply_policy(&policy, &act("ada", 0)).await.unwrap());
        assert!(!registry.apply_policy(&policy, &act("ada", 0)).await.unwrap(), "known already");
        let admitted = registry.admit(&bad, None, None, at(1)).await;
        match mode {
            "enforce" => assert_eq!(admitted.unwrap_err().code(), "BOT-6050"),
            "warn" => assert_eq!(admitted.unwrap()[0].code, "BOT-6050"),
            _ => assert_eq!(admitted.unwrap(), []),
        }
        let prepared = registry.prepare_promotion(&bad, None).await;
        assert_eq!(prepared.err().map(|fault| fault.code()), refused, "{mode}");
        assert_eq!(promote(&registry, &bad, 1).await, refused, "{mode}");
        assert_eq!(promote(&registry, &good, 2).await, None, "{mode}");
    }
}

#[tokio::test]
async fn the_last_recorded_policy_is_in_force_and_both_are_in_the_log() {
    let registry = Registry::open(Store::in_memory());
    assert_eq!(registry.policy().await.unwrap(), None);
    let (first, second) = (policy(GATES), policy("min_records: 5"));
    registry.apply_policy(&first, &act("ada", 0)).await.unwrap();
    registry.apply_policy(&second, &act("ben", 1)).await.unwrap();
    assert_eq!(registry.policy().await.unwrap(), Some(second.clone()));
    let environment = registry.environment().await.unwrap();
    let record = environment.policy().unwrap();
    assert_eq!((record.actor.as_str(), record.digest), ("ben", second.digest()));
    let kept = registry.store().blob(&first.digest()).await.unwrap();
    assert_eq!(Policy::from_bytes(&kept).unwrap(), first);
    let staging = policy("environment: staging");
    let fault = registry.apply_policy(&staging, &act("ada", 2)).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6057", 2));
}

#[tokio::test]
async fn a_frozen_environment_refuses_promotions_and_not_rollbacks() {
    let registry = Registry::open(Store::in_memory());
    let one = version(&registry, "one", 0.9, 0.93).await;
    let two = version(&registry, "two", 0.9, 0.93).await;
    assert_eq!(promote(&registry, &one, 0).await, None);
    assert_eq!(promote(&registry, &two, 0).await, None);
    registry.freeze(Some(at(10)), &act("eve", 1)).await.unwrap();
    let fault = registry.admit(&one, None, None, at(9)).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6051", 6));
    let words = "`production` is frozen by `eve` until 2026-11-30 10:00 UTC: because";
    assert_eq!(fault.message(), words);
    assert_eq!(promote(&registry, &one, 9).await, Some("BOT-6051"));
    assert!(
        registry.admit(&one, None, None, at(10)).await.unwrap().is_empty(),
        "its time has passed"
    );

    let former =
        registry.previous_champion("support", &two.manifest_digest).await.unwrap().unwrap();
    registry.go_back(&former, Some(two.manifest_digest), &act("ada", 2)).await.unwrap();
    assert!(last(&registry).await.break_glass);
    registry.unfreeze(&act("eve", 3)).await.unwrap();
    let fault = registry.unfreeze(&act("eve", 4)).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6054", 5));
    assert_eq!(promote(&registry, &two, 4).await, None);
    assert!(!last(&registry).await.break_glass);
}

#[tokio::test]
async fn a_freeze_is_replaced_by_another_and_must_end_in_the_future() {
    let registry = Registry::open(Store::in_memory());
    for (until, problem) in [(at(0), "has passed"), (at(-5), "has passed"), (at(9_999), "366 days")]
    {
        let fault = registry.freeze(Some(until), &act("eve", 0)).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6053", 2));
        assert!(fault.message().contains(problem), "{fault}");
    }
    registry.freeze(Some(at(2)), &act("eve", 0)).await.unwrap();
    registry.freeze(None, &act("ada", 1)).await.unwrap();
    let environment = registry.environment().await.unwrap();
    let words = "frozen by `ada` since 2026-11-30 01:00 UTC, until somebody ends it: because";
    assert_eq!(held(&environment, None, at(900)).as_deref(), Some(words));
}

#[tokio::test]
async fn promotions_wait_for_a_window_and_a_rollback_outside_is_marked() {
    let registry = Registry::open(Store::in_memory());
    let one = version(&registry, "one", 0.9, 0.93).await;
    let two = version(&registry, "two", 0.9, 0.93).await;
    let office = policy("windows: [\"Mon-Fri 09:00-16:00 UTC\"]");
    registry.apply_policy(&office, &act("ada", 0)).await.unwrap();
    assert_eq!(promote(&registry, &one, 8).await, Some("BOT-6052"));
    assert_eq!(promote(&registry, &one, 9).await, None);
    assert_eq!(promote(&registry, &two, 10).await, None);
    let environment = registry.environment().await.unwrap();
    assert_eq!(held(&environment, Some(&office), at(15)), None);
    let words = "outside the promotion windows until 2026-12-01 09:00 UTC";
    assert_eq!(held(&environment, Some(&office), at(16)).as_deref(), Some(words));
    let former =
        registry.previous_champion("support", &two.manifest_digest).await.unwrap().unwrap();
    registry.go_back(&former, Some(two.manifest_digest), &act("ada", 20)).await.unwrap();
    assert!(last(&registry).await.break_glass);
}

#[tokio::test]
async fn a_recorded_policy_that_cannot_be_read_refuses_promotions_and_not_rollbacks() {
    let registry = Registry::open(Store::in_memory());
    let one = version(&registry, "one", 0.9, 0.93).await;
    let two = version(&registry, "two", 0.9, 0.93).await;
    assert_eq!(promote(&registry, &one, 0).await, None);
    assert_eq!(promote(&registry, &two, 0).await, None);
    let newer = Bytes::from_static(br#"{"schema":"botops.policy/2"}"#);
    let digest = registry.store().put_blob(newer).await.unwrap();
    let change = Change::Policy { digest, mode: PolicyMode::Enforce };
    registry.change_environment(&act("new", 1), |_| Ok(Some(change.clone()))).await.unwrap();
    assert_eq!(promote(&registry, &one, 2).await, Some("BOT-6056"));
    let former =
        registry.previous_champion("support", &two.manifest_digest).await.unwrap().unwrap();
    registry.go_back(&former, Some(two.manifest_digest), &act("ada", 2)).await.unwrap();
    assert_eq!(registry.champion("support").await.unwrap().unwrap().number, 1);
}

#[tokio::test]
async fn a_forecast_says_what_a_start_would_meet() {
    let registry = Registry::open(Store::in_memory());
    let one = version(&registry, "one", 0.9, 0.93).await;
    let plan = botops_rollout::RolloutSpec::default().check().unwrap();
    for (mode, refused, severity) in [
        ("enforce", true, Severity::Error),
        ("warn", false, Severity::Warning),
        ("off", false, Severity::Info),
    ] {
        let night = policy(&format!("mode: {mode}\nwindows: [\"Mon-Sun 22:00-02:00 UTC\"]"));
        let open = registry.start_forecast(&night, &one, &plan, at(1)).await.unwrap();
        assert!(open.is_satisfied() && !open.is_refused() && open.findings().is_empty());
        let windows = open.checks().last().unwrap();
        assert_eq!((windows.rule.as_str(), windows.found.as_str()), ("windows", "open"));
        let closed = registry.start_forecast(&night, &one, &plan, at(7)).await.unwrap();
        assert_eq!((closed.is_satisfied(), closed.is_refused()), (false, refused), "{mode}");
        assert_eq!(closed.checks().last().unwrap().found, "closed until 2026-11-30 22:00 UTC");
        let finding = closed.findings().pop().unwrap();
        assert_eq!((finding.code.as_str(), finding.severity), ("BOT-6052", severity), "{mode}");
    }

    let two = policy("approvals: {required: 2}");
    let forecast = registry.start_forecast(&two, &one, &plan, at(1)).await.unwrap();
    assert_eq!((forecast.approvals, forecast.is_satisfied()), (2, true));
    let off = policy("mode: off\napprovals: {required: 2}");
    let forecast = registry.start_forecast(&off, &one, &plan, at(1)).await.unwrap();
    assert_eq!((forecast.approvals, forecast.is_refused()), (0, false));

    // A freeze refuses, whatever the mode of the policy is.
    registry.freeze(Some(at(5)), &act("eve", 0)).await.unwrap();
    let forecast = registry.start_forecast(&off, &one, &plan, at(1)).await.unwrap();
    assert!(forecast.is_refused() && !forecast.is_satisfied());
    let last = forecast.checks().last().unwrap();
    assert_eq!(last.found, "frozen by `eve` until 2026-11-30 05:00 UTC: because");
    let finding = forecast.findings().pop().unwrap();
    assert_eq!((finding.code.as_str(), finding.severity), ("BOT-6051", Severity::Error));
    let forecast = registry.start_forecast(&off, &one, &plan, at(6)).await.unwrap();
    assert!(!forecast.is_refused());
}

#[test]
fn an_empty_policy_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    for yaml in ["", "\n", "# later\n", "---\n", "\u{feff}", "null\n"] {
        std::fs::write(&path, yaml).unwrap();
        let fault = read_policy(&path).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1063", 2), "{yaml:?}");
        assert!(fault.message().contains("is empty"), "{fault}");
        assert_eq!(fault.place().file.as_deref(), path.to_str());
    }
    std::fs::write(&path, "mode: off\n").unwrap();
    assert_eq!(read_policy(&path).unwrap().mode(), PolicyMode::Off);
}

#[test]
fn a_policy_file_names_the_line_of_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    for (yaml, code, line, words) in [
        (
            "version: 1\ngates:\n  metrics: {acuracy: {min: 0.8}}\n",
            "BOT-3010",
            3,
            "did you mean `accuracy`?",
        ),
        ("gates:\n  metrics:\n    accuracy: {min: .nan}\n", "BOT-1063", 3, "write a number"),
        ("gates:\n  relative:\n    mcnemar_alpha: .inf\n", "BOT-1063", 3, "write a number"),
        ("version: 1\nwindow: []\n", "BOT-1011", 2, "`windows`"),
        ("version: 1\nmin_records: 0\n", "BOT-1063", 2, ""),
        ("windows:\n  - Mon-Fri 09:00-16:00 UTC\n  - always\n", "BOT-1064", 3, "Europe/Warsaw"),
        ("version: 9\n", "BOT-1015", 1, "upgrade"),
    ] {
        std::fs::write(&path, yaml).unwrap();
        let fault = read_policy(&path).unwrap_err();
        assert_eq!((fault.code(), fault.place().line), (code, Some(line)), "{yaml}");
        assert_eq!(fault.place().file.as_deref(), path.to_str());
        assert!(
            words.is_empty() || fault.hints().iter().any(|hint| hint.contains(words)),
            "{fault}"
        );
    }
    std::fs::write(&path, format!("version: 1\n{GATES}\n")).unwrap();
    assert_eq!(read_policy(&path).unwrap(), policy(GATES));
}
