//! Percentile bootstrap intervals, fast enough to be a matter of course.
//!
//! A draw is not a list of samples but a count for each of them, so a statistic is one pass over
//! data that stays where it is. Every draw has a random sequence of its own, so the result does not
//! depend on how many threads share the work.

use super::{intervals, random::Random};
use rayon::prelude::*;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// How often.
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

/// Draws of one thread before it takes the next share; small enough that both cores finish together.
const DRAWS_A_SHARE: usize = 50;

/// Returns the percentile interval of each of `M` statistics.
///
/// `strata` are the sizes of the groups that are resampled each by itself (one group: the plain
/// bootstrap); the samples of all groups stand one after another. `statistic` gets, for each sample,
/// how often it was drawn, and working memory made by `state`, which it has to reset itself. Draws in
/// which a statistic is not finite do not count for it.
///
/// [q(α/2), q(1-α/2)] of the statistic over the draws, α = 1 - level, q interpolated linearly between
/// order statistics (as numpy's default); NaN when no draw counts.
/// Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
///
/// # Panics
/// When a group has 2³² samples or more.
pub fn percentile_intervals<S, const M: usize>(
    strata: &[usize],
    resampling: &Resampling,
    state: impl Fn() -> S + Sync,
    statistic: impl Fn(&mut S, &[u32]) -> [f64; M] + Sync,
) -> [[f64; 2]; M] {
    let n: usize = strata.iter().sum();
    let mut found = vec![[f64::NAN; M]; resampling.draws];
    found.par_chunks_mut(DRAWS_A_SHARE).enumerate().for_each_init(
        || (state(), vec![0_u32; n]),
        |(state, counts), (share, found)| {
            for (i, found) in found.iter_mut().enumerate() {
                let draw = (share * DRAWS_A_SHARE + i) as u64;
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

/// Draws as many samples from each group as it has, with replacement, and counts them.
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
        // Lemire's method on 32 bits, so that one output of the generator serves two draws.
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

/// Returns the `share` quantile of rising `values`, interpolated linearly; NaN when empty.
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
    fn the_interval_of_a_mean_is_near_that_of_scipy() {
        // scipy 1.17: bootstrap(([1]*40 + [0]*10,), np.mean, method="BCa"), tolerance 0.02
        let fixture = &reference()["bootstrap_bca_mean"];
        let data: Vec<f64> = (0..50).map(|i| f64::from(u8::from(i < 40))).collect();
        let found = mean_interval(&data, &Resampling::default());
        let tolerance = fixture["tolerance"].as_f64().unwrap() + 1e-9;
        for (end, found) in found.into_iter().enumerate() {
            let wanted = fixture["bca_95"][end].as_f64().unwrap();
            assert!((found - wanted).abs() <= tolerance, "{found} is not near {wanted}");
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
    fn every_group_is_drawn_by_itself_and_evenly() {
        let strata = [7, 0, 3];
        let mut totals = [0_u64; 10];
        for draw in 0..20_000 {
            let mut counts = vec![9; 10];
            resample(&mut Random::stream(1, draw), &strata, &mut counts);
            assert_eq!(counts[..7].iter().sum::<u32>(), 7);
            assert_eq!(counts[7..].iter().sum::<u32>(), 3);
            totals.iter_mut().zip(&counts).for_each(|(t, &c)| *t += u64::from(c));
        }
        // Each sample is expected once a draw; six standard errors are about 0.04.
        assert!(totals.iter().all(|&t| (19_200..20_800).contains(&t)), "{totals:?}");
    }

    #[test]
    fn quantiles_interpolate_as_numpy_does() {
        // numpy 2.4: np.quantile([1, 2, 4, 8], [0.025, 0.5, 0.975]) is [1.075, 3, 7.7]
        let values = [1.0, 2.0, 4.0, 8.0];
        for (share, wanted) in [(0.025, 1.075), (0.5, 3.0), (0.975, 7.7)] {
            assert!((quantile(&values, share) - wanted).abs() < 1e-12);
        }
        assert!(quantile(&[], 0.5).is_nan());
    }
}
