//! A union that is stored and read back.

use super::*;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

/// Returns objects of three replicas in which each report is drawn at random.
fn objects() -> impl Strategy<Value = Vec<ReplicaObservation>> {
    let report = (0_u64..40, 0_usize..3, 0_u16..2, any::<bool>(), 0_u8..7);
    prop::collection::vec(prop::collection::vec(report, 0..8), 0..12).prop_map(|objects| {
        let mut number = [0; 3];
        let mut made = Vec::new();
        for (i, reports) in objects.into_iter().enumerate() {
            let replica = i % 3;
            // Every third number is missing.
            number[replica] += 1 + u64::from(i % 3 == 0);
            let at = start() + minutes(i as i64);
            let name = ["zoe", "ada", "max"][replica];
            let mut seen = ReplicaObservation::new("r1", name, number[replica], at);
            seen.open = i as u64;
            for (unit, _, step, canary, what) in reports {
                let arm = if canary { Arm::Canary } else { Arm::Primary };
                let slot = Slot::new(step, [0.05, 0.5][usize::from(step)], arm);
                let units: UnitSet = [unit].into_iter().collect();
                match what {
                    0 | 1 => seen.arms.push(Seen { slot, measures: Vec::new(), units }),
                    2 => seen.failures.push(Marked { kind: FailureKind::Wrong, slot, units }),
                    3 => seen.disagreements = units,
                    4 => seen.void = units,
                    _ => seen.judged.push(Judged {
                        slot,
                        source: VerdictSource::ALL[(unit % 3) as usize],
                        wrong: what == 6,
                        verdicts: [(unit / 2, unit)].into_iter().collect(),
                    }),
                }
            }
            made.push(seen);
        }
        made
    })
}

proptest! {
    #[test]
    fn a_union_is_read_back_exactly_and_goes_on_as_the_original(
        objects in objects(),
        given_out in 0_usize..12,
        stored in 0_usize..12,
        capacity in prop::sample::select(vec![10, 1_000]),
    ) {
        let mut union = Merged::remembering("r1", capacity);
        for (i, seen) in objects.iter().enumerate().take(stored) {
            union.merge(seen).unwrap();
            if i == given_out {
                let _ = union.observation();
            }
        }
        let bytes = union.to_bytes();
        let mut read = Merged::from_bytes(&bytes).unwrap();
        prop_assert_eq!(read.to_bytes(), bytes);
        prop_assert_eq!(read.marks(), union.marks());
        prop_assert_eq!(read.missing(), union.missing());
        // Objects from before the checkpoint are known; later ones are news.
        for (i, seen) in objects.iter().enumerate() {
            let outcome = read.merge(seen).unwrap();
            prop_assert_eq!(outcome == Merge::Known, i < stored);
            prop_assert_eq!(outcome, union.merge(seen).unwrap());
        }
        prop_assert_eq!(read.observation(), union.observation());
        prop_assert_eq!(read.to_bytes(), union.to_bytes());
    }

    #[test]
    fn damaged_bytes_are_refused_never_a_panic(objects in objects(), at in any::<usize>(), byte in any::<u8>()) {
        let mut union = Merged::new("r1");
        for seen in &objects {
            union.merge(seen).unwrap();
        }
        let bytes = union.to_bytes();
        let mut changed = bytes.clone();
        let at = at % bytes.len();
        changed[at] = byte;
        if changed != bytes {
            let code = Merged::from_bytes(&changed).map_err(|fault| fault.code());
            prop_assert!(matches!(code, Err("BOT-6044" | "BOT-6045")), "{:?}", code.err());
        }
        prop_assert!(Merged::from_bytes(&bytes[..at]).is_err());
    }
}

/// Returns the fault on a union whose second line was changed, with the digest that fits.
fn fault(union: &Merged, from: &str, to: &str) -> botops_findings::Fault {
    let bytes = String::from_utf8(union.to_bytes()).unwrap();
    let body = bytes.lines().nth(1).unwrap().replace(from, to);
    assert!(!bytes.contains(&body), "`{from}` is not in {body}");
    let digest = Digest::of(body.as_bytes());
    let text = format!("{{\"schema\":\"botops.evidence/1\",\"sha256\":\"{digest}\"}}\n{body}");
    Merged::from_bytes(text.as_bytes()).unwrap_err()
}

#[test]
fn impossible_states_are_refused() {
    let mut union = Merged::new("r1");
    let mut seen = ReplicaObservation::new("r1", "a", 3, start());
    let slot = Slot::new(0, 0.05, Arm::Canary);
    let units: UnitSet = [1, 2].into_iter().collect();
    seen.arms.push(Seen { slot, measures: Vec::new(), units: units.clone() });
    seen.failures.push(Marked { kind: FailureKind::Error, slot, units });
    union.merge(&seen).unwrap();
    for (from, to) in [
        ("\"arms\":2", "\"arms\":4"),
        ("\"arms\":2", "\"arms\":0"),
        ("\"replica\":0", "\"replica\":1"),
        ("\"failed_given\":[]", "\"failed_given\":[\"error\"]"),
        ("[0,50000000]", "[0,0]"),
        ("\"highest\":3", "\"highest\":1"),
        ("\"rollout\":\"r1\"", "\"rollout\":\"\""),
        ("\"capacity\":1000000", "\"capacity\":0"),
    ] {
        assert_eq!(fault(&union, from, to).code(), "BOT-6044", "{to}");
    }
    let newer = String::from_utf8(union.to_bytes()).unwrap().replace("evidence/1", "evidence/3");
    assert_eq!(Merged::from_bytes(newer.as_bytes()).unwrap_err().code(), "BOT-6045");
}

#[test]
fn equal_unions_have_equal_bytes_and_a_unit_takes_about_ten() {
    let object = |replica: &str, from: u64| {
        let mut seen = ReplicaObservation::new("r1", replica, 1, start());
        let slot = Slot::new(0, 0.05, Arm::Primary);
        let units = (from..from + 50_000).map(|i| unit_key(b"k", &i.to_string())).collect();
        seen.arms.push(Seen { slot, measures: Vec::new(), units });
        seen
    };
    let objects = [object("b", 0), object("a", 25_000), object("c", 60_000)];
    let union = |order: [usize; 3]| {
        let mut union = Merged::new("r1");
        for i in order {
            union.merge(&objects[i]).unwrap();
        }
        let _ = union.observation();
        union
    };
    let bytes = union([0, 1, 2]).to_bytes();
    assert_eq!(union([2, 0, 1]).to_bytes(), bytes);
    let each = bytes.len() / union([0, 1, 2]).n_units();
    assert!(each <= 10, "{each} bytes");
}
