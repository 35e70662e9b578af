//! The guarantees of a locked split, on data with chains of near duplicates.

use super::*;
use crate::lock::{SplitSide, lock_key, side_by_key};
use botops_datasets::Record;
use botops_digest::Digest;
use botops_findings::FaultKind;
use botops_spec::Spec as _;
use botops_text::near_pairs;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

fn data(records: &[(String, String)]) -> Dataset {
    let records = records.iter().zip(1..).map(|((text, intent), n)| Record {
        text: text.clone(),
        intent: Some(intent.clone()),
        lang: None,
        entities: Vec::new(),
        record: n,
        line: n + 1,
        file: None,
    });
    Dataset {
        name: "train.csv".to_owned(),
        digest: Digest::of(b""),
        columns: BTreeMap::new(),
        records: records.collect(),
        lookups: BTreeMap::new(),
    }
}

fn spec(test_share: f64, validation_share: f64) -> LockedSplitSpec {
    LockedSplitSpec { test_share, validation_share, seed: 17, group: None }
}

fn checked_split(
    data: &Dataset,
    groups: Option<&[Option<String>]>,
    spec: &LockedSplitSpec,
    lock: Option<&SplitLock>,
) -> Result<LockedSplit> {
    split_locked(data, groups, &spec.clone().check()?, lock)
}

fn sides(split: &LockedSplit) -> BTreeMap<u64, SplitSide> {
    let of = |data: &Dataset, side| {
        data.records.iter().map(|record| (record.record, side)).collect::<Vec<_>>()
    };
    let mut sides = of(&split.train, SplitSide::Train);
    sides.extend(of(&split.test, SplitSide::Test));
    sides.extend(split.validation.iter().flat_map(|data| of(data, SplitSide::Validation)));
    sides.into_iter().collect()
}

/// Fails when a record is lost or duplicated, or is near a record on another side.
fn check_sound(data: &Dataset, split: &LockedSplit) {
    let sides = sides(split);
    let n = split.train.records.len()
        + split.test.records.len()
        + split.validation.as_ref().map_or(0, |data| data.records.len());
    assert_eq!(sides.len(), n, "a record is on two sides");
    assert_eq!(n + split.left_out.len(), data.records.len(), "no record is lost");
    for rejected in &split.left_out {
        assert_eq!(rejected.reasons.len(), 1);
        assert!(!sides.contains_key(&rejected.record.record));
    }
    let texts: Vec<&str> = data.records.iter().map(|record| record.text.as_str()).collect();
    for pair in near_pairs(&texts, &NearSpec::default()).pairs {
        let of = |i: u32| sides.get(&data.records[i as usize].record);
        if let (Some(a), Some(b)) = (of(pair.a), of(pair.b)) {
            assert_eq!(
                a, b,
                "`{}` leaks into `{}`",
                texts[pair.a as usize], texts[pair.b as usize]
            );
        }
    }
}

/// Texts from a few templates with small changes: many are near each other, in chains.
fn records() -> impl Strategy<Value = Vec<(String, String)>> {
    let text = (0..12_usize, prop::collection::vec(0..40_usize, 0..4)).prop_map(|(base, edits)| {
        let bases = [
            "where is my parcel, it should have been here last week",
            "i would like to have my money back for the last order",
            "please cancel the order that i made yesterday evening",
            "my invoice of last month is wrong, who can help me",
        ];
        let mut text: Vec<char> = bases[base % bases.len()].chars().collect();
        // The rest of the draw makes texts without near duplicates.
        text.extend(
            format!(" {}", "abc defgh ijklm nopq rstuvw xyz".repeat(base / bases.len())).chars(),
        );
        for edit in edits {
            let at = (edit * 7) % text.len();
            text[at] = char::from(b'a' + (edit % 26) as u8);
        }
        text.into_iter().collect::<String>()
    });
    let intent = prop::sample::select(vec!["tracking", "refund", "oos"]).prop_map(str::to_owned);
    prop::collection::vec((text, intent), 4..40)
}

proptest! {
    #[test]
    fn nothing_leaks_nothing_moves_and_nothing_is_lost(
        first in records(),
        more in records(),
        keep in prop::collection::vec(any::<bool>(), 40),
        validation in prop::sample::select(vec![0.0, 0.2]),
        order in any::<u64>(),
    ) {
        let spec = spec(0.3, validation);
        let before = data(&first);
        let Ok(old) = checked_split(&before, None, &spec, None) else { return Ok(()) };
        check_sound(&before, &old);
        prop_assert_eq!(&old.left_out, &[]);

        // The same records in another order go to the same sides.
        let mut random = botops_stats::random::Random::new(order);
        let mut shuffled: Vec<usize> = (0..first.len()).collect();
        random.shuffle(&mut shuffled);
        let reordered: Vec<_> = shuffled.iter().map(|&i| first[i].clone()).collect();
        let again = checked_split(&data(&reordered), None, &spec, None).unwrap();
        prop_assert_eq!(&again.lock, &old.lock);

        // Splitting again with the returned lock changes nothing.
        let again = checked_split(&before, None, &spec, Some(&old.lock)).unwrap();
        prop_assert_eq!(&again.lock, &old.lock);
        prop_assert_eq!(sides(&again), sides(&old));

        // With other records added and some removed, the remaining ones keep their sides.
        let mut grown: Vec<_> =
            first.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(r, _)| r.clone()).collect();
        let n_old = grown.len();
        grown.extend(more);
        let after = data(&grown);
        if let Ok(new) = checked_split(&after, None, &spec, Some(&old.lock)) {
            check_sound(&after, &new);
            let now = sides(&new);
            let known = side_by_key(&old.lock.texts);
            for record in &after.records[..n_old] {
                let key = lock_key("text", &text::fold(&record.text));
                prop_assert_eq!(now.get(&record.record), known.get(key.as_str()));
            }
            let again = checked_split(&after, None, &spec, Some(&new.lock)).unwrap();
            prop_assert_eq!(sides(&again), now, "the returned lock gives the same sides");
            prop_assert_eq!(again.lock, new.lock);
        }
    }

    #[test]
    fn each_intent_has_its_share_within_half_a_unit(
        sizes in prop::collection::vec(prop::collection::vec(1..6_usize, 5..40), 2..5),
        share in 0.1..0.5_f64,
    ) {
        // Units of known sizes: equal texts that are near no others.
        let mut records = Vec::new();
        for (i, units) in sizes.iter().enumerate() {
            for (u, size) in units.iter().enumerate() {
                let word = Digest::of(format!("{i} {u}").as_bytes()).hex();
                records.extend(vec![(word, format!("intent {i}")); *size]);
            }
        }
        let data = data(&records);
        let split = checked_split(&data, None, &spec(share, 0.0), None).unwrap();
        check_sound(&data, &split);
        let largest = *sizes.iter().flatten().max().unwrap() as f64;
        for (i, units) in sizes.iter().enumerate() {
            let intent = Some(format!("intent {i}"));
            let n: usize = units.iter().sum();
            let test = split.test.records.iter().filter(|record| record.intent == intent).count();
            // The largest remainder may add 1; a unit is not cut, so half of the largest one may be missing or too many.
            prop_assert!((test as f64 - share * n as f64).abs() <= 1.0 + largest / 2.0, "{test} of {n}");
            prop_assert!(test > 0 && test < n);
        }
    }
}

#[test]
fn a_record_near_to_both_sides_is_left_out_and_its_neighbors_follow() {
    // A chain: each text is near the next one, and the ends are not near each other.
    let base =
        "where is the parcel that should have been here last week already, please tell me now";
    let chain: Vec<String> = (0..9)
        .map(|n| {
            let mut text: Vec<char> = base.chars().collect();
            (0..n).for_each(|i| text[i * 9 + 4] = '#');
            text.into_iter().collect()
        })
        .collect();
    let near = |a: &str, b: &str| !near_pairs(&[a, b], &NearSpec::default()).pairs.is_empty();
    assert!(near(&chain[0], &chain[2]) && !near(&chain[0], &chain[6]));
    let intent = |text: &String| (text.clone(), "tracking".to_owned());
    let spec = spec(0.5, 0.0);
    let ends = data(&[intent(&chain[0]), intent(&chain[8])]);
    let old = checked_split(&ends, None, &spec, None).unwrap();
    assert_eq!((old.train.records.len(), old.test.records.len()), (1, 1));

    let all: Vec<_> = chain.iter().map(intent).collect();
    let grown = data(&all);
    let new = checked_split(&grown, None, &spec, Some(&old.lock)).unwrap();
    check_sound(&grown, &new);
    let now = sides(&new);
    let before = sides(&old);
    assert_eq!((now[&1], now[&9]), (before[&1], before[&2]));
    assert_eq!((now[&2], now[&8]), (now[&1], now[&9]), "the neighbors of the ends follow them");
    assert!(!new.left_out.is_empty());
    for finding in &new.findings {
        assert_eq!(finding.code, "BOT-2181");
        assert!(
            finding.message.contains("train") && finding.message.contains("test"),
            "{finding:?}"
        );
    }
    assert_eq!(new.records_locked, 2);
}

#[test]
fn a_group_stays_on_one_side_and_new_members_follow() {
    let records: Vec<(String, String)> =
        (0..60).map(|i| (Digest::of(&[i]).hex(), format!("intent {}", i % 2))).collect();
    let groups: Vec<Option<String>> =
        (0..60).map(|i| (i % 5 != 0).then(|| format!("customer {}", i / 6))).collect();
    let spec = LockedSplitSpec { group: Some("customer".to_owned()), ..spec(0.25, 0.25) };
    let all = data(&records);
    let check = |split: &LockedSplit| {
        check_sound(&all, split);
        let mut of: BTreeMap<&str, BTreeSet<SplitSide>> = BTreeMap::new();
        let sides = sides(split);
        for (i, group) in groups.iter().enumerate() {
            if let (Some(group), Some(side)) = (group, sides.get(&(i as u64 + 1))) {
                of.entry(group).or_default().insert(*side);
            }
        }
        assert!(of.values().all(|sides| sides.len() == 1), "{of:?}");
        assert_eq!(of.values().flatten().collect::<BTreeSet<_>>().len(), 3);
    };
    check(&checked_split(&all, Some(&groups), &spec, None).unwrap());
    let half = data(&records[..33]);
    let old = checked_split(&half, Some(&groups[..33]), &spec, None).unwrap();
    let new = checked_split(&all, Some(&groups), &spec, Some(&old.lock)).unwrap();
    check(&new);
    assert!(sides(&old).iter().all(|(record, side)| sides(&new)[record] == *side));
    assert!(new.records_following > 0);

    // The group is remembered even when its records are gone.
    let (rest, of) = (data(&records[31..]), &groups[31..]);
    let split = checked_split(&rest, Some(of), &spec, Some(&old.lock)).unwrap();
    let (old, now) = (sides(&old), sides(&split));
    // Record 32 was in the old data, and record 34 has the same customer.
    assert_eq!(groups[31], groups[33]);
    assert_eq!(now[&3], old[&32]);
}

/// Returns distinct texts with these intents, and the group of each.
fn grouped(
    rows: impl IntoIterator<Item = (usize, &'static str)>,
) -> (Dataset, Vec<Option<String>>) {
    let (records, groups): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .enumerate()
        .map(|(i, (group, intent))| {
            let text = Digest::of(&i.to_le_bytes()).hex();
            ((text, intent.to_owned()), Some(format!("conversation {group}")))
        })
        .unzip();
    (data(&records), groups)
}

/// Returns the number of records of each intent on each side.
fn by_intent(split: &LockedSplit) -> BTreeMap<(String, SplitSide), usize> {
    let mut counts = BTreeMap::new();
    for (side, data) in [(SplitSide::Train, &split.train), (SplitSide::Test, &split.test)] {
        for record in &data.records {
            *counts.entry((record.intent.clone().unwrap(), side)).or_default() += 1;
        }
    }
    counts
}

fn by_conversation(test_share: f64) -> LockedSplitSpec {
    LockedSplitSpec { group: Some("conversation".to_owned()), ..spec(test_share, 0.0) }
}

#[test]
fn groups_of_several_intents_are_divided_by_what_each_of_them_holds() {
    let (all, groups) = grouped((0..36).map(|i| (i % 5, ["ask", "pay", "stop"][i % 3])));
    let split = checked_split(&all, Some(&groups), &by_conversation(0.2), None).unwrap();
    check_sound(&all, &split);
    assert_eq!(split.findings, []);
    for intent in ["ask", "pay", "stop"] {
        let n = by_intent(&split)[&(intent.to_owned(), SplitSide::Test)];
        assert!((2..=3).contains(&n), "{intent}: {n}");
    }
    // 60 conversations, and a group that is a fifth of a rare intent: each intent keeps its share.
    let (all, groups) = grouped((0..600).map(|i| {
        let intent = if i % 40 == 0 { "rare" } else { ["ask", "pay", "stop"][i * 7 % 3] };
        (i / 10, intent)
    }));
    let split = checked_split(&all, Some(&groups), &by_conversation(0.2), None).unwrap();
    let counts = by_intent(&split);
    assert_eq!(counts[&("rare".to_owned(), SplitSide::Test)], 3);
    assert!((115..=125).contains(&split.test.records.len()), "{}", split.test.records.len());
}

#[test]
fn a_rare_intent_in_a_few_groups_is_on_both_sides() {
    for seed in 0..10 {
        // 40 conversations of two common intents; six of them have one record of the rare one.
        let (all, groups) = grouped((0..200).map(|i| {
            let (group, at) = (i / 5, i % 5);
            (group, if group % 7 == 0 && at == 0 { "rare" } else { ["ask", "pay"][at % 2] })
        }));
        let spec = LockedSplitSpec { seed, ..by_conversation(0.2) };
        let split = checked_split(&all, Some(&groups), &spec, None).unwrap();
        let counts = by_intent(&split);
        let of = |side| counts.get(&("rare".to_owned(), side)).copied().unwrap_or(0);
        assert_eq!((of(SplitSide::Train), of(SplitSide::Test)), (5, 1), "seed {seed}");
        assert_eq!(split.findings, []);
    }
}

#[test]
fn an_intent_in_fewer_groups_than_sides_is_reported_with_the_side() {
    let (all, groups) =
        grouped((0..60).map(|i| (i / 6, if i < 3 { "rare" } else { ["ask", "pay"][i % 2] })));
    let split = checked_split(&all, Some(&groups), &by_conversation(0.2), None).unwrap();
    // A model needs the records more than a test does.
    assert_eq!(by_intent(&split)[&("rare".to_owned(), SplitSide::Train)], 3);
    let [finding] = &split.findings[..] else { panic!("{:?}", split.findings) };
    assert_eq!(
        (finding.code.as_str(), finding.message.as_str()),
        (
            "BOT-2183",
            "the intent `rare` has no record in test, and near duplicates and groups of `conversation` link its records into 1 unit"
        )
    );
}

#[test]
fn the_order_of_the_records_does_not_change_a_split_by_group() {
    let rows: Vec<(usize, &'static str)> =
        (0..150).map(|i| (i * 13 % 17, ["ask", "pay", "stop", "rare"][(i * i) % 11 % 4])).collect();
    let (all, groups) = grouped(rows);
    let texts = |split: &LockedSplit| {
        split.test.records.iter().map(|record| record.text.clone()).collect::<BTreeSet<_>>()
    };
    let split = checked_split(&all, Some(&groups), &by_conversation(0.3), None).unwrap();
    let mut back = all.clone();
    back.records.reverse();
    let of: Vec<_> = groups.iter().rev().cloned().collect();
    let reversed = checked_split(&back, Some(&of), &by_conversation(0.3), None).unwrap();
    assert_eq!(texts(&split), texts(&reversed));
    let again =
        checked_split(&all, Some(&groups), &by_conversation(0.3), Some(&split.lock)).unwrap();
    assert_eq!(texts(&split), texts(&again));
}

#[test]
fn data_and_settings_that_cannot_be_split_are_refused_with_the_reason() {
    let intent = |n: usize, intent: &str| -> Vec<(String, String)> {
        (0..n)
            .map(|i| (Digest::of(format!("{intent}{i}").as_bytes()).hex(), intent.to_owned()))
            .collect()
    };
    let two = [intent(4, "a"), intent(4, "b")].concat();
    let fails = |records: &[(String, String)], spec: &LockedSplitSpec, lock: Option<&SplitLock>| {
        let fault = checked_split(&data(records), None, spec, lock).unwrap_err();
        assert!(!fault.hints().is_empty());
        format!("{}: {}", fault.code(), fault.message())
    };
    assert_eq!(
        fails(&two, &spec(0.7, 0.3), None),
        "BOT-2130: a test share of 0.7 and a validation share of 0.3 leave nothing to train on"
    );
    assert_eq!(
        fails(&two, &spec(0.0, 0.0), None),
        "BOT-2130: a test share of 0 leaves one side empty"
    );
    assert_eq!(
        fails(&two, &spec(0.2, -0.1), None),
        "BOT-2130: a validation share of -0.1 leaves one side empty"
    );
    assert_eq!(
        fails(&[two.clone(), intent(1, "c")].concat(), &spec(0.2, 0.0), None),
        "BOT-2131: the intent `c` has 1 record; a split into 2 sides needs at least 2"
    );
    let same = vec![("all the same text".to_owned(), "c".to_owned()); 5];
    assert_eq!(
        fails(&[two.clone(), same.clone()].concat(), &spec(0.2, 0.0), None),
        "BOT-2131: the intent `c` has 5 records, which near duplicates link into 1 unit; a split into 2 sides needs at least 2"
    );
    assert_eq!(
        fails(&same, &spec(0.2, 0.0), None),
        "BOT-2182: all records are near duplicates of each other: there is nothing to split"
    );
    let group = LockedSplitSpec { group: Some("bot".to_owned()), ..spec(0.2, 0.0) };
    let one = vec![Some("x".to_owned()); two.len()];
    let fault = checked_split(&data(&two), Some(&one), &group, None).unwrap_err();
    assert_eq!(
        (fault.code(), fault.message()),
        (
            "BOT-2182",
            "groups of `bot` and near duplicates link all records to each other: there is nothing to split"
        )
    );
    let lock = checked_split(&data(&two), None, &spec(0.2, 0.0), None).unwrap().lock;
    assert_eq!(
        fails(&two, &spec(0.3, 0.0), Some(&lock)),
        "BOT-2185: the lock was made for test 0.2, validation 0, seed 17, no group; the request is test 0.3, validation 0, seed 17, no group"
    );
}

#[test]
fn an_intent_without_test_records_is_reported_until_new_ones_arrive() {
    let of = |range: std::ops::Range<usize>| -> Vec<(String, String)> {
        range.map(|i| (Digest::of(&i.to_le_bytes()).hex(), ["a", "b"][i % 2].to_owned())).collect()
    };
    let spec = spec(0.2, 0.0);
    let all = of(0..40);
    let old = checked_split(&data(&all), None, &spec, None).unwrap();
    let known = sides(&old);
    let train: Vec<_> = (1..)
        .zip(&all)
        .filter(|(n, (_, intent))| intent == "b" || known[n] == SplitSide::Train)
        .map(|(_, record)| record.clone())
        .collect();
    let left = checked_split(&data(&train), None, &spec, Some(&old.lock)).unwrap();
    assert_eq!(left.findings.len(), 1);
    assert_eq!(
        (left.findings[0].code.as_str(), left.findings[0].message.as_str()),
        ("BOT-2183", "the intent `a` has no record in test, and no unlocked record could go there")
    );
    let more = [train, of(40..50)].concat();
    let back = checked_split(&data(&more), None, &spec, Some(&old.lock)).unwrap();
    assert_eq!(back.findings, []);
    assert!(back.test.records.iter().any(|record| record.intent.as_deref() == Some("a")));
}

#[test]
fn a_lock_is_read_from_its_file_and_not_overwritten_after_another_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("split.lock.json");
    assert_eq!(SplitLock::read(&path).unwrap(), None);
    let records: Vec<_> = (0..8_u8).map(|i| (Digest::of(&[i]).hex(), "a".to_owned())).collect();
    let lock = checked_split(&data(&records[..6]), None, &spec(0.2, 0.0), None).unwrap().lock;
    lock.write(&path, None).unwrap();
    assert_eq!(SplitLock::read(&path).unwrap().as_ref(), Some(&lock));
    lock.write(&path, None).unwrap();
    let other = checked_split(&data(&records), None, &spec(0.2, 0.0), Some(&lock)).unwrap().lock;
    let fault = other.write(&path, None).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-2184", FaultKind::Conflict));
    other.write(&path, Some(&lock)).unwrap();

    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&records[0].0), "a lock does not hold texts");
    let twice = {
        let name = other.texts[&SplitSide::Train].first().unwrap();
        text.replacen("\"test\": [\n", &format!("\"test\": [\n      \"{name}\",\n"), 1)
    };
    for (bytes, code) in [
        (text.replace("split/1", "split/2"), "BOT-5007"),
        (text.replace("split/1", "other/1"), "BOT-2180"),
        (text[..text.len() / 2].to_owned(), "BOT-2180"),
        (twice, "BOT-2180"),
    ] {
        fs::write(&path, bytes).unwrap();
        let fault = SplitLock::read(&path).unwrap_err();
        assert_eq!(fault.code(), code, "{fault}");
    }
}
