//! Jumps of the wall clock, forwards and backwards.

use super::*;
use botops_findings::FaultKind;

#[test]
fn a_jump_of_the_clock_pauses_at_weight_zero_with_its_own_reason() {
    let (rollout, now) = at_the_last_step();
    let to = now + minutes(13 * 60);
    let jumped = clock_jumped(&rollout, now, to);
    assert_eq!((jumped.verdict, jumped.effect), (Verdict::Invalid, Effect::Route));
    let Phase::Paused { reason, step, weight, since, .. } = jumped.next.phase else {
        panic!("{:?}", jumped.next.phase)
    };
    assert_eq!((reason, step, weight, since), (PauseReason::ClockJump, Some(2), 0.0, to));
    assert_eq!(
        jumped.reason,
        "the wall clock jumped 13h forwards, from 2026-11-23 14:00:00 UTC to \
         2026-11-24 03:00:00 UTC: the challenger gets no traffic"
    );
    let refused = command(&jumped.next, &Command::Promote, to).unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("BOT-6002", FaultKind::Conflict));
    assert!(refused.message().contains("the clock jumped"), "{refused}");
    // A person resumes it; the time of the step starts over.
    let resumed = command(&jumped.next, &Command::Resume, to).unwrap().next;
    assert!(matches!(resumed.phase, Phase::Ramping { step: 2, since, .. } if since == to));
    let tick = advance(&resumed, &seen(120, 120, to), to + minutes(59));
    assert!(!tick.is_decided(), "{}", tick.reason);
    let tick = advance(&tick.next, &seen(0, 0, to), to + minutes(60));
    assert_eq!(tick.next.phase, Phase::Promoting);
    // The same for the shadow stage.
    let mut shadow = spec();
    shadow.shadow = Some(ShadowSpec { min_units: 50, deadline: "3h".to_owned(), mirror: None });
    let jumped = clock_jumped(&running(&shadow), start(), start() - minutes(5));
    assert!(jumped.reason.contains("jumped 5m backwards"), "{}", jumped.reason);
    assert!(matches!(jumped.next.phase, Phase::Paused { step: None, .. }));
}

#[test]
fn a_clock_that_went_ahead_for_years_and_came_back_does_not_stop_a_rollout() {
    let (rollout, now) = at_the_last_step();
    let ahead = now + minutes(10 * 365 * 24 * 60);
    let jumped = clock_jumped(&rollout, now, ahead).next;
    let late = advance(&jumped, &seen(1, 1, ahead), ahead).next;
    // Back again while it is paused: nothing to decide, but its times are of this year.
    let back = clock_jumped(&late, ahead, now);
    assert!(!back.is_decided());
    assert!(matches!(
        back.next.phase,
        Phase::Paused { reason: PauseReason::ClockJump, since, .. } if since == now
    ));
    assert_eq!(back.next.updated_at, now);
    let resumed = command(&back.next, &Command::Resume, now).unwrap().next;
    let now = now + minutes(60);
    let tick = advance(&resumed, &seen(120, 120, now), now);
    assert_eq!(tick.next.phase, Phase::Promoting, "{:?}", tick.next.waiting_for(now));
    // Staleness is measured from now on, too.
    let blind = advance(&resumed, &Observation::default(), now + minutes(121));
    assert!(matches!(blind.next.phase, Phase::Paused { reason: PauseReason::Stale, .. }));
}

#[test]
fn a_jump_decides_nothing_in_phases_without_durations() {
    let pending = request(&spec());
    let loading = advance(&pending, &Observation::default(), start()).next;
    let (ramping, now) = at_the_last_step();
    let promoting = command(&ramping, &Command::Promote, now).unwrap().next;
    let paused = command(&ramping, &Command::Pause, now).unwrap().next;
    for rollout in [pending, loading, promoting, paused] {
        let to = now - minutes(100_000);
        let jumped = clock_jumped(&rollout, now, to);
        assert!(!jumped.is_decided());
        assert_eq!(jumped.effect, Effect::None);
        assert_eq!(jumped.next.phase.name(), rollout.phase.name());
        assert_eq!((jumped.next.weight(), jumped.next.updated_at), (rollout.weight(), to));
    }
}
