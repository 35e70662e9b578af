//! Near duplicates as groups: whoever is near a member belongs to the group.

use super::{
    NearSpec,
    index::Index,
    probe::{ALONE, Found, Limits, Scratch, Search, common},
    sets::Sets,
};
use rayon::prelude::*;
use std::ops::Range;

/// Members whose groups are looked for at once, a sixteenth of all or this many; then what was found is made known to the index.
const ROUND: usize = 1 << 14;

/// Members of a group from which on it is worth knowing that one link to it is enough.
const CROWD: u32 = 16;

/// Which texts belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearGroups {
    /// Of each text, its group: the index of the first text in it.
    pub group_of: Vec<u32>,
    /// How many texts (of those that fold to the same, the first) were not compared with all that could be near: their groups may be in parts. Mostly 0.
    pub truncated: usize,
}

/// Returns the groups of `texts`: the smallest such that near texts are in the same one.
///
/// Two texts of a group need not be near each other: a chain of near ones may link them. The order
/// of the texts changes the names of the groups, not who belongs together (where nothing is truncated).
#[must_use]
pub fn near_groups(texts: &[&str], spec: &NearSpec) -> NearGroups {
    let sets = Sets::new(texts, spec);
    let mut groups = Groups::new(&sets);
    // What stands side by side in the alphabet is often near: a template with a number is one group
    // after a look at each, and the search below has nothing to add.
    for (a, b) in neighbors(&sets, spec) {
        groups.unite(a, b);
    }
    let members = 0..sets.len() as u32;
    let mut index = Index::new(&sets, members, |n| spec.n_rarest_of_smaller(n));
    let limits = Limits { partners: usize::MAX, ..Limits::default() };
    let round = ROUND.max(sets.len().div_ceil(16));
    let mut truncated = 0;
    for start in (0..sets.len()).step_by(round) {
        let crowds = groups.crowds();
        index.arrange(&crowds);
        let search = Search { spec, sets: &sets, index: &index, crowds: &crowds, limits };
        let members = start as u32..sets.len().min(start + round) as u32;
        for (x, found) in members.clone().zip(links(&search, members)) {
            truncated += usize::from(found.is_truncated);
            for (y, _) in found.near {
                groups.unite(x, y);
            }
        }
    }
    let group_of = sets.member_of.iter().map(|&member| groups.first(member)).collect();
    NearGroups { group_of, truncated }
}

/// Returns the pairs of members that follow one another in the alphabet and are near.
fn neighbors(sets: &Sets, spec: &NearSpec) -> Vec<(u32, u32)> {
    sets.alphabetical
        .par_windows(2)
        .with_min_len(256)
        .filter_map(|pair| {
            let (a, b) = (pair[0], pair[1]);
            let (n, m) = (sets.size(a), sets.size(b));
            let common = common(sets.of(a), sets.of(b), (0, 0), spec.fewest_shared(n, m))?;
            spec.is_near(n, m, common).then_some((a, b))
        })
        .collect()
}

/// Finds, for each of `members`, near ones before it: at least one of each crowd that has any.
fn links(search: &Search<'_>, members: Range<u32>) -> Vec<Found> {
    members
        .into_par_iter()
        .with_min_len(64)
        .map_init(Scratch::default, |scratch, x| search.near(x, x, scratch))
        .collect()
}

/// Members put together (union-find).
///
/// - the parent of a member is one whose first text comes before its own, or itself
struct Groups<'a> {
    sets: &'a Sets,
    parents: Vec<u32>,
}

impl<'a> Groups<'a> {
    fn new(sets: &'a Sets) -> Self {
        Self { sets, parents: (0..sets.len() as u32).collect() }
    }

    fn root(&mut self, mut member: u32) -> u32 {
        while self.parents[member as usize] != member {
            let parent = self.parents[member as usize];
            self.parents[member as usize] = self.parents[parent as usize];
            member = parent;
        }
        member
    }

    fn unite(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        let first = |member: u32| self.sets.first[member as usize];
        let (root, other) = if first(a) <= first(b) { (a, b) } else { (b, a) };
        self.parents[other as usize] = root;
    }

    /// Returns the first text of the group of `member`.
    fn first(&mut self, member: u32) -> u32 {
        let root = self.root(member);
        self.sets.first[root as usize]
    }

    /// Returns of each member a number of its group, [`ALONE`] where that has few members.
    fn crowds(&mut self) -> Vec<u32> {
        let roots: Vec<u32> = (0..self.sets.len() as u32).map(|member| self.root(member)).collect();
        let mut sizes = vec![0_u32; roots.len()];
        for &root in &roots {
            sizes[root as usize] += 1;
        }
        let crowd = |&root: &u32| if sizes[root as usize] >= CROWD { root + 1 } else { ALONE };
        roots.iter().map(crowd).collect()
    }
}
