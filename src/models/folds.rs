//! Folds for cross-fitting: every intent in every fold, the same utterance never in two.

use crate::{stats::random::Random, text};
use std::collections::BTreeMap;

/// Keeps the draws of the folds apart from those of the heads.
const STREAM: u64 = 0xF01D;

/// Returns the fold of each row, in [0, n_folds).
///
/// Rows whose texts [`text::fold`] to the same go together, with the intent of the first. The groups
/// of an intent are shuffled and dealt out in turn, each intent beginning where the one before ended.
pub(super) fn assign(texts: &[&str], y: &[u32], n_folds: usize, seed: u64) -> Vec<u32> {
    let mut group_of: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<(u32, Vec<usize>)> = Vec::new();
    for (row, (text, &intent)) in texts.iter().zip(y).enumerate() {
        let group = *group_of.entry(text::fold(text)).or_insert_with(|| {
            groups.push((intent, Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push(row);
    }
    let mut by_intent: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (group, (intent, _)) in groups.iter().enumerate() {
        by_intent.entry(*intent).or_default().push(group);
    }
    let mut random = Random::stream(seed, STREAM);
    let mut folds = vec![0; texts.len()];
    let mut next = 0;
    for members in by_intent.values_mut() {
        random.shuffle(members);
        for &group in members.iter() {
            for &row in &groups[group].1 {
                folds[row] = (next % n_folds) as u32;
            }
            next += 1;
        }
    }
    folds
}

/// Returns the fold of each row, in [0, n_folds); rows of one group are never parted.
///
/// `groups` names the group of each row, `y` its intent; a group has the intent of its first row. The groups of
/// an intent are shuffled, the large ones put first, and each goes to the fold that has the fewest rows of the
/// intent so far (of equals, the fewest in all, then the first): as even as groups allow.
pub(super) fn assign_groups(groups: &[u32], y: &[u32], n_folds: usize, seed: u64) -> Vec<u32> {
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(row);
    }
    let mut by_intent: BTreeMap<u32, Vec<Vec<usize>>> = BTreeMap::new();
    for rows in members.into_values() {
        by_intent.entry(y[rows[0]]).or_default().push(rows);
    }
    let mut random = Random::stream(seed, STREAM);
    let mut folds = vec![0; groups.len()];
    let mut sizes = vec![0_usize; n_folds];
    for groups in by_intent.values_mut() {
        random.shuffle(groups);
        groups.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
        let mut of_intent = vec![0_usize; n_folds];
        for rows in groups.iter() {
            let fewest = |fold: &usize| (of_intent[*fold], sizes[*fold], *fold);
            let fold = (0..n_folds).min_by_key(fewest).expect("there is at least one fold");
            of_intent[fold] += rows.len();
            sizes[fold] += rows.len();
            for &row in rows {
                folds[row] = fold as u32;
            }
        }
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_never_parted_and_every_fold_gets_its_share_of_every_intent() {
        // Groups of one to four rows; rows of an intent are 60.
        let groups: Vec<u32> =
            (0..180).map(|i| [i, i - i % 2, i - i % 3, i - i % 4][i as usize / 45]).collect();
        let y: Vec<u32> = (0..180).map(|i| i / 60).collect();
        let folds = assign_groups(&groups, &y, 5, 3);
        for (row, &group) in groups.iter().enumerate() {
            assert_eq!(folds[row], folds[group as usize], "row {row}");
        }
        let mut sizes = [0; 5];
        for intent in 0..3 {
            let mut counts = [0; 5];
            for (fold, _) in folds.iter().zip(&y).filter(|(_, y)| **y == intent) {
                counts[*fold as usize] += 1;
                sizes[*fold as usize] += 1;
            }
            assert!(counts.iter().all(|&n| (10..=14).contains(&n)), "{counts:?}");
        }
        assert!(sizes.iter().all(|&n| (34..=38).contains(&n)), "{sizes:?}");
        assert_ne!(folds, assign_groups(&groups, &y, 5, 4));
        assert_eq!(folds, assign_groups(&groups, &y, 5, 3));
    }

    #[test]
    fn folds_are_balanced_and_never_part_the_same_utterance() {
        let texts: Vec<String> = (0..103).map(|i| format!("text {}", i % 97)).collect();
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        texts[50] = "  TEXT 49 ";
        let y: Vec<u32> = (0..103).map(|i| (i % 97) % 4).collect();
        let folds = assign(&texts, &y, 5, 3);
        assert_eq!(folds[50], folds[49]);
        for i in 0..6 {
            assert_eq!(folds[i], folds[i + 97]);
        }
        for intent in 0..4 {
            let mut counts = [0; 5];
            for (fold, _) in folds.iter().zip(&y).filter(|(_, y)| **y == intent) {
                counts[*fold as usize] += 1;
            }
            assert!(counts.iter().all(|&n| (3..=8).contains(&n)), "{counts:?}");
        }
        assert_ne!(folds, assign(&texts, &y, 5, 4));
    }
}
