//! Rollbacks of the model.

use super::*;

#[tokio::test]
async fn a_rollback_of_the_model_is_recorded_when_the_registry_is_back() {
    let setup = ramping().await;
    setup.promote().await;
    setup.fail(Failure::Unreachable);
    let restored = setup.roll_back(None).await.unwrap();
    assert_eq!((restored.to.as_str(), restored.durable), ("champion", false));
    assert!(!setup.canary.is_durable());
    assert_eq!(setup.serving(), ["champion", "challenger"]);
    // A repeated rollback, and a look at the alias, change nothing.
    assert!(!setup.roll_back(None).await.unwrap().durable);
    assert!(setup.canary.follow().await.is_err());
    assert!(setup.canary.tick().await.is_err());
    assert_eq!(setup.serving(), ["champion", "challenger"]);
    setup.fail(Failure::None);
    setup.canary.follow().await.unwrap();
    assert!(setup.canary.is_durable());
    assert_eq!(setup.serving(), ["champion", "champion"]);
    assert_eq!(setup.source.phases().last().unwrap(), "none");
    let written = setup.source.phases();
    setup.canary.follow().await.unwrap();
    setup.canary.tick().await.unwrap();
    assert_eq!(setup.source.phases(), written, "once");
}

#[tokio::test]
async fn a_repeated_rollback_finishes_the_one_that_waits() {
    for version in [None, Some("champion")] {
        let setup = ramping().await;
        setup.promote().await;
        setup.fail(Failure::Unreachable);
        assert!(!setup.roll_back(None).await.unwrap().durable);
        setup.fail(Failure::None);
        assert_eq!(setup.roll_back(version).await.unwrap().to, "champion");
        assert_eq!(setup.serving(), ["champion", "champion"]);
        assert_eq!(setup.source.phases().iter().filter(|phase| *phase == "none").count(), 1);
    }
}

#[tokio::test]
async fn a_rollback_to_another_version_supersedes_the_one_that_waits() {
    for lost in [None, Some("older")] {
        let setup = ramping().await;
        setup.abort().await.unwrap();
        setup.fail(Failure::Full);
        let written = setup.source.phases().len();
        assert!(!setup.roll_back(Some("older")).await.unwrap().durable);
        assert_eq!(setup.serving(), ["older", "champion"]);
        let second = setup.roll_back(Some("oldest")).await.unwrap();
        assert_eq!((second.to.as_str(), second.durable), ("oldest", false));
        // To repeat it changes nothing, and looks at the alias do not bring the old champion back.
        assert!(!setup.roll_back(Some("oldest")).await.unwrap().durable);
        for _ in 0..2 {
            assert!(setup.canary.follow().await.is_err());
            assert!(!setup.canary.is_durable());
            assert_eq!(setup.serving(), ["oldest", "champion"]);
        }
        // The first move may have succeeded although its answer was lost.
        setup.source.reigns.lock().unwrap().extend(lost);
        setup.fail(Failure::None);
        setup.canary.follow().await.unwrap();
        assert!(setup.canary.is_durable());
        setup.canary.follow().await.unwrap();
        assert_eq!(setup.serving(), ["oldest", "oldest"]);
        let entries = setup.source.written.lock().unwrap()[written..].to_vec();
        let targets: Vec<_> = entries.iter().map(|entry| name_of(&entry.primary)).collect();
        assert_eq!(targets, ["older", "oldest"], "both acts are recorded, each once");
    }
}

#[tokio::test]
async fn a_rollback_that_waits_can_be_taken_back() {
    let setup = ramping().await;
    setup.abort().await.unwrap();
    setup.fail(Failure::Full);
    setup.roll_back(Some("older")).await.unwrap();
    assert!(!setup.roll_back(Some("champion")).await.unwrap().durable);
    assert_eq!(setup.serving(), ["champion", "champion"]);
    assert!(!setup.canary.is_durable());
    setup.fail(Failure::None);
    setup.canary.follow().await.unwrap();
    assert_eq!(setup.serving(), ["champion", "champion"]);
    assert!(setup.canary.is_durable());
}

#[tokio::test]
async fn a_rollback_to_the_version_that_serves_moves_the_champion() {
    let setup = ramping().await;
    setup.abort().await.unwrap();
    // Someone else moved `champion` a moment ago, and this server has not followed yet.
    setup.source.reigns.lock().unwrap().push("challenger");
    setup.roll_back(Some("champion")).await.unwrap();
    assert_eq!(setup.serving(), ["champion", "champion"]);
    setup.canary.follow().await.unwrap();
    assert_eq!(setup.serving(), ["champion", "champion"]);
    let written = setup.source.phases();
    setup.roll_back(Some("champion")).await.unwrap();
    assert_eq!(setup.source.phases(), written, "it is done");
}

#[tokio::test]
async fn a_rollback_ends_when_someone_else_moved_the_champion() {
    let setup = ramping().await;
    setup.promote().await;
    setup.fail(Failure::Unreachable);
    assert!(!setup.roll_back(None).await.unwrap().durable);
    setup.fail(Failure::None);
    *setup.source.reigns.lock().unwrap() = vec!["older"];
    assert_eq!(setup.canary.follow().await.unwrap_err().code(), "BOT-6026");
    assert!(!setup.canary.is_durable(), "it serves what nobody recorded");
    setup.canary.follow().await.unwrap();
    assert_eq!(setup.serving(), ["older", "older"]);
    assert!(setup.canary.is_durable());
}

#[tokio::test]
async fn rolling_back_twice_goes_two_champions_back() {
    let setup = ramping().await;
    setup.promote().await;
    for expected in ["champion", "older", "oldest"] {
        setup.roll_back(None).await.unwrap();
        setup.canary.follow().await.unwrap();
        assert_eq!(setup.serving(), [expected, expected]);
    }
    assert_eq!(setup.roll_back(None).await.unwrap_err().code(), "BOT-6024");
}

#[tokio::test]
async fn after_a_rollback_by_someone_else_the_registry_decides_the_champion_before() {
    let setup = ramping().await;
    setup.promote().await;
    setup.source.reigns.lock().unwrap().pop();
    setup.canary.follow().await.unwrap();
    assert_eq!(setup.serving(), ["champion", "champion"]);
    setup.roll_back(None).await.unwrap();
    assert_eq!(setup.serving(), ["older", "older"], "not the one that was rolled back");
}

/// Returns the champion before and after, and the challenger of the rollout that ended.
fn words(restored: &Restored) -> [&str; 3] {
    let ended = restored.ended.as_ref().map_or("none", |ended| &ended.challenger);
    [&restored.from, &restored.to, ended]
}

#[tokio::test]
async fn rollback_during_a_rollout_keeps_the_champion() {
    // With champions before this one and without, with a store and without.
    for (reigns, failure) in [
        (&NAMES[..3], Failure::None),
        (&NAMES[2..3], Failure::None),
        (&NAMES[..3], Failure::Unreachable),
    ] {
        let setup = ramping().await;
        *setup.source.reigns.lock().unwrap() = reigns.to_vec();
        setup.fail(failure);
        let would = setup.roll_back_in(None, Mode::Dry).await.unwrap();
        assert_eq!(words(&would), ["champion", "champion", "challenger"]);
        assert_eq!(setup.weight(), Some(0.5), "a dry run changes nothing");
        let done = setup.roll_back(None).await.unwrap();
        assert_eq!(words(&done), words(&would));
        assert_eq!(done.ended.unwrap().id, "r");
        assert_eq!((setup.weight(), setup.serving()), (None, ["champion", "champion"]));
        assert!(matches!(setup.phase().await, Phase::RolledBack { .. }));
        assert_eq!(*setup.source.reigns.lock().unwrap(), reigns, "no champion moved");
    }
}

#[tokio::test]
async fn a_rollback_to_a_version_ends_the_rollout_and_goes_behind_the_champion() {
    let setup = ramping().await;
    let would = setup.roll_back_in(Some("older"), Mode::Dry).await.unwrap();
    assert_eq!(words(&would), ["champion", "older", "challenger"]);
    assert_eq!((setup.weight(), setup.serving()), (Some(0.5), ["champion", "champion"]));
    let done = setup.roll_back(Some("older")).await.unwrap();
    assert_eq!(words(&done), words(&would));
    assert_eq!((setup.weight(), setup.serving()), (None, ["older", "older"]));
    assert_eq!(setup.source.phases().last().unwrap(), "none");
}

#[tokio::test]
async fn a_rollback_that_is_refused_changes_nothing() {
    let setup = ramping().await;
    let written = setup.source.phases();
    for mode in [Mode::Dry, Mode::Real] {
        let fault = setup.roll_back_in(Some("challenger"), mode).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-5031", FaultKind::Policy));
        assert_eq!((setup.weight(), setup.serving()), (Some(0.5), ["champion", "champion"]));
    }
    setup.fail(Failure::Unreachable);
    assert_eq!(setup.roll_back(Some("older")).await.unwrap_err().code(), "BOT-6031");
    assert_eq!((setup.weight(), setup.serving()), (Some(0.5), ["champion", "champion"]));
    setup.fail(Failure::None);
    assert_eq!(setup.source.phases(), written);

    setup.abort().await.unwrap();
    *setup.source.reigns.lock().unwrap() = vec!["champion"];
    for mode in [Mode::Dry, Mode::Real] {
        let fault = setup.roll_back_in(None, mode).await.unwrap_err();
        assert_eq!(fault.code(), "BOT-6024");
        assert_eq!(setup.serving(), ["champion", "champion"]);
    }
}
