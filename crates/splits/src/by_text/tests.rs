use super::*;
use botops_datasets::{Record, csv_bytes};
use botops_findings::FaultKind;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn dataset(rows: &[(&str, &str)]) -> Dataset {
    let rows = rows.iter().map(|&(text, intent)| (text, intent, ""));
    dataset_of(rows)
}

fn dataset_of<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Dataset {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let records: Vec<Record> = rows
        .into_iter()
        .enumerate()
        .map(|(i, (text, intent, lang))| Record {
            text: text.to_owned(),
            intent: some(intent),
            lang: some(lang),
            entities: Vec::new(),
            record: i as u64 + 1,
            line: i as u64 + 2,
            file: None,
        })
        .collect();
    let columns = ["text", "intent", "lang"].map(|name| (name.to_owned(), name.to_owned())).into();
    Dataset {
        name: "data.csv".to_owned(),
        digest: botops_digest::Digest::of(b""),
        columns,
        records,
        lookups: Default::default(),
    }
}

fn many(n: usize) -> Dataset {
    let rows: Vec<(String, String, String)> = (0..n)
        .map(|i| {
            let intent = ["a", "a", "a", "b", "oos"][i % 5];
            (format!("text {i}"), intent.to_owned(), ["en", "fr", "fr"][i % 3].to_owned())
        })
        .collect();
    dataset_of(rows.iter().map(|(t, i, l)| (t.as_str(), i.as_str(), l.as_str())))
}

fn numbers(data: &Dataset) -> Vec<u64> {
    data.records.iter().map(|r| r.record).collect()
}

/// Returns the number of records of each intent.
fn counts(data: &Dataset) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in &data.records {
        *counts.entry(record.intent.clone().unwrap_or_default()).or_default() += 1;
    }
    counts
}

#[test]
fn each_intent_and_language_is_split_by_the_share_and_keeps_its_order() {
    let data = many(300);
    let Split { train, test } =
        split(&data, &SplitSpec { test_share: 0.2, seed: 1 }.check().unwrap()).unwrap();
    assert_eq!((train.records.len(), test.records.len()), (240, 60));
    let counts = counts(&test);
    assert_eq!([counts["a"], counts["b"], counts["oos"]], [36, 12, 12]);
    let french = |record: &&Record| {
        record.intent.as_deref() == Some("a") && record.lang.as_deref() == Some("fr")
    };
    assert_eq!(test.records.iter().filter(french).count(), 24);
    assert!(numbers(&train).is_sorted() && numbers(&test).is_sorted());
    let mut all = [numbers(&train), numbers(&test)].concat();
    all.sort_unstable();
    assert_eq!(all, numbers(&data));
    assert_eq!(train.digest, botops_digest::Digest::of(&csv_bytes(&train)));
    assert_ne!(train.digest, test.digest);
}

#[test]
fn the_sides_depend_on_the_seed_and_not_on_the_order_of_the_file() {
    let data = many(300);
    let of = |data: &Dataset, seed| {
        let Split { test, .. } =
            split(data, &SplitSpec { test_share: 0.3, seed }.check().unwrap()).unwrap();
        test.records.into_iter().map(|r| r.text).collect::<BTreeSet<_>>()
    };
    assert_eq!(of(&data, 7), of(&data, 7));
    assert_ne!(of(&data, 7), of(&data, 8));
    let mut reversed = data.clone();
    reversed.records.reverse();
    assert_eq!(of(&data, 7), of(&reversed, 7));
}

#[test]
fn texts_with_the_same_folded_form_stay_together() {
    let mut data = many(200);
    let copies: Vec<Record> = data
        .records
        .iter()
        .map(|r| Record {
            text: r.text.to_uppercase() + " ",
            record: r.record + 1_000,
            ..r.clone()
        })
        .collect();
    data.records.extend(copies);
    let Split { train, test } = split(&data, &SplitSpec::default().check().unwrap()).unwrap();
    assert_eq!(test.records.len(), 80);
    let fold = |data: &Dataset| -> BTreeSet<String> {
        data.records.iter().map(|r| botops_text::fold(&r.text)).collect()
    };
    assert!(fold(&train).is_disjoint(&fold(&test)));
}

#[test]
fn one_more_record_hardly_moves_the_others() {
    let data = many(299);
    let of = |data: &Dataset| -> BTreeSet<String> {
        split(data, &SplitSpec::default().check().unwrap())
            .unwrap()
            .test
            .records
            .into_iter()
            .map(|r| r.text)
            .collect()
    };
    let before = of(&data);
    for n in 300..330 {
        let after = of(&many(n));
        let moved = before.difference(&after).count();
        assert!(moved <= 2 * (n - 299), "{moved} of {} moved after {} more", before.len(), n - 299);
    }
}

#[test]
fn data_that_cannot_be_split_is_refused() {
    let data = dataset(&[("one", "a"), ("two", "a"), ("three", "b"), ("THREE", "b")]);
    let fault = split(&data, &SplitSpec::default().check().unwrap()).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-2131", FaultKind::Insufficient));
    assert!(fault.message().contains("2 records with the same text"), "{fault}");
    for test_share in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
        let fault = SplitSpec { test_share, seed: 1 }.check().unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-2130", FaultKind::Usage));
    }
    let lone = dataset(&[("one", "a"), ("two", "a"), ("three", "oos"), ("x", "b"), ("y", "b")]);
    let Split { train, test } = split(&lone, &SplitSpec::default().check().unwrap()).unwrap();
    assert_eq!((train.records.len(), test.records.len()), (3, 2));
}

proptest! {
    #[test]
    fn every_intent_is_on_both_sides_in_its_share(
        sizes in proptest::collection::vec(2..40_usize, 1..6), share in 0.05..0.95_f64, seed in 0..99_u64
    ) {
        let rows: Vec<(String, String, &str)> = sizes.iter().enumerate()
            .flat_map(|(i, &n)| (0..n).map(move |k| (format!("{i} {k}"), format!("i{i}"), ["en", "fr"][k % 2])))
            .collect();
        let data = dataset_of(rows.iter().map(|(t, i, l)| (t.as_str(), i.as_str(), *l)));
        let Split { train, test } = split(&data, &SplitSpec { test_share: share, seed }.check().unwrap()).unwrap();
        prop_assert_eq!(train.records.len() + test.records.len(), data.records.len());
        let [train, test] = [&train, &test].map(counts);
        for (i, &n) in sizes.iter().enumerate() {
            let intent = format!("i{i}");
            prop_assert!(train[&intent] >= 1);
            let expected = (n as f64 * share).clamp(1.0, n as f64 - 1.0);
            prop_assert!((test[&intent] as f64 - expected).abs() <= 0.5 + 1e-9);
        }
    }
}

#[test]
fn the_largest_remainders_are_rounded_up() {
    assert_eq!(largest_remainder(&[5, 3, 2], 5), [3, 1, 1]);
    assert_eq!(largest_remainder(&[1, 1, 1], 2), [1, 1, 0]);
    assert_eq!(largest_remainder(&[10, 0], 3), [3, 0]);
    assert_eq!(largest_remainder(&[7, 7], 14), [7, 7]);
    assert!(largest_remainder(&[], 0).is_empty());
}
