//! Folds for cross-fitting: every intent in every fold, near duplicates never in two folds.

use botops_stats::random::Random;
use botops_text::{self as text, NearSpec};
use std::collections::{BTreeMap, BTreeSet};

/// Separates the draw of the folds from the draws of the heads.
const STREAM: u64 = 0xF01D;

/// Returns the group of each row; near duplicates share a group ([`text::near_groups`]: character trigrams, similarity 0.8).
///
/// `texts` and `y` are [n_samples]. A group that holds all records of an intent is divided into texts that
/// [`text::fold`] to the same text. If such a group were held out whole, no model could learn the intent, and
/// calibration on out-of-fold rows would treat the intent as one that the model always gets wrong.
pub(crate) fn groups(texts: &[&str], y: &[u32]) -> Vec<u32> {
    let mut groups = text::near_groups(texts, &NearSpec::default()).group_of;
    let mut of_intent: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for (&intent, &group) in y.iter().zip(&groups) {
        of_intent.entry(intent).or_default().insert(group);
    }
    let whole: BTreeSet<u32> =
        of_intent.into_values().filter(|groups| groups.len() == 1).flatten().collect();
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for (row, group) in (0..).zip(&mut groups) {
        if whole.contains(group) {
            *group = *first.entry(text::fold(texts[row as usize])).or_insert(row);
        }
    }
    groups
}

/// Returns the fold of each row, in [0, n_folds).
///
/// `groups` and `y` are [n_samples]. Rows of one group (from [`groups`] or [`text::near_groups`]) stay together; the
/// intent of a group is that of its first row. The groups of an intent are shuffled and dealt out, the largest first,
/// each to the fold with the fewest rows of the intent, then with the fewest rows in all, then the earlier one. The
/// numbers of rows of an intent in two folds therefore differ by at most the size of its largest group, and an intent
/// with a single group is in one fold.
pub(crate) fn assign(groups: &[u32], y: &[u32], n_folds: usize, seed: u64) -> Vec<u32> {
    let mut rows_of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &group) in groups.iter().enumerate() {
        rows_of.entry(group).or_default().push(row);
    }
    let mut by_intent: BTreeMap<u32, Vec<&[usize]>> = BTreeMap::new();
    for rows in rows_of.values() {
        by_intent.entry(y[rows[0]]).or_default().push(rows);
    }
    let mut random = Random::stream(seed, STREAM);
    let mut folds = vec![0; groups.len()];
    let mut sizes = vec![0; n_folds];
    for groups in by_intent.values_mut() {
        random.shuffle(groups);
        groups.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
        let mut own_sizes = vec![0; n_folds];
        for rows in groups.iter() {
            let fold = (0..n_folds)
                .min_by_key(|&fold| (own_sizes[fold], sizes[fold]))
                .expect("`n_folds` is above 0");
            own_sizes[fold] += rows.len();
            sizes[fold] += rows.len();
            for &row in *rows {
                folds[row] = fold as u32;
            }
        }
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the number of rows of `intent` in each fold.
    fn counts(folds: &[u32], y: &[u32], intent: u32, n_folds: usize) -> Vec<usize> {
        let mut counts = vec![0; n_folds];
        for (fold, _) in folds.iter().zip(y).filter(|(_, y)| **y == intent) {
            counts[*fold as usize] += 1;
        }
        counts
    }

    #[test]
    fn near_duplicates_share_a_fold() {
        let words = ["card", "refund", "password", "parcel", "invoice"];
        let mut texts: Vec<String> = (0..100)
            .map(|i| {
                format!("{} {:x} of my {}", words[i % 5], i * i * 7_919 + 4_000, words[i / 5 % 5])
            })
            .collect();
        texts.extend(texts.clone().iter().map(|text| format!("{}!", text.to_uppercase())));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let y: Vec<u32> = (0..200).map(|i| i % 5).collect();
        let groups = groups(&texts, &y);
        let folds = assign(&groups, &y, 5, 3);
        for row in 0..100 {
            assert_eq!(folds[row], folds[row + 100], "{}", texts[row]);
        }
        for intent in 0..5 {
            assert!(counts(&folds, &y, intent, 5).iter().all(|&n| (6..=10).contains(&n)));
        }
        assert_ne!(folds, assign(&groups, &y, 5, 4));
    }

    #[test]
    fn an_intent_with_only_near_duplicates_is_divided() {
        let texts = [
            "set the morning alarm number 1 now please",
            "set the morning alarm number 2 now please",
            "set the morning alarm number 3 now please",
            "Set the morning alarm number 1 now please",
            "where is my parcel",
            "where is my parcel?",
            "a refund",
        ];
        // Intent 1 is one group, which a row of intent 0 shares: that group is divided, the group of parcels is not.
        assert_eq!(groups(&texts, &[1, 1, 1, 0, 0, 0, 0]), [0, 1, 2, 0, 4, 4, 6]);
        assert_eq!(groups(&texts, &[1, 1, 1, 0, 0, 0, 1]), [0, 0, 0, 0, 4, 4, 6]);
    }

    #[test]
    fn groups_are_dealt_out_by_size() {
        // One intent with groups of 4, 3, 2, 2 and 1: by hand 4, 3 + 1 and 2 + 2.
        let groups = [0, 0, 0, 0, 4, 4, 4, 7, 7, 9, 9, 11];
        let folds = assign(&groups, &[0; 12], 3, 1);
        assert_eq!(counts(&folds, &[0; 12], 0, 3), [4, 4, 4]);
        // The intent of a group is that of its first row; an intent with a single group is in one fold.
        let folds = assign(&[0, 0, 2, 2, 2], &[1, 0, 0, 0, 0], 2, 1);
        assert_eq!(folds, [1, 1, 0, 0, 0]);
        assert!(assign(&[], &[], 5, 1).is_empty());
    }

    proptest! {
        #[test]
        fn groups_stay_together_and_folds_are_balanced(
            rows in prop::collection::vec((0_u32..40, 0_u32..4), 0..120),
            n_folds in 1_usize..7,
            seed: u64,
        ) {
            // The group number includes the intent, so all rows of a group have the same intent.
            let groups: Vec<u32> = rows.iter().map(|(group, intent)| group * 4 + intent).collect();
            let y: Vec<u32> = rows.iter().map(|(_, intent)| *intent).collect();
            let folds = assign(&groups, &y, n_folds, seed);
            let mut of_group: BTreeMap<u32, (u32, usize)> = BTreeMap::new();
            for (group, fold) in groups.iter().zip(&folds) {
                let known = of_group.entry(*group).or_insert((*fold, 0));
                prop_assert_eq!(known.0, *fold);
                known.1 += 1;
            }
            for intent in 0..4 {
                let counts = counts(&folds, &y, intent, n_folds);
                let own = |group: &&u32| *group % 4 == intent;
                let largest = of_group.keys().filter(own).map(|group| of_group[group].1).max();
                let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
                prop_assert!(spread <= largest.unwrap_or(0), "{:?}", counts);
            }
        }
    }
}
