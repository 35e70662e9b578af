//! Near duplicates as pairs: within one list of texts, and between two lists.

use super::{
    NearSpec,
    index::Index,
    probe::{Limits, Scratch, Search},
    sets::Sets,
};
use rayon::prelude::*;

/// Two near texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearPair {
    /// The index of one text: the lower index in [`near_pairs`], the index in `reference` in [`near_between`].
    pub a: u32,
    /// The index of the other text.
    pub b: u32,
    /// The Jaccard index of their sets of shingles, in [threshold, 1]; different texts can have 1 (`ha ha`, `ha ha ha`).
    pub jaccard: f32,
}

/// The near pairs of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct NearPairs {
    /// The pairs, sorted by `a`, then by `b`.
    pub pairs: Vec<NearPair>,
    /// The number of texts that may have more partners than were found, usually 0; texts with the same folded text count
    /// once.
    pub truncated: usize,
}

/// Returns the pairs of near texts, with `a` < `b`.
///
/// Texts with the same folded text are paired with the first of them (Jaccard index 1), which represents them in other
/// pairs: `m` equal texts are `m - 1` pairs. For each text, at most 64 partners are found among the texts with smaller
/// sets, or with sets of the same size and an earlier position, by rarest shingles first.
#[must_use]
pub fn near_pairs(texts: &[&str], spec: &NearSpec) -> NearPairs {
    let sets = Sets::new(texts, spec);
    let members = 0..sets.len() as u32;
    let index = Index::new(&sets, members.clone(), |n| spec.n_rarest_of_smaller(n));
    let search =
        Search { spec, sets: &sets, index: &index, crowds: &[], limits: Limits::default() };
    let found: Vec<_> = members
        .into_par_iter()
        .with_min_len(64)
        .map_init(Scratch::default, |scratch, x| search.near(x, x, scratch))
        .collect();

    let mut pairs: Vec<NearPair> = (0..)
        .zip(&sets.member_of)
        .map(|(b, &member)| NearPair { a: sets.first[member as usize], b, jaccard: 1.0 })
        .filter(|pair| pair.a != pair.b)
        .collect();
    for (x, found) in found.iter().enumerate() {
        pairs.extend(found.near.iter().map(|&(y, jaccard)| {
            let (x, y) = (sets.first[x], sets.first[y as usize]);
            NearPair { a: x.min(y), b: x.max(y), jaccard: jaccard as f32 }
        }));
    }
    pairs.par_sort_unstable_by_key(|pair| (pair.a, pair.b));
    NearPairs { pairs, truncated: found.iter().filter(|found| found.is_truncated).count() }
}

/// Returns the near pairs of a text of `reference` (`a`) and a text of `current` (`b`), such as leaks of training into
/// test data.
///
/// Every text of `current` has its pairs, even if it equals another one. Of the texts of `reference` with the same folded
/// text, only the first has pairs. At most 64 partners of a text are found: one with the same folded text, then by
/// rarest shingles first.
#[must_use]
pub fn near_between(reference: &[&str], current: &[&str], spec: &NearSpec) -> NearPairs {
    let texts: Vec<&str> = reference.iter().chain(current).copied().collect();
    let sets = Sets::new(&texts, spec);
    let n = reference.len();
    // Texts of `reference` come first, so a member that contains one has it as its first text.
    let is_reference = |member: u32| (sets.first[member as usize] as usize) < n;
    let members = 0..sets.len() as u32;
    let index =
        Index::new(&sets, members.filter(|&member| is_reference(member)), |n| spec.n_rarest(n));
    let mut queries: Vec<u32> = sets.member_of[n..].to_vec();
    queries.sort_unstable();
    queries.dedup();
    let Limits { partners, work } = Limits::default();
    let search = |x: u32| Search {
        spec,
        sets: &sets,
        index: &index,
        crowds: &[],
        limits: Limits { partners: partners - usize::from(is_reference(x)), work },
    };
    let found: Vec<_> = queries
        .par_iter()
        .with_min_len(64)
        .map_init(Scratch::default, |scratch, &x| {
            let mut found = search(x).near(x, sets.len() as u32, scratch);
            if is_reference(x) {
                found.near.push((x, 1.0));
            }
            found.near.sort_unstable_by_key(|&(y, _)| sets.first[y as usize]);
            found
        })
        .collect();

    let mut pairs: Vec<NearPair> = Vec::new();
    for (b, x) in (0..).zip(&sets.member_of[n..]) {
        let query = queries.binary_search(x).expect("`queries` contains every member of `current`");
        pairs.extend(found[query].near.iter().map(|&(y, jaccard)| NearPair {
            a: sets.first[y as usize],
            b,
            jaccard: jaccard as f32,
        }));
    }
    pairs.par_sort_unstable_by_key(|pair| (pair.a, pair.b));
    NearPairs { pairs, truncated: found.iter().filter(|found| found.is_truncated).count() }
}
