//! The search for the near ones of one text.

use super::{
    NearSpec,
    index::{Entry, Index},
    jaccard,
    sets::Sets,
};

/// The crowd of members that belong to none; it comes before all others.
pub(super) const ALONE: u32 = 0;

/// What a comparison of two sets takes, in entries looked at (measured; long sets take more, but are few).
const COMPARISON: usize = 32;

/// Where the search for one text's near ones ends, though there may be more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Near ones that were found.
    pub(super) partners: usize,
    /// Entries looked at, and for each set compared, [`COMPARISON`].
    pub(super) work: usize,
}

impl Default for Limits {
    /// 64 partners: a template filled in 100,000 times has five billion pairs. And 131,072 units of work: an utterance
    /// among 100,000 takes some 230.
    fn default() -> Self {
        Self { partners: 64, work: 1 << 17 }
    }
}

/// All that the search for one text's near ones needs.
pub(super) struct Search<'a> {
    pub(super) spec: &'a NearSpec,
    pub(super) sets: &'a Sets,
    pub(super) index: &'a Index,
    /// Of each member, its crowd; empty when all are alone. Of a crowd other than [`ALONE`], one near member is enough.
    pub(super) crowds: &'a [u32],
    pub(super) limits: Limits,
}

/// Working memory of a search, which serves one after the other.
#[derive(Default)]
pub(super) struct Scratch {
    /// Of each member, the last one whose search met it.
    met_by: Vec<u32>,
    /// The crowds that this search needs no more of.
    done: Vec<u32>,
}

/// What a search found.
#[derive(Default)]
pub(super) struct Found {
    /// Near members, with their Jaccard index.
    pub(super) near: Vec<(u32, f64)>,
    /// Whether the search ended before it had seen everything.
    pub(super) is_truncated: bool,
}

/// What members of one size must keep to be near.
///
/// A member that breaks it at one shared shingle breaks it at all later ones: it need not be remembered as met.
#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    /// The first member of that size.
    from: u32,
    /// The place of the shared shingle is below this.
    places: u32,
    /// Shingles that only one of the two has: no more than this.
    different: u32,
}

impl Search<'_> {
    /// Finds the indexed members below `end` that are near `x`, without `x` itself.
    ///
    /// The rarest shingles come first, and of those that share one, the largest sets.
    pub(super) fn near(&self, x: u32, end: u32, scratch: &mut Scratch) -> Found {
        let Self { spec, sets, limits, .. } = *self;
        let set = sets.of(x);
        let signature = sets.signature(x);
        let mut found = Found::default();
        let mut work = 0;
        scratch.met_by.resize(sets.len(), u32::MAX);
        scratch.done.clear();
        scratch.done.extend(Some(self.crowd_of(x)).filter(|&crowd| crowd != ALONE));
        let start = sets.first_of_size(spec.smallest(set.len()));
        for (place, &rank) in set[..spec.n_rarest(set.len())].iter().enumerate() {
            // Rarer shingles were not shared: the later the place, the smaller the sets that can be near.
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
                        || std::mem::replace(&mut scratch.met_by[entry.member as usize], x) == x
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
                    if crowd != ALONE {
                        scratch.done.push(crowd);
                        break;
                    }
                }
            }
        }
        found
    }

    fn crowd_of(&self, member: u32) -> u32 {
        self.crowds.get(member as usize).map_or(ALONE, |&crowd| crowd)
    }

    /// Iterates over those that have the shingle `rank`: first the members that are alone, then crowd by crowd.
    fn runs(&self, rank: u32) -> impl Iterator<Item = (u32, &[Entry])> {
        let (alone, mut rest) = self.index.of(rank);
        let others = std::iter::from_fn(move || {
            let crowd = self.crowd_of(rest.first()?.member);
            let end = rest.partition_point(|entry| self.crowd_of(entry.member) == crowd);
            let (run, after) = rest.split_at(end);
            rest = after;
            Some((crowd, run))
        });
        std::iter::once((ALONE, alone)).chain(others)
    }

    /// Returns what a set of `m` shingles must keep to be near one of `n`, given that the rarest shingle they share
    /// has `place` rarer ones in the latter.
    fn bound(&self, n: usize, place: usize, m: usize) -> Bound {
        let fewest = self.spec.fewest_shared(n, m);
        let places = if n - place < fewest { 0 } else { (m + 1).saturating_sub(fewest) };
        Bound {
            from: self.sets.first_of_size(m),
            places: places as u32,
            different: (n + m).saturating_sub(2 * fewest) as u32,
        }
    }

    /// Returns the Jaccard index of `x` and the member of `entry` if they are near. The rarest shingle that they
    /// share stands at `place` in `x`, and at that of the entry in the other.
    fn compare(&self, x: u32, place: usize, entry: &Entry) -> Option<f64> {
        let Self { spec, sets, .. } = *self;
        let y = entry.member;
        let (n, m) = (sets.size(x), sets.size(y));
        let fewest = spec.fewest_shared(n, m);
        let common = common(sets.of(x), sets.of(y), (place, entry.place as usize), fewest)?;
        spec.is_near(n, m, common).then(|| jaccard(n, m, common))
    }
}

/// Returns how many shingles `a` and `b` share from `places` on, or nothing once it cannot be `wanted`.
pub(super) fn common(a: &[u32], b: &[u32], places: (usize, usize), wanted: usize) -> Option<usize> {
    let (mut i, mut j) = places;
    // How many may yet be missing from the other set.
    let mut spare_a = (a.len() - i).checked_sub(wanted)?;
    let mut spare_b = (b.len() - j).checked_sub(wanted)?;
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
    fn a_search_that_reaches_a_limit_says_so() {
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
        // Two crowds of which one is its own: a single link is enough.
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
    fn shared_shingles_are_counted_as_long_as_they_can_be_enough() {
        let (a, b) = ([1, 3, 4, 6, 9], [2, 3, 4, 9]);
        assert_eq!(common(&a, &b, (0, 0), 3), Some(3));
        assert_eq!(common(&a, &b, (1, 1), 3), Some(3));
        assert_eq!(common(&a, &b, (0, 0), 4), None);
        assert_eq!(common(&a, &b, (3, 3), 3), None);
        assert_eq!(common(&[], &[], (0, 0), 0), Some(0));
    }
}
