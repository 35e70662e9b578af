//! Which members have a rare shingle.

use super::{probe::ALONE, sets::Sets};
use rayon::prelude::*;

/// A member that has a shingle among its rarest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) member: u32,
    /// How many rarer shingles the member has.
    pub(super) place: u32,
    /// The member's [`Sets::signature`].
    pub(super) signature: u64,
}

/// Of each shingle, the members that have it among their rarest.
///
/// - entries of a shingle rise by crowd (as of the last [`Index::arrange`], before it all are alone), and within
///   it by member
pub(super) struct Index {
    starts: Vec<usize>,
    /// Of each shingle, how many entries are alone: they come first.
    n_alone: Vec<u32>,
    entries: Vec<Entry>,
}

impl Index {
    /// Indexes the rarest `n_rarest(size)` shingles of each of `members`, which rise.
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
        let n_alone = starts.windows(2).map(|ends| (ends[1] - ends[0]) as u32).collect();
        Self { starts, n_alone, entries }
    }

    /// Returns the members that have the shingle `rank`: those alone, and the others.
    pub(super) fn of(&self, rank: u32) -> (&[Entry], &[Entry]) {
        let rank = rank as usize;
        self.entries[self.starts[rank]..self.starts[rank + 1]].split_at(self.n_alone[rank] as usize)
    }

    /// Sorts the entries of each shingle by crowd.
    pub(super) fn arrange(&mut self, crowds: &[u32]) {
        let mut lists: Vec<(&mut [Entry], &mut u32)> = Vec::with_capacity(self.n_alone.len());
        let mut rest = self.entries.as_mut_slice();
        for (ends, n_alone) in self.starts.windows(2).zip(&mut self.n_alone) {
            let (list, after) = rest.split_at_mut(ends[1] - ends[0]);
            rest = after;
            if !list.is_empty() {
                lists.push((list, n_alone));
            }
        }
        let crowd_of = |entry: &Entry| crowds[entry.member as usize];
        lists.par_iter_mut().with_min_len(64).for_each(|(list, n_alone)| {
            list.sort_unstable_by_key(|entry| (crowd_of(entry), entry.member));
            **n_alone = list.partition_point(|entry| crowd_of(entry) == ALONE) as u32;
        });
    }
}
