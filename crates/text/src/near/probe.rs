//! The search for the near members of one member.

use super::{
    NearSpec,
    index::{Entry, Index, NO_CROWD},
    jaccard,
    sets::Sets,
};

/// The cost of comparing two sets, in visited entries (measured; long sets cost more, but are rare).
const COMPARISON: usize = 32;

/// The limits of one search, which make it incomplete when they are reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The maximum number of near members.
    pub(super) partners: usize,
    /// The maximum work: one unit per visited entry, and [`COMPARISON`] per compared set.
    pub(super) work: usize,
}

impl Default for Limits {
    /// 64 partners, because a template filled in 100,000 times has five billion pairs, and 131,072 units of work: an
    /// utterance among 100,000 takes about 230.
    fn default() -> Self {
        Self { partners: 64, work: 1 << 17 }
    }
}

/// The inputs of a search.
pub(super) struct Search<'a> {
    pub(super) spec: &'a NearSpec,
    pub(super) sets: &'a Sets,
    pub(super) index: &'a Index,
    /// The crowd of each member; empty if there are no crowds. One near member per crowd is enough.
    pub(super) crowds: &'a [u32],
    pub(super) limits: Limits,
}

/// The working memory of a search, reused by the next one.
#[derive(Default)]
pub(super) struct Scratch {
    /// For each member, the last member whose search visited it.
    visited_by: Vec<u32>,
    /// The crowds that this search has already linked to.
    done: Vec<u32>,
}

/// The result of a search.
#[derive(Default)]
pub(super) struct Found {
    /// The near members, with their Jaccard indexes.
    pub(super) near: Vec<(u32, f64)>,
    /// Whether the search reached a limit.
    pub(super) is_truncated: bool,
}

/// The conditions under which members of one size can be near.
///
/// A member that fails them at one shared shingle fails them at all later ones, so it is not recorded as visited.
#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    /// The first member of that size.
    from: u32,
    /// The place of the shared shingle in the member must be below this.
    places: u32,
    /// The maximum number of shingles that only one of the two has.
    different: u32,
}

impl Search<'_> {
    /// Returns the indexed members below `end` that are near `x`, without `x` itself.
    ///
    /// The rarest shingles are searched first, and for each shingle the largest sets.
    pub(super) fn near(&self, x: u32, end: u32, scratch: &mut Scratch) -> Found {
        let Self { spec, sets, limits, .. } = *self;
        let set = sets.of(x);
        let signature = sets.signature(x);
        let mut found = Found::default();
        let mut work = 0;
        scratch.visited_by.resize(sets.len(), u32::MAX);
        scratch.done.clear();
        scratch.done.extend(Some(self.crowd_of(x)).filter(|&crowd| crowd != NO_CROWD));
        let start = sets.first_of_size(spec.smallest(set.len()));
        for (place, &rank) in set[..spec.n_rarest(set.len())].iter().enumerate() {
            // No rarer shingle was shared, so the later the place, the smaller a near set must be.
            let end = end.min(sets.first_of_size(spec.largest(set.len(), place) + 1));
            for (crowd, run) in self.runs(rank) {
                work += 1 + scratch.done.len() / 8;
                if scratch.done.contains(&crowd) {
                    continue;
                }
                let to = run.partition_point(|entry| entry.member < end);
                let mut bound = Bound { from: u32::MAX, ..Bound::default() };
                for entry in run[..to].iter().rev() {
                    work += 1;
                    if work > limits.work {
                        found.is_truncated = true;
                        return found;
                    }
                    if entry.member < start {
                        break;
                    }
                    if entry.member < bound.from {
                        bound = self.bound(set.len(), place, sets.size(entry.member));
                    }
                    if entry.place >= bound.places
                        || (entry.signature ^ signature).count_ones() > bound.different
                        || std::mem::replace(&mut scratch.visited_by[entry.member as usize], x) == x
                        || x == entry.member
                    {
                        continue;
                    }
                    work += COMPARISON;
                    let Some(jaccard) = self.compare(x, place, entry) else { continue };
                    if found.near.len() == limits.partners {
                        found.is_truncated = true;
                        return found;
                    }
                    found.near.push((entry.member, jaccard));
                    if crowd != NO_CROWD {
                        scratch.done.push(crowd);
                        break;
                    }
                }
            }
        }
        found
    }

    fn crowd_of(&self, member: u32) -> u32 {
        self.crowds.get(member as usize).map_or(NO_CROWD, |&crowd| crowd)
    }

    /// Iterates over the entries of the shingle `rank`: first those without a crowd, then those of each crowd.
    fn runs(&self, rank: u32) -> impl Iterator<Item = (u32, &[Entry])> {
        let (without_crowd, mut rest) = self.index.of(rank);
        let others = std::iter::from_fn(move || {
            let crowd = self.crowd_of(rest.first()?.member);
            let end = rest.partition_point(|entry| self.crowd_of(entry.member) == crowd);
            let (run, after) = rest.split_at(end);
            rest = after;
            Some((crowd, run))
        });
        std::iter::once((NO_CROWD, without_crowd)).chain(others)
    }

    /// Returns the conditions under which a set of `m` shingles can be near one of `n`, if the rarest shared shingle has
    /// `place` rarer ones in the latter.
    fn bound(&self, n: usize, place: usize, m: usize) -> Bound {
        let fewest = self.spec.fewest_shared(n, m);
        let places = if n - place < fewest { 0 } else { (m + 1).saturating_sub(fewest) };
        Bound {
            from: self.sets.first_of_size(m),
            places: places as u32,
            different: (n + m).saturating_sub(2 * fewest) as u32,
        }
    }

    /// Returns the Jaccard index of `x` and the member of `entry`, if they are near.
    ///
    /// Their rarest shared shingle is at `place` in `x`, and at `entry.place` in the other member.
    fn compare(&self, x: u32, place: usize, entry: &Entry) -> Option<f64> {
        let Self { spec, sets, .. } = *self;
        let y = entry.member;
        let (n, m) = (sets.size(x), sets.size(y));
        let fewest = spec.fewest_shared(n, m);
        let common = common(sets.of(x), sets.of(y), (place, entry.place as usize), fewest)?;
        spec.is_near(n, m, common).then(|| jaccard(n, m, common))
    }
}

/// Returns the number of shingles that `a` and `b` share from `places` on; `None` if it is less than `fewest`.
pub(super) fn common(a: &[u32], b: &[u32], places: (usize, usize), fewest: usize) -> Option<usize> {
    let (mut i, mut j) = places;
    // The number of shingles that may still be missing from the other set.
    let mut spare_a = (a.len() - i).checked_sub(fewest)?;
    let mut spare_b = (b.len() - j).checked_sub(fewest)?;
    let mut common = 0;
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Equal => {
                common += 1;
                i += 1;
                j += 1;
            }
            std::cmp::Ordering::Less => {
                spare_a = spare_a.checked_sub(1)?;
                i += 1;
            }
            std::cmp::Ordering::Greater => {
                spare_b = spare_b.checked_sub(1)?;
                j += 1;
            }
        }
    }
    Some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_reaches_a_limit_is_truncated() {
        let texts: Vec<String> =
            (10..60).map(|i| format!("where is my parcel number {i}, please tell me?")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let spec = NearSpec::default();
        let sets = Sets::new(&texts, &spec);
        let index = Index::new(&sets, 0..50, |n| spec.n_rarest(n));
        let found = |limits, crowds: &[u32]| {
            let search = Search { spec: &spec, sets: &sets, index: &index, crowds, limits };
            let found = search.near(49, 50, &mut Scratch::default());
            (found.near.len(), found.is_truncated)
        };
        assert_eq!(found(Limits::default(), &[]), (49, false));
        assert_eq!(found(Limits { partners: 49, ..Limits::default() }, &[]), (49, false));
        assert_eq!(found(Limits { partners: 48, ..Limits::default() }, &[]), (48, true));
        let (near, is_truncated) = found(Limits { work: 500, ..Limits::default() }, &[]);
        assert!((10..16).contains(&near) && is_truncated, "{near}");
        // Two crowds, one of which contains the member itself: a single link to the other is enough.
        let crowds: Vec<u32> = (0..50).map(|member| 1 + member % 2).collect();
        let mut arranged = Index::new(&sets, 0..50, |n| spec.n_rarest(n));
        arranged.arrange(&crowds);
        let search = Search {
            spec: &spec,
            sets: &sets,
            index: &arranged,
            crowds: &crowds,
            limits: Limits { partners: 1, work: 100 },
        };
        let found = search.near(49, 50, &mut Scratch::default());
        assert_eq!(found.near.len(), 1);
        assert_eq!((found.near[0].0 % 2, found.is_truncated), (0, false));
    }

    #[test]
    fn counting_shared_shingles_stops_if_there_are_too_few() {
        let (a, b) = ([1, 3, 4, 6, 9], [2, 3, 4, 9]);
        assert_eq!(common(&a, &b, (0, 0), 3), Some(3));
        assert_eq!(common(&a, &b, (1, 1), 3), Some(3));
        assert_eq!(common(&a, &b, (0, 0), 4), None);
        assert_eq!(common(&a, &b, (3, 3), 3), None);
        assert_eq!(common(&[], &[], (0, 0), 0), Some(0));
    }
}
