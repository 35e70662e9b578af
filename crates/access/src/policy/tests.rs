//! Policies: their checks, their identity, and their judgement of evidence, plans and times.

use super::*;
use botops_digest::Digest;
use botops_findings::Severity;
use botops_rollout::{RolloutPolicy, RolloutSpec};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

const GATES: &str = "gates: {metrics: {accuracy: {min: 0.85}, ece: {max: 0.1}}, relative: {max_drop: {accuracy: 0.01}, mcnemar_alpha: 0.05}}";

fn read(yaml: &str) -> PolicySpec {
    botops_spec::parse(yaml, "policy.yaml").unwrap()
}

fn policy(yaml: &str) -> Policy {
    read(yaml).check().unwrap()
}

/// Returns evidence with the bounds (key, bound, value) of its own rules, on `data`.
fn evidence(bounds: &[(&str, f64, Option<f64>)]) -> Evidence {
    let bounds = bounds.iter().map(|&(key, bound, value)| MeasuredBound {
        key: key.to_owned(),
        bound,
        value,
    });
    Evidence {
        digest: Digest::of(b"report"),
        kind: "evaluation".to_owned(),
        basis: Some(EvidenceBasis {
            data: "test.csv".to_owned(),
            data_digest: Digest::of(b"data"),
            n: 200,
            champion: Some(Digest::of(b"champion")),
            bounds: bounds.collect(),
            behaviour: Some(Digest::of(b"tests")),
            champion_knowledge: BTreeMap::new(),
        }),
    }
}

fn strong() -> [(&'static str, f64, Option<f64>); 4] {
    [
        ("metrics.accuracy.min", 0.9, Some(0.93)),
        ("metrics.ece.max", 0.1, Some(0.05)),
        ("relative.max_drop.accuracy", 0.01, Some(-0.02)),
        ("relative.mcnemar_alpha", 0.1, Some(1.0)),
    ]
}

fn judged(policy: &Policy, evidence: &Evidence) -> Judgement {
    policy.judge(&Case {
        judges_evidence: true,
        evidence: Some(evidence),
        champion: Some(Digest::of(b"champion")),
        ..Case::default()
    })
}

/// Returns the violated rules.
fn violated(judgement: &Judgement) -> Vec<&str> {
    judgement.violations().map(|check| check.rule.as_str()).collect()
}

#[test]
fn evidence_with_weak_rules_is_refused_although_it_passed() {
    let policy = policy(GATES);
    assert!(judged(&policy, &evidence(&strong())).is_satisfied());

    // A model of 4 % accuracy that passed its own rule.
    let mut weak = strong();
    weak[0] = ("metrics.accuracy.min", 0.0, Some(0.04));
    let judgement = judged(&policy, &evidence(&weak));
    assert_eq!(violated(&judgement), ["gates.metrics.accuracy.min"]);
    let check = judgement.violations().next().unwrap();
    assert_eq!(check.required, "accuracy >= 0.85");
    assert_eq!(check.found, "accuracy >= 0, measured 0.04");

    // A good model is refused too if its rule was weak: the next one would not be as good.
    weak[0] = ("metrics.accuracy.min", 0.5, Some(0.95));
    let judgement = judged(&policy, &evidence(&weak));
    assert_eq!(violated(&judgement), ["gates.metrics.accuracy.min"]);
    assert!(judgement.checks[0].found.starts_with("a weaker rule"), "{:?}", judgement.checks[0]);

    // A rule that says more than the number shows is no help either.
    weak[0] = ("metrics.accuracy.min", 0.9, Some(0.80));
    assert!(!judged(&policy, &evidence(&weak)).is_satisfied());
    weak[0] = ("metrics.accuracy.min", 0.9, None);
    assert!(judged(&policy, &evidence(&weak)).checks[0].found.ends_with("not measured"));
    weak[0] = ("metrics.accuracy.min", f64::NAN, Some(f64::NAN));
    assert!(!judged(&policy, &evidence(&weak)).is_satisfied());
}

#[test]
fn every_kind_of_rule_knows_its_strict_direction() {
    let policy = policy(GATES);
    for (index, bound, value) in [
        (1, 0.2, 0.05),
        (1, 0.1, 0.15),
        (2, 0.05, -0.02),
        (2, 0.01, 0.02),
        (3, 0.01, 1.0),
        (3, 0.1, 0.04),
    ] {
        let mut rules = strong();
        rules[index] = (rules[index].0, bound, Some(value));
        let judgement = judged(&policy, &evidence(&rules));
        assert_eq!(violated(&judgement).len(), 1, "{:?}", rules[index]);
    }
    let missing: Vec<_> = strong().into_iter().skip(1).collect();
    let judgement = judged(&policy, &evidence(&missing));
    assert_eq!(judgement.checks[0].found, "the gate rules behind the evidence have no such rule");
}

#[test]
fn rules_on_knowledge_need_its_numbers_against_the_knowledge_in_force() {
    let policy = policy("gates: {knowledge: {recall_at_5: {min: 0.9}, max_drop: {mrr: 0.01}}}");
    let numbers = |recall: f64| {
        let mut evidence = evidence(&[
            ("knowledge.recall_at_5.min", 0.9, Some(recall)),
            ("knowledge.max_drop.mrr", 0.01, Some(-0.02)),
        ]);
        let compared = BTreeMap::from([("faq".to_owned(), Some(Digest::of(b"documents")))]);
        evidence.basis.as_mut().unwrap().champion_knowledge = compared;
        evidence
    };
    let judge = |evidence: &Evidence, documents: &[u8]| {
        let knowledge = BTreeMap::from([("faq".to_owned(), Digest::of(documents))]);
        let judgement = policy.judge(&Case {
            judges_evidence: true,
            evidence: Some(evidence),
            champion: Some(Digest::of(b"champion")),
            champion_knowledge: Some(&knowledge),
            ..Case::default()
        });
        violated(&judgement).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(judge(&numbers(0.95), b"documents").is_empty());
    assert_eq!(judge(&numbers(0.89), b"documents"), ["gates.knowledge.recall_at_5.min"]);
    assert_eq!(judge(&numbers(0.95), b"other documents"), ["gates.knowledge.max_drop.mrr"]);
    let model_alone = evidence(&strong());
    assert_eq!(judge(&model_alone, b"documents").len(), 2, "nothing measured the documents");
}

#[test]
fn relative_rules_are_measured_against_the_champion_in_force() {
    let policy = policy(GATES);
    let moved = Case {
        judges_evidence: true,
        evidence: Some(&evidence(&strong())),
        champion: Some(Digest::of(b"another champion")),
        ..Case::default()
    };
    let judgement = policy.judge(&moved);
    assert_eq!(
        violated(&judgement),
        ["gates.relative.max_drop.accuracy", "gates.relative.mcnemar_alpha"]
    );
    let mut first = strong();
    first[2].2 = None;
    first[3].2 = None;
    let first = evidence(&first);
    assert!(!judged(&policy, &first).is_satisfied(), "there is a champion to compare with");
    let case = Case { champion: None, evidence: Some(&first), ..moved };
    assert!(policy.judge(&case).is_satisfied());
}

#[test]
fn evidence_on_other_data_or_too_few_records_is_refused() {
    let here = format!("data: [{{digest: \"{}\", name: held out}}]", Digest::of(b"data"));
    assert!(judged(&policy(&here), &evidence(&[])).is_satisfied());
    let other = format!("data: [{{digest: \"{}\", name: held out}}]", Digest::of(b"other"));
    let judgement = judged(&policy(&other), &evidence(&[]));
    assert_eq!(violated(&judgement), ["data"]);
    assert!(judgement.checks[0].required.starts_with("measured on `held out` ("));
    assert!(judgement.checks[0].found.contains(&Digest::of(b"data").to_string()));
    assert!(judged(&policy("min_records: 200"), &evidence(&[])).is_satisfied());
    assert_eq!(violated(&judged(&policy("min_records: 201"), &evidence(&[]))), ["min_records"]);
}

#[test]
fn a_version_without_evidence_never_passes() {
    let any = policy("version: 1");
    let none = Case { judges_evidence: true, ..Case::default() };
    assert_eq!(violated(&any.judge(&none)), ["evidence"]);
    let self_test = Evidence { kind: "golden-self-test".to_owned(), basis: None, ..evidence(&[]) };
    assert!(judged(&any, &self_test).is_satisfied());
    for demand in [GATES, "min_records: 1"] {
        assert_eq!(violated(&judged(&policy(demand), &self_test)), ["evidence"]);
    }
    let old = Evidence { basis: None, ..evidence(&[]) };
    let judgement = judged(&policy(GATES), &old);
    assert!(judgement.checks[0].found.contains("of an older botops"), "{judgement:?}");
}

fn plan(yaml: &str) -> RolloutPolicy {
    botops_spec::parse::<RolloutSpec>(yaml, "plan.yaml").unwrap().check().unwrap()
}

#[test]
fn a_plan_that_goes_too_fast_is_refused() {
    let rules = "rollout: {max_first_weight: 5, max_step: 25, max_weight: 50, min_time: 120m, min_units: 100,
  require: promote-evidence, gate: [error, wrong], max_alpha: 0.05, max_tolerated_risk: 1.5}";
    let policy = policy(rules);
    let judge = |plan: &RolloutPolicy| policy.judge(&Case { plan: Some(plan), ..Case::default() });
    let judgement = judge(&RolloutSpec::default().check().unwrap());
    assert!(judgement.is_satisfied(), "{judgement:#?}");
    assert_eq!(judgement.checks.len(), 10);
    let hasty = plan(
        "steps: [{weight: 10, deadline: 7d}, {weight: 60, deadline: 7d}]
judge: {alpha: 0.1, tolerated_risk: 2, metrics: {wrong: observe}}",
    );
    let judgement = judge(&hasty);
    let all = [
        "rollout.max_first_weight",
        "rollout.max_step",
        "rollout.max_weight",
        "rollout.min_time",
        "rollout.min_units",
        "rollout.require",
        "rollout.gate.wrong",
        "rollout.max_alpha",
        "rollout.max_tolerated_risk",
    ];
    assert_eq!(violated(&judgement), all);
    let found: Vec<&str> = judgement.violations().map(|check| check.found.as_str()).collect();
    assert_eq!(found[..4], ["10 %", "step 2 raises it by 50", "60 %", "step 1: 0s"]);
}

#[test]
fn a_blue_green_plan_gives_the_challenger_everything_at_once() {
    let policy =
        policy("rollout: {max_first_weight: 5, max_step: 25, max_weight: 50, min_time: 1h}");
    let blue_green =
        plan("{strategy: blue-green, steps: [], limits: {error: 1}, settle: {window: 1h}}");
    let judgement = policy.judge(&Case { plan: Some(&blue_green), ..Case::default() });
    assert_eq!(violated(&judgement).len(), 4, "{judgement:#?}");
}

#[test]
fn absolute_limits_and_a_settling_window_are_demanded_of_every_plan() {
    let policy = policy(
        "rollout: {max_limits: {fallback: 12.5, error: 2}, min_settle: 720m, min_settle_units: 200}",
    );
    let judge = |plan: &RolloutPolicy| policy.judge(&Case { plan: Some(plan), ..Case::default() });
    let strict = [
        "{limits: {error: 2, fallback: 10, slow: 50}, settle: {window: 12h, min_units: 200}}",
        "{strategy: blue-green, steps: [], limits: {error: 1, fallback: 12.5}, settle: {window: 2d, min_units: 999}}",
    ];
    for yaml in strict {
        assert!(judge(&plan(yaml)).is_satisfied(), "{yaml}");
    }
    let all = [
        "rollout.max_limits.error",
        "rollout.max_limits.fallback",
        "rollout.min_settle",
        "rollout.min_settle_units",
    ];
    let weak =
        judge(&plan("{limits: {error: 2.5, slow: 1}, settle: {window: 11h, min_units: 199}}"));
    assert_eq!(violated(&weak), all);
    let found: Vec<&str> = weak.violations().map(|check| check.found.as_str()).collect();
    assert_eq!(found, ["a limit of 2.5 %", "no such limit", "11h", "199 conversations"]);
    let without = judge(&RolloutSpec::default().check().unwrap());
    assert_eq!(violated(&without), all, "{without:#?}");
    // A window of zero is none.
    assert_eq!(violated(&judge(&plan("{settle: {window: 0s}}"))).len(), 4);
    let demands = policy.demands();
    let lines: Vec<&str> = demands.iter().map(|demand| demand.demand.as_str()).collect();
    let error = "`error` of more than 2 % rolls back while the challenger has all traffic";
    assert!(lines.contains(&error), "{lines:?}");
    assert!(lines.contains(&"the version before stays loaded for at least 12h"), "{lines:?}");
}

#[test]
fn a_policy_without_the_newer_keys_keeps_its_bytes_and_its_digest() {
    let bytes = policy("rollout: {min_time: 2h, max_alpha: 0.05}").to_bytes();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\"max_tolerated_risk\":null"), "{text}");
    for key in ["max_limits", "min_settle"] {
        assert!(!text.contains(key), "{text}");
    }
    let newer = policy("rollout: {max_limits: {error: 1}, min_settle: 60m}");
    assert_eq!(Policy::from_bytes(&newer.to_bytes()).unwrap(), newer);
}

#[test]
fn approvals_of_the_policy_join_those_of_the_plan() {
    let rules = "approvals: {required: 2, expires: 24h, approvers: [ada, ben]}";
    let own = || plan("{approval: {quorum: 3, expires: 72h}}");
    let joined = policy(rules).with_approvals(own());
    let approval = joined.approval().unwrap();
    assert_eq!((approval.quorum, approval.expires.as_secs()), (3, 24 * 3600));
    let joined = policy(rules).with_approvals(RolloutSpec::default().check().unwrap());
    assert_eq!(joined.approval().unwrap().quorum, 2);
    assert!(!joined.approval().unwrap().allow_self_approval);
    let warned = policy(&format!("mode: warn\n{rules}"));
    assert_eq!(warned.with_approvals(own()), own());
    assert!(policy(rules).may_approve("ada") && !policy(rules).may_approve("eve"));
    assert!(warned.may_approve("eve") && policy("version: 1").may_approve("eve"));
}

#[test]
fn the_mode_decides_between_silence_a_warning_and_a_refusal() {
    for (mode, exit) in [("off", None), ("warn", None), ("enforce", Some(6))] {
        let policy = policy(&format!("mode: {mode}\nmin_records: 1000"));
        let decided = judged(&policy, &evidence(&[])).decide("support@3 in production");
        match (mode, decided) {
            ("off", Ok(findings)) => assert_eq!(findings, []),
            ("warn", Ok(findings)) => {
                assert_eq!((findings.len(), findings[0].severity), (1, Severity::Warning));
                assert_eq!(findings[0].place.key.as_deref(), Some("min_records"));
            }
            ("enforce", Err(fault)) => {
                assert_eq!((fault.code(), Some(fault.kind().exit_code())), ("BOT-6050", exit));
                assert_eq!(
                    fault.message(),
                    "the policy refuses support@3 in production: `min_records` requires measured on at least 1000 \
                     records; found 200 records"
                );
                assert_eq!(fault.findings().len(), 1);
                assert_eq!(fault.hints()[0], "judge the version on more records");
            }
            (mode, decided) => panic!("{mode}: {decided:?}"),
        }
    }
}

#[test]
fn a_closed_window_refuses_and_holds_only_when_enforced() {
    let saturday: DateTime<Utc> = "2026-11-28T12:00:00Z".parse().unwrap();
    let window = "windows: [\"Mon-Fri 09:00-16:00 Europe/Warsaw\"]";
    let enforced = policy(window);
    let fault = enforced
        .judge(&Case { at: Some(saturday), ..Case::default() })
        .decide("support@3 in production")
        .unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6052", 6));
    assert!(fault.message().ends_with("closed until 2026-11-30 09:00 Europe/Warsaw"), "{fault}");
    let closed = enforced.judge(&Case { at: Some(saturday), ..Case::default() });
    assert_eq!(closed.findings(Severity::Error)[0].code, "BOT-6052");
    let words = "outside the promotion windows until 2026-11-30 09:00 Europe/Warsaw";
    assert_eq!(enforced.closed(saturday).as_deref(), Some(words));
    assert_eq!(policy(&format!("mode: warn\n{window}")).closed(saturday), None);
    assert_eq!(enforced.closed("2026-11-30T09:00:00Z".parse().unwrap()), None);
}

#[test]
fn a_policy_without_a_demand_is_warned_of() {
    for yaml in ["version: 1", "mode: warn", "gates: {}"] {
        let warnings = policy(yaml).warnings();
        assert_eq!(warnings.len(), 1, "{yaml}");
        assert_eq!(
            (warnings[0].code.as_str(), warnings[0].severity),
            ("BOT-1066", Severity::Warning)
        );
    }
    for yaml in [GATES, "mode: off", "min_records: 1", "approvals: {}", "rollout: {max_step: 50}"] {
        assert_eq!(policy(yaml).warnings(), [], "{yaml}");
    }
}

#[test]
fn a_policy_out_of_range_names_the_key() {
    for (yaml, code, key, message) in [
        ("environment: \"\"", "BOT-1063", "environment", "must name one environment"),
        ("min_records: 0", "BOT-1063", "min_records", "at least one record"),
        ("gates: {metrics: {accuracy: {}}}", "BOT-1063", "gates.metrics.accuracy", "no bound"),
        (
            "gates: {metrics: {accuracy: {min: .nan}}}",
            "BOT-1063",
            "gates.metrics.accuracy.min",
            "`gates.metrics.accuracy.min` is NaN: expected a finite number",
        ),
        ("gates: {per_class: {f1: {max: .inf}}}", "BOT-1063", "gates.per_class.f1.max", "is inf"),
        (
            "gates: {relative: {max_drop: {accuracy: .nan}}}",
            "BOT-1063",
            "gates.relative.max_drop.accuracy",
            "is NaN",
        ),
        (
            "gates: {relative: {mcnemar_alpha: .nan}}",
            "BOT-1063",
            "gates.relative.mcnemar_alpha",
            "is NaN",
        ),
        (
            "gates: {per_class: {f1: {min: 2, max: 1}}}",
            "BOT-1063",
            "gates.per_class.f1",
            "2 is above 1",
        ),
        (
            "gates: {relative: {mcnemar_alpha: 2}}",
            "BOT-1063",
            "gates.relative.mcnemar_alpha",
            "(0, 1)",
        ),
        ("rollout: {max_step: 0}", "BOT-1063", "rollout.max_step", "above 0"),
        ("rollout: {min_time: soon}", "BOT-1063", "rollout.min_time", "`soon` is not a duration"),
        ("rollout: {min_time: 900d}", "BOT-1063", "rollout.min_time", "longer than 366 days"),
        ("rollout: {max_alpha: 0.9}", "BOT-1063", "rollout.max_alpha", "at most 0.5"),
        (
            "rollout: {max_limits: {wrong: 5}}",
            "BOT-1063",
            "rollout.max_limits.wrong",
            "no limit on `wrong`",
        ),
        (
            "rollout: {max_limits: {error: 100}}",
            "BOT-1063",
            "rollout.max_limits.error",
            "below 100",
        ),
        ("rollout: {min_settle: 0s}", "BOT-1063", "rollout.min_settle", "demands nothing"),
        ("rollout: {min_settle: now}", "BOT-1063", "rollout.min_settle", "not a duration"),
        (
            "rollout: {min_settle_units: 0}",
            "BOT-1063",
            "rollout.min_settle_units",
            "at least one conversation",
        ),
        ("approvals: {required: 0}", "BOT-1063", "approvals.required", "from 1 to 20"),
        ("approvals: {required: 2, approvers: [ada]}", "BOT-1063", "approvals.approvers", "only 1"),
        ("approvals: {expires: 0s}", "BOT-1063", "approvals.expires", "zero"),
        ("windows: [always]", "BOT-1064", "windows[0]", "expected 3 parts"),
    ] {
        let fault = read(yaml).check().unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), (code, 2), "{yaml}");
        assert_eq!(fault.place().key.as_deref(), Some(key), "{yaml}");
        assert!(fault.message().contains(message), "{yaml}: {}", fault.message());
    }
    let unknown = botops_spec::parse::<PolicySpec>("gate: {}", "policy.yaml").unwrap_err();
    assert_eq!((unknown.code(), unknown.place().line), ("BOT-1011", Some(1)));
    assert!(unknown.hints()[0].contains("`gates`"), "{unknown}");
}

#[test]
fn the_digest_is_that_of_the_demands_and_not_of_the_spelling() {
    let one = policy(
        "rollout: {min_time: 120m, gate: [wrong, error]}\nwindows: [\"mon,tue,wed 09:00-16:00 UTC\"]",
    );
    let same = policy(
        "windows: [\"Mon-Wed 09:00-16:00 UTC\"]\nversion: 1\nrollout: {gate: [error, wrong], min_time: 2h}",
    );
    assert_eq!(one.digest(), same.digest());
    assert_eq!(Policy::from_bytes(&one.to_bytes()).unwrap(), one);
    let mut other = one.spec().clone();
    other.mode = PolicyMode::Warn;
    assert_ne!(other.check().unwrap().digest(), one.digest());
}

#[test]
fn a_recorded_policy_that_cannot_be_read_refuses() {
    for (bytes, problem) in [
        (r#"{"schema":"botops.policy/2"}"#, "has the format `botops.policy/2`"),
        ("{", "cannot be read"),
        (r#"{"schema":"botops.policy/1","policy":{"gates":1}}"#, "cannot be read"),
        (r#"{"schema":"botops.policy/1","policy":{"min_records":0}}"#, "cannot be read"),
    ] {
        let fault = Policy::from_bytes(bytes.as_bytes()).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6056", 6));
        assert!(fault.message().contains(problem), "{fault}");
    }
}

#[test]
fn the_demands_are_listed_in_words() {
    let yaml = format!(
        "{GATES}\nmin_records: 100\nrollout: {{min_time: 2h}}\napprovals: {{required: 2, approvers: [ben, ada, ben]}}\n\
         windows: [\"Sat 10:00-12:00 UTC\"]"
    );
    let demands = policy(&yaml).demands();
    let lines: Vec<String> =
        demands.iter().map(|demand| format!("{}: {}", demand.rule, demand.demand)).collect();
    assert_eq!(
        lines,
        [
            "evidence: a gate report in the registry",
            "gates.metrics.accuracy.min: accuracy >= 0.85",
            "gates.metrics.ece.max: ece <= 0.1",
            "gates.relative.max_drop.accuracy: accuracy at most 0.01 worse than the champion's",
            "gates.relative.mcnemar_alpha: not worse than the champion at mcnemar p < 0.05",
            "min_records: measured on at least 100 records",
            "rollout.min_time: every step lasts at least 2h",
            "approvals: 2 approvals by different people, by ada, ben, not by the requester, within 3days",
            "windows: starts and advances in `Sat 10:00-12:00 UTC`",
        ]
    );
}

#[test]
fn rules_on_behaviour_and_flips_are_compared_like_the_others() {
    let policy = policy(
        "gates: {behaviour: {must_pass: true, invariance: {min: 0.9}}, flips: {max_negative: 0.02}}",
    );
    let strong = [
        ("behaviour.must_pass", 0.0, Some(0.0)),
        ("behaviour.invariance.min", 0.95, Some(0.97)),
        ("flips.max_negative", 0.01, Some(0.005)),
    ];
    assert!(judged(&policy, &evidence(&strong)).is_satisfied());
    let with = |at: usize, bound: f64, value: Option<f64>| {
        let mut weak = strong;
        weak[at] = (weak[at].0, bound, value);
        violated(&judged(&policy, &evidence(&weak)))
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // A weaker rule, a worse number, and no number at all.
    assert_eq!(with(1, 0.5, Some(0.97)), ["gates.behaviour.invariance.min"]);
    assert_eq!(with(2, 0.02, Some(0.04)), ["gates.flips.max_negative"]);
    assert_eq!(with(0, 0.0, None), ["gates.behaviour.must_pass"]);
    assert_eq!(violated(&judged(&policy, &evidence(&strong[1..]))), ["gates.behaviour.must_pass"]);
    // Flips against another model than the champion prove nothing.
    let mut moved = evidence(&strong);
    moved.basis.as_mut().unwrap().champion = Some(Digest::of(b"another"));
    assert_eq!(violated(&judged(&policy, &moved)), ["gates.flips.max_negative"]);
}

#[test]
fn a_policy_names_the_behavioural_tests_that_it_trusts() {
    let bounds = [("behaviour.must_pass", 0.0, Some(0.0))];
    let named = |digest: Digest| policy(&format!("behaviour: [{{digest: \"{digest}\"}}]"));
    assert!(judged(&named(Digest::of(b"tests")), &evidence(&bounds)).is_satisfied());
    let other = named(Digest::of(b"strict tests"));
    assert_eq!(violated(&judged(&other, &evidence(&bounds))), ["behaviour"]);
    let mut without = evidence(&bounds);
    without.basis.as_mut().unwrap().behaviour = None;
    assert_eq!(violated(&judged(&other, &without)), ["behaviour"]);
    // A policy without these keys keeps its bytes, and so its digest.
    let plain = String::from_utf8(policy(GATES).to_bytes()).unwrap();
    assert!(!plain.contains("behaviour") && !plain.contains("flips"), "{plain}");
}
