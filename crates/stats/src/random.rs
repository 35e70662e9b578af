//! Seeded random numbers: the same seed gives the same draws on every machine and in every release.

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng as _, SeedableRng as _},
};

/// A seeded generator (xoshiro256++) with unbiased bounded draws.
#[derive(Debug, Clone)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Starts the sequence of `seed`.
    #[inline]
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Starts an independent sequence for part `stream` of a computation seeded with `seed`.
    #[inline]
    #[must_use]
    pub fn stream(seed: u64, stream: u64) -> Self {
        // The golden-ratio increment of SplitMix64 separates neighboring streams.
        Self::new(seed ^ stream.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Draws 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws an integer in [0, bound), without bias (Lemire's method with rejection).
    ///
    /// # Panics
    /// If `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "a draw needs at least one outcome");
        let bound = bound as u64;
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            if (product as u64) >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// Draws a number in [0, 1) with 53 random bits.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws a standard normal number (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle).cos()
    }

    /// Shuffles `items` (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_stream_determine_the_sequence() {
        let mut random = Random::new(17);
        let first: Vec<usize> = (0..8).map(|_| random.below(1_000)).collect();
        let mut again = Random::new(17);
        assert_eq!(first, (0..8).map(|_| again.below(1_000)).collect::<Vec<_>>());
        let mut other = Random::stream(17, 1);
        assert_ne!(first, (0..8).map(|_| other.below(1_000)).collect::<Vec<_>>());
    }

    #[test]
    fn bounded_draws_are_uniform() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 5];
        for _ in 0..50_000 {
            counts[random.below(5)] += 1;
        }
        assert!(counts.iter().all(|&c| (9_600..10_400).contains(&c)), "{counts:?}");
    }
}
