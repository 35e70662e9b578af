//! The chi-squared test of whether two sets of counts come from one distribution.

use super::special::{chi2_survival, ln_gamma};
use std::cmp::Reverse;

/// The result of a chi-squared test of homogeneity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Homogeneity {
    /// Pearson's statistic.
    pub statistic: f64,
    /// The degrees of freedom: the number of bins minus one.
    pub dof: u32,
    /// P(at least this statistic) if both sides come from one distribution.
    pub p_value: f64,
    /// Cramer's V, in [0, 1]: sqrt(statistic / n), with n the total count of both sides.
    pub cramers_v: f64,
}

/// Tests whether `reference` and `current` come from one distribution (Pearson's chi-squared, no Yates correction).
///
/// Both are `[n_bins]` counts of the same bins. statistic = sum of (observed - expected)^2 / expected over both sides,
/// with K - 1 degrees of freedom for K bins that are not empty on both sides.
/// With fewer than two such bins, or an empty side, the statistic is 0 and p is 1.
/// The approximation is good if every expected count is at least about 5; see [`pool_rare`].
/// Source: Pearson 1900; `scipy.stats.chi2_contingency(correction=False)`.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn chi2_homogeneity(reference: &[u64], current: &[u64]) -> Homogeneity {
    assert_eq!(reference.len(), current.len(), "both sides have the same bins");
    let n = reference.iter().sum::<u64>() as f64;
    let m = current.iter().sum::<u64>() as f64;
    let mut statistic = 0.0;
    let mut bins = 0_u32;
    for (&r, &c) in reference.iter().zip(current) {
        let pooled = r as f64 + c as f64;
        if pooled == 0.0 {
            continue;
        }
        bins += 1;
        let (r_expected, c_expected) = (pooled * n / (n + m), pooled * m / (n + m));
        if r_expected > 0.0 && c_expected > 0.0 {
            statistic += (r as f64 - r_expected).powi(2) / r_expected;
            statistic += (c as f64 - c_expected).powi(2) / c_expected;
        }
    }
    if bins < 2 || n == 0.0 || m == 0.0 {
        return Homogeneity { statistic: 0.0, dof: 0, p_value: 1.0, cramers_v: 0.0 };
    }
    Homogeneity {
        statistic,
        dof: bins - 1,
        p_value: chi2_survival(statistic, bins - 1),
        cramers_v: (statistic / (n + m)).sqrt().min(1.0),
    }
}

/// Returns the two-sided p-value of Fisher's exact test of a table of two bins, `[n_bins]` counts on either side.
///
/// It is the probability, given the totals of both sides and of both bins, of all tables that are at most as probable as
/// this one. Unlike Pearson's test, it holds for any counts.
/// Source: Fisher 1935; `scipy.stats.fisher_exact`.
#[must_use]
pub fn fisher_exact(reference: [u64; 2], current: [u64; 2]) -> f64 {
    let (n, m) = (reference[0] + reference[1], current[0] + current[1]);
    let first = reference[0] + current[0];
    let ln_choose = |n: u64, k: u64| {
        ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0)
    };
    let ln_all = ln_choose(n + m, first);
    let ln_p = |k: u64| ln_choose(n, k) + ln_choose(m, first - k) - ln_all;
    // Tables that are equally probable differ by rounding.
    let limit = ln_p(reference[0]) + 1e-7;
    let tables = first.saturating_sub(m)..=first.min(n);
    tables.map(ln_p).filter(|&p| p <= limit).map(f64::exp).sum::<f64>().min(1.0)
}

/// Groups bins so that the expected count of each group is at least `least` on both sides, if possible.
///
/// Returns groups of bin indices, each sorted, ordered by their first index. Every bin whose expected count (from the
/// pooled shares) is below `least` on the smaller side goes into a pool, as do bins that are empty on both sides. Pools
/// are filled in the order of the bins, and the next one begins once the expected count of a pool is `least`: with a
/// single pool, a change within the rare bins would be invisible. A last pool that is too small joins the one before it.
/// While the expected count of a single pool is below `least`, the bin with the smallest pooled count joins it; of equal
/// ones, the later bin.
///
/// The groups depend on the sum of both sides only, and not on which side a bin was seen on. So the test keeps its size:
/// a pool of the bins that only one side has would differ between sides of one distribution, too.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn pool_rare(reference: &[u64], current: &[u64], least: f64) -> Vec<Vec<usize>> {
    assert_eq!(reference.len(), current.len(), "both sides have the same bins");
    let n = reference.iter().sum::<u64>() as f64;
    let m = current.iter().sum::<u64>() as f64;
    let smaller_share = if n + m > 0.0 { n.min(m) / (n + m) } else { 0.0 };
    let pooled = |i: usize| reference[i] + current[i];
    let is_rare = |count: u64| count as f64 * smaller_share < least;
    let (rare, mut common): (Vec<usize>, Vec<usize>) =
        (0..reference.len()).partition(|&i| is_rare(pooled(i)));

    let mut pools: Vec<Vec<usize>> = Vec::new();
    let (mut pool, mut held) = (Vec::new(), 0);
    for i in rare {
        pool.push(i);
        held += pooled(i);
        if !is_rare(held) {
            pools.push(std::mem::take(&mut pool));
            held = 0;
        }
    }
    match pools.last_mut() {
        Some(last) => last.append(&mut pool),
        None if !pool.is_empty() => {
            common.sort_by_key(|&i| (Reverse(pooled(i)), i));
            while is_rare(held)
                && let Some(i) = common.pop()
            {
                held += pooled(i);
                pool.push(i);
            }
            pool.sort_unstable();
            pools.push(pool);
        }
        None => {}
    }
    let mut groups: Vec<Vec<usize>> = common.into_iter().map(|i| vec![i]).chain(pools).collect();
    groups.sort_by_key(|group| group[0]);
    groups
}

/// Returns the sum of `counts` for each group of indices.
#[must_use]
pub fn regroup(counts: &[u64], groups: &[Vec<usize>]) -> Vec<u64> {
    groups.iter().map(|group| group.iter().map(|&i| counts[i]).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_test_equals_the_reference_value() {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/reference_values.json"))
                .unwrap();
        let counts =
            |v: &serde_json::Value| -> Vec<u64> { serde_json::from_value(v.clone()).unwrap() };
        let (r, c) = (counts(&all["psi"]["ref"]), counts(&all["psi"]["cur"]));
        let expected = &all["chi2_homogeneity"];
        let got = chi2_homogeneity(&r, &c);
        assert!((got.statistic - expected["stat"].as_f64().unwrap()).abs() < 1e-9);
        assert!((got.p_value - expected["p"].as_f64().unwrap()).abs() < 1e-9 * 1e-4);
        assert_eq!(u64::from(got.dof), expected["dof"].as_u64().unwrap());
        assert!((got.cramers_v - expected["cramers_v"].as_f64().unwrap()).abs() < 1e-9);
        // The smallest expected count is 5.0, so nothing is pooled.
        assert_eq!(pool_rare(&r, &c, 5.0).len(), 6);
    }

    #[test]
    fn a_two_by_two_table_gets_no_yates_correction() {
        // scipy 1.17.1: chi2_contingency([[8, 92], [1, 99]], correction=False)
        let got = chi2_homogeneity(&[8, 92], &[1, 99]);
        assert!((got.statistic - 5.700988947062246).abs() < 1e-12, "{got:?}");
        assert!((got.p_value - 0.016955356864156872).abs() < 1e-12, "{got:?}");
    }

    #[test]
    fn the_test_is_symmetric() {
        // scipy 1.17.1: chi2_contingency([[50, 30, 20], [10, 20, 40]], correction=False)
        let got = chi2_homogeneity(&[50, 30, 20], &[10, 20, 40]);
        assert!((got.statistic - 31.004761904761903).abs() < 1e-12, "{got:?}");
        assert_eq!(got, chi2_homogeneity(&[10, 20, 40], &[50, 30, 20]));
    }

    #[test]
    fn rare_bins_are_pooled_until_the_pool_is_common_enough() {
        // Both sides have the same size, so a bin needs a pooled count of 10.
        let (r, c) = ([50, 30, 3, 1, 2, 20], [45, 40, 1, 4, 0, 16]);
        assert_eq!(pool_rare(&r, &c, 5.0), [vec![0], vec![1], vec![2, 3, 4], vec![5]]);
        // The rare bin with a pooled count of 4 is not enough: the smallest common bin joins it.
        let (r, c) = ([50, 30, 3, 20], [45, 40, 1, 16]);
        assert_eq!(pool_rare(&r, &c, 5.0), [vec![0], vec![1], vec![2, 3]]);
        // Of equal bins, the later one joins.
        let (r, c) = ([10, 10, 1], [10, 10, 1]);
        assert_eq!(pool_rare(&r, &c, 5.0), [vec![0], vec![1, 2]]);
        // Too few records for a test: all bins form one group.
        let (r, c) = ([2, 1], [1, 2]);
        let groups = pool_rare(&r, &c, 5.0);
        assert_eq!(groups, [vec![0, 1]]);
        assert_eq!(chi2_homogeneity(&regroup(&r, &groups), &regroup(&c, &groups)).p_value, 1.0);
        assert_eq!(regroup(&[1, 2, 3], &[vec![0, 2], vec![1]]), [4, 2]);
    }

    #[test]
    fn an_empty_side_or_a_single_bin_is_no_evidence() {
        assert_eq!(chi2_homogeneity(&[0, 0], &[3, 4]).p_value, 1.0);
        assert_eq!(chi2_homogeneity(&[9], &[3]).p_value, 1.0);
        assert_eq!(chi2_homogeneity(&[], &[]).p_value, 1.0);
        assert!(pool_rare(&[], &[], 5.0).is_empty());
    }

    #[test]
    fn fishers_test_equals_the_reference_values() {
        // scipy.stats.fisher_exact of the same tables; the second by sums of binomial coefficients.
        for (reference, current, wanted) in [
            ([8, 92], [1, 99], 0.03489915197211575),
            ([0, 100], [8, 92], 0.00675467457524821),
            ([2, 1], [1, 2], 1.0),
            ([0, 5], [0, 9], 1.0),
        ] {
            let got = fisher_exact(reference, current);
            assert!((got - wanted).abs() < 1e-9, "{got} is not {wanted}");
            assert!((got - fisher_exact(current, reference)).abs() < 1e-12);
        }
    }

    #[test]
    fn rare_bins_fill_several_pools() {
        // Each bin has a pooled count of 4, and a pool needs 10.
        let (r, c) = ([4, 0, 4, 0, 4, 0, 4, 80], [0, 4, 0, 4, 0, 4, 0, 84]);
        assert_eq!(pool_rare(&r, &c, 5.0), [vec![0, 1, 2], vec![3, 4, 5, 6], vec![7]]);
    }

    /// Draws `n` times from `weights`, which add up to `total`.
    fn drawn(weights: &[f64], n: usize, random: &mut Random) -> Vec<u64> {
        let total: f64 = weights.iter().sum();
        let mut counts = vec![0_u64; weights.len()];
        for _ in 0..n {
            let mut point = random.unit() * total;
            let bin = weights.iter().position(|w| {
                point -= w;
                point < 0.0
            });
            counts[bin.unwrap_or(weights.len() - 1)] += 1;
        }
        counts
    }

    fn p_value(r: &[u64], c: &[u64]) -> f64 {
        let groups = pool_rare(r, c, 5.0);
        chi2_homogeneity(&regroup(r, &groups), &regroup(c, &groups)).p_value
    }

    #[test]
    fn pooling_keeps_the_size_of_the_test() {
        // 5 % of the tests are false alarms; with 1,000 repeats the standard error is 0.007, so the limit of 0.071 is 3
        // standard errors away. The last case has hundreds of categories that only one side has, by chance.
        let zipf = |n: u32| -> Vec<f64> { (1..=n).map(|i| 1.0 / f64::from(i)).collect() };
        let mut random = Random::new(5);
        for (weights, n, m) in [
            (zipf(30), 200, 200),
            (zipf(300), 200, 400),
            (vec![1.0; 60], 200, 200),
            (vec![1.0; 400], 300, 150),
        ] {
            let mut false_alarms = 0;
            for _ in 0..1_000 {
                let (r, c) = (drawn(&weights, n, &mut random), drawn(&weights, m, &mut random));
                false_alarms += u32::from(p_value(&r, &c) <= 0.05);
            }
            assert!(
                (20..=71).contains(&false_alarms),
                "{false_alarms} of 1,000, {} bins",
                weights.len()
            );
        }
    }

    #[test]
    fn rare_bins_that_were_all_replaced_are_found() {
        // 60 rare categories on either side, in any order; none is on both.
        let mut random = Random::new(6);
        for _ in 0..100 {
            let (mut r, mut c) = (vec![0; 120], vec![0; 120]);
            let mut names: Vec<usize> = (0..120).collect();
            for i in (1..names.len()).rev() {
                names.swap(i, random.below(i + 1));
            }
            for row in 0..200 {
                r[names[row % 60]] += 1;
                c[names[60 + row % 60]] += 1;
            }
            assert!(p_value(&r, &c) < 1e-4);
        }
    }
}
