//! Near duplicates as groups: a text near any text of a group belongs to the group.

use super::{
    NearSpec,
    index::{Index, NO_CROWD},
    probe::{Found, Limits, Scratch, Search, common},
    sets::Sets,
};
use rayon::prelude::*;
use std::ops::Range;

/// The smallest number of members searched in a round, unless a sixteenth of all is more; the index learns the groups
/// found so far between rounds.
const ROUND: usize = 1 << 14;

/// The smallest number of members of a crowd; for smaller groups, the bookkeeping would cost more than it saves.
const CROWD: u32 = 16;

/// The groups of near texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearGroups {
    /// The group of each text: the index of the first text in it.
    pub group_of: Vec<u32>,
    /// The number of texts that were not compared with all candidates, usually 0; their groups may be split. Texts with
    /// the same folded text count once.
    pub truncated: usize,
}

/// Returns the groups of `texts`: the smallest groups such that near texts are in the same one.
///
/// Two texts of a group need not be near each other: a chain of near texts may link them. The order of the texts changes
/// the numbers of the groups, but not which texts belong together (if `truncated` is 0).
#[must_use]
pub fn near_groups(texts: &[&str], spec: &NearSpec) -> NearGroups {
    let sets = Sets::new(texts, spec);
    let mut groups = Groups::new(&sets);
    // Alphabetical neighbors are often near: copies of a template with a number form one group after a single pass, and
    // the search below has little left to do.
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

/// Returns the near pairs of alphabetical neighbors.
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

/// Returns, for each of `members`, the near members before it: all without a crowd, and one of each crowd that has any.
fn links(search: &Search<'_>, members: Range<u32>) -> Vec<Found> {
    members
        .into_par_iter()
        .with_min_len(64)
        .map_init(Scratch::default, |scratch, x| search.near(x, x, scratch))
        .collect()
}

/// The groups of members, as a union-find structure.
///
/// - the parent of a member is itself, or a member whose first text comes before its own
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

    /// Returns the crowd of each member: a number of its group, or [`NO_CROWD`] if the group has few members.
    fn crowds(&mut self) -> Vec<u32> {
        let roots: Vec<u32> = (0..self.sets.len() as u32).map(|member| self.root(member)).collect();
        let mut sizes = vec![0_u32; roots.len()];
        for &root in &roots {
            sizes[root as usize] += 1;
        }
        let crowd = |&root: &u32| if sizes[root as usize] >= CROWD { root + 1 } else { NO_CROWD };
        roots.iter().map(crowd).collect()
    }
}
