//! Near duplicates: pairs and groups of utterances that differ by a few letters or a word.
//!
//! Two texts are compared by their sets of shingles: all runs of [`NearSpec::shingle`] characters of the
//! [`fold`](super::fold)ed text. A folded text shorter than that is a single shingle, and an empty one has none. The
//! nearness of two texts is the Jaccard index of their sets, shared / all; texts with the same folded text, including
//! empty ones, have 1. A pair is near if its nearness is at least [`NearSpec::threshold`].
//!
//! The join is exact: no pair is missed by hashing. The few rarest shingles of each set are indexed (`index`), chosen so
//! that two near sets share at least one of them. Sets that share one, and that can be near by size, position and
//! signature, are compared shingle by shingle (`probe`). Texts with the same folded text are joined as one. Results do
//! not depend on the number of threads.
//!
//! The work is linear in the number of characters, except for texts that share rare shingles. That part is bounded: each
//! text is compared with a limited number of others, and [`near_pairs`] and [`near_between`] stop at its 64th partner.
//! `truncated` counts the texts that reached a limit, so 0 means that no pair was missed. In [`near_groups`] a text needs
//! only one link to a group, however large, and skips the rest of it.

mod groups;
mod index;
mod pairs;
mod probe;
mod sets;
#[cfg(test)]
mod tests;

pub use groups::{NearGroups, near_groups};
pub use pairs::{NearPair, NearPairs, near_between, near_pairs};

/// The definition of near duplicates.
///
/// - `threshold` is in (0, 1]
/// - `shingle` is at least 1
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearSpec {
    threshold: f64,
    shingle: usize,
}

impl NearSpec {
    /// Returns the spec; `None` if `threshold` is outside (0, 1] or `shingle` is 0.
    ///
    /// `threshold` is the lowest Jaccard index of a near pair, `shingle` the length of a shingle in characters. Low
    /// thresholds are slow: at 0.5, half of all shingles are indexed.
    #[must_use]
    pub fn new(threshold: f64, shingle: usize) -> Option<Self> {
        (threshold > 0.0 && threshold <= 1.0 && shingle > 0).then_some(Self { threshold, shingle })
    }

    /// Returns the lowest Jaccard index of a near pair, in (0, 1].
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Returns the length of a shingle, in characters.
    #[must_use]
    pub fn shingle(&self) -> usize {
        self.shingle
    }

    /// Returns whether sets of `a` and `b` shingles with `common` shared ones are near.
    fn is_near(&self, a: usize, b: usize, common: usize) -> bool {
        jaccard(a, b, common) >= self.threshold
    }

    /// Returns a lower bound on the shingles that near sets of `a` and `b` shingles share: t / (1 + t) * (a + b), rounded
    /// up, or one less.
    fn fewest_shared(&self, a: usize, b: usize) -> usize {
        ceil_with_tolerance(self.threshold / (1.0 + self.threshold) * (a + b) as f64)
    }

    /// Returns the number of rarest shingles, of `n`, of which a near set contains at least one.
    ///
    /// Without any of them, a set would share fewer than t * n shingles. Source: Chaudhuri, Ganti and Kaushik, "A
    /// primitive operator for similarity joins in data cleaning", ICDE 2006.
    fn n_rarest(&self, n: usize) -> usize {
        (n + 1 - self.smallest(n)).min(n)
    }

    /// Returns the same as [`Self::n_rarest`] for near sets of at least `n` shingles, which need fewer.
    ///
    /// Source: Xiao, Wang, Lin, Yu and Wang, "Efficient similarity joins for near-duplicate detection",
    /// ACM Transactions on Database Systems 36(3), 2011.
    fn n_rarest_of_smaller(&self, n: usize) -> usize {
        (n + 1 - self.fewest_shared(n, n)).min(n)
    }

    /// Returns a lower bound on the size of a set near one of `n` shingles: t * n, rounded up, or one less.
    fn smallest(&self, n: usize) -> usize {
        ceil_with_tolerance(self.threshold * n as f64)
    }

    /// Returns an upper bound on the size `m` of a set that is near one of `n` shingles but lacks its `missed` rarest.
    ///
    /// At most `n - missed` are shared, so (n - missed) / (m + missed) >= t.
    fn largest(&self, n: usize, missed: usize) -> usize {
        let all = (n - missed) as f64 / self.threshold * (1.0 + 1e-12);
        (all as usize).saturating_sub(missed)
    }
}

impl Default for NearSpec {
    /// Threshold 0.8 and shingles of three characters: near texts may differ by one letter in 30 or two in 60. In an
    /// utterance of ten words, no word may change, but a short one may be added or removed.
    fn default() -> Self {
        Self { threshold: 0.8, shingle: 3 }
    }
}

/// Rounds up, but down to a whole number that `x` exceeds only by a rounding error.
fn ceil_with_tolerance(x: f64) -> usize {
    (x * (1.0 - 1e-12)).ceil() as usize
}

/// Returns the Jaccard index of sets of `a` and `b` elements with `common` shared ones; 1 for two empty sets.
fn jaccard(a: usize, b: usize, common: usize) -> f64 {
    match a + b - common {
        0 => 1.0,
        all => common as f64 / all as f64,
    }
}
