//! Settling, absolute limits and blue-green plans.

use super::*;

/// A blue-green plan with a limit on errors and slow answers.
fn blue_green() -> RolloutSpec {
    RolloutSpec {
        strategy: Strategy::BlueGreen,
        limits: LimitsSpec { error: Some(1.0), slow: Some(5.0), fallback: None },
        settle: Some(SettleSpec { window: "24h".to_owned(), min_units: None }),
        ..RolloutSpec::default()
    }
}

/// Returns a rollout that settles.
fn settling(spec: &RolloutSpec) -> Rollout {
    let promoting = running(spec);
    assert_eq!(promoting.phase, Phase::Promoting, "straight from loading");
    let confirmed = command(&promoting, &Command::Confirmed, start()).unwrap();
    assert_eq!(confirmed.effect, Effect::Route);
    assert_eq!(
        confirmed.reason,
        "the challenger is the champion; the version before stays loaded for 1day"
    );
    confirmed.next
}

/// Returns conversations on the challenger alone, all measured against the latency bound, with errors.
fn alone(units: u64, errors: u64, now: DateTime<Utc>) -> Observation {
    let mut seen = failing(silent(0, units, now), FailureKind::Error, 1.0, [0, errors]);
    seen.measured.push(MeasuredCount { kind: FailureKind::Slow, canary: units, primary: 0 });
    seen
}

#[test]
fn a_blue_green_plan_goes_to_settling_at_once_and_ends_with_its_limits_measured() {
    let rollout = settling(&blue_green());
    assert_eq!((rollout.weight_percent(), rollout.primary()), (100.0, rollout.challenger));
    assert!(!rollout.is_over());
    let now = start() + minutes(60);
    let tick = advance(&rollout, &alone(400, 3, now), now);
    assert!(!tick.is_decided());
    assert_eq!(tick.next.waiting_for(now), ["23h more"]);
    let [error, slow] = &tick.next.limit_evidence()[..] else { panic!("two limits") };
    assert_eq!((error.units, error.failures, slow.units), (400, 3, 400));
    assert_eq!((error.rate, slow.rate), (Some(3.0 / 400.0), Some(0.0)));
    // Alpha is divided over the limits.
    assert!((error.log_threshold - 40_f64.ln()).abs() < 1e-12);
    assert!(slow.log_e_below > slow.log_threshold, "shown to be below 5 %");
    let end = start() + minutes(24 * 60);
    let done = advance(&tick.next, &alone(0, 0, end), end);
    assert_eq!((done.next.phase.clone(), done.effect), (Phase::Promoted, Effect::Finish));
    assert_eq!(
        done.reason,
        "settled for 1day: 400 conversations; `error` 3 of 400 (limit 1 %); `slow` 0 of 400 (limit 5 %)"
    );
    assert_eq!(done.next.primary(), done.next.challenger);
}

#[test]
fn a_limit_that_is_exceeded_takes_the_champion_back_at_once() {
    let rollout = settling(&blue_green());
    let now = start() + minutes(5);
    let back = advance(&rollout, &alone(100, 9, now), now);
    assert_eq!((back.verdict, back.effect), (Verdict::Fail, Effect::RollBack));
    assert!(
        back.reason
            .starts_with("`error` is above its limit of 1 %: 9 of 100 conversations; log e "),
        "{}",
        back.reason
    );
    assert_eq!((back.next.primary(), back.next.weight()), (back.next.champion, 0.0));
    // The largest evidence is kept, and a few failures near the limit are none.
    let fine = advance(&rollout, &alone(100, 2, now), now);
    assert!(!fine.is_decided());
    // Failures of conversations that began at a lower weight belong to the judge.
    let older = failing(silent(0, 100, now), FailureKind::Error, 0.5, [50, 50]);
    let tick = advance(&rollout, &older, now);
    assert_eq!(tick.next.limit_evidence()[0].failures, 0);
}

#[test]
fn a_limit_measured_on_nobody_is_never_passed() {
    let mut plan = blue_green();
    let end = start() + minutes(24 * 60);
    let unmeasured = |now| failing(silent(0, 400, now), FailureKind::Error, 1.0, [0, 1]);
    let rollout = settling(&plan);
    let late = advance(&rollout, &unmeasured(end), end + minutes(600));
    assert_eq!((late.verdict, late.is_decided()), (Verdict::Insufficient, false));
    assert_eq!(late.next.waiting_for(end), ["100 more conversations that measure `slow`"]);
    // A person decides, and the record says on what.
    let ended = command(&late.next, &Command::Promote, end).unwrap();
    assert_eq!(ended.next.phase, Phase::Promoted);
    assert!(
        ended.reason.ends_with("; `slow` unmeasured: counted on 0 of 100 conversations"),
        "{}",
        ended.reason
    );
    // Nothing but the plan lets it roll back by itself; `advance` promotes nothing.
    plan.on_insufficient = OnInsufficient::Advance;
    assert!(!advance(&settling(&plan), &unmeasured(end), end).is_decided());
    plan.on_insufficient = OnInsufficient::Rollback;
    let back = advance(&settling(&plan), &unmeasured(end), end);
    assert_eq!((back.verdict, back.effect), (Verdict::Insufficient, Effect::RollBack));
}

#[test]
fn a_held_rollout_settles_on_and_stale_observations_do_not_take_the_champion_back() {
    let rollout = settling(&blue_green());
    let end = start() + minutes(24 * 60);
    let held = Observation { held: Some("frozen".to_owned()), ..alone(400, 0, end) };
    let tick = advance(&rollout, &held, end);
    assert!(!tick.is_decided());
    let blind = advance(
        &tick.next,
        &Observation { held: held.held, ..Observation::default() },
        end + minutes(6_000),
    );
    assert_eq!((blind.is_decided(), blind.next.weight()), (false, 1.0));
    assert_eq!(advance(&blind.next, &alone(0, 0, end), end).next.phase, Phase::Promoted);
}

#[test]
fn late_failures_of_the_ramp_still_count_while_settling() {
    let mut plan = spec();
    plan.settle = Some(SettleSpec { window: "2h".to_owned(), min_units: None });
    plan.steps = vec![step(50.0, "1h", 20, "12h")];
    let now = start() + minutes(60);
    let promoting = advance(&running(&plan), &seen(30, 30, now), now).next;
    let settling = command(&promoting, &Command::Confirmed, now).unwrap().next;
    let late = with_feedback(silent(0, 5, now), [0, 14]);
    let back = advance(&settling, &failing(late, FailureKind::Wrong, 0.5, [0, 14]), now);
    assert_eq!((back.verdict, back.next.primary()), (Verdict::Fail, back.next.champion));
    // Without limits the window alone decides.
    let end = now + minutes(120);
    let done = advance(&settling, &silent(0, 40, end), end);
    assert_eq!(done.reason, "settled for 2h: 40 conversations");
}

#[test]
fn another_rollout_does_not_take_a_settling_champion_back_silently() {
    let rollout = settling(&blue_green());
    let refused =
        command(&rollout, &Command::Supersede { by: "r2".to_owned() }, start()).unwrap_err();
    assert_eq!(refused.code(), "BOT-6007");
    let ramping = running(&spec());
    let back = command(&ramping, &Command::Supersede { by: "r2".to_owned() }, start()).unwrap();
    assert_eq!((back.effect, back.reason.as_str()), (Effect::RollBack, "superseded by r2"));
    let over = command(&back.next, &Command::Drained, start()).unwrap().next;
    assert_eq!(over.phase, Phase::Superseded { by: "r2".to_owned() });
    let decision = Decision::new(&over, Vec::new(), false);
    assert_eq!(
        (decision.verdict.as_str(), decision.reason.as_str()),
        ("rolled_back", "superseded by r2")
    );
}
