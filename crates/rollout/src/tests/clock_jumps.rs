//! Jumps of the wall clock, forwards and backwards.

use super::*;
use botops_findings::FaultKind;

/// A jump of 13 hours.
fn forwards(from: DateTime<Utc>) -> ClockJump {
    ClockJump { from, to: from + minutes(13 * 60) }
}

#[test]
fn a_jump_of_the_clock_pauses_at_weight_zero_with_its_own_reason() {
    let (rollout, now) = at_the_last_step();
    let jumped = clock_jumped(&rollout, "01M8", &forwards(now), now);
    assert_eq!((jumped.verdict, jumped.effect), (Verdict::Invalid, Effect::Route));
    let Phase::Paused { reason, step, weight, since, .. } = jumped.next.phase else {
        panic!("{:?}", jumped.next.phase)
    };
    // The time of the rollout does not jump.
    assert_eq!((reason, step, weight, since), (PauseReason::ClockJump, Some(2), 0.0, now));
    assert_eq!(
        jumped.reason,
        "the wall clock of server `01M8` jumped 13h forwards, from 2026-11-23 14:00:00 UTC to \
         2026-11-24 03:00:00 UTC: the challenger gets no traffic"
    );
    let refused = command(&jumped.next, &Command::Promote, now).unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("BOT-6002", FaultKind::Conflict));
    assert!(refused.message().contains("the clock jumped"), "{refused}");
    // A person resumes it; the time of the step starts over.
    let resumed = command(&jumped.next, &Command::Resume, now).unwrap().next;
    assert!(matches!(resumed.phase, Phase::Ramping { step: 2, since, .. } if since == now));
    let tick = advance(&resumed, &seen(120, 120, now), now + minutes(59));
    assert!(!tick.is_decided(), "{}", tick.reason);
    let tick = advance(&tick.next, &seen(0, 0, now), now + minutes(60));
    assert_eq!(tick.next.phase, Phase::Promoting);
    // The same for the shadow stage.
    let mut shadow = spec();
    shadow.shadow = Some(ShadowSpec { min_units: 50, deadline: "3h".to_owned(), mirror: None });
    let back = ClockJump { from: start(), to: start() - minutes(5) };
    let jumped = clock_jumped(&running(&shadow), "01M8", &back, start());
    assert!(jumped.reason.contains("jumped 5m backwards"), "{}", jumped.reason);
    assert!(matches!(jumped.next.phase, Phase::Paused { step: None, .. }));
}

#[test]
fn a_jump_decides_nothing_where_the_challenger_has_no_share_to_take() {
    let pending = request(&spec());
    let loading = advance(&pending, &Observation::default(), start()).next;
    let (ramping, now) = at_the_last_step();
    let promoting = command(&ramping, &Command::Promote, now).unwrap().next;
    let paused = command(&ramping, &Command::Pause, now).unwrap().next;
    let jumped = clock_jumped(&ramping, "01M8", &forwards(now), now).next;
    for rollout in [pending, loading, promoting, paused, jumped] {
        let again = clock_jumped(&rollout, "01M8", &forwards(now), now);
        assert!(!again.is_decided());
        assert_eq!((again.effect, &again.next), (Effect::None, &rollout));
    }
}

#[test]
fn a_jump_in_a_log_is_decided_again_as_this_and_as_older_versions_did() {
    let (rollout, now) = at_the_last_step();
    let jumped = clock_jumped(&rollout, "01M8", &forwards(now), now).next;
    let (recorded, _) = replay_step(&rollout, &jumped).unwrap();
    assert!(matches!(recorded.input, RecordedInput::WallClock { .. }), "{recorded:?}");
    // Older versions moved all times to the clock after the jump, also back in time.
    for to in [now + minutes(13 * 60), now - minutes(13 * 60)] {
        let older = clock_jump::clock_jumped_before(&rollout, now, to).next;
        assert_eq!((older.updated_at, older.judge.observed_at()), (to, None));
        let (recorded, again) = replay_step(&rollout, &older).unwrap();
        assert_eq!(recorded.input, RecordedInput::ClockJump { from: now });
        assert_eq!(again.next, older);
        let text = serde_json::to_string(&recorded).unwrap();
        assert_eq!(serde_json::from_str::<RecordedTick>(&text).unwrap(), recorded);
    }
}

#[test]
fn clocks_that_differ_by_more_than_a_minute_are_named_with_their_difference() {
    let theirs = |by: i64| clock_difference(start(), start() + TimeDelta::seconds(by));
    assert_eq!((theirs(60), theirs(-60), theirs(0)), (None, None, None));
    assert_eq!(theirs(13 * 3600).as_deref(), Some("13h ahead of"));
    assert_eq!(theirs(-90).as_deref(), Some("1m 30s behind"));
}
