//! The index from rare shingles to the members that contain them.

use super::sets::Sets;
use rayon::prelude::*;

/// The crowd number of members that belong to no crowd. It sorts before all crowds.
///
/// A crowd is a group with many members, numbered by [`super::groups`]. One link to a crowd is enough to join it.
pub(super) const NO_CROWD: u32 = 0;

/// A member that has a certain shingle among its rarest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) member: u32,
    /// The number of rarer shingles of the member.
    pub(super) place: u32,
    /// The member's [`Sets::signature`].
    pub(super) signature: u64,
}

/// For each shingle, the members that have it among their rarest.
///
/// - the entries of a shingle are sorted by the crowd of their member, then by member
/// - before the first [`Index::arrange`], no member belongs to a crowd
pub(super) struct Index {
    starts: Vec<usize>,
    /// For each shingle, the number of entries without a crowd, which come first.
    n_without_crowd: Vec<u32>,
    entries: Vec<Entry>,
}

impl Index {
    /// Indexes the `n_rarest(size)` rarest shingles of each of `members`, which are sorted.
    pub(super) fn new(
        sets: &Sets,
        members: impl Iterator<Item = u32> + Clone,
        n_rarest: impl Fn(usize) -> usize,
    ) -> Self {
        let rarest = |member| &sets.of(member)[..n_rarest(sets.size(member))];
        let mut starts = vec![0_usize; sets.n_ranks + 1];
        for &rank in members.clone().flat_map(rarest) {
            starts[rank as usize + 1] += 1;
        }
        for rank in 0..sets.n_ranks {
            starts[rank + 1] += starts[rank];
        }
        let mut next = starts.clone();
        let mut entries = vec![Entry { member: 0, place: 0, signature: 0 }; starts[sets.n_ranks]];
        for member in members {
            let signature = sets.signature(member);
            for (place, &rank) in (0..).zip(rarest(member)) {
                entries[next[rank as usize]] = Entry { member, place, signature };
                next[rank as usize] += 1;
            }
        }
        let n_without_crowd = starts.windows(2).map(|ends| (ends[1] - ends[0]) as u32).collect();
        Self { starts, n_without_crowd, entries }
    }

    /// Returns the entries of the shingle `rank`: those without a crowd, and the others.
    pub(super) fn of(&self, rank: u32) -> (&[Entry], &[Entry]) {
        let rank = rank as usize;
        self.entries[self.starts[rank]..self.starts[rank + 1]]
            .split_at(self.n_without_crowd[rank] as usize)
    }

    /// Sorts the entries of each shingle by `crowds`, the crowd of each member.
    pub(super) fn arrange(&mut self, crowds: &[u32]) {
        let mut lists: Vec<(&mut [Entry], &mut u32)> =
            Vec::with_capacity(self.n_without_crowd.len());
        let mut rest = self.entries.as_mut_slice();
        for (ends, n_without_crowd) in self.starts.windows(2).zip(&mut self.n_without_crowd) {
            let (list, after) = rest.split_at_mut(ends[1] - ends[0]);
            rest = after;
            if !list.is_empty() {
                lists.push((list, n_without_crowd));
            }
        }
        let crowd_of = |entry: &Entry| crowds[entry.member as usize];
        lists.par_iter_mut().with_min_len(64).for_each(|(list, n_without_crowd)| {
            list.sort_unstable_by_key(|entry| (crowd_of(entry), entry.member));
            **n_without_crowd = list.partition_point(|entry| crowd_of(entry) == NO_CROWD) as u32;
        });
    }
}
