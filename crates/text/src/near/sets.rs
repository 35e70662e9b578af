//! Texts as sets of shingles, each a number that is lower the rarer the shingle is.

use super::NearSpec;
use crate as text;
use rayon::prelude::*;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Texts of one share of the work.
const SHARE: usize = 1_024;

/// The distinct folded texts ("members") of a list, as sets of shingles.
///
/// - members stand by the size of their sets; of equals, the text that came first is first
/// - a shingle is known by its rank: rising with its count over all members, ties by its key
/// - ranks rise strictly within a member
pub(super) struct Sets {
    /// Of each text, the member it folds to.
    pub(super) member_of: Vec<u32>,
    /// Of each member, the first text that folds to it.
    pub(super) first: Vec<u32>,
    /// Members in the order of their folded texts.
    pub(super) alphabetical: Vec<u32>,
    /// How many different shingles there are.
    pub(super) n_ranks: usize,
    /// Of each size up to the largest, the first member with at least so many shingles.
    first_of_size: Vec<u32>,
    starts: Vec<usize>,
    ranks: Vec<u32>,
    signatures: Vec<u64>,
}

impl Sets {
    pub(super) fn new(texts: &[&str], spec: &NearSpec) -> Self {
        let folds: Vec<String> = texts.par_iter().map(|text| text::fold(text)).collect();
        // Distinct texts in the order of their first appearance, before they are put by size.
        let mut seen: HashMap<&str, u32> = HashMap::with_capacity(folds.len());
        let mut distinct: Vec<u32> = Vec::new();
        let distinct_of: Vec<u32> = (0..)
            .zip(&folds)
            .map(|(text, fold)| {
                *seen.entry(fold).or_insert_with(|| {
                    distinct.push(text);
                    distinct.len() as u32 - 1
                })
            })
            .collect();
        drop(seen);
        let fold_of = |text: &u32| folds[*text as usize].as_str();

        let rank_of = ranks(&distinct, fold_of, spec.shingle);
        let mut shares: Vec<Vec<Vec<u32>>> = Vec::new();
        distinct
            .par_chunks(SHARE)
            .map(|share| {
                share
                    .iter()
                    .map(|text| {
                        let mut set: Vec<u32> =
                            keys(fold_of(text), spec.shingle).map(|key| rank_of[&key]).collect();
                        set.sort_unstable();
                        set.dedup();
                        set
                    })
                    .collect()
            })
            .collect_into_vec(&mut shares);
        let sets: Vec<Vec<u32>> = shares.into_iter().flatten().collect();

        let mut order: Vec<u32> = (0..distinct.len() as u32).collect();
        order.sort_by_key(|&i| sets[i as usize].len());
        let mut place = vec![0; order.len()];
        let mut first_of_size = Vec::new();
        let (mut starts, mut ranks) =
            (vec![0], Vec::with_capacity(sets.iter().map(Vec::len).sum()));
        for (member, &i) in order.iter().enumerate() {
            place[i as usize] = member as u32;
            first_of_size.resize(sets[i as usize].len() + 1, member as u32);
            ranks.extend_from_slice(&sets[i as usize]);
            starts.push(ranks.len());
        }
        let signatures = order.iter().map(|&i| signature(&sets[i as usize])).collect();
        let mut alphabetical = order.clone();
        alphabetical.par_sort_unstable_by_key(|&i| fold_of(&distinct[i as usize]));
        Self {
            member_of: distinct_of.iter().map(|&i| place[i as usize]).collect(),
            first: order.iter().map(|&i| distinct[i as usize]).collect(),
            alphabetical: alphabetical.iter().map(|&i| place[i as usize]).collect(),
            n_ranks: rank_of.len(),
            first_of_size,
            starts,
            ranks,
            signatures,
        }
    }

    /// Returns how many members there are.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// Returns the shingles of a member, rarest first.
    pub(super) fn of(&self, member: u32) -> &[u32] {
        let member = member as usize;
        &self.ranks[self.starts[member]..self.starts[member + 1]]
    }

    /// Returns how many shingles a member has.
    pub(super) fn size(&self, member: u32) -> usize {
        let member = member as usize;
        self.starts[member + 1] - self.starts[member]
    }

    /// Returns the first member with at least `size` shingles, or their number.
    pub(super) fn first_of_size(&self, size: usize) -> u32 {
        self.first_of_size.get(size).map_or(self.len() as u32, |&member| member)
    }

    /// Returns 64 bits that say which shingles a member has: every second shingle sets one of them.
    ///
    /// A bit in which two members differ stems from a shingle that only one of them has. Half the shingles are
    /// enough to tell strangers apart, and leave bits unset in sets twice as large.
    /// Source: Sandes, Teodoro and Melo, "Bitmap filter: speeding up exact set similarity joins with
    /// bitwise operations", Information Systems 88, 2020.
    pub(super) fn signature(&self, member: u32) -> u64 {
        self.signatures[member as usize]
    }
}

/// Ranks the shingles of `texts` by how often they come.
fn ranks<'a>(
    texts: &[u32],
    fold_of: impl Fn(&u32) -> &'a str + Sync,
    shingle: usize,
) -> Table<u32> {
    let shares: Vec<Table<u32>> = texts
        .par_chunks(SHARE)
        .map(|share| {
            let mut counts: Table<u32> = HashMap::default();
            for key in share.iter().flat_map(|text| keys(fold_of(text), shingle)) {
                *counts.entry(key).or_insert(0) += 1;
            }
            counts
        })
        .collect();
    let mut counts: Table<u64> = HashMap::default();
    for (key, n) in shares.into_iter().flatten() {
        *counts.entry(key).or_insert(0_u64) += u64::from(n);
    }
    let mut by_count: Vec<(u64, u64)> = counts.into_iter().map(|(key, n)| (n, key)).collect();
    by_count.par_sort_unstable();
    (0..).zip(by_count).map(|(rank, (_, key))| (key, rank)).collect()
}

/// Iterates over the keys of the shingles of a folded text, with repetitions.
fn keys(fold: &str, shingle: usize) -> impl Iterator<Item = u64> + '_ {
    let starts = fold.char_indices().map(|(at, _)| at);
    let ends = fold.char_indices().map(|(at, c)| at + c.len_utf8()).skip(shingle - 1);
    let whole = (!fold.is_empty() && fold.chars().take(shingle).count() < shingle).then_some(fold);
    starts.zip(ends).map(|(start, end)| &fold[start..end]).chain(whole).map(key)
}

/// Returns a number for a shingle: one of its own up to eight bytes, and else one of 2^64.
fn key(shingle: &str) -> u64 {
    shingle.as_bytes().chunks(8).fold(0, |key, chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        mix(key ^ u64::from_le_bytes(bytes))
    })
}

/// Mixes 64 bits, one to one, so that each bit of the result depends on all (MurmurHash3's finalizer with
/// Stafford's "Mix13" constants, as SplitMix64 uses it).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A table by the keys of shingles.
type Table<T> = HashMap<u64, T, BuildHasherDefault<Mixed>>;

/// Keys are mixed already: a table takes them as they are.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only keys of 64 bits are hashed")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

fn signature(set: &[u32]) -> u64 {
    // The upper bits of Fibonacci's hash: neighbors in rank are far apart.
    set.iter()
        .map(|rank| rank.wrapping_mul(0x9E37_79B9))
        .filter(|hash| hash >> 31 == 1)
        .fold(0, |signature, hash| signature | 1 << (hash >> 25 & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shingles(text: &str, shingle: usize) -> usize {
        keys(text, shingle).count()
    }

    #[test]
    fn a_text_has_a_shingle_for_each_place_and_a_short_one_is_one_itself() {
        assert_eq!(shingles("", 3), 0);
        assert_eq!(shingles("é", 3), 1);
        assert_eq!(shingles("ab", 3), 1);
        assert_eq!(shingles("été", 3), 1);
        assert_eq!(shingles("étés", 3), 2);
        assert_eq!(shingles("abcd", 1), 4);
        assert_eq!(keys("éa", 1).nth(1), Some(key("a")));
        assert_ne!(key("abcdefgh"), key("abcdefghabcdefgh"));
    }

    #[test]
    fn sets_stand_by_size_with_the_rarest_shingles_first() {
        let spec = NearSpec::new(0.8, 1).unwrap();
        let sets = Sets::new(&["cab", "b", "BC ", "bc", "aab"], &spec);
        // Members: "b", "bc", "aab", "cab"; the counts are b 4, c 2, a 3 (one text has it twice).
        assert_eq!(sets.first, [1, 2, 4, 0]);
        assert_eq!(sets.member_of, [3, 0, 1, 1, 2]);
        assert_eq!(sets.alphabetical, [2, 0, 1, 3]);
        assert_eq!([sets.of(0), sets.of(1)], [&[2][..], &[0, 2]]);
        assert_eq!([sets.of(2), sets.of(3)], [&[1, 2][..], &[0, 1, 2]]);
        assert_eq!([0, 1, 2, 3, 4].map(|size| sets.first_of_size(size)), [0, 0, 1, 3, 4]);
    }
}
