//! Jumps of the wall clock during a rollout.

use super::*;

#[tokio::test]
async fn a_jump_of_the_wall_clock_pauses_the_rollout_and_promotes_nothing() {
    for hours in [13, 25, -13] {
        let setup = ramping().await;
        setup.converse(0, 25);
        setup.pass(5);
        setup.clock.leap(chrono::TimeDelta::hours(hours));
        assert!(setup.canary.tick().await.unwrap());
        let phase = setup.phase().await;
        assert!(
            matches!(phase, Phase::Paused { reason: PauseReason::ClockJump, weight: 0.0, .. }),
            "{hours} h: {phase:?}"
        );
        assert_eq!(setup.weight(), Some(0.0));
        let entry = setup.source.written.lock().unwrap().last().unwrap().clone();
        assert_eq!((entry.actor.as_str(), entry.phase.as_str()), ("botops", "paused"));
        assert_eq!(entry.at, crate::clock::Clock::now(&*setup.clock), "the time after the jump");
        // It stays paused, and continues where it was once a person has looked.
        setup.pass(10);
        setup.canary.tick().await.unwrap();
        assert_eq!(setup.serving(), ["champion", "champion"]);
        let requester = Requester::new(Identity::new(IdentityKind::Key, "ada"), "it is fine");
        setup.canary.command("latest", &Command::Resume, requester, None).await.unwrap();
        setup.pass(10);
        assert!(setup.canary.tick().await.unwrap());
        assert_eq!(setup.phase().await, Phase::Promoted);
        assert_eq!(setup.units().await, [25, 25], "the conversations before the jump count");
    }
}

#[tokio::test]
async fn a_clock_that_went_ahead_for_years_and_came_back_does_not_stop_a_rollout() {
    let setup = ramping().await;
    for years in [10, -10] {
        setup.clock.leap(chrono::TimeDelta::days(365 * years));
        setup.canary.tick().await.unwrap();
    }
    let requester = Requester::new(Identity::new(IdentityKind::Key, "ada"), "it is back");
    setup.canary.command("latest", &Command::Resume, requester, None).await.unwrap();
    setup.converse(0, 25);
    setup.pass(10);
    assert!(setup.canary.tick().await.unwrap());
    assert_eq!(setup.phase().await, Phase::Promoted);
    let written = setup.source.written.lock().unwrap().clone();
    let last = written.last().unwrap().rollout.clone().unwrap();
    assert_eq!(last.updated_at, DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(10));
}

#[tokio::test]
async fn a_jump_while_another_server_drives_the_rollout_does_not_pause_it() {
    let setup = ramping().await;
    let lose = async |lost: bool| {
        setup.canary.state.lock().await.active.as_mut().unwrap().lost = lost;
    };
    lose(true).await;
    setup.clock.leap(chrono::TimeDelta::minutes(5));
    setup.canary.follow().await.unwrap();
    lose(false).await;
    setup.pass(10);
    setup.canary.tick().await.unwrap();
    assert!(matches!(setup.phase().await, Phase::Ramping { .. }));
}

#[tokio::test]
async fn a_jump_that_cannot_be_recorded_is_not_forgotten() {
    let setup = ramping().await;
    setup.converse(0, 25);
    setup.clock.leap(chrono::TimeDelta::hours(13));
    setup.fail(Failure::Unreachable);
    assert!(setup.canary.tick().await.is_err());
    setup.fail(Failure::None);
    setup.pass(10);
    assert!(setup.canary.tick().await.unwrap());
    assert!(matches!(setup.phase().await, Phase::Paused { reason: PauseReason::ClockJump, .. }));
    assert_eq!(setup.serving(), ["champion", "champion"]);
}

#[tokio::test]
async fn a_jump_is_seen_before_a_command_and_does_not_delay_an_abort() {
    let setup = ramping().await;
    setup.clock.leap(chrono::TimeDelta::hours(-13));
    let requester = Requester::new(Identity::new(IdentityKind::Key, "boss"), "now");
    let refused =
        setup.canary.command("latest", &Command::Promote, requester, None).await.unwrap_err();
    assert_eq!(refused.code(), "BOT-6002");
    assert!(refused.message().contains("the clock jumped"), "{refused}");

    let setup = ramping().await;
    setup.clock.leap(chrono::TimeDelta::hours(-13));
    setup.abort().await.unwrap();
    assert_eq!(setup.source.phases()[3..], ["rolling_back", "rolled_back"]);
    let last = setup.source.written.lock().unwrap().last().unwrap().clone();
    assert_eq!(last.rollout.unwrap().updated_at, last.at);
    assert_eq!(last.at, crate::clock::Clock::now(&*setup.clock));
}

#[tokio::test]
async fn a_clock_set_back_while_no_server_ran_pauses_the_rollout() {
    let setup = ramping().await;
    let log = setup.source.written.lock().unwrap().clone();
    let source = Arc::clone(&setup.source) as Arc<dyn VersionSource>;
    let next = Canary::new(Arc::clone(&setup.app), source, false);
    setup.clock.set(DateTime::UNIX_EPOCH - chrono::TimeDelta::hours(5));
    next.resume(&log, Digest::of(b"champion")).await.unwrap();
    let rollout = next.read("latest", |active, _| active.rollout.clone()).await.unwrap();
    assert!(
        matches!(rollout.phase, Phase::Paused { reason: PauseReason::ClockJump, .. }),
        "{:?}",
        rollout.phase
    );
    assert_eq!(rollout.updated_at, DateTime::UNIX_EPOCH - chrono::TimeDelta::hours(5));
    // A server that starts later, with a sound clock, resumes the ramp.
    setup.clock.set(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1));
    let source = Arc::clone(&setup.source) as Arc<dyn VersionSource>;
    let sound = Canary::new(Arc::clone(&setup.app), source, false);
    sound.resume(&log, Digest::of(b"champion")).await.unwrap();
    let phase = sound.read("latest", |active, _| active.rollout.phase.clone()).await.unwrap();
    assert!(matches!(phase, Phase::Ramping { .. }), "{phase:?}");
}
