//! Percentile bootstrap intervals.
//!
//! A draw is a count for each sample rather than a list of samples, so that a statistic is one pass over the original
//! data. Each draw has its own random stream, so the result does not depend on the number of threads.

use super::{intervals, random::Random};
use rayon::prelude::*;

/// The settings of a bootstrap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// The number of draws.
    pub draws: usize,
    /// The seed of all draws.
    pub seed: u64,
    /// The level of the intervals, in (0, 1).
    pub level: f64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { draws: 2_000, seed: 17, level: intervals::LEVEL }
    }
}

/// The number of draws in a chunk of parallel work; small enough that all threads finish at about the same time.
const DRAWS_PER_CHUNK: usize = 50;

/// Returns the percentile interval of each of `M` statistics.
///
/// `strata` are the sizes of groups that are resampled separately; a single group gives the plain bootstrap. The samples
/// of the groups follow each other. `statistic` receives the number of times each sample was drawn, and working memory
/// from `state`, which it must reset itself. Draws in which a statistic is not finite are left out for that statistic.
///
/// The interval is [q(α/2), q(1-α/2)] of the statistic over the draws, with α = 1 - level and q interpolated linearly
/// between order statistics (the default of numpy); NaN if no draw is left.
/// Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
///
/// # Panics
/// If a group has 2³² samples or more.
pub fn percentile_intervals<S, const M: usize>(
    strata: &[usize],
    resampling: &Resampling,
    state: impl Fn() -> S + Sync,
    statistic: impl Fn(&mut S, &[u32]) -> [f64; M] + Sync,
) -> [[f64; 2]; M] {
    let n: usize = strata.iter().sum();
    let mut found = vec![[f64::NAN; M]; resampling.draws];
    found.par_chunks_mut(DRAWS_PER_CHUNK).enumerate().for_each_init(
        || (state(), vec![0_u32; n]),
        |(state, counts), (chunk, found)| {
            for (i, found) in found.iter_mut().enumerate() {
                let draw = (chunk * DRAWS_PER_CHUNK + i) as u64;
                resample(&mut Random::stream(resampling.seed, draw), strata, counts);
                *found = statistic(state, counts);
            }
        },
    );
    let tail = (1.0 - resampling.level) / 2.0;
    std::array::from_fn(|statistic| {
        let mut values: Vec<f64> =
            found.iter().map(|draw| draw[statistic]).filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        [quantile(&values, tail), quantile(&values, 1.0 - tail)]
    })
}

/// Draws from each group as many samples as it has, with replacement, and writes their counts to `counts`.
fn resample(random: &mut Random, strata: &[usize], counts: &mut [u32]) {
    counts.fill(0);
    let mut rest = counts;
    for &size in strata {
        let (counts, others) = rest.split_at_mut(size);
        rest = others;
        let Some(bound) = u32::try_from(size).ok().filter(|&bound| bound > 0) else {
            assert!(size == 0, "a group has fewer than 2^32 samples");
            continue;
        };
        // Lemire's method with 32 bits, so that each 64-bit output of the generator gives two draws.
        let threshold = bound.wrapping_neg() % bound;
        let mut left = size;
        while left > 0 {
            let bits = random.bits();
            for half in [bits as u32, (bits >> 32) as u32] {
                let product = u64::from(half) * u64::from(bound);
                if product as u32 >= threshold && left > 0 {
                    counts[(product >> 32) as usize] += 1;
                    left -= 1;
                }
            }
        }
    }
}

/// Returns the `share` quantile of sorted `values`, interpolated linearly; NaN for no values.
fn quantile(values: &[f64], share: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    let position = share * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    values[below] + (values[above] - values[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn mean_interval(data: &[f64], resampling: &Resampling) -> [f64; 2] {
        let [interval] = percentile_intervals(
            &[data.len()],
            resampling,
            || (),
            |(), counts| {
                let sum: f64 = data.iter().zip(counts).map(|(x, &c)| x * f64::from(c)).sum();
                [sum / data.len() as f64]
            },
        );
        interval
    }

    #[test]
    fn the_interval_of_a_mean_is_close_to_that_of_scipy() {
        // scipy 1.17: bootstrap(([1]*40 + [0]*10,), np.mean, method="BCa"), tolerance 0.02
        let fixture = &reference()["bootstrap_bca_mean"];
        let data: Vec<f64> = (0..50).map(|i| f64::from(u8::from(i < 40))).collect();
        let found = mean_interval(&data, &Resampling::default());
        let tolerance = fixture["tolerance"].as_f64().unwrap() + 1e-9;
        for (end, found) in found.into_iter().enumerate() {
            let expected = fixture["bca_95"][end].as_f64().unwrap();
            assert!((found - expected).abs() <= tolerance, "{found} is not close to {expected}");
        }
    }

    #[test]
    fn threads_do_not_change_the_result() {
        let data: Vec<f64> = (0..500).map(|i| f64::from(i % 37) * 0.37).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| mean_interval(&data, &Resampling::default())).map(f64::to_bits)
        };
        assert_eq!(on(1), on(2));
        assert_eq!(on(1), on(3));
        let other = Resampling { seed: 18, ..Resampling::default() };
        assert_ne!(on(1), mean_interval(&data, &other).map(f64::to_bits));
    }

    #[test]
    fn groups_are_resampled_separately_and_uniformly() {
        let strata = [7, 0, 3];
        let mut totals = [0_u64; 10];
        for draw in 0..20_000 {
            let mut counts = vec![9; 10];
            resample(&mut Random::stream(1, draw), &strata, &mut counts);
            assert_eq!(counts[..7].iter().sum::<u32>(), 7);
            assert_eq!(counts[7..].iter().sum::<u32>(), 3);
            totals.iter_mut().zip(&counts).for_each(|(t, &c)| *t += u64::from(c));
        }
        // Each sample is expected once per draw; six standard errors are about 0.04.
        assert!(totals.iter().all(|&t| (19_200..20_800).contains(&t)), "{totals:?}");
    }

    #[test]
    fn quantiles_interpolate_as_numpy_does() {
        // numpy 2.4: np.quantile([1, 2, 4, 8], [0.025, 0.5, 0.975]) is [1.075, 3, 7.7]
        let values = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.025, 1.075), (0.5, 3.0), (0.975, 7.7)] {
            assert!((quantile(&values, share) - expected).abs() < 1e-12);
        }
        assert!(quantile(&[], 0.5).is_nan());
    }
}
