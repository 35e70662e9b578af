//! Failure kinds that are measured on nobody, or on too few.

use super::*;

/// A plan of one step that requires evidence on `error` and `wrong`; `wrong` has the given role.
fn one_step(wrong: GatePolicy) -> RolloutSpec {
    let mut spec = spec();
    spec.steps = vec![with_evidence(step(50.0, "1h", 100, "12h"))];
    spec.judge.metrics =
        BTreeMap::from([(FailureKind::Error, GatePolicy::Gate), (FailureKind::Wrong, wrong)]);
    spec
}

fn evidence_on(rollout: &Rollout, kind: FailureKind) -> Evidence {
    rollout.evidence().into_iter().find(|evidence| evidence.kind == kind).unwrap()
}

#[test]
fn without_feedback_a_required_kind_is_unmeasured_and_the_step_insufficient() {
    let rollout = running(&one_step(GatePolicy::Gate));
    let now = start() + minutes(60);
    let tick = advance(&rollout, &silent(300, 320, now), now);
    assert!(!tick.is_decided(), "{}", tick.reason);
    let wrong = evidence_on(&tick.next, FailureKind::Wrong);
    assert_eq!((wrong.measured, wrong.rates), (Some([0, 0]), [None, None]));
    let error = evidence_on(&tick.next, FailureKind::Error);
    assert_eq!((error.measured, error.rates), (Some([300, 320]), [Some(0.0), Some(0.0)]));
    assert_eq!(
        tick.next.waiting_for(now),
        [
            "feedback that measures `wrong` on 100 more conversations (or `wrong: optional` in the plan)"
        ]
    );

    let now = start() + minutes(12 * 60);
    let paused = advance(&tick.next, &silent(0, 0, now), now);
    assert_eq!(paused.verdict, Verdict::Insufficient);
    assert!(
        matches!(paused.next.phase, Phase::Paused { reason: PauseReason::Unmeasured, .. }),
        "{:?}",
        paused.next.phase
    );
    assert_eq!(paused.next.weight(), 0.5);
    assert_eq!(
        paused.reason,
        "deadline of 12h reached without evidence that the challenger fails less than 1.5 times as often: \
         `error` too rare to compare: 0 of 320 conversations against 0 of 300; \
         `wrong` unmeasured: counted on 0 conversations of the challenger and 0 of the champion; \
         if it cannot be measured: `wrong: optional` in the plan"
    );
    let decision = Decision::new(&paused.next, vec![paused.record()], false);
    assert_eq!(decision.verdict, "insufficient");
    // A person decides, and the record says on what.
    let promoted = command(&paused.next, &Command::Promote, now).unwrap();
    assert!(promoted.reason.contains("`wrong` unmeasured"), "{}", promoted.reason);
    // Late feedback measures the kind. A step that resumes passes.
    let resumed = command(&paused.next, &Command::Resume, now).unwrap().next;
    let now = now + minutes(60);
    let late = with_feedback(silent(0, 0, now), [100, 100]);
    assert_eq!(advance(&resumed, &late, now).next.phase, Phase::Promoting);
}

#[test]
fn feedback_on_few_conversations_or_on_one_arm_does_not_measure_a_kind() {
    let rollout = running(&one_step(GatePolicy::Gate));
    let now = start() + minutes(60);
    for (feedback, missing) in [
        ([1, 1], "feedback that measures `wrong` on 99 more conversations"),
        ([300, 99], "feedback that measures `wrong` on 1 more conversations"),
        ([0, 320], "feedback that measures `wrong` on the champion"),
    ] {
        let tick = advance(&rollout, &with_feedback(silent(300, 320, now), feedback), now);
        assert!(!tick.is_decided(), "{feedback:?}: {}", tick.reason);
        let waits = tick.next.waiting_for(now);
        assert!(waits[0].starts_with(missing), "{waits:?}");
    }
    let enough = with_feedback(silent(300, 320, now), [1, 100]);
    assert_eq!(advance(&rollout, &enough, now).next.phase, Phase::Promoting);
}

#[test]
fn an_optional_kind_is_waited_for_only_once_it_is_measured() {
    let rollout = running(&one_step(GatePolicy::Optional));
    let now = start() + minutes(60);
    let tick = advance(&rollout, &silent(300, 320, now), now);
    assert_eq!(tick.next.phase, Phase::Promoting);
    assert!(
        tick.reason.contains("nothing measured is worse (`wrong` is unmeasured)"),
        "{}",
        tick.reason
    );
    assert!(
        tick.reason.contains("`wrong` unmeasured: counted on 0 conversations"),
        "{}",
        tick.reason
    );
    // Thirty failures, evenly split, show no evidence: the step waits.
    let equal = failing(seen(300, 320, now), FailureKind::Wrong, 0.5, [15, 15]);
    assert!(!advance(&rollout, &equal, now).is_decided());
    // It gates: one harmful enough rolls back, and alpha is divided over both kinds.
    let bad =
        advance(&rollout, &failing(seen(300, 320, now), FailureKind::Wrong, 0.5, [0, 12]), now);
    assert_eq!(bad.effect, Effect::RollBack);
    let wrong = evidence_on(&rollout, FailureKind::Wrong);
    assert_eq!((wrong.policy, wrong.log_threshold), (GatePolicy::Optional, 40_f64.ln()));
}

#[test]
fn a_step_without_required_evidence_names_the_kinds_it_did_not_measure() {
    let rollout = running(&spec());
    let now = start() + minutes(60);
    let passed = advance(&rollout, &silent(475, 25, now), now);
    assert_eq!(
        passed.reason,
        "step 1 of 3 passed: 25 conversations on the challenger at 5 % in 1h, \
         nothing measured is worse (`wrong` is unmeasured)"
    );
}

#[test]
fn at_100_percent_there_is_nothing_to_compare_with() {
    let mut spec = one_step(GatePolicy::Gate);
    spec.steps = vec![with_evidence(step(100.0, "1h", 100, "12h"))];
    let rollout = running(&spec);
    let now = start() + minutes(60);
    let bad = failing(seen(0, 300, now), FailureKind::Wrong, 1.0, [0, 200]);
    let tick = advance(&rollout, &bad, now);
    assert!(!tick.is_decided(), "{}", tick.reason);
    assert_eq!(tick.next.waiting_for(now).len(), 2);
    // After a step at 50 %, the evidence of that step counts.
    spec.steps.insert(0, step(50.0, "0s", 100, "12h"));
    let second = advance(&running(&spec), &seen(150, 150, start()), start()).next;
    assert_eq!(second.weight(), 1.0);
    let now = start() + minutes(61);
    assert_eq!(advance(&second, &seen(0, 120, now), now).next.phase, Phase::Promoting);
}

#[test]
fn a_broken_split_makes_a_kind_unmeasured_again() {
    let rollout = running(&one_step(GatePolicy::Gate));
    let now = start() + minutes(10);
    let broken = advance(&rollout, &seen(100, 700, now), now).next;
    assert!(matches!(broken.phase, Phase::Paused { reason: PauseReason::SampleRatioMismatch, .. }));
    let resumed = command(&broken, &Command::Resume, now).unwrap().next;
    let now = now + minutes(60);
    let tick = advance(&resumed, &silent(150, 150, now), now);
    assert!(!tick.is_decided(), "{}", tick.reason);
    assert!(tick.next.waiting_for(now)[0].contains("`wrong` on 100 more"));
    assert_eq!(evidence_on(&tick.next, FailureKind::Wrong).measured, Some([100, 700]));
}

#[test]
fn a_rollout_of_an_older_version_is_read_with_failures_as_shares_of_all_conversations() {
    let now = start() + minutes(5);
    let bad = failing(silent(95, 105, now), FailureKind::Wrong, 0.5, [4, 3]);
    let mut spec = one_step(GatePolicy::Gate);
    spec.steps[0].min_units = Some(10);
    let mut stored = serde_json::to_value(advance(&running(&spec), &bad, now).next).unwrap();
    assert!(
        stored["judge"]["kinds"]["wrong"].as_object_mut().unwrap().remove("measured").is_some()
    );
    let read: Rollout = serde_json::from_value(stored).unwrap();
    let wrong = evidence_on(&read, FailureKind::Wrong);
    assert_eq!(wrong.measured, Some([95, 105]));
    assert_eq!(wrong.rates, [Some(4.0 / 95.0), Some(3.0 / 105.0)]);
    let now = start() + minutes(60);
    let tick = advance(&read, &with_feedback(silent(0, 10, now), [0, 1]), now);
    assert_eq!(evidence_on(&tick.next, FailureKind::Wrong).measured, Some([95, 115]));
}
