use super::*;
use botops_findings::FaultKind;

fn error(change: impl FnOnce(&mut RolloutSpec)) -> (String, String) {
    let mut spec = spec();
    spec.shadow = Some(ShadowSpec { min_units: 10, deadline: "1d".to_owned(), mirror: None });
    change(&mut spec);
    let fault = spec.check().unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6001", FaultKind::Usage));
    (fault.place().key.clone().unwrap(), fault.message().to_owned())
}

#[test]
fn the_default_plan_passes_its_checks() {
    let policy = RolloutSpec::default().check().unwrap();
    let weights: Vec<f64> = policy.steps().iter().map(|step| step.weight_percent).collect();
    assert_eq!(weights, [5.0, 25.0, 50.0]);
    assert_eq!(policy.interval().as_secs(), 300);
    assert_eq!(policy.steps()[0].min_time.as_secs(), 12 * 3_600);
    // Three kinds gate: alpha is divided for a rollback, and not for a promotion.
    assert!((policy.judge().log_threshold_rollback() - 60_f64.ln()).abs() < 1e-12);
    assert!((policy.judge().log_threshold_promote() - 20_f64.ln()).abs() < 1e-12);
}

#[test]
fn each_value_out_of_range_is_reported_with_its_key() {
    let set = |i: usize, weight: f64| move |spec: &mut RolloutSpec| spec.steps[i].weight = weight;
    assert_eq!(error(|s| s.steps.clear()).0, "steps");
    assert_eq!(error(set(0, 0.0)).0, "steps[0].weight");
    assert_eq!(error(set(0, 0.000_01)).0, "steps[0].weight");
    assert_eq!(error(set(2, 100.5)).0, "steps[2].weight");
    assert_eq!(error(set(1, f64::NAN)).0, "steps[1].weight");
    let (key, message) = error(set(1, 5.0));
    assert_eq!(key, "steps[1].weight");
    assert_eq!(message, "step 2 has weight 5 after 5: weights must rise");
    assert_eq!(error(|s| s.steps[0].deadline = "soon".to_owned()).0, "steps[0].deadline");
    assert_eq!(error(|s| s.steps[0].deadline = "0s".to_owned()).0, "steps[0].deadline");
    assert_eq!(error(|s| s.steps[0].deadline = "400d".to_owned()).0, "steps[0].deadline");
    assert_eq!(
        error(|s| s.steps[0].min_time = Some("9999999999y".to_owned())).0,
        "steps[0].min_time"
    );
    let (key, message) = error(|s| s.steps[0].min_time = Some("13h".to_owned()));
    assert_eq!(key, "steps[0].min_time");
    assert!(message.contains("(13h)") && message.contains("(12h)"), "{message}");
    assert_eq!(error(|s| s.steps[1].min_units = Some(0)).0, "steps[1].min_units");
    assert_eq!(error(|s| s.interval = "0s".to_owned()).0, "interval");
    for short in ["1ms", "9ms", "1us"] {
        assert_eq!(error(|s| s.interval = short.to_owned()).0, "interval", "{short}");
    }
    assert_eq!(error(|s| s.stale_after = "5m".to_owned()).0, "stale_after");
    assert_eq!(error(|s| s.shadow.as_mut().unwrap().min_units = 0).0, "shadow.min_units");
    assert_eq!(
        error(|s| s.shadow.as_mut().unwrap().deadline = "-1d".to_owned()).0,
        "shadow.deadline"
    );
    for alpha in [0.0, 0.6, -1.0, f64::NAN] {
        assert_eq!(error(|s| s.judge.alpha = alpha).0, "judge.alpha");
    }
    for risk in [1.0, 17.0, f64::INFINITY, f64::NAN] {
        assert_eq!(error(|s| s.judge.tolerated_risk = risk).0, "judge.tolerated_risk");
    }
    let gate = |kind, policy| {
        move |s: &mut RolloutSpec| {
            s.judge.metrics.insert(kind, policy);
        }
    };
    assert_eq!(error(gate(FailureKind::Wrong, GatePolicy::Observe)).0, "judge.metrics");
    // Something has to be measured, or the challenger is compared in nothing.
    assert_eq!(error(gate(FailureKind::Wrong, GatePolicy::Optional)).0, "judge.metrics");
    for policy in [GatePolicy::Gate, GatePolicy::Optional] {
        assert_eq!(error(gate(FailureKind::Disagreement, policy)).0, "judge.metrics.disagreement");
    }
}

#[test]
fn a_step_without_min_units_requires_one_conversation() {
    let mut spec = spec();
    spec.steps = vec![StepSpec { min_units: None, min_time: None, ..step(10.0, "1h", 1, "1h") }];
    let rollout = running(&spec);
    let tick = advance(&rollout, &seen(50, 0, start()), start());
    assert!(!tick.is_decided());
    let tick = advance(&tick.next, &seen(0, 1, start()), start());
    assert_eq!(tick.next.phase, Phase::Promoting);
}

#[test]
fn json_keeps_the_checked_plan_bit_for_bit() {
    let mut spec = RolloutSpec::default();
    spec.steps[0].weight = 1.0 / 3.0;
    spec.steps[0].min_time = Some("1h 1ms".to_owned());
    spec.judge.alpha = 0.1 / 3.0;
    spec.judge.tolerated_risk = 4.0 / 3.0;
    let policy = spec.check().unwrap();
    let text = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<RolloutPolicy>(&text).unwrap(), policy);
    assert!(text.contains(r#""interval":"5m""#), "{text}");
}

#[test]
fn a_plan_is_read_from_yaml() {
    let spec: RolloutSpec = serde_yaml::from_str(
        "steps:\n  - { weight: 10, deadline: 1d }\n  - { weight: 50, min_units: 5, deadline: 2d, require: promote-evidence }\njudge:\n  metrics: { wrong: gate, slow: observe }\n",
    )
    .unwrap();
    assert_eq!(spec.judge.alpha, 0.05);
    assert_eq!(spec.steps[1].require, Some(Requirement::PromoteEvidence));
    use FailureKind::{Error, Fallback, Wrong};
    let gating = |spec: &RolloutSpec| spec.check().unwrap().judge().gating().collect::<Vec<_>>();
    assert_eq!(gating(&spec), [Error, Fallback, Wrong]);
    let observed = "judge: { metrics: { error: observe, fallback: observe } }";
    assert_eq!(gating(&serde_yaml::from_str(observed).unwrap()), [Wrong]);
}

#[test]
fn a_plan_that_changes_one_role_keeps_the_others() {
    let spec: RolloutSpec =
        serde_yaml::from_str("judge: { metrics: { wrong: optional } }").unwrap();
    let mut expected = JudgeSpec::default();
    expected.metrics.insert(FailureKind::Wrong, GatePolicy::Optional);
    assert_eq!(spec.judge, expected);
    // The admin API gets the complete plan.
    let sent: RolloutSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(sent, spec);
}
