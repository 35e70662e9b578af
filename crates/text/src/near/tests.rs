use super::*;
use crate::fold;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the shingles of a text, computed directly from their definition.
fn shingles(text: &str, n: usize) -> BTreeSet<String> {
    let chars: Vec<char> = fold(text).chars().collect();
    match chars.len() {
        0 => BTreeSet::new(),
        len if len < n => BTreeSet::from([chars.iter().collect()]),
        _ => chars.windows(n).map(|window| window.iter().collect()).collect(),
    }
}

fn nearness(a: &str, b: &str, n: usize) -> f64 {
    let (a, b) = (shingles(a, n), shingles(b, n));
    match a.union(&b).count() {
        0 => 1.0,
        all => a.intersection(&b).count() as f64 / all as f64,
    }
}

/// Returns the expected near pairs by comparing all texts with each other.
fn brute_force(texts: &[&str], spec: &NearSpec) -> BTreeMap<(u32, u32), f32> {
    let mut pairs = BTreeMap::new();
    for b in 0..texts.len() {
        let equal = (0..b).find(|&a| fold(texts[a]) == fold(texts[b]));
        if let Some(a) = equal {
            pairs.insert((a as u32, b as u32), 1.0);
            continue;
        }
        for a in (0..b).filter(|&a| (0..a).all(|c| fold(texts[c]) != fold(texts[a]))) {
            let jaccard = nearness(texts[a], texts[b], spec.shingle());
            if jaccard >= spec.threshold() {
                pairs.insert((a as u32, b as u32), jaccard as f32);
            }
        }
    }
    pairs
}

fn by_place(found: &NearPairs) -> BTreeMap<(u32, u32), f32> {
    assert!(found.pairs.is_sorted_by_key(|pair| (pair.a, pair.b)));
    let pairs: BTreeMap<_, _> =
        found.pairs.iter().map(|pair| ((pair.a, pair.b), pair.jaccard)).collect();
    assert_eq!(pairs.len(), found.pairs.len(), "pairs are distinct");
    pairs
}

fn groups(texts: &[&str]) -> Vec<u32> {
    let groups = near_groups(texts, &NearSpec::default());
    assert_eq!(groups.truncated, 0);
    groups.group_of
}

#[test]
fn texts_a_letter_apart_are_near_and_texts_a_word_apart_are_not() {
    let texts = [
        "I have not received my new card yet",
        "i have not recieved my new card yet",
        "I have not received my new cards yet!",
        "I have not received my old card yet",
        "I HAVE NOT RECEIVED   MY NEW CARD YET ",
    ];
    let found = near_pairs(&texts, &NearSpec::default());
    assert_eq!(found.truncated, 0);
    // By hand: 33 shingles each. `recieved` changes four (`ece`, `cei`, `eiv`, `ive`), so 29 of 37 are shared. The text
    // with `cards` and `!` has 35 and lacks two of the 33 (`rd `, `d y`), so 31 of 37 are shared.
    let pairs = by_place(&found);
    assert_eq!(pairs, BTreeMap::from([((0, 2), 31.0 / 37.0), ((0, 4), 1.0)]));
    assert_eq!(groups(&texts), [0, 1, 0, 3, 0]);
    let wider = NearSpec::new(0.78, 3).unwrap();
    assert_eq!(by_place(&near_pairs(&texts, &wider))[&(0, 1)], 29.0 / 37.0);
}

#[test]
fn a_pair_exactly_at_the_threshold_is_near() {
    // `cancel` has four shingles, `cancels` one more: 4 / 5, which a float only approximates.
    let texts = ["cancel", "cancels"];
    assert_eq!(near_pairs(&texts, &NearSpec::default()).pairs.len(), 1);
    assert_eq!(near_pairs(&texts, &NearSpec::new(0.800_000_1, 3).unwrap()).pairs, []);
    for n in 2..40_usize {
        // Distinct characters that normalization does not change.
        let [short, long] = [n + 2, n + 3].map(|len| ('\u{4e00}'..).take(len).collect::<String>());
        let spec = NearSpec::new(n as f64 / (n + 1) as f64, 3).unwrap();
        assert_eq!(near_pairs(&[&long, &short], &spec).pairs.len(), 1, "{n}");
    }
}

#[test]
fn short_texts_are_near_equal_ones_only() {
    let texts = ["", "ok", "OK ", "ok!", "a", "b", " ", "ab", "é", "E\u{301}"];
    assert_eq!(groups(&texts), [0, 1, 1, 3, 4, 5, 0, 7, 8, 8]);
    assert_eq!(groups(&[]), [0_u32; 0]);
    assert_eq!(near_pairs(&[], &NearSpec::default()).pairs, []);
    assert_eq!(
        near_between(&[""], &["x", ""], &NearSpec::default()).pairs,
        [NearPair { a: 0, b: 1, jaccard: 1.0 }]
    );
}

#[test]
fn equal_texts_are_paired_with_the_first_which_represents_them() {
    let texts = ["hello there", "Hello there", "hello there!", "hello  there", "hello there!"];
    let found = near_pairs(&texts, &NearSpec::default());
    let near = 9.0 / 10.0;
    let expected = [((0, 1), 1.0), ((0, 2), near), ((0, 3), 1.0), ((2, 4), 1.0)];
    assert_eq!(by_place(&found), BTreeMap::from(expected));
    let between = near_between(&texts[..2], &texts[2..], &NearSpec::default());
    let expected = [((0, 0), near), ((0, 1), 1.0), ((0, 2), near)];
    assert_eq!(by_place(&between), BTreeMap::from(expected));
}

#[test]
fn a_chain_is_one_group_numbered_by_its_first_text() {
    // Each text has one letter more than the one before: neighbors are near, the ends are not.
    let chain: Vec<String> = (20..40).map(|n| ('a'..='z').cycle().take(n).collect()).collect();
    let mut texts: Vec<&str> = chain.iter().map(String::as_str).collect();
    texts.reverse();
    texts.insert(0, "something else");
    assert!(nearness(texts[1], texts[20], 3) < 0.8);
    assert_eq!(groups(&texts), [vec![0], vec![1; 20]].concat());
}

#[test]
fn many_copies_are_grouped_quickly() {
    let texts = vec!["hello"; 100_000];
    assert_eq!(groups(&texts), vec![0; 100_000]);
    let found = near_pairs(&texts, &NearSpec::default());
    assert_eq!((found.pairs.len(), found.truncated), (99_999, 0));
}

#[test]
fn a_filled_in_template_is_one_group_and_its_pairs_are_truncated() {
    let texts: Vec<String> = (0..3_000)
        .map(|i| {
            format!("Where is my parcel {i:05}? It was to arrive last Monday, please tell me.")
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(groups(&texts), vec![0; 3_000]);
    let found = near_pairs(&texts, &NearSpec::default());
    assert!(found.truncated > 2_800, "{}", found.truncated);
    assert!(found.pairs.len() <= 64 * 3_000);
    let between = near_between(&texts[..1_500], &texts[1_500..], &NearSpec::default());
    assert_eq!((between.truncated, between.pairs.len()), (1_500, 64 * 1_500));
}

#[test]
fn very_long_texts_are_compared() {
    let long: String =
        (0..100_000_u32).map(|i| format!("{:x} ", i.wrapping_mul(2_654_435_761))).collect();
    let longer = format!("{long}, and so on");
    assert_eq!(groups(&[&long, "short", &longer]), [0, 1, 0]);
}

#[test]
fn an_invalid_spec_is_refused() {
    for (threshold, shingle) in [(0.0, 3), (-1.0, 3), (1.1, 3), (f64::NAN, 3), (0.8, 0)] {
        assert_eq!(NearSpec::new(threshold, shingle), None);
    }
    assert_eq!(NearSpec::new(0.8, 3), Some(NearSpec::default()));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let texts: Vec<String> = (0..4_000)
        .map(|i| format!("{} {} {}", i % 7, "abcdefgh".repeat(1 + i % 5), i % 11 * i))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let spec = NearSpec::new(0.6, 2).unwrap();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (a, b) = texts.split_at(1_500);
            (near_pairs(&texts, &spec), near_groups(&texts, &spec), near_between(a, b, &spec))
        })
    };
    let one = on(1);
    assert!(one.0.truncated > 0 && one.0.pairs.len() > 4_000);
    assert_eq!(on(3), one);
}

/// Generates texts of any length, many of which are near each other.
fn some_texts() -> impl Strategy<Value = Vec<String>> {
    let seeds = prop::collection::vec("[ab ]{0,12}|[a-dA é]{0,20}|[a-z' ]{10,40}", 1..6);
    (seeds, prop::collection::vec((any::<prop::sample::Index>(), edits()), 1..30)).prop_map(
        |(seeds, edited)| {
            edited
                .into_iter()
                .map(|(seed, edits)| {
                    let mut text: Vec<char> = seed.get(&seeds).chars().collect();
                    for (at, letter) in edits {
                        let at = at.index(text.len() + 1);
                        match letter {
                            Some(letter) => text.insert(at, letter),
                            None if at < text.len() => drop(text.remove(at)),
                            None => {}
                        }
                    }
                    text.into_iter().collect()
                })
                .collect()
        },
    )
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, Option<char>)>> {
    let letter = prop::option::of(prop::char::range('a', 'c'));
    prop::collection::vec((any::<prop::sample::Index>(), letter), 0..4)
}

fn some_spec() -> impl Strategy<Value = NearSpec> {
    let threshold =
        prop_oneof![Just(0.8), Just(1.0), 0.05..1.0, (1_u8..20).prop_map(|n| f64::from(n) / 20.0)];
    (threshold, 1_usize..6).prop_map(|(threshold, n)| NearSpec::new(threshold, n).unwrap())
}

proptest! {
    #[test]
    fn pairs_equal_brute_force(texts in some_texts(), spec in some_spec()) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = near_pairs(&texts, &spec);
        prop_assert_eq!(found.truncated, 0);
        prop_assert_eq!(by_place(&found), brute_force(&texts, &spec));
    }

    #[test]
    fn groups_are_the_connected_components_of_the_pairs(texts in some_texts(), spec in some_spec()) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut expected: Vec<u32> = (0..texts.len() as u32).collect();
        for ((a, b), _) in brute_force(&texts, &spec) {
            let (a, b) = (expected[a as usize], expected[b as usize]);
            expected.iter_mut().filter(|group| **group == a.max(b)).for_each(|group| *group = a.min(b));
        }
        let found = near_groups(&texts, &spec);
        prop_assert_eq!(found, NearGroups { group_of: expected, truncated: 0 });
    }

    #[test]
    fn groups_do_not_depend_on_the_order_of_the_texts(
        texts in some_texts().prop_map(|texts| texts.into_iter().enumerate().collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let shuffled: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let mut texts = texts.clone();
        texts.sort();
        let back = groups(&shuffled);
        let sorted: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let groups = groups(&sorted);
        // The groups, as sets of folded texts.
        let parts = |texts: &[&str], groups: &[u32]| -> BTreeSet<BTreeSet<String>> {
            let mut parts: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
            for (text, group) in texts.iter().zip(groups) {
                parts.entry(*group).or_default().insert(fold(text));
            }
            parts.into_values().collect()
        };
        prop_assert_eq!(parts(&shuffled, &back), parts(&sorted, &groups));
    }

    #[test]
    fn between_is_symmetric_and_equals_brute_force(a in some_texts(), b in some_texts(), spec in some_spec()) {
        let distinct = |texts: &[String]| {
            let mut seen = BTreeSet::new();
            texts.iter().filter(|text| seen.insert(fold(text))).cloned().collect::<Vec<_>>()
        };
        let (a, b) = (distinct(&a), distinct(&b));
        let a: Vec<&str> = a.iter().map(String::as_str).collect();
        let b: Vec<&str> = b.iter().map(String::as_str).collect();
        let forth = by_place(&near_between(&a, &b, &spec));
        let back = by_place(&near_between(&b, &a, &spec));
        prop_assert_eq!(&back.into_iter().map(|((b, a), jaccard)| ((a, b), jaccard)).collect::<BTreeMap<_, _>>(), &forth);
        let mut expected = BTreeMap::new();
        for (i, a) in (0..).zip(&a) {
            for (j, b) in (0..).zip(&b) {
                let jaccard = nearness(a, b, spec.shingle());
                if jaccard >= spec.threshold() {
                    expected.insert((i, j), jaccard as f32);
                }
            }
        }
        prop_assert_eq!(forth, expected);
    }
}
