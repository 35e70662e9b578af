//! The traffic split of each replica.

use super::{ticks::paused_for, *};

/// Returns an observation at a weight of one half, with the `(replica, canary, primary)` units of each replica.
fn split(replicas: &[(String, u64, u64)], now: DateTime<Utc>) -> Observation {
    let units: Vec<UnitCount> = replicas
        .iter()
        .map(|(replica, canary, primary)| UnitCount {
            weight: 0.5,
            replica: Some(replica.clone()),
            canary: *canary,
            primary: *primary,
        })
        .collect();
    Observation {
        canary_units: units.iter().map(|count| count.canary).sum(),
        primary_units: units.iter().map(|count| count.primary).sum(),
        units,
        observed_at: Some(now),
        ..Observation::default()
    }
}

fn replicas(n: usize, units: [u64; 2]) -> Vec<(String, u64, u64)> {
    (0..n).map(|i| (format!("replica-{i:02}"), units[0], units[1])).collect()
}

#[test]
fn a_replica_that_splits_wrongly_is_named_although_the_whole_looks_sound() {
    let (rollout, now) = at_the_last_step();
    let now = now + minutes(10);
    let mut all = replicas(10, [100, 100]);
    (all[3].1, all[3].2) = (60, 140);
    let tick = advance(&rollout, &split(&all, now), now);
    assert_eq!(paused_for(&tick.next), PauseReason::SampleRatioMismatch);
    let expected =
        "the split at replica `replica-03` is not as configured: 60 of 200 conversations began on";
    assert!(tick.reason.starts_with(expected), "{}", tick.reason);
    // Alpha is divided by the replicas: ln(10 / 0.001).
    assert!(tick.reason.ends_with(">= 9.210"), "{}", tick.reason);
    // The same numbers spread over all replicas are sound.
    let spread = split(&replicas(10, [96, 104]), now);
    assert!(!advance(&rollout, &spread, now).is_decided());
    let resumed = command(&tick.next, &Command::Resume, now).unwrap().next;
    let now = now + minutes(5);
    assert!(!advance(&resumed, &split(&all[..3], now), now).is_decided(), "the counts start over");
}

#[test]
fn the_threshold_rises_with_the_replicas_ever_seen() {
    let broken_after = |n: usize| {
        let (mut rollout, mut now) = at_the_last_step();
        now += minutes(5);
        rollout = advance(&rollout, &split(&replicas(n, [20, 20]), now), now).next;
        now += minutes(5);
        advance(&rollout, &split(&[("replica-00".to_owned(), 20, 90)], now), now).is_decided()
    };
    assert!(broken_after(1), "alone, the replica is broken");
    assert!(!broken_after(60), "one of sixty replicas is bound to look so");
}

#[test]
fn replicas_after_the_first_64_are_pooled_and_the_state_is_bounded() {
    let (rollout, now) = at_the_last_step();
    let now = now + minutes(10);
    let sound = advance(&rollout, &split(&replicas(64, [20, 20]), now), now).next;
    let size = |rollout: &Rollout| serde_json::to_string(&rollout.judge).unwrap().len();
    let before = size(&sound);
    let later: Vec<(String, u64, u64)> = (0..500).map(|i| (format!("later-{i}"), 20, 20)).collect();
    let now = now + minutes(5);
    let many = advance(&sound, &split(&later, now), now);
    assert!(!many.is_decided());
    assert!(size(&many.next) < before + 100, "{} after {before}", size(&many.next));
    assert_eq!(reread(&many.next), many.next);
    let broken: Vec<(String, u64, u64)> = (0..5).map(|i| (format!("bad-{i}"), 0, 40)).collect();
    let tick = advance(&sound, &split(&broken, now), now);
    assert_eq!(paused_for(&tick.next), PauseReason::SampleRatioMismatch, "{}", tick.reason);
}

#[test]
fn what_older_versions_stored_has_no_replicas() {
    let (rollout, now) = at_the_last_step();
    let text = serde_json::to_string(&rollout).unwrap();
    assert!(!text.contains("\"replicas\""), "{text}");
    let now = now + minutes(1);
    let next = advance(&reread(&rollout), &split(&replicas(2, [3, 3]), now), now).next;
    assert!(serde_json::to_string(&next).unwrap().contains("\"replicas\""));
}

#[test]
fn sound_replicas_are_paused_less_often_than_promised() {
    // Ten replicas join one after the other: at most 0.001 (1 + ln 10) for them, and 0.001 for the whole.
    let mut paused = 0;
    for seed in 0..60 {
        let mut random = botops_stats::random::Random::new(seed);
        let (mut rollout, mut now) = at_the_last_step();
        for round in 0..40 {
            now += minutes(1);
            let mut all = replicas(1 + round / 4, [0, 0]);
            for (_, canary, primary) in &mut all {
                *canary = (0..20).filter(|_| random.unit() < 0.5).count() as u64;
                *primary = 20 - *canary;
            }
            rollout = advance(&rollout, &split(&all, now), now).next;
            if !matches!(rollout.phase, Phase::Ramping { .. }) {
                paused += 1;
                break;
            }
        }
    }
    assert!(paused <= 2, "{paused} of 60");
}

#[test]
fn a_log_of_several_replicas_is_decided_again() {
    let (mut rollout, mut now) = at_the_last_step();
    for n in [3, 1, 64, 70] {
        now += minutes(1);
        let mut seen = split(&replicas(n, [10, 9]), now);
        // A late object of the step before, units that no replica is known of, and a replica that is only seen at 100 %.
        let late = [(0.25, Some("replica-00"), 2, 6), (0.25, None, 1, 3), (1.0, Some("new"), 2, 0)];
        for (weight, replica, canary, primary) in late {
            let replica = replica.map(str::to_owned);
            seen.units.push(UnitCount { weight, replica, canary, primary });
            (seen.canary_units, seen.primary_units) =
                (seen.canary_units + canary, seen.primary_units + primary);
        }
        let seen = failing(seen, FailureKind::Error, 0.25, [1, 0]);
        let next = advance(&rollout, &seen, now).next;
        let (_, again) = replay_step(&rollout, &next).unwrap();
        assert_eq!(again.next, next, "{n} replicas");
        rollout = next;
    }
}
