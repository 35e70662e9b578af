//! The observer of a rollout, and the union of what it publishes.

use super::*;
use botops_labels::OOS;
use botops_rollout::{FailureCount, FeedbackCount, MeasuredCount, Merged, Observation};
use std::cell::{Cell, RefCell};

/// An observer of rollout `r`, and the union of its observations.
struct Watched {
    observer: Observer,
    merged: RefCell<(Merged, u64)>,
    answers: Cell<u8>,
}

impl std::ops::Deref for Watched {
    type Target = Observer;
    fn deref(&self) -> &Observer {
        &self.observer
    }
}

impl Watched {
    fn new() -> Self {
        let observer = Observer::new(UnitKey::alone());
        observer.watch(Some("r"));
        let merged = RefCell::new((Merged::new("r"), 0));
        Self { observer, merged, answers: Cell::new(0) }
    }

    /// Counts a message whose answer was intent `a`. Returns the answer as its token has it.
    fn message(&self, id: &str, arm: Arm, weight: f64, outcome: Outcome) -> JudgedAnswer<'static> {
        let step = (weight * 100.0) as u16;
        let place = Place { arm, step, weight, changing: false, bounded: false, at: None };
        let judged = self.observer.message(id, (place, self.epoch()), &outcome);
        self.answers.set(self.answers.get().wrapping_add(1));
        JudgedAnswer {
            request: [self.answers.get(); 24],
            conversation: Some(self.key.of(id)),
            place: judged.map(|(_, rollout, slot)| (rollout, slot)),
            intent: "a".into(),
            fallback: outcome.fallback,
            expires: DateTime::UNIX_EPOCH,
        }
    }

    fn verdict(&self, answer: &JudgedAnswer<'_>, truth: &str) -> Feedback {
        self.observer.verdict(answer, VerdictSource::EndUser, truth)
    }
}

const GOOD: Outcome = Outcome { failed: false, fallback: false, slow: false };
const FALLBACK: Outcome = Outcome { fallback: true, ..GOOD };

fn outcome(fallback: bool) -> Outcome {
    Outcome { fallback, ..GOOD }
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
        observer.message("c", Arm::Canary, 0.25, outcome(request > 1));
    }
    let seen = drain(&observer, 0.25);
    assert_eq!((seen.primary_units, seen.canary_units), (0, 1));
    assert_eq!(count(&seen, FailureKind::Fallback), [0, 1]);
    assert_eq!(seen.observed_at, Some(DateTime::UNIX_EPOCH));
    observer.message("c", Arm::Canary, 0.25, FALLBACK);
    let seen = drain(&observer, 0.25);
    assert_eq!((seen.canary_units, seen.failures.len()), (0, 0));
    let nothing = Observation { observed_at: seen.observed_at, ..Observation::default() };
    assert_eq!(drain(&observer, 0.25), nothing);
}

#[test]
fn a_failure_carries_the_weight_at_which_its_conversation_began() {
    let observer = Watched::new();
    let answer = observer.message("c", Arm::Canary, 0.05, GOOD);
    assert_eq!(drain(&observer, 0.05).canary_units, 1);
    assert_eq!(observer.verdict(&answer, "b"), Feedback::Counted);
    let seen = drain(&observer, 0.25);
    assert_eq!(seen.canary_units, 0);
    let expected = FailureCount { kind: FailureKind::Wrong, weight: 0.05, canary: 1, primary: 0 };
    assert_eq!(seen.failures, [expected]);
    let source = VerdictSource::EndUser;
    let expected = FeedbackCount { source, weight: 0.05, judged: [0, 1], wrong: [0, 1] };
    assert_eq!(seen.feedback, [expected]);
}

#[test]
fn after_a_step_later_messages_of_a_conversation_count_for_neither_arm() {
    for arm in [Arm::Primary, Arm::Canary] {
        let observer = Watched::new();
        let first = observer.message("c", arm, 0.05, GOOD);
        let second = observer.message("c", arm, 0.25, FALLBACK);
        assert_eq!(observer.verdict(&second, "b"), Feedback::Noted);
        // The same holds after the weight has changed back.
        let third = observer.message("c", arm, 0.05, FALLBACK);
        assert_eq!(observer.verdict(&third, "b"), Feedback::Noted);
        assert!(drain(&observer, 0.25).failures.is_empty(), "{arm:?}");
        assert_eq!(observer.verdict(&first, "b"), Feedback::Counted);
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
    let mut answers = std::collections::VecDeque::new();
    for round in 0..5 * WEIGHTS.len() {
        let weight = WEIGHTS[round / 5];
        for begun in round.saturating_sub(7)..=round {
            for index in 0..1_000 {
                let id = format!("{begun}-{index}");
                let outcome = Outcome {
                    fallback: random.below(20) == 0,
                    slow: random.below(20) == 0,
                    ..GOOD
                };
                let arm = botops_rollout::assign("salt", &id, weight);
                let mut answer = observer.message(&id, arm, weight, outcome);
                answer.request[..8].copy_from_slice(&random.bits().to_be_bytes());
                if random.below(10) == 0 {
                    observer.verdict(&answer, "b");
                }
                answers.push_back(answer);
                if answers.len() > 8_000 {
                    let old = answers.pop_front().unwrap();
                    if random.below(20) == 0 {
                        observer.verdict(&old, "b");
                    }
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
    let first = observer.message("c", Arm::Primary, 0.05, GOOD);
    let second = observer.message("c", Arm::Canary, 0.25, FALLBACK);
    assert_eq!(observer.verdict(&second, "b"), Feedback::Noted);
    let seen = drain(&observer, 0.05);
    assert_eq!((seen.primary_units, seen.canary_units), (1, 0));
    assert!(seen.failures.is_empty());
    // Feedback on an answer of the first arm still counts for that arm.
    assert_eq!(observer.verdict(&first, "b"), Feedback::Counted);
    assert_eq!(count(&drain(&observer, 0.25), FailureKind::Wrong), [1, 0]);
}

#[test]
fn out_of_scope_is_wrong_unless_the_bot_fell_back() {
    let observer = Watched::new();
    for (id, outcome, truth) in [
        ("answered", GOOD, OOS),
        ("fell back", FALLBACK, OOS),
        ("fell back too", FALLBACK, "b"),
        ("right", GOOD, "a"),
    ] {
        let answer = observer.message(id, Arm::Primary, 0.5, outcome);
        assert_eq!(observer.verdict(&answer, truth), Feedback::Counted, "{id}");
    }
    let seen = drain(&observer, 0.5);
    assert_eq!(count(&seen, FailureKind::Wrong), [1, 0]);
    assert_eq!(count(&seen, FailureKind::Fallback), [2, 0]);
}

#[test]
fn a_prediction_that_failed_is_an_error_and_measures_nothing() {
    let observer = Watched::new();
    observer.message("c", Arm::Canary, 0.5, Outcome { failed: true, ..GOOD });
    let seen = drain(&observer, 0.5);
    assert_eq!(count(&seen, FailureKind::Error), [0, 1]);
    assert_eq!(count(&seen, FailureKind::Wrong), [0, 0]);
    assert!(seen.measured.is_empty(), "{seen:?}");
}

#[test]
fn feedback_measures_a_conversation_once_and_silence_does_not() {
    let observer = Watched::new();
    observer.message("silent", Arm::Canary, 0.5, GOOD);
    let shadow = observer.message("shadow", Arm::Primary, 0.0, GOOD);
    assert_eq!(observer.verdict(&shadow, "b"), Feedback::Noted);
    for _ in 0..2 {
        for (id, arm, truth) in [("right", Arm::Primary, "a"), ("wrong", Arm::Canary, "b")] {
            let answer = observer.message(id, arm, 0.5, GOOD);
            assert_eq!(observer.verdict(&answer, truth), Feedback::Counted);
        }
    }
    let seen = drain(&observer, 0.5);
    let expected = MeasuredCount { kind: FailureKind::Wrong, canary: 1, primary: 1 };
    assert_eq!(seen.measured, [expected]);
    assert_eq!(count(&seen, FailureKind::Wrong), [0, 1]);
    assert!(drain(&observer, 0.5).measured.is_empty(), "once");
}

#[test]
fn one_verdict_on_a_message_counts_unless_a_reviewer_corrects_it() {
    let observer = Watched::new();
    let answer = observer.message("c", Arm::Canary, 0.5, GOOD);
    assert_eq!(observer.verdict(&answer, "a"), Feedback::Counted);
    assert_eq!(observer.verdict(&answer, "b"), Feedback::Noted);
    let reviewed = || observer.observer.verdict(&answer, VerdictSource::Reviewer, "b");
    assert_eq!((reviewed(), reviewed()), (Feedback::Counted, Feedback::Noted));
    let seen = drain(&observer, 0.5);
    let sources: Vec<_> = seen.feedback.iter().map(|it| (it.source, it.judged, it.wrong)).collect();
    assert_eq!(sources, [(VerdictSource::Reviewer, [0, 1], [0, 1])]);
}

#[test]
fn verdicts_on_answers_of_another_rollout_do_not_count() {
    let observer = Watched::new();
    let epoch = observer.epoch();
    let before = observer.message("c", Arm::Canary, 0.5, GOOD);
    observer.watch(Some("r2"));
    assert_eq!(observer.verdict(&before, "b"), Feedback::Noted);
    // A request that was routed by the rollout before.
    let place =
        Place { arm: Arm::Canary, step: 0, weight: 0.5, changing: false, bounded: false, at: None };
    assert_eq!(observer.observer.message("d", (place, epoch), &GOOD), None);
    observer.watch(None);
    let none = observer.message("e", Arm::Canary, 0.5, GOOD);
    assert_eq!((none.place, observer.verdict(&none, "b")), (None, Feedback::Noted));
}

#[test]
fn more_verdicts_than_one_object_holds_are_published_in_several() {
    let observer = Watched::new();
    let mut answer = observer.message("c", Arm::Canary, 0.5, GOOD);
    for request in 0..25_000_u64 {
        answer.request[..8].copy_from_slice(&request.to_be_bytes());
        assert_eq!(observer.verdict(&answer, "b"), Feedback::Counted);
    }
    let written = observer.observer.drain("r", "server", DateTime::UNIX_EPOCH);
    let numbers: Vec<usize> = written.iter().map(ReplicaObservation::n_verdicts).collect();
    assert_eq!(numbers.iter().sum::<usize>(), 25_000);
    assert!(numbers.iter().all(|n| *n <= MOST_VERDICTS), "{numbers:?}");
    for seen in written {
        ReplicaObservation::read(&seen.to_bytes()).unwrap();
    }
}

#[test]
fn conversations_in_shadow_are_not_units_of_a_step() {
    let observer = Watched::new();
    for request in 0..3 {
        observer.message("c", Arm::Primary, 0.0, FALLBACK);
        observer.mirrored(observer.epoch(), "c", request == 1);
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
    observer.message("c", Arm::Primary, 0.0, GOOD);
    observer.watch(Some("r"));
    observer.message("c", Arm::Primary, 0.0, GOOD);
    observer.mirrored(epoch, "c", true);
    observer.mirrored(observer.epoch(), "forgotten", true);
    let seen = drain(&observer, 0.0);
    assert_eq!((seen.shadow_units, seen.failures.len()), (0, 0));
}

#[test]
fn each_unit_counts_under_the_share_at_which_it_began() {
    let observer = Watched::new();
    observer.message("late", Arm::Primary, 0.05, GOOD);
    observer.message("new", Arm::Primary, 0.25, GOOD);
    let seen = drain(&observer, 0.25);
    let by_weight: Vec<_> = seen.units.iter().map(|unit| (unit.weight, unit.primary)).collect();
    assert_eq!(by_weight, [(0.05, 1), (0.25, 1)]);
}

#[test]
fn a_conversation_that_begins_while_the_share_changes_is_not_judged() {
    let observer = Watched::new();
    let place =
        Place { arm: Arm::Canary, step: 1, weight: 0.25, changing: true, bounded: false, at: None };
    let epoch = observer.epoch();
    assert_eq!(observer.observer.message("c", (place, epoch), &FALLBACK), None);
    let place = Place { changing: false, ..place };
    assert_eq!(observer.observer.message("c", (place, epoch), &FALLBACK), None);
    let seen = drain(&observer, 0.25);
    assert_eq!((seen.canary_units, seen.failures.len()), (0, 0));
}

#[test]
fn a_conversation_goes_on_for_half_an_hour_after_its_last_message() {
    let observer = Watched::new();
    observer.message("c", Arm::Canary, 0.25, GOOD);
    let open = || observer.observer.drain("r", "server", DateTime::UNIX_EPOCH)[0].open;
    assert_eq!(open(), 1);
    for _ in 0..GOING_ON {
        open();
    }
    assert_eq!(open(), 0);
}

#[test]
fn a_conversation_is_measured_when_its_window_is_over_on_both_arms() {
    let watched = Watched::new();
    let minutes = |n: i64| DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(n);
    let say = |id: &str, arm: Arm, weight: f64, at: i64| {
        let place =
            Place { arm, step: 0, weight, changing: false, bounded: false, at: Some(minutes(at)) };
        watched.observer.message(id, (place, watched.epoch()), &GOOD);
    };
    let look = |at: i64| {
        let (merged, number) = &mut *watched.merged.borrow_mut();
        for mut seen in watched.observer.drain("r", "server", minutes(at)) {
            *number += 1;
            seen.number = *number;
            merged.merge(&seen).unwrap();
        }
        merged.observation()
    };
    let measured = |seen: &Observation, kind: FailureKind| {
        let of = |m: &&MeasuredCount| m.kind == kind;
        seen.measured.iter().find(of).map(|m| [m.primary, m.canary])
    };
    for (id, arm) in
        [("a", Arm::Primary), ("b", Arm::Canary), ("c", Arm::Canary), ("d", Arm::Primary)]
    {
        say(id, arm, 0.5, 0);
    }
    say("grown", Arm::Primary, 0.5, 0);
    say("later", Arm::Canary, 0.5, 20);
    watched.observer.trouble("b", minutes(5), false);
    watched.observer.trouble("c", minutes(29), true);
    watched.observer.trouble("later", minutes(21), true);
    // It comes after the window, and nobody hears of it.
    watched.observer.trouble("a", minutes(30), true);
    say("grown", Arm::Canary, 0.75, 10);
    let early = look(29);
    assert_eq!((early.measured.len(), early.failures.len()), (0, 0), "{early:?}");
    let seen = look(31);
    let (handed_off, unresolved) = (FailureKind::HandedOff, FailureKind::Unresolved);
    assert_eq!(measured(&seen, handed_off), Some([2, 2]));
    assert_eq!(measured(&seen, unresolved), Some([2, 2]));
    assert_eq!((count(&seen, handed_off), count(&seen, unresolved)), ([0, 1], [0, 2]));
    let late = look(51);
    assert_eq!((measured(&late, handed_off), count(&late, handed_off)), (Some([0, 1]), [0, 1]));
    // Without a plan that names them, no window is opened.
    watched.message("plain", Arm::Primary, 0.5, GOOD);
    assert!(look(200).measured.is_empty());
}
