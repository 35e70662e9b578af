//! Texts as sets of shingles, each represented by a rank: the rarer the shingle, the lower its rank.

use super::NearSpec;
use crate as text;
use rayon::prelude::*;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// The number of texts in a chunk of parallel work.
const CHUNK: usize = 1_024;

/// The distinct folded texts ("members") of a list, as sets of shingles.
///
/// - members are sorted by the size of their sets, then by the position of their first text
/// - a shingle is represented by its rank, which rises with its count over all members; ties are ordered by its key
/// - ranks rise strictly within a member
pub(super) struct Sets {
    /// The member of each text.
    pub(super) member_of: Vec<u32>,
    /// The first text of each member.
    pub(super) first: Vec<u32>,
    /// The members, sorted by their folded texts.
    pub(super) alphabetical: Vec<u32>,
    /// The number of distinct shingles.
    pub(super) n_ranks: usize,
    /// For each size up to the largest, the first member with at least that many shingles.
    first_of_size: Vec<u32>,
    starts: Vec<usize>,
    ranks: Vec<u32>,
    signatures: Vec<u64>,
}

impl Sets {
    pub(super) fn new(texts: &[&str], spec: &NearSpec) -> Self {
        let folds: Vec<String> = texts.par_iter().map(|text| text::fold(text)).collect();
        // Distinct texts in the order of their first appearance; sorted by size below.
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
        let mut chunks: Vec<Vec<Vec<u32>>> = Vec::new();
        distinct
            .par_chunks(CHUNK)
            .map(|chunk| {
                chunk
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
            .collect_into_vec(&mut chunks);
        let sets: Vec<Vec<u32>> = chunks.into_iter().flatten().collect();

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

    /// Returns the number of members.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// Returns the ranks of the shingles of a member, rarest first.
    pub(super) fn of(&self, member: u32) -> &[u32] {
        let member = member as usize;
        &self.ranks[self.starts[member]..self.starts[member + 1]]
    }

    /// Returns the number of shingles of a member.
    pub(super) fn size(&self, member: u32) -> usize {
        let member = member as usize;
        self.starts[member + 1] - self.starts[member]
    }

    /// Returns the first member with at least `size` shingles, or the number of members if there is none.
    pub(super) fn first_of_size(&self, size: usize) -> u32 {
        self.first_of_size.get(size).map_or(self.len() as u32, |&member| member)
    }

    /// Returns a 64-bit sketch of the shingles of a member, in which half of the shingles set one bit each.
    ///
    /// A bit in which two members differ comes from a shingle that only one of them has. Half of the shingles are enough
    /// to separate unrelated members, and leave bits unset in sets twice as large.
    /// Source: Sandes, Teodoro and Melo, "Bitmap filter: speeding up exact set similarity joins with
    /// bitwise operations", Information Systems 88, 2020.
    pub(super) fn signature(&self, member: u32) -> u64 {
        self.signatures[member as usize]
    }
}

/// Returns the rank of each shingle of `texts`, by its count.
fn ranks<'a>(
    texts: &[u32],
    fold_of: impl Fn(&u32) -> &'a str + Sync,
    shingle: usize,
) -> Table<u32> {
    let chunks: Vec<Table<u32>> = texts
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut counts: Table<u32> = HashMap::default();
            for key in chunk.iter().flat_map(|text| keys(fold_of(text), shingle)) {
                *counts.entry(key).or_insert(0) += 1;
            }
            counts
        })
        .collect();
    let mut counts: Table<u64> = HashMap::default();
    for (key, n) in chunks.into_iter().flatten() {
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

/// Returns the key of a shingle: unique for shingles of up to eight bytes, otherwise a 64-bit hash.
fn key(shingle: &str) -> u64 {
    shingle.as_bytes().chunks(8).fold(0, |key, chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        mix(key ^ u64::from_le_bytes(bytes))
    })
}

/// Permutes 64-bit values so that each output bit depends on all input bits (the finalizer of MurmurHash3 with
/// Stafford's "Mix13" constants, as in SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A hash map from the keys of shingles.
type Table<T> = HashMap<u64, T, BuildHasherDefault<IdentityHasher>>;

/// A hasher that returns a key unchanged, because [`mix`] has already distributed it.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only 64-bit keys are hashed")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

fn signature(set: &[u32]) -> u64 {
    // The upper bits of Fibonacci hashing, in which neighboring ranks are far apart.
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
    fn a_short_text_is_one_shingle_and_a_longer_one_has_one_per_position() {
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
    fn members_are_sorted_by_size_and_their_shingles_by_rarity() {
        let spec = NearSpec::new(0.8, 1).unwrap();
        let sets = Sets::new(&["cab", "b", "BC ", "bc", "aab"], &spec);
        // Members: "b", "bc", "aab", "cab"; the counts are b 4, c 2, a 3 (twice in one text).
        assert_eq!(sets.first, [1, 2, 4, 0]);
        assert_eq!(sets.member_of, [3, 0, 1, 1, 2]);
        assert_eq!(sets.alphabetical, [2, 0, 1, 3]);
        assert_eq!([sets.of(0), sets.of(1)], [&[2][..], &[0, 2]]);
        assert_eq!([sets.of(2), sets.of(3)], [&[1, 2][..], &[0, 1, 2]]);
        assert_eq!([0, 1, 2, 3, 4].map(|size| sets.first_of_size(size)), [0, 0, 1, 3, 4]);
    }
}
