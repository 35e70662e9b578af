//! Which members have a rare shingle.

use super::sets::Sets;
use rayon::prelude::*;

/// A member that has a shingle among its rarest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) member: u32,
    /// How many rarer shingles the member has.
    pub(super) place: u32,
}

/// Of each shingle, the members that have it among their rarest.
///
/// - entries of a shingle rise by crowd (as of the last [`Index::arrange`]), and within it by member
pub(super) struct Index {
    starts: Vec<usize>,
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
        let mut entries = vec![Entry { member: 0, place: 0 }; starts[sets.n_ranks]];
        for member in members {
            for (place, &rank) in (0..).zip(rarest(member)) {
                entries[next[rank as usize]] = Entry { member, place };
                next[rank as usize] += 1;
            }
        }
        Self { starts, entries }
    }

    /// Returns the members that have the shingle `rank`.
    pub(super) fn of(&self, rank: u32) -> &[Entry] {
        &self.entries[self.starts[rank as usize]..self.starts[rank as usize + 1]]
    }

    /// Sorts the entries of each shingle by crowd.
    pub(super) fn arrange(&mut self, crowds: &[u32]) {
        let mut lists: Vec<&mut [Entry]> = Vec::with_capacity(self.starts.len());
        let mut rest = self.entries.as_mut_slice();
        for ends in self.starts.windows(2) {
            let (list, after) = rest.split_at_mut(ends[1] - ends[0]);
            rest = after;
            if list.len() > 1 {
                lists.push(list);
            }
        }
        lists.par_iter_mut().with_min_len(64).for_each(|list| {
            list.sort_unstable_by_key(|entry| (crowds[entry.member as usize], entry.member));
        });
    }
}
