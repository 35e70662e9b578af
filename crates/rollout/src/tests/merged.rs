//! Observations of replicas, and their union.

use super::{
    Arm::{Canary, Primary},
    *,
};
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};
use std::collections::BTreeMap;

const STEPS: [f64; 3] = [0.05, 0.25, 0.5];

/// `[primary, canary]` by kind or weight, in billionths.
type Counts<K> = BTreeMap<K, [u64; 2]>;

/// The sums over observations, comparable whatever their order.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sums {
    units: Counts<u32>,
    replicas: Counts<(String, u32)>,
    failures: Counts<(FailureKind, u32)>,
    measured: Counts<FailureKind>,
    judged: Counts<(VerdictSource, u32)>,
    wrong: Counts<(VerdictSource, u32)>,
    shadow: u64,
}

fn add(sum: &mut [u64; 2], canary: u64, primary: u64) {
    sum[0] += primary;
    sum[1] += canary;
}

impl Sums {
    fn add(&mut self, seen: &Observation) {
        let billionths = |weight: f64| (weight * 1e9).round() as u32;
        let (mut canary, mut primary) = (0, 0);
        for count in &seen.units {
            let weight = billionths(count.weight);
            add(self.units.entry(weight).or_default(), count.canary, count.primary);
            let key = (count.replica.clone().unwrap(), weight);
            add(self.replicas.entry(key).or_default(), count.canary, count.primary);
            (canary, primary) = (canary + count.canary, primary + count.primary);
        }
        assert_eq!((seen.canary_units, seen.primary_units), (canary, primary));
        for f in &seen.failures {
            let key = (f.kind, billionths(f.weight));
            add(self.failures.entry(key).or_default(), f.canary, f.primary);
        }
        for m in &seen.measured {
            add(self.measured.entry(m.kind).or_default(), m.canary, m.primary);
        }
        for f in &seen.feedback {
            let key = (f.source, billionths(f.weight));
            add(self.judged.entry(key).or_default(), f.judged[1], f.judged[0]);
            add(self.wrong.entry(key).or_default(), f.wrong[1], f.wrong[0]);
        }
        self.shadow += seen.shadow_units;
    }
}

/// One event at a replica.
#[derive(Debug, Clone, Copy)]
struct Event {
    unit: u64,
    replica: usize,
    step: u16,
    /// The arm, if it is not that of [`arm_of`].
    crosses: bool,
    what: u8,
}

/// The arm of a unit: the same at every replica.
fn arm_of(unit: u64, step: u16) -> Arm {
    if (unit * 37 % 100) as f64 / 100.0 < STEPS[usize::from(step)] {
        Arm::Canary
    } else {
        Arm::Primary
    }
}

fn event(crossing: bool) -> impl Strategy<Value = Event> {
    (0_u64..24, 0_usize..4, 0_u16..3, 0_u8..15, 0_u8..9).prop_map(
        move |(unit, replica, step, what, crosses)| Event {
            unit,
            replica,
            // In a world without corrections, every replica first sees a unit at the same step.
            step: if crossing { step } else { (unit % 3) as u16 },
            crosses: crossing && crosses == 0,
            what: if crossing || what != 14 { what } else { 0 },
        },
    )
}

/// Returns the objects in which replicas publish `events`, a few events each.
fn objects(events: &[Event], size: usize) -> Vec<ReplicaObservation> {
    let mut objects = Vec::new();
    for replica in 0..4 {
        let own: Vec<Event> = events.iter().copied().filter(|e| e.replica == replica).collect();
        for (i, chunk) in own.chunks(size).enumerate() {
            let mut seen =
                ReplicaObservation::new("r1", &format!("replica-{replica}"), i as u64 + 1, start());
            chunk.iter().for_each(|event| publish(&mut seen, *event));
            objects.push(seen);
        }
    }
    objects
}

fn publish(seen: &mut ReplicaObservation, Event { unit, step, crosses, what, .. }: Event) {
    let units: UnitSet = [unit].into_iter().collect();
    let arm = match (arm_of(unit, step), crosses) {
        (arm, false) => arm,
        (Arm::Canary, true) => Arm::Primary,
        (Arm::Primary, true) => Arm::Canary,
    };
    let slot = Slot::new(step, STEPS[usize::from(step)], arm);
    let marked = |kind| Marked { kind, slot, units: units.clone() };
    let insert = |set: &mut UnitSet| *set = set.iter().chain([unit]).collect();
    match what {
        0 | 1 => seen.arms.push(Seen { slot, measures: Vec::new(), units }),
        2 => seen.arms.push(Seen { slot, measures: vec![FailureKind::Slow], units }),
        3 => seen.failures.push(marked(FailureKind::Error)),
        4 => seen.failures.push(marked(FailureKind::Wrong)),
        5 => seen.measured.push(marked(FailureKind::Wrong)),
        6 => insert(&mut seen.shadow),
        7 => insert(&mut seen.disagreements),
        14 => insert(&mut seen.void),
        verdict => {
            let source = VerdictSource::ALL[usize::from(verdict) % 3];
            // Two verdicts on one message differ only if a unit can change its step.
            let message = if crosses { unit } else { unit * 100 + u64::from(verdict) };
            let verdicts = [(message, unit)].into_iter().collect();
            seen.judged.push(Judged { slot, source, wrong: verdict >= 11, verdicts });
        }
    }
}

fn merged_once(objects: &[ReplicaObservation]) -> Sums {
    let mut union = Merged::new("r1");
    for seen in objects {
        union.merge(seen).unwrap();
    }
    let mut sums = Sums::default();
    sums.add(&union.observation());
    assert!(union.observation() == Observation::default(), "everything was given out");
    sums
}

proptest! {
    #[test]
    fn any_order_duplicates_and_sizes_give_the_same_counts(
        events in prop::collection::vec(event(true), 0..120),
        sizes in (1_usize..9, 1_usize..9),
        order in any::<u64>(),
    ) {
        let expected = merged_once(&objects(&events, sizes.0));
        let mut objects = objects(&events, sizes.1);
        objects.extend(objects.clone());
        botops_stats::random::Random::new(order).shuffle(&mut objects);
        prop_assert_eq!(merged_once(&objects), expected);
    }

    #[test]
    fn observations_add_up_to_one_large_merge(
        events in prop::collection::vec(event(false), 0..120),
        order in any::<u64>(),
        every in 1_usize..5,
        capacity in prop::sample::select(vec![24, 1_000_000]),
    ) {
        let mut objects = objects(&events, 3);
        let expected = merged_once(&objects);
        botops_stats::random::Random::new(order).shuffle(&mut objects);
        let mut union = Merged::remembering("r1", capacity);
        let mut sums = Sums::default();
        for (i, seen) in objects.iter().enumerate() {
            prop_assert_eq!(union.merge(seen).unwrap(), Merge::Merged);
            prop_assert_eq!(union.merge(seen).unwrap(), Merge::Known);
            if i % every == 0 {
                sums.add(&union.observation());
            }
        }
        sums.add(&union.observation());
        // The replica that a unit counts for is that of the object that came first.
        sums.replicas.clear();
        prop_assert_eq!(sums, Sums { replicas: Counts::new(), ..expected });
    }
}

/// Returns an object of `replica` with units on the canary (`true`) or the primary at a step.
pub(super) fn object(
    replica: &str,
    number: u64,
    step: u16,
    units: &[(u64, Arm)],
) -> ReplicaObservation {
    let mut seen = ReplicaObservation::new("r1", replica, number, start());
    for arm in [Arm::Primary, Arm::Canary] {
        let units = units.iter().filter(|(_, a)| *a == arm).map(|(unit, _)| *unit).collect();
        let slot = Slot::new(step, STEPS[usize::from(step)], arm);
        seen.arms.push(Seen { slot, measures: Vec::new(), units });
    }
    seen
}

/// Returns a list of verdicts on `(message, unit)`.
pub(super) fn judged(
    step: u16,
    arm: Arm,
    source: VerdictSource,
    wrong: bool,
    verdicts: &[(u64, u64)],
) -> Judged {
    let slot = Slot::new(step, STEPS[usize::from(step)], arm);
    Judged { slot, source, wrong, verdicts: verdicts.iter().copied().collect() }
}

fn failed(mut seen: ReplicaObservation, step: u16, arm: Arm, units: &[u64]) -> ReplicaObservation {
    let slot = Slot::new(step, STEPS[usize::from(step)], arm);
    let units = units.iter().copied().collect();
    seen.failures.push(Marked { kind: FailureKind::Error, slot, units });
    seen
}

#[test]
fn a_conversation_that_meets_two_replicas_is_one_unit_and_fails_once() {
    let sums = merged_once(&[
        failed(object("a", 1, 0, &[(1, Canary), (2, Primary)]), 0, Canary, &[1]),
        failed(object("b", 1, 0, &[(1, Canary), (3, Primary)]), 0, Canary, &[1]),
    ]);
    assert_eq!(sums.units, Counts::from([(50_000_000, [2, 1])]));
    assert_eq!(sums.failures, Counts::from([((FailureKind::Error, 50_000_000), [0, 1])]));
    let of = |replica: &str| sums.replicas[&(replica.to_owned(), 50_000_000)];
    assert_eq!((of("a"), of("b")), ([1, 1], [1, 0]), "each unit counts for one replica");
}

#[test]
fn the_earliest_share_counts_and_failures_under_a_later_one_are_dropped() {
    let later = failed(object("b", 1, 1, &[(1, Canary), (2, Canary)]), 1, Canary, &[1, 2]);
    let earlier = object("a", 1, 0, &[(1, Primary)]);
    for objects in [[later.clone(), earlier.clone()], [earlier, later]] {
        let sums = merged_once(&objects);
        assert_eq!(sums.units, Counts::from([(50_000_000, [1, 0]), (250_000_000, [0, 1])]));
        assert_eq!(sums.failures, Counts::from([((FailureKind::Error, 250_000_000), [0, 1])]));
    }
}

#[test]
fn units_seen_during_a_change_or_on_both_arms_are_not_judged() {
    let mut changing = ReplicaObservation::new("r1", "c", 1, start());
    changing.void = [1].into_iter().collect();
    let mut union = Merged::new("r1");
    let a = failed(object("a", 1, 0, &[(1, Canary), (2, Canary), (3, Canary)]), 0, Canary, &[1, 2]);
    for seen in [a, object("b", 1, 0, &[(2, Primary)]), changing] {
        union.merge(&seen).unwrap();
    }
    let seen = union.observation();
    assert_eq!((seen.canary_units, seen.primary_units, seen.failures.len()), (1, 0, 0));
    assert_eq!(union.conflicts(), 1);
}

#[test]
fn a_unit_that_was_given_out_stays_and_its_failures_still_count() {
    let mut union = Merged::new("r1");
    let mut sums = Sums::default();
    union.merge(&object("b", 1, 1, &[(1, Canary), (2, Canary)])).unwrap();
    sums.add(&union.observation());
    // Corrections that come too late: an earlier share, and a change of the weight.
    let mut late = object("a", 1, 0, &[(1, Primary)]);
    late.void = [2].into_iter().collect();
    union.merge(&late).unwrap();
    union.merge(&failed(object("b", 2, 1, &[]), 1, Canary, &[1, 2])).unwrap();
    sums.add(&union.observation());
    assert_eq!(sums.units, Counts::from([(250_000_000, [0, 2])]));
    assert_eq!(sums.failures, Counts::from([((FailureKind::Error, 250_000_000), [0, 2])]));
}

#[test]
fn a_rolling_update_counts_nothing_twice_and_reports_what_was_lost() {
    // Each of three replicas is replaced by a new process; each conversation goes on at the next one.
    let mut union = Merged::new("r1");
    let mut sums = Sums::default();
    let replicas = ["a1", "b1", "c1", "a2", "b2", "c2"];
    for (i, replica) in replicas.iter().enumerate() {
        let units: Vec<(u64, Arm)> =
            (0..100).map(|k| i as u64 * 50 + k).map(|u| (u, arm_of(u, 0))).collect();
        let mut seen = object(replica, 1, 0, &units);
        seen.open = 7;
        union.merge(&seen).unwrap();
        sums.add(&union.observation());
    }
    let canary = (0..350).filter(|&unit| arm_of(unit, 0) == Canary).count() as u64;
    assert_eq!(sums.units, Counts::from([(50_000_000, [350 - canary, canary])]));
    assert_eq!(union.lost("a1"), 7);
    assert_eq!(union.lost("unknown"), 0);
    assert_eq!(union.marks().len(), 6);
}

#[test]
fn missing_numbers_are_known_until_they_are_merged() {
    let mut union = Merged::new("r1");
    for number in [2, 5] {
        union.merge(&object("a", number, 0, &[(number, Primary)])).unwrap();
    }
    let missing = |union: &Merged| union.missing().into_iter().map(|m| m.1).collect::<Vec<_>>();
    assert_eq!(missing(&union), [1, 3, 4]);
    assert_eq!(union.merge(&object("a", 3, 0, &[(3, Primary)])).unwrap(), Merge::Merged);
    assert_eq!(union.merge(&object("a", 3, 0, &[(9, Primary)])).unwrap(), Merge::Known);
    assert_eq!(missing(&union), [1, 4]);
    assert_eq!(union.marks(), BTreeMap::from([("a".to_owned(), 5)]));
    assert_eq!(union.observation().primary_units, 3);
    let fault = union.merge(&object("a", u64::MAX, 0, &[])).unwrap_err();
    assert_eq!(fault.code(), "BOT-6043");
    assert_eq!(missing(&union), [1, 4]);
}

#[test]
fn memory_is_bounded_by_twice_the_units_to_remember() {
    let mut union = Merged::remembering("r1", 100);
    let mut units = 0;
    for number in 1..=50 {
        let list: Vec<(u64, Arm)> = (0..40).map(|k| (number * 40 + k, Primary)).collect();
        union.merge(&object("a", number, 0, &list)).unwrap();
        if number % 7 == 0 {
            units += union.observation().primary_units;
        }
        assert!(union.n_units() <= 280, "{}", union.n_units());
    }
    units += union.observation().primary_units;
    assert_eq!(units, 2_000, "news is counted before its units are forgotten");
}

#[test]
fn the_time_of_an_observation_is_that_of_the_latest_look() {
    let mut union = Merged::new("r1");
    for (replica, at) in [("a", 2), ("b", 1)] {
        union.merge(&ReplicaObservation::new("r1", replica, 1, start() + minutes(at))).unwrap();
    }
    assert_eq!(union.observation().observed_at, Some(start() + minutes(2)));
    assert_eq!(union.observation().observed_at, None, "nobody looked since");
}

fn code(bytes: &[u8]) -> (&'static str, String) {
    let fault = ReplicaObservation::read(bytes).unwrap_err();
    (fault.code(), fault.message().to_owned())
}

#[test]
fn an_object_is_read_back_and_a_damaged_one_is_refused_as_a_whole() {
    let mut seen = failed(object("a", 7, 0, &[(1, Canary), (2, Primary)]), 0, Canary, &[1]);
    seen.verdicts = vec!["v1".to_owned()];
    seen.judged = vec![judged(0, Canary, VerdictSource::EndUser, true, &[(9, 1)])];
    let bytes = seen.to_bytes();
    assert_eq!(ReplicaObservation::read(&bytes).unwrap(), seen);
    for end in 0..bytes.len() {
        assert_eq!(code(&bytes[..end]).0, "BOT-6043");
    }
    let broken = |change: &dyn Fn(&mut ReplicaObservation)| {
        let mut seen = seen.clone();
        change(&mut seen);
        let fault = Merged::new("r1").merge(&seen).unwrap_err();
        assert_eq!(fault.code(), "BOT-6043");
        assert_eq!(code(&seen.to_bytes()).0, "BOT-6043");
    };
    broken(&|seen| seen.number = 0);
    broken(&|seen| seen.replica = "a b".to_owned());
    broken(&|seen| seen.replica = "a".repeat(200));
    broken(&|seen| seen.arms[0].slot.weight = 0);
    broken(&|seen| seen.arms[0].slot.weight = 1_000_000_001);
    broken(&|seen| seen.failures[0].kind = FailureKind::Disagreement);
    broken(&|seen| seen.arms[0].units = (0..100_001).collect());
    broken(&|seen| seen.arms = vec![seen.arms[0].clone(); 1_001]);
    broken(&|seen| seen.verdicts = vec!["v".to_owned(); 10_001]);
    broken(&|seen| seen.judged[0].slot.weight = 0);
    broken(&|seen| seen.judged[0].verdicts = (0..10_001).map(|i| (i, i)).collect());
    broken(&|seen| seen.judged = vec![seen.judged[0].clone(); 1_001]);
    let other = ReplicaObservation { rollout: "r2".to_owned(), ..seen.clone() };
    let fault = Merged::new("r1").merge(&other).unwrap_err();
    assert!(fault.message().contains("belongs to rollout `r2`"), "{}", fault.message());
    let newer = String::from_utf8(bytes).unwrap().replace("observation/1", "observation/2");
    assert_eq!(code(newer.as_bytes()).0, "BOT-6045");
    let (found, message) = code(b"{\"schema\":\"botops.rollout/1\"}");
    assert!(found == "BOT-6043" && message.contains("botops.rollout/1"), "{message}");
    assert_eq!(code(&vec![b' '; LARGEST_OBSERVATION + 1]).0, "BOT-6043");
}

#[test]
fn the_largest_object_is_within_its_limit_of_bytes() {
    let units: Vec<(u64, Arm)> =
        (0..99_000).map(|i| (unit_key(b"k", &i.to_string()), arm_of(i, 2))).collect();
    let keys: Vec<u64> = units.iter().take(1_000).map(|(unit, _)| *unit).collect();
    let mut seen = failed(object("a", 1, 2, &units), 2, Primary, &keys);
    let pairs: Vec<(u64, u64)> = units.iter().take(MOST_VERDICTS).map(|u| (!u.0, u.0)).collect();
    seen.judged = vec![judged(2, Canary, VerdictSource::EndUser, true, &pairs)];
    assert_eq!(seen.n_keys(), MOST_KEYS);
    let bytes = seen.to_bytes();
    assert!(bytes.len() < 1_400_000, "{}", bytes.len());
    assert_eq!(ReplicaObservation::read(&bytes).unwrap(), seen);
}

#[test]
fn a_key_is_the_head_of_the_hmac() {
    // RFC 4231, test case 2.
    assert_eq!(unit_key(b"Jefe", "what do ya want for nothing?"), 0x5bdc_c146_bf60_754e);
    assert_ne!(unit_key(b"a", "c1"), unit_key(b"b", "c1"));
}

#[test]
fn units_of_several_weights_reach_the_judge_and_only_those_of_the_step_count_for_it() {
    let rollout = running(&spec());
    let mut union = Merged::new("r1");
    union.merge(&object("a", 1, 0, &[(1, Canary), (2, Primary), (3, Canary)])).unwrap();
    union.merge(&object("b", 1, 1, &[(4, Canary)])).unwrap();
    let next = advance(&rollout, &union.observation(), start() + minutes(1)).next;
    assert_eq!(next.units(), [1, 3]);
    assert!(matches!(next.phase, Phase::Ramping { units: 2, .. }), "{:?}", next.phase);
}
