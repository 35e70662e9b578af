//! Near duplicates: pairs and groups of utterances that say the same but for a letter or a word.
//!
//! Two texts are compared by the shingles they have: all runs of [`NearSpec::shingle`] characters of
//! the [`fold`](super::fold)ed text, as a set; a folded text shorter than that is one shingle by
//! itself, and an empty one has none. Their nearness is Jaccard's index, shared / all; texts that
//! fold to the same have 1, the empty ones too. A pair is near when that is at least
//! [`NearSpec::threshold`].
//!
//! The join is exact: no hashing may miss a pair. Of each set, the few rarest shingles are indexed
//! (`index`), such that two near sets must share one of them; what shares one and could still be
//! near by size, place and signature is compared shingle by shingle (`probe`). Texts that fold to the
//! same are one for the join. All results are the same on any number of threads.
//!
//! The work is linear in the number of characters, but for what shares rare shingles. That is
//! bounded: one text looks at a limited number of others, and in [`near_pairs`] and [`near_between`]
//! stops at its 64th partner; `truncated` counts the texts that had more to look at, so that 0 says
//! that nothing was missed. In [`near_groups`] a text needs one link to a group, however large, and
//! skips the rest of it.

mod groups;
mod index;
mod pairs;
mod probe;
mod sets;
#[cfg(test)]
mod tests;

pub use groups::{NearGroups, near_groups};
pub use pairs::{NearPair, NearPairs, near_between, near_pairs};

/// When two texts count as near duplicates.
///
/// - `threshold` is in (0, 1]
/// - `shingle` is at least 1
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearSpec {
    threshold: f64,
    shingle: usize,
}

impl NearSpec {
    /// Returns the spec, or nothing when `threshold` is outside (0, 1] or `shingle` is 0.
    ///
    /// `threshold` is the least Jaccard index of the two sets of shingles, `shingle` their length in
    /// characters. Low thresholds are slow: at 0.5 half of all shingles are indexed.
    #[must_use]
    pub fn new(threshold: f64, shingle: usize) -> Option<Self> {
        (threshold > 0.0 && threshold <= 1.0 && shingle > 0).then_some(Self { threshold, shingle })
    }

    /// Returns the least Jaccard index of a near pair, in (0, 1].
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Returns the length of a shingle, in characters.
    #[must_use]
    pub fn shingle(&self) -> usize {
        self.shingle
    }

    /// Returns whether sets of `a` and `b` shingles that share `common` are near.
    fn is_near(&self, a: usize, b: usize, common: usize) -> bool {
        jaccard(a, b, common) >= self.threshold
    }

    /// Returns the fewest shingles that near sets of `a` and `b` shingles share: t / (1 + t) * (a + b), or one less.
    fn fewest_shared(&self, a: usize, b: usize) -> usize {
        least(self.threshold / (1.0 + self.threshold) * (a + b) as f64)
    }

    /// Returns how many of `n` shingles, the rarest, cannot all be missing from a near set.
    ///
    /// If they were, fewer than t * n would be shared. Source: Chaudhuri, Ganti and Kaushik, "A primitive
    /// operator for similarity joins in data cleaning", ICDE 2006.
    fn n_rarest(&self, n: usize) -> usize {
        (n + 1 - self.smallest(n)).min(n)
    }

    /// As [`Self::n_rarest`], for sets of `n` shingles or more only: fewer of the `n` are enough.
    ///
    /// Source: Xiao, Wang, Lin, Yu and Wang, "Efficient similarity joins for near-duplicate detection",
    /// ACM Transactions on Database Systems 36(3), 2011.
    fn n_rarest_of_smaller(&self, n: usize) -> usize {
        (n + 1 - self.fewest_shared(n, n)).min(n)
    }

    /// Returns the size of the smallest set that can be near one of `n` shingles: t * n, or one less.
    fn smallest(&self, n: usize) -> usize {
        least(self.threshold * n as f64)
    }

    /// Returns the size of the largest set that can be near one of `n` shingles without its rarest `missed`, or one more.
    ///
    /// Of `n - missed` shared and `m` in the other, (n - missed) / (m + missed) >= t.
    fn largest(&self, n: usize, missed: usize) -> usize {
        let all = (n - missed) as f64 / self.threshold * (1.0 + 1e-12);
        (all as usize).saturating_sub(missed)
    }
}

impl Default for NearSpec {
    /// 0.8 of shingles of three characters: one letter typed wrongly in 30, or two in 60, is near; in
    /// an utterance of ten words no word may change, but a short one may come or go.
    fn default() -> Self {
        Self { threshold: 0.8, shingle: 3 }
    }
}

/// Rounds up, but what rounding errors may have lifted above a whole number, down to it.
fn least(x: f64) -> usize {
    (x * (1.0 - 1e-12)).ceil() as usize
}

/// Returns shared / all of two sets, 1 for two empty ones.
fn jaccard(a: usize, b: usize, common: usize) -> f64 {
    match a + b - common {
        0 => 1.0,
        all => common as f64 / all as f64,
    }
}
