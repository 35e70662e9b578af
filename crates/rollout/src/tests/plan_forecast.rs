//! Forecasts of plans.

use super::{
    replicas_simulated::{Traffic, simulate},
    *,
};

fn traffic(per_hour: f64, failures: &[(FailureKind, f64, f64)]) -> TrafficRates {
    let rate = |&(kind, rate, measured)| (kind, FailureRate { rate, measured });
    TrafficRates { conversations_per_hour: per_hour, failures: failures.iter().map(rate).collect() }
}

fn wrong(per_hour: f64, rate: f64) -> TrafficRates {
    traffic(per_hour, &[(FailureKind::Wrong, rate, 1.0)])
}

#[test]
fn steps_last_their_least_time_or_until_they_have_enough_conversations_and_evidence() {
    // Steps of 1 h: 20, 50 and 100 conversations on the challenger at 5, 25 and 50 %.
    let plan = spec().check().unwrap();
    let forecast = forecast(&plan, &wrong(1_000.0, 0.1));
    assert_eq!(forecast.problems, [""; 0]);
    assert_eq!(forecast.steps[0].seconds, Some(3_600));
    assert_eq!(forecast.steps[0].canary_units, 50);
    assert_eq!(forecast.steps[1].seconds, Some(3_600));
    // The reference simulation: 10 % on both arms have promote evidence in 53 % of 3,000 conversations.
    let last = forecast.steps[2].seconds.unwrap();
    let conversations = 2_000.0 + last as f64 / 3.6;
    assert!((2_000.0..5_000.0).contains(&conversations), "{conversations}");
    assert_eq!(forecast.total_seconds, Some(7_200 + last));
    // With a tenth of the traffic, the first step waits for conversations.
    let slow = super::forecast(&plan, &wrong(100.0, 0.1));
    assert_eq!(slow.steps[0].seconds, Some(4 * 3_600));
}

#[test]
fn a_plan_that_cannot_conclude_says_why() {
    let plan = spec().check().unwrap();
    let problems = |traffic: &TrafficRates| forecast(&plan, traffic).problems.join("; ");
    let slow = problems(&wrong(10.0, 0.1));
    assert!(
        slow.starts_with("step 1 (5 %) needs 1day 16h for 20 conversations on the challenger, longer than its deadline of 12h"),
        "{slow}"
    );
    let without = problems(&wrong(200.0, 0.05));
    assert!(
        without.contains("step 3 (50 %) reaches its deadline of 12h without evidence")
            && without.contains("`wrong` has log e "),
        "{without}"
    );
    let unmeasured = problems(&traffic(1_000.0, &[(FailureKind::Error, 0.01, 1.0)]));
    assert!(unmeasured.contains("`wrong` is not measured"), "{unmeasured}");
    let feedback = problems(&traffic(1_000.0, &[(FailureKind::Wrong, 0.1, 0.005)]));
    assert!(feedback.contains("`wrong` is measured on 30 of 100"), "{feedback}");
    assert_eq!(forecast(&plan, &wrong(10.0, 0.1)).total_seconds, None);
    // A kind that is too rare to compare is not waited for.
    assert_eq!(problems(&wrong(1_000.0, 0.0)), "");
}

#[test]
fn an_optional_kind_and_a_shadow_stage_are_forecast_as_they_decide() {
    let mut spec = spec();
    spec.judge.metrics.insert(FailureKind::Error, GatePolicy::Gate);
    spec.judge.metrics.insert(FailureKind::Wrong, GatePolicy::Optional);
    spec.shadow = Some(ShadowSpec { min_units: 500, deadline: "1h".to_owned(), mirror: None });
    let plan = spec.check().unwrap();
    let errors = |per_hour| traffic(per_hour, &[(FailureKind::Error, 0.001, 1.0)]);
    let fast = forecast(&plan, &errors(1_000.0));
    assert_eq!((fast.problems.len(), fast.shadow_seconds), (0, Some(1_800)));
    let slow = forecast(&plan, &errors(400.0));
    let expected =
        "the shadow stage needs 1h 15m for 500 conversations, longer than its deadline of 1h";
    assert_eq!(slow.problems, [expected]);
    let mut shadow_of = |min_units, mirror| {
        spec.shadow = Some(ShadowSpec { min_units, deadline: "1h".to_owned(), mirror });
        forecast(&spec.check().unwrap(), &errors(1_000.0))
    };
    let half = shadow_of(500, Some(50.0));
    assert_eq!((half.problems.len(), half.shadow_seconds), (0, Some(3_600)));
    let fifth = shadow_of(500, Some(20.0));
    assert!(fifth.problems[0].contains("needs 2h 30m for 500"), "{:?}", fifth.problems);
    let until_deadline = shadow_of(UNTIL_DEADLINE, Some(1.0));
    assert_eq!((until_deadline.problems.len(), until_deadline.shadow_seconds), (0, Some(3_600)));
}

#[test]
fn the_excluded_risk_falls_and_a_larger_risk_is_found_sooner() {
    let plan = spec().check().unwrap();
    let forecast = forecast(&plan, &wrong(1_000.0, 0.1));
    let excluded: Vec<f64> = forecast
        .steps
        .iter()
        .map(|step| step.excluded_risk[&FailureKind::Wrong].unwrap_or(f64::INFINITY))
        .collect();
    assert!(excluded.is_sorted_by(|a, b| a > b), "{excluded:?}");
    // Promote evidence is what ends the last step: 1.5 is excluded, and hardly more.
    assert!((1.4..=1.51).contains(&excluded[2]), "{excluded:?}");
    let found = &forecast.steps[2].rollbacks;
    assert_eq!(found.iter().map(|f| f.risk).collect::<Vec<_>>(), [2.0, 3.0]);
    assert!(found[1].seconds.unwrap() < found[0].seconds.unwrap(), "{found:?}");
}

#[test]
fn the_time_to_a_rollback_is_about_the_simulated_median() {
    let mut spec = spec();
    spec.steps =
        vec![step(5.0, "1h", 1, "12h"), step(25.0, "1h", 1, "12h"), step(50.0, "1h", 1, "12h")];
    let forecast = forecast(&spec.check().unwrap(), &wrong(4_000.0, 0.03));
    let three_times = forecast.steps[2].rollbacks[1].seconds.unwrap() as f64 / 3_600.0 * 4_000.0;
    let traffic = Traffic { rates: vec![[0.03, 0.09]], replicas: 1, per_step: 4_000, alpha: 0.05 };
    let (_, median) = simulate(&traffic, 40);
    assert!((0.7..1.4).contains(&(three_times / median)), "{three_times} against {median}");
}

#[test]
fn the_traffic_of_an_earlier_rollout_is_that_of_its_champion() {
    let rollout = running(&spec());
    assert_eq!(TrafficRates::of(&rollout), None, "nothing was seen");
    let now = start() + minutes(30);
    let seen = with_feedback(silent(90, 10, now), [45, 5]);
    let seen =
        failing(failing(seen, FailureKind::Wrong, 0.05, [9, 1]), FailureKind::Error, 0.05, [9, 0]);
    let mut rollout = advance(&rollout, &seen, now).next;
    rollout.updated_at = now;
    let rates = TrafficRates::of(&rollout).unwrap();
    assert_eq!(rates.conversations_per_hour, 200.0);
    let wrong = FailureRate { rate: 0.2, measured: 0.5 };
    assert_eq!(rates.failures[&FailureKind::Wrong], wrong);
    assert_eq!(rates.failures[&FailureKind::Error], FailureRate { rate: 0.1, measured: 1.0 });
    assert!(!rates.failures.contains_key(&FailureKind::Disagreement));
}
