//! Rules of the plan on pauses, deadlines and weights, and the next step by hand.

use super::*;

#[test]
fn a_plan_can_give_a_paused_challenger_no_traffic_and_end_a_pause() {
    let mut plan = spec();
    plan.on_pause = OnPause::Zero;
    plan.pause_deadline = Some("2d".to_owned());
    let rollout = running(&plan);
    let paused = command(&rollout, &Command::Pause, start()).unwrap().next;
    assert_eq!((paused.phase.name(), paused.weight()), ("paused", 0.0));
    let now = start() + minutes(12 * 60);
    let idle = advance(&rollout, &seen(1, 1, now), now).next;
    assert_eq!(idle.weight(), 0.0);
    let end = now + minutes(48 * 60);
    assert!(!advance(&idle, &seen(1, 1, end), end - minutes(1)).is_decided());
    let back = advance(&idle, &seen(1, 1, end), end);
    assert_eq!(back.effect, Effect::RollBack);
    assert_eq!(back.reason, "the pause lasted 2days, the longest time that the plan allows");
}

#[test]
fn a_deadline_without_traffic_does_as_the_plan_says() {
    let late = start() + minutes(12 * 60);
    let after = |rule: OnInsufficient, steps: usize| {
        let mut plan = spec();
        plan.on_insufficient = rule;
        plan.steps.truncate(steps);
        advance(&running(&plan), &seen(10, 1, late), late)
    };
    let reason = "deadline of 12h reached with 1 of 20 conversations on the challenger at 5 %";
    let expected = [
        (OnInsufficient::Pause, 3, "paused", 0.05),
        (OnInsufficient::Rollback, 3, "rolling_back", 0.0),
        (OnInsufficient::Advance, 3, "ramping", 0.25),
        // Nothing is promoted on too few conversations.
        (OnInsufficient::Advance, 1, "paused", 0.05),
    ];
    for (rule, steps, phase, weight) in expected {
        let tick = after(rule, steps);
        let got = (tick.next.phase.name(), tick.next.weight());
        assert_eq!(got, (phase, weight), "{rule:?} of {steps}");
        assert_eq!((tick.verdict, tick.reason.as_str()), (Verdict::Insufficient, reason));
    }
}

#[test]
fn a_person_can_take_the_next_step_and_lower_the_weight_within_it() {
    let rollout = running(&spec());
    let next = command(&rollout, &Command::Advance, start()).unwrap();
    assert_eq!(next.reason, "next step requested at 5 % with 0 conversations on the challenger");
    assert_eq!(next.next.weight(), 0.25);
    let lower = command(&next.next, &Command::SetWeight { percent: 10.0 }, start()).unwrap();
    assert_eq!((lower.next.weight(), lower.effect), (0.1, Effect::Route));
    assert_eq!(lower.reason, "weight set from 25 % to 10 %");
    // The counts of the judge belong to the share that was in force.
    let now = start() + minutes(5);
    let bad = failing(seen(90, 10, now), FailureKind::Wrong, 0.1, [0, 4]);
    assert_eq!(advance(&lower.next, &bad, now).verdict, Verdict::Fail);
    for percent in [25.1, 0.0, -1.0, f64::NAN] {
        let refused = command(&lower.next, &Command::SetWeight { percent }, start()).unwrap_err();
        assert_eq!(refused.code(), "BOT-6009", "{percent}");
    }
    let back = command(&lower.next, &Command::SetWeight { percent: 25.0 }, start()).unwrap();
    assert!(matches!(back.next.phase, Phase::Ramping { manual_percent: None, .. }));
    // Evidence against the challenger refuses the next step.
    let mut worse = rollout;
    worse.judge = advance(&lower.next, &bad, now).next.judge;
    assert_eq!(command(&worse, &Command::Advance, now).unwrap_err().code(), "BOT-6002");
}

#[test]
fn a_blue_green_plan_without_limits_or_a_time_to_settle_is_refused() {
    let parse = |yaml: &str| serde_yaml::from_str::<RolloutSpec>(yaml).unwrap().check();
    let whole = "strategy: blue-green\nlimits: { error: 1 }\nsettle: { window: 24h }\n";
    let policy = parse(whole).unwrap();
    assert!(policy.steps().is_empty());
    assert_eq!(policy.settle().unwrap().min_units, 100);
    parse(&format!("{whole}steps: [{{ weight: 100, deadline: 1d }}]")).unwrap();
    for (yaml, code, key) in [
        ("strategy: blue-green", "BOT-6003", "limits"),
        ("strategy: blue-green\nsettle: { window: 24h }", "BOT-6003", "limits"),
        (
            "strategy: blue-green\nlimits: { error: 1 }\nsettle: { window: 0s }",
            "BOT-6003",
            "settle",
        ),
        (&format!("{whole}steps: [{{ weight: 50, deadline: 1d }}]"), "BOT-6001", "steps"),
        ("limits: { error: 1 }", "BOT-6001", "limits.error"),
        ("limits: { error: 1 }\nsettle: { window: 0s }", "BOT-6001", "limits.error"),
        ("limits: { error: 100 }\nsettle: { window: 1h }", "BOT-6001", "limits.error"),
        ("limits: { slow: 0 }\nsettle: { window: 1h }", "BOT-6001", "limits.slow"),
        ("settle: { window: soon }", "BOT-6001", "settle.window"),
        ("settle: { window: 1h, min_units: 0 }", "BOT-6001", "settle.min_units"),
        ("approval: { quorum: 1, expires: 0s }", "BOT-6001", "approval.expires"),
        ("approval: { quorum: 1000 }", "BOT-6001", "approval.quorum"),
        ("pause_deadline: 0s", "BOT-6001", "pause_deadline"),
    ] {
        let fault = parse(yaml).unwrap_err();
        assert_eq!((fault.code(), fault.place().key.as_deref()), (code, Some(key)), "{yaml}");
    }
    for unknown in
        ["limits: { wrong: 1 }", "settle: { until: 1h }", "approvals: 1", "strategy: fast"]
    {
        assert!(serde_yaml::from_str::<RolloutSpec>(unknown).is_err(), "{unknown}");
    }
}
