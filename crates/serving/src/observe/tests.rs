//! The observer of a rollout, and the union of what it publishes.

use super::*;
use botops_rollout::{FailureCount, MeasuredCount, Merged, Observation};
use std::cell::RefCell;

/// An observer, and the union of its observations.
struct Watched {
    observer: Observer,
    merged: RefCell<(Merged, u64)>,
}

impl std::ops::Deref for Watched {
    type Target = Observer;
    fn deref(&self) -> &Observer {
        &self.observer
    }
}

impl Watched {
    fn new() -> Self {
        Self::of(Observer::new(UnitKey::alone()))
    }

    fn of(observer: Observer) -> Self {
        Self { observer, merged: RefCell::new((Merged::new("r"), 0)) }
    }

    fn message(&self, id: &str, arm: Arm, weight: f64, outcome: Outcome) {
        let step = (weight * 100.0) as u16;
        let place = Place { arm, step, weight, changing: false, bounded: false };
        self.observer.message(id, place, outcome);
    }
}

fn outcome(request: u64, predicted: &str, fallback: bool) -> Outcome {
    Outcome { request, predicted: Some(predicted.into()), fallback, slow: false }
}

fn count(observation: &Observation, kind: FailureKind) -> [u64; 2] {
    observation
        .failures
        .iter()
        .filter(|count| count.kind == kind)
        .fold([0, 0], |[p, c], count| [p + count.primary, c + count.canary])
}

fn drain(watched: &Watched, _: f64) -> Observation {
    let (merged, number) = &mut *watched.merged.borrow_mut();
    for mut seen in watched.observer.drain("r", "server", DateTime::UNIX_EPOCH) {
        *number += 1;
        seen.number = *number;
        merged.merge(&seen).unwrap();
    }
    merged.observation()
}

fn add(sum: &mut [u64; 2], more: [u64; 2]) {
    sum[0] += more[0];
    sum[1] += more[1];
}

#[test]
fn a_conversation_is_one_unit_and_fails_once_per_kind() {
    let observer = Watched::new();
    for request in 0..5 {
        observer.message("c", Arm::Canary, 0.25, outcome(request, "a", request > 1));
    }
    let seen = drain(&observer, 0.25);
    assert_eq!((seen.primary_units, seen.canary_units), (0, 1));
    assert_eq!(count(&seen, FailureKind::Fallback), [0, 1]);
    assert_eq!(seen.observed_at, Some(DateTime::UNIX_EPOCH));
    observer.message("c", Arm::Canary, 0.25, outcome(9, "a", true));
    let seen = drain(&observer, 0.25);
    assert_eq!((seen.canary_units, seen.failures.len()), (0, 0));
    let nothing = Observation { observed_at: seen.observed_at, ..Observation::default() };
    assert_eq!(drain(&observer, 0.25), nothing);
}

#[test]
fn a_failure_carries_the_weight_at_which_its_conversation_began() {
    let observer = Watched::new();
    observer.message("c", Arm::Canary, 0.05, outcome(1, "a", false));
    assert_eq!(drain(&observer, 0.05).canary_units, 1);
    assert_eq!(observer.feedback_on_request(1, "b"), Feedback::Counted);
    let seen = drain(&observer, 0.25);
    assert_eq!(seen.canary_units, 0);
    let expected = FailureCount { kind: FailureKind::Wrong, weight: 0.05, canary: 1, primary: 0 };
    assert_eq!(seen.failures, [expected]);
}

#[test]
fn after_a_step_later_messages_of_a_conversation_count_for_neither_arm() {
    for arm in [Arm::Primary, Arm::Canary] {
        let observer = Watched::new();
        observer.message("c", arm, 0.05, outcome(1, "a", false));
        observer.message("c", arm, 0.25, outcome(2, "a", true));
        // The feedback is about the answer that is not remembered, not about the one before it.
        assert_eq!(observer.feedback_on_conversation("c", "b"), Feedback::Noted);
        assert_eq!(observer.feedback_on_request(2, "b"), Feedback::Unknown);
        // The same holds after the weight has changed back.
        observer.message("c", arm, 0.05, outcome(3, "a", true));
        assert!(drain(&observer, 0.25).failures.is_empty(), "{arm:?}");
        assert_eq!(observer.feedback_on_request(1, "b"), Feedback::Counted);
    }
}

#[test]
fn with_equal_failure_rates_the_canary_has_its_share_of_failures_at_every_weight() {
    // Conversations have eight messages, one per round. The weight rises every five rounds, so that
    // most of them span a step. Both arms fail, slow down and answer wrongly at the same rates.
    const WEIGHTS: [f64; 4] = [0.05, 0.25, 0.5, 0.75];
    let observer = Watched::new();
    let mut random = botops_stats::random::Random::new(20);
    let mut failures: BTreeMap<(FailureKind, u32), [u64; 2]> = BTreeMap::new();
    let mut request = 0;
    for round in 0..5 * WEIGHTS.len() {
        let weight = WEIGHTS[round / 5];
        for begun in round.saturating_sub(7)..=round {
            for index in 0..1_000 {
                let id = format!("{begun}-{index}");
                request += 1;
                let fallback = random.below(20) == 0;
                let slow = random.below(20) == 0;
                let outcome = Outcome { slow, ..outcome(request, "a", fallback) };
                let arm = botops_rollout::assign("salt", &id, weight);
                observer.message(&id, arm, weight, outcome);
                if random.below(10) == 0 {
                    observer.feedback_on_conversation(&id, "b");
                }
                if random.below(20) == 0 {
                    observer.feedback_on_request(request.saturating_sub(8_000), "b");
                }
            }
        }
        for count in drain(&observer, weight).failures {
            let sum = failures.entry((count.kind, billionths(count.weight))).or_default();
            add(sum, [count.primary, count.canary]);
        }
    }
    assert_eq!(failures.len(), 3 * WEIGHTS.len());
    for ((kind, weight), [primary, canary]) in failures {
        let weight = f64::from(weight) / BILLION;
        let n = (primary + canary) as f64;
        assert!(n > 500.0, "{kind:?} at {weight}: {n} failures");
        let z = (canary as f64 - n * weight) / (n * weight * (1.0 - weight)).sqrt();
        // Twelve comparisons. Counting the conversations that stay makes z 4 to 5 before a step.
        assert!(z.abs() < 3.5, "{kind:?} at {weight}: {canary} of {n}, z = {z:.1}");
    }
}

#[test]
fn messages_answered_by_another_arm_than_the_first_are_not_counted() {
    let observer = Watched::new();
    observer.message("c", Arm::Primary, 0.05, outcome(1, "a", false));
    observer.message("c", Arm::Canary, 0.25, outcome(2, "a", true));
    assert_eq!(observer.feedback_on_request(2, "b"), Feedback::Unknown);
    let seen = drain(&observer, 0.05);
    assert_eq!((seen.primary_units, seen.canary_units), (1, 0));
    assert!(seen.failures.is_empty());
    // Feedback on an answer of the first arm still counts for that arm.
    assert_eq!(observer.feedback_on_request(1, "b"), Feedback::Counted);
    assert_eq!(count(&drain(&observer, 0.25), FailureKind::Wrong), [1, 0]);
}

#[test]
fn out_of_scope_is_wrong_unless_the_bot_fell_back() {
    let observer = Watched::new();
    observer.message("answered", Arm::Primary, 0.5, outcome(1, "a", false));
    observer.message("fell back", Arm::Primary, 0.5, outcome(2, "a", true));
    observer.message("right", Arm::Primary, 0.5, outcome(3, "a", false));
    assert_eq!(observer.feedback_on_conversation("answered", OOS), Feedback::Counted);
    assert_eq!(observer.feedback_on_conversation("fell back", OOS), Feedback::Noted);
    assert_eq!(observer.feedback_on_conversation("fell back", "b"), Feedback::Noted);
    assert_eq!(observer.feedback_on_conversation("right", "a"), Feedback::Noted);
    assert_eq!(observer.feedback_on_conversation("nobody", "a"), Feedback::Unknown);
    let seen = drain(&observer, 0.5);
    assert_eq!(count(&seen, FailureKind::Wrong), [1, 0]);
    assert_eq!(count(&seen, FailureKind::Fallback), [1, 0]);
}

#[test]
fn a_prediction_that_failed_is_an_error_and_feedback_on_it_is_not_wrong() {
    let observer = Watched::new();
    let failed = Outcome { request: 1, predicted: None, fallback: false, slow: false };
    observer.message("c", Arm::Canary, 0.5, failed);
    assert_eq!(observer.feedback_on_request(1, "a"), Feedback::Noted);
    assert_eq!(observer.feedback_on_request(1, OOS), Feedback::Noted);
    let seen = drain(&observer, 0.5);
    assert_eq!(count(&seen, FailureKind::Error), [0, 1]);
    assert_eq!(count(&seen, FailureKind::Wrong), [0, 0]);
    assert!(seen.measured.is_empty(), "{seen:?}");
}

#[test]
fn feedback_measures_a_conversation_once_and_silence_does_not() {
    let observer = Watched::new();
    for (request, (id, arm)) in
        [("right", Arm::Primary), ("wrong", Arm::Canary), ("silent", Arm::Canary)]
            .into_iter()
            .enumerate()
    {
        observer.message(id, arm, 0.5, outcome(request as u64, "a", false));
    }
    observer.message("shadow", Arm::Primary, 0.0, outcome(9, "a", false));
    for _ in 0..2 {
        observer.feedback_on_conversation("right", "a");
        observer.feedback_on_conversation("wrong", "b");
        observer.feedback_on_conversation("shadow", "b");
    }
    let seen = drain(&observer, 0.5);
    let expected = MeasuredCount { kind: FailureKind::Wrong, canary: 1, primary: 1 };
    assert_eq!(seen.measured, [expected]);
    assert_eq!(count(&seen, FailureKind::Wrong), [0, 1]);
    assert!(drain(&observer, 0.5).measured.is_empty(), "once");
}

#[test]
fn conversations_in_shadow_are_not_units_of_a_step() {
    let observer = Watched::new();
    for request in 0..3 {
        observer.message("c", Arm::Primary, 0.0, outcome(request, "a", true));
        observer.mirrored(0, "c", request == 1);
    }
    let seen = drain(&observer, 0.0);
    assert_eq!((seen.shadow_units, seen.primary_units, seen.canary_units), (1, 0, 0));
    assert_eq!(count(&seen, FailureKind::Disagreement), [0, 1]);
    assert_eq!(count(&seen, FailureKind::Fallback), [0, 0]);
}

#[test]
fn a_message_mirrored_for_an_earlier_rollout_is_not_counted() {
    let observer = Watched::new();
    let epoch = observer.epoch();
    observer.message("c", Arm::Primary, 0.0, outcome(1, "a", false));
    observer.clear();
    observer.message("c", Arm::Primary, 0.0, outcome(2, "a", false));
    observer.mirrored(epoch, "c", true);
    observer.mirrored(observer.epoch(), "forgotten", true);
    let seen = drain(&observer, 0.0);
    assert_eq!((seen.shadow_units, seen.failures.len()), (0, 0));
}

#[test]
fn each_unit_counts_under_the_share_at_which_it_began() {
    let observer = Watched::new();
    observer.message("late", Arm::Primary, 0.05, outcome(1, "a", false));
    observer.message("new", Arm::Primary, 0.25, outcome(2, "a", false));
    let seen = drain(&observer, 0.25);
    let by_weight: Vec<_> = seen.units.iter().map(|unit| (unit.weight, unit.primary)).collect();
    assert_eq!(by_weight, [(0.05, 1), (0.25, 1)]);
}

#[test]
fn a_conversation_that_begins_while_the_share_changes_is_not_judged() {
    let observer = Watched::new();
    let place = Place { arm: Arm::Canary, step: 1, weight: 0.25, changing: true, bounded: false };
    observer.observer.message("c", place, outcome(1, "a", true));
    let place = Place { changing: false, ..place };
    observer.observer.message("c", place, outcome(2, "a", true));
    let seen = drain(&observer, 0.25);
    assert_eq!((seen.canary_units, seen.failures.len()), (0, 0));
}

#[test]
fn a_conversation_goes_on_for_half_an_hour_after_its_last_message() {
    let observer = Watched::new();
    observer.message("c", Arm::Canary, 0.25, outcome(1, "a", false));
    let open = || observer.observer.drain("r", "server", DateTime::UNIX_EPOCH)[0].open;
    assert_eq!(open(), 1);
    for _ in 0..GOING_ON {
        open();
    }
    assert_eq!(open(), 0);
}

#[test]
fn keys_that_were_not_used_lately_are_forgotten() {
    let mut map = Generations::new(100);
    for key in 0..10_000_u64 {
        map.entry(&key, || key, || key);
        assert!(map.get_mut(&0).is_some(), "used before every insertion");
        assert!(map.young.len() + map.old.len() <= 200);
    }
    assert!((9_900..10_000).all(|key| map.get_mut(&key).is_some()));
    assert!(map.get_mut(&5_000).is_none());
}
