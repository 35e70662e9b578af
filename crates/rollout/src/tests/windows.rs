//! Kinds of failure that are known when half an hour is over: `handed_off` and `unresolved`.

use super::*;

/// A plan whose judge looks at `unresolved` alone.
fn windowed() -> RolloutSpec {
    let mut spec = spec();
    spec.judge.metrics = BTreeMap::from([
        (FailureKind::Unresolved, GatePolicy::Gate),
        (FailureKind::HandedOff, GatePolicy::Observe),
    ]);
    spec
}

/// Conversations whose half hour is over now, and the failed ones among them: `[primary, canary]`.
fn closed(now: DateTime<Utc>, measured: [u64; 2], failed: [u64; 2]) -> Observation {
    let [primary, canary] = measured;
    let measured = MeasuredCount { kind: FailureKind::Unresolved, canary, primary };
    let [primary, canary] = failed;
    let failure = FailureCount { kind: FailureKind::Unresolved, weight: 0.05, canary, primary };
    Observation {
        measured: vec![measured],
        failures: vec![failure],
        observed_at: Some(now),
        ..Observation::default()
    }
}

#[test]
fn conversations_are_unmeasured_until_their_half_hour_is_over() {
    let rollout = running(&windowed());
    let now = start() + minutes(20);
    let tick = advance(&rollout, &silent(1_900, 100, now), now);
    let evidence = tick.next.evidence().into_iter();
    let evidence = evidence.filter(|it| it.kind == FailureKind::Unresolved).collect::<Vec<_>>();
    assert!(!evidence[0].is_measured(), "{evidence:?}");
    let now = start() + minutes(40);
    let tick = advance(&tick.next, &closed(now, [950, 50], [20, 1]), now);
    let evidence = tick.next.evidence();
    let evidence = evidence.iter().find(|it| it.kind == FailureKind::Unresolved).unwrap();
    assert_eq!((evidence.measured_of([0, 0]), evidence.failures), ([950, 50], [20, 1]));
    assert_eq!(reread(&tick.next), tick.next);
}

#[test]
fn more_unresolved_conversations_on_the_challenger_roll_back() {
    let rollout = running(&windowed());
    let now = start() + minutes(31);
    let tick = advance(&rollout, &silent(1_900, 100, now), now);
    let back = advance(&tick.next, &closed(now, [950, 50], [20, 20]), now);
    assert_eq!((back.verdict, back.effect), (Verdict::Fail, Effect::RollBack));
    let expected = "`unresolved` is worse on the challenger: 20 of 50 conversations after their 30 minutes against 20 of 950";
    assert!(back.reason.starts_with(expected), "{}", back.reason);
}

#[test]
fn a_plan_that_does_not_name_them_keeps_its_bytes_and_reads_as_before() {
    let default = serde_json::to_string(&JudgeSpec::default()).unwrap();
    assert!(!default.contains("handed_off") && !default.contains("unresolved"), "{default}");
    let written = serde_json::to_string(&windowed().judge).unwrap();
    assert!(written.contains("\"unresolved\":\"gate\""), "{written}");
    assert_eq!(serde_json::from_str::<JudgeSpec>(&written).unwrap(), windowed().judge);
}

#[test]
fn a_step_that_ends_before_the_half_hour_of_a_kind_that_gates_is_refused() {
    let with = |min_time: Option<&str>, role: GatePolicy| {
        let mut spec = windowed();
        spec.judge.metrics.insert(FailureKind::Error, GatePolicy::Gate);
        spec.judge.metrics.insert(FailureKind::Unresolved, role);
        spec.steps[1].min_time = min_time.map(str::to_owned);
        spec.check()
    };
    for (min_time, shown) in [(Some("29m 59s"), "29m 59s"), (None, "0s")] {
        for role in [GatePolicy::Gate, GatePolicy::Optional] {
            let fault = with(min_time, role).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6240", 2));
            assert_eq!(fault.place().key.as_deref(), Some("steps[1].min_time"));
            let expected = format!(
                "step 2 can pass after {shown}, and `unresolved` gates: a conversation measures it 30m after its begin"
            );
            assert_eq!(fault.message(), expected);
        }
        // It only counts.
        with(min_time, GatePolicy::Observe).unwrap();
    }
    with(Some("30m"), GatePolicy::Gate).unwrap();
    // A stored plan of an older version is read as it is.
    let mut older = windowed().check().unwrap();
    older = serde_json::from_str(&serde_json::to_string(&older).unwrap().replacen(
        "\"min_time\":\"1h\"",
        "\"min_time\":\"1m\"",
        1,
    ))
    .unwrap();
    assert_eq!(older.steps()[0].min_time, std::time::Duration::from_secs(60));
}
