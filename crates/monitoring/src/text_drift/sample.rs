//! The choice of the texts that are compared, and their folds: by hash, so that the order of the texts does not matter.

use botops_findings::Fault;
use std::collections::HashMap;

/// The factor of each further text that is equal to an earlier one.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// The salt of the folds, so that they do not depend on which texts were chosen.
const FOLD_SALT: u64 = 0x5851_f42d_4c95_7f2d;

/// Returns the positions of at most `most` texts that have a letter or a digit, in their order.
///
/// Each text has a hash of its bytes and of the number of equal texts before it; those with the smallest hashes are
/// chosen. `side` salts the hash, so that the choice on one side does not depend on that of the other.
pub(super) fn chosen(texts: &[&str], most: usize, side: u64) -> Vec<usize> {
    let filled = |text: &str| text.chars().any(char::is_alphanumeric);
    let mut all: Vec<usize> = (0..texts.len()).filter(|&i| filled(texts[i])).collect();
    if all.len() <= most {
        return all;
    }
    let mut seen: HashMap<&str, u64> = HashMap::with_capacity(all.len());
    let mut keyed: Vec<(u64, usize)> = all
        .drain(..)
        .map(|i| {
            let before = seen.entry(texts[i]).or_default();
            *before += 1;
            let salted = hash(texts[i].as_bytes()) ^ before.wrapping_mul(STEP);
            (mixed(salted ^ mixed(side + 1)), i)
        })
        .collect();
    keyed.select_nth_unstable(most);
    let mut chosen: Vec<usize> = keyed[..most].iter().map(|(_, i)| *i).collect();
    chosen.sort_unstable();
    chosen
}

/// Returns the fold of each text, below `n_folds`; `groups` are the groups of near duplicates, which share one.
pub(super) fn folds(texts: &[&str], groups: &[u32], n_folds: u8) -> Vec<u8> {
    let mut least: HashMap<u32, u64> = HashMap::new();
    for (text, group) in texts.iter().zip(groups) {
        let hash = hash(text.as_bytes());
        least.entry(*group).and_modify(|least| *least = hash.min(*least)).or_insert(hash);
    }
    groups
        .iter()
        .map(|group| (mixed(least[group] ^ FOLD_SALT) % u64::from(n_folds)) as u8)
        .collect()
}

/// Returns the fault of a side without texts.
pub(super) fn nothing(reason: &str) -> Fault {
    Fault::insufficient("BOT-2272", reason)
        .hint("name data with texts; a prediction log keeps them with `predictions.text: redacted`")
}

/// FNV-1a, which is the same on every machine.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Mixes all bits (the finalizer of splitmix64).
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_does_not_depend_on_the_order() {
        let texts: Vec<String> = (0..200).map(|i| format!("text {}", i / 2)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let turned: Vec<&str> = texts.iter().rev().copied().collect();
        let sorted = |texts: &[&str], side: u64| {
            let mut chosen: Vec<String> =
                chosen(texts, 50, side).iter().map(|&i| texts[i].to_owned()).collect();
            chosen.sort();
            chosen
        };
        assert_eq!(sorted(&texts, 0), sorted(&turned, 0));
        assert_ne!(sorted(&texts, 0), sorted(&texts, 1));
        assert_eq!(chosen(&["a", " ", "?!", "b"], 9, 0), [0, 3]);
    }

    #[test]
    fn near_duplicates_share_a_fold_and_folds_are_of_like_size() {
        let texts: Vec<String> = (0..1_000).map(|i| format!("text {i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let groups: Vec<u32> = (0..1_000).map(|i| i / 2 * 2).collect();
        let folds = folds(&texts, &groups, 5);
        assert!(folds.chunks_exact(2).all(|pair| pair[0] == pair[1]));
        for fold in 0..5 {
            let n = folds.iter().filter(|other| **other == fold).count();
            assert!((140..260).contains(&n), "{n} in fold {fold}");
        }
    }
}
