//! Verdicts in the union: one for each message, at whichever replica it was given.

use super::merged::{judged, object};
use super::{
    Arm::{Canary, Primary},
    VerdictSource::{EndUser, Reviewer},
    *,
};

/// A source, and the conversations that it judged and found wrong: `[primary, canary]`.
type Counts = (VerdictSource, [u64; 2], [u64; 2]);

/// Returns the counts by source of an observation, and the conversations that failed by feedback.
fn feedback(seen: &Observation) -> (Vec<Counts>, [u64; 2]) {
    let wrong = seen.failures.iter().filter(|failure| failure.kind == FailureKind::Wrong);
    let wrong = wrong.fold([0, 0], |[p, c], f| [p + f.primary, c + f.canary]);
    (seen.feedback.iter().map(|f| (f.source, f.judged, f.wrong)).collect(), wrong)
}

fn with(mut seen: ReplicaObservation, list: Judged) -> ReplicaObservation {
    seen.judged.push(list);
    seen
}

fn union(objects: &[ReplicaObservation]) -> Merged {
    let mut union = Merged::new("r1");
    for seen in objects {
        union.merge(seen).unwrap();
    }
    union
}

#[test]
fn a_verdict_at_another_replica_counts_once_and_attributes_its_unit_to_the_one_that_answered() {
    let answered = object("b", 1, 0, &[(1, Canary), (2, Primary)]);
    let verdict = judged(0, Canary, EndUser, true, &[(9, 1)]);
    // The replica `a` has the smaller id, and saw nothing but the verdict.
    let at = |replica: &str, number| with(object(replica, number, 0, &[]), verdict.clone());
    for objects in [vec![answered.clone(), at("a", 1)], vec![at("a", 1), at("b", 2), answered]] {
        let mut union = union(&objects);
        let seen = union.observation();
        assert_eq!(feedback(&seen), (vec![(EndUser, [0, 1], [0, 1])], [0, 1]));
        assert_eq!(
            seen.measured,
            [MeasuredCount { kind: FailureKind::Wrong, canary: 1, primary: 0 }]
        );
        assert!(seen.units.iter().all(|count| count.replica.as_deref() == Some("b")), "{seen:?}");
        // The same verdict once more, and one that takes it back.
        union.merge(&at("c", 1)).unwrap();
        let back = judged(0, Canary, EndUser, false, &[(9, 1)]);
        union.merge(&with(object("c", 2, 0, &[]), back)).unwrap();
        assert_eq!(feedback(&union.observation()), (vec![], [0, 0]));
    }
}

#[test]
fn a_verdict_waits_for_its_conversation_and_makes_none_known() {
    let mut union =
        union(&[with(object("a", 1, 0, &[]), judged(0, Canary, EndUser, true, &[(9, 1)]))]);
    let seen = union.observation();
    assert_eq!((seen.canary_units, feedback(&seen)), (0, (vec![], [0, 0])));
    // Another replica takes over meanwhile.
    let mut union = Merged::from_bytes(&union.to_bytes()).unwrap();
    union.merge(&object("b", 1, 0, &[(1, Canary)])).unwrap();
    assert_eq!(feedback(&union.observation()), (vec![(EndUser, [0, 1], [0, 1])], [0, 1]));
    let mut union = Merged::from_bytes(&union.to_bytes()).unwrap();
    union
        .merge(&with(object("b", 2, 0, &[]), judged(0, Canary, Reviewer, true, &[(9, 1)])))
        .unwrap();
    assert_eq!(feedback(&union.observation()), (vec![], [0, 0]), "the message was judged");
}

#[test]
fn a_verdict_under_another_share_or_on_another_arm_does_not_count() {
    for list in
        [judged(1, Canary, EndUser, true, &[(9, 1)]), judged(0, Primary, EndUser, true, &[(9, 1)])]
    {
        let mut union =
            union(&[object("b", 1, 0, &[(1, Canary)]), with(object("a", 1, 0, &[]), list)]);
        assert_eq!(feedback(&union.observation()), (vec![], [0, 0]));
    }
}

#[test]
fn of_several_verdicts_on_a_message_the_most_trusted_counts_then_the_one_that_finds_it_right() {
    let seen = object("b", 1, 0, &[(1, Canary)]);
    let list = |source, wrong| judged(0, Canary, source, wrong, &[(9, 1)]);
    for (lists, expected) in [
        ([list(EndUser, true), list(EndUser, false)], (vec![(EndUser, [0, 1], [0, 0])], [0, 0])),
        ([list(EndUser, false), list(Reviewer, true)], (vec![(Reviewer, [0, 1], [0, 1])], [0, 1])),
    ] {
        for order in [[0, 1], [1, 0]] {
            let objects = order.map(|i| lists[i].clone());
            let [first, second] = objects;
            let mut union =
                union(&[with(seen.clone(), first), with(object("a", 1, 0, &[]), second)]);
            assert_eq!(feedback(&union.observation()), expected);
        }
    }
    // Two messages of one conversation: each source counts it once, and so do both together.
    let mut union = union(&[with(
        with(seen, judged(0, Canary, EndUser, true, &[(9, 1), (10, 1)])),
        judged(0, Canary, Reviewer, true, &[(11, 1)]),
    )]);
    let expected = vec![(Reviewer, [0, 1], [0, 1]), (EndUser, [0, 1], [0, 1])];
    assert_eq!(feedback(&union.observation()), (expected, [0, 1]));
}

#[test]
fn feedback_of_an_older_version_is_that_of_end_users() {
    let slot = Slot::new(0, 0.05, Canary);
    let units = |keys: [u64; 2]| keys.into_iter().collect();
    let mut seen = object("b", 1, 0, &[(1, Canary), (2, Canary)]);
    seen.measured = vec![Marked { kind: FailureKind::Wrong, slot, units: units([1, 2]) }];
    seen.failures = vec![Marked { kind: FailureKind::Wrong, slot, units: units([2, 2]) }];
    let stored = String::from_utf8(seen.to_bytes()).unwrap();
    assert!(!stored.contains("judged"), "as an older version writes it: {stored}");
    let mut union = union(&[ReplicaObservation::read(stored.as_bytes()).unwrap()]);
    assert_eq!(feedback(&union.observation()), (vec![(EndUser, [0, 2], [0, 1])], [0, 1]));
}
