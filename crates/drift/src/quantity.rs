//! The comparison of one quantity: effect size, noise, a test, and the largest changes.

use crate::{
    check_scores::numeric_scores,
    report::{DriftCheck, DriftVerdict},
    score::{BinSizes, NOISE_ALPHA, bin_scores, chi2_score, evenly},
    spec::DriftSpec,
};
use botops_stats::{
    divergence::{js_distance, psi, psi_noise},
    homogeneity::{chi2_homogeneity, fisher_exact, pool_rare, regroup},
    two_sample::{TwoSample, ks_2samp_sorted, mean, population_sd, sorted, wasserstein_sorted},
    weighted::{
        Weighted, ks_2samp_weighted, mean_weighted, sd_weighted, total, wasserstein_weighted,
    },
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// The least expected count of a bin; below it, the chi-squared approximation is unreliable.
const LEAST_EXPECTED: f64 = 5.0;

/// The number of largest changes that a check lists.
const TOP: usize = 10;

/// The least number that is written with an exponent.
const LARGE: f64 = 1e15;

/// A check before the correction over all checks.
pub(crate) struct Tested {
    pub(crate) check: DriftCheck,
}

impl Tested {
    /// Returns whether both sides have enough rows to judge.
    pub(crate) fn is_judged(&self) -> bool {
        self.check.verdict != DriftVerdict::Insufficient
    }

    /// Returns the check with its verdict: drift if significant after correction, and large.
    pub(crate) fn judge(mut self, p_adjusted: f64, alpha: f64) -> DriftCheck {
        self.check.p_adjusted = p_adjusted;
        if self.is_judged() {
            self.check.verdict = if p_adjusted <= alpha && self.check.is_large() {
                DriftVerdict::Drift
            } else {
                DriftVerdict::NoDrift
            };
        }
        self.check
    }
}

/// The count of each value by name.
pub(crate) type Counts<'a> = BTreeMap<&'a str, u64>;

/// Returns the count of each of `names`.
pub(crate) fn count<'a>(names: impl Iterator<Item = &'a str>) -> Counts<'a> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// Compares names: PSI, its noise and Pearson's test on bins pooled by [`pool_rare`]; the distance on all bins.
///
/// If one name has nearly all rows, it is compared with all others together, by Fisher's test. With too few rows for two
/// bins the check is not judged.
///
/// Returns `None` if either side is empty. A name that only one side has is a separate bin.
pub(crate) fn categorical(
    name: &str,
    reference: &Counts<'_>,
    current: &Counts<'_>,
    spec: &DriftSpec,
) -> Option<Tested> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = reference.keys().chain(current.keys()).copied().collect();
    let side = |counts: &Counts<'_>| {
        names.iter().map(|name| counts.get(name).copied().unwrap_or(0)).collect::<Vec<u64>>()
    };
    let bins = Bins::new(side(reference), side(current));
    let names = names.into_iter().map(str::to_owned).collect();
    Some(bins.tested(name, names, spec))
}

/// Compares the shares of rows without a value, as [`categorical`] does. Each side is its number of rows without a value
/// and its number of rows.
///
/// Returns `None` if every row has a value, if no row has one, or if a side has no row.
pub(crate) fn missing(
    name: &str,
    reference: (u64, u64),
    current: (u64, u64),
    spec: &DriftSpec,
) -> Option<Tested> {
    let n_missing = reference.0 + current.0;
    let is_constant = n_missing == 0 || n_missing == reference.1 + current.1;
    if is_constant || reference.1 == 0 || current.1 == 0 {
        return None;
    }
    let side = |(missing, rows): (u64, u64)| vec![missing, rows - missing];
    let bins = Bins::new(side(reference), side(current));
    Some(bins.tested(name, vec!["missing".to_owned(), "filled".to_owned()], spec))
}

/// Compares finite numbers, in rising order on either side.
///
/// PSI is computed over the reference's deciles (merged where values tie), Kolmogorov-Smirnov and the Wasserstein
/// distance on the values. Returns `None` if either side is empty.
pub(crate) fn numeric(
    name: &str,
    reference: &[f64],
    current: &[f64],
    spec: &DriftSpec,
) -> Option<Tested> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let edges = decile_edges(reference);
    let found = Numeric {
        bins: Bins::new(bin_counts(reference, &edges), bin_counts(current, &edges)),
        edges,
        test: ks_2samp_sorted(reference, current),
        sd: population_sd(reference),
        distance: wasserstein_sorted(reference, current),
        means: [mean(reference), mean(current)],
        quantiles: evenly(reference.len(), |i| reference[i]),
    };
    Some(found.tested(name, spec))
}

/// Compares values with counts, in rising order on either side, as [`numeric`] compares their lists.
///
/// Returns `None` if either side is empty.
pub(crate) fn numeric_weighted(
    name: &str,
    reference: Weighted<'_>,
    current: Weighted<'_>,
    spec: &DriftSpec,
) -> Option<Tested> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let edges = decile_edges_weighted(reference);
    let found = Numeric {
        bins: Bins::new(
            bin_counts_weighted(reference, &edges),
            bin_counts_weighted(current, &edges),
        ),
        edges,
        test: ks_2samp_weighted(reference, current),
        sd: sd_weighted(reference),
        distance: wasserstein_weighted(reference, current),
        means: [mean_weighted(reference), mean_weighted(current)],
        quantiles: evenly_weighted(reference),
    };
    Some(found.tested(name, spec))
}

/// Two samples of numbers, measured.
struct Numeric {
    bins: Bins,
    edges: Vec<f64>,
    test: TwoSample,
    /// The standard deviation of the reference.
    sd: f64,
    /// The Wasserstein distance.
    distance: Option<f64>,
    means: [f64; 2],
    /// Those of the reference, evenly spaced.
    quantiles: Vec<f64>,
}

impl Numeric {
    fn tested(self, name: &str, spec: &DriftSpec) -> Tested {
        let Self { bins, edges, test, sd, distance, means, quantiles } = self;
        let names = bin_names(&edges);
        let mut described = bins.describe(name, names.clone(), spec);
        // Bins of numbers are listed in their order, so that they read as a distribution.
        described.top.sort_by_key(|(bin, ..)| names.iter().position(|name| name == bin));
        let in_sd = distance.map(|distance| distance / sd);
        let check = DriftCheck {
            kind: "numeric".to_owned(),
            test: "ks_2samp".to_owned(),
            statistic: test.statistic,
            p_value: test.p_value,
            means: Some(means),
            wasserstein_sd: in_sd.filter(|in_sd| in_sd.is_finite()),
            ..described
        };
        Tested { check: with_numeric_scores(check, &quantiles, sd, spec) }
    }
}

/// Adds the scores of numbers to a check. `quantiles` are those of the reference.
fn with_numeric_scores(
    mut check: DriftCheck,
    quantiles: &[f64],
    sd: f64,
    spec: &DriftSpec,
) -> DriftCheck {
    let mut scores = numeric_scores(&check, quantiles, sd, spec.min_ks);
    // PSI does not decide about numbers.
    check.scores.iter_mut().for_each(|score| score.least = None);
    scores.append(&mut check.scores);
    DriftCheck { scores, ..check }
}

/// Returns the finite ones of `values` in rising order.
pub(crate) fn finite(values: impl Iterator<Item = f64>) -> Vec<f64> {
    sorted(values.filter(|value| value.is_finite()).collect())
}

/// Counts sorted values by bin. An edge belongs to the bin on its left.
fn bin_counts(sorted: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut ends: Vec<usize> =
        edges.iter().map(|edge| sorted.partition_point(|value| value <= edge)).collect();
    ends.push(sorted.len());
    let starts = [0].into_iter().chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| (end - start) as u64).collect()
}

/// Returns the distinct values at the 10th to the 90th percentile of sorted values: each the smallest value with that
/// share at or below it.
///
/// An edge belongs to the bin on its left. So a value that makes up most of the reference, such as an
/// unseen-word rate of 0, is a separate bin.
fn decile_edges(sorted: &[f64]) -> Vec<f64> {
    let mut edges: Vec<f64> =
        (1..10).map(|k| sorted[(k * sorted.len()).div_ceil(10) - 1]).collect();
    edges.dedup_by(|a, b| a == b);
    edges
}

/// Returns the edges of [`decile_edges`] of values with counts.
fn decile_edges_weighted(sample: Weighted<'_>) -> Vec<f64> {
    let n = total(sample);
    let mut values = sample.iter();
    let (mut below, mut value) = (0, f64::NAN);
    let mut edges: Vec<f64> = (1..10_u64)
        .map(|k| {
            let rank = (u128::from(k) * u128::from(n)).div_ceil(10) as u64;
            while below < rank {
                let Some((next, count)) = values.next() else { break };
                (below, value) = (below + count, *next);
            }
            value
        })
        .collect();
    edges.dedup_by(|a, b| a == b);
    edges
}

/// Returns the quantiles of [`evenly`] of values with counts.
fn evenly_weighted(sample: Weighted<'_>) -> Vec<f64> {
    let n = usize::try_from(total(sample)).unwrap_or(usize::MAX);
    let mut ends: Vec<u64> = Vec::with_capacity(sample.len());
    for (_, count) in sample {
        ends.push(ends.last().copied().unwrap_or(0) + count);
    }
    evenly(n, |rank| sample[ends.partition_point(|end| *end <= rank as u64)].0)
}

/// Counts values with counts by bin, as [`bin_counts`] does.
fn bin_counts_weighted(sample: Weighted<'_>, edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    for (value, n) in sample {
        counts[edges.partition_point(|edge| edge < value)] += n;
    }
    counts
}

/// Returns the names of the bins: `<= 3`, `3 to 5`, ..., `> 12`. A bin excludes its left edge and includes its right one.
///
/// Edges have three decimals, or up to nine if fewer would print two edges alike, or print a fraction as a
/// whole number (a probability just below 1 must not print as 1). Numbers of more than 15 digits are written as `1.5e300`.
fn bin_names(edges: &[f64]) -> Vec<String> {
    let print = |value: f64, decimals: usize| {
        let text = match value.abs() < LARGE {
            true => format!("{value:.decimals$}"),
            false => return format!("{value:.decimals$e}"),
        };
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    };
    let is_distinct = |&decimals: &usize| {
        let is_whole = |&edge: &f64| !print(edge, decimals).contains('.');
        edges.windows(2).all(|w| print(w[0], decimals) != print(w[1], decimals))
            && edges.iter().all(|edge| edge.fract() == 0.0 || !is_whole(edge))
    };
    let decimals = (3..9).find(is_distinct).unwrap_or(9);
    let number = |value: f64| print(value, decimals);
    let mut names = Vec::with_capacity(edges.len() + 1);
    names.extend(edges.first().map(|&edge| format!("<= {}", number(edge))));
    names.extend(edges.windows(2).map(|w| format!("{} to {}", number(w[0]), number(w[1]))));
    names.extend(edges.last().map(|&edge| format!("> {}", number(edge))));
    names
}

/// Counts of both sides, `[reference, current]`: all bins, and with rare bins pooled.
struct Bins {
    all: [Vec<u64>; 2],
    pooled: [Vec<u64>; 2],
    /// Whether one bin holds nearly all rows: the pooled bins are the others together and that one.
    has_main: bool,
    /// Whether there are bins to compare, but too few rows for two of them.
    is_hidden: bool,
}

impl Bins {
    fn new(reference: Vec<u64>, current: Vec<u64>) -> Self {
        let groups = pool_rare(&reference, &current, LEAST_EXPECTED);
        let pooled_count = |i: usize| reference[i] + current[i];
        let filled: Vec<usize> = (0..reference.len()).filter(|&i| pooled_count(i) > 0).collect();
        let is_single = groups.len() < 2 && filled.len() > 1;
        let n_fewest = reference.iter().sum::<u64>().min(current.iter().sum());
        let is_hidden = is_single && (n_fewest as f64) < 2.0 * LEAST_EXPECTED;
        let has_main = is_single && !is_hidden;
        let groups = match filled.iter().copied().max_by_key(|&i| (pooled_count(i), Reverse(i))) {
            Some(main) if has_main => {
                vec![(0..reference.len()).filter(|&i| i != main).collect(), vec![main]]
            }
            _ => groups,
        };
        let pooled = [regroup(&reference, &groups), regroup(&current, &groups)];
        Self { all: [reference, current], pooled, has_main, is_hidden }
    }

    /// Returns the check of these bins by Pearson's test, or Fisher's if fewer than 5 rows are expected outside of one
    /// bin; PSI decides whether it is large.
    fn tested(&self, name: &str, names: Vec<String>, spec: &DriftSpec) -> Tested {
        let test = chi2_homogeneity(&self.pooled[0], &self.pooled[1]);
        let exact = match [&self.pooled[0][..], &self.pooled[1][..]] {
            [&[a, b], &[c, d]] if self.has_main => Some(fisher_exact([a, b], [c, d])),
            _ => None,
        };
        let described = self.describe(name, names, spec);
        let name_of_test = if exact.is_some() { "fisher_exact" } else { "chi2_homogeneity" };
        let score = chi2_score(name_of_test, test.statistic, self.pooled[0].len());
        let mut check = DriftCheck {
            kind: "categorical".to_owned(),
            test: name_of_test.to_owned(),
            statistic: test.statistic,
            p_value: exact.unwrap_or(test.p_value),
            verdict: if self.is_hidden { DriftVerdict::Insufficient } else { described.verdict },
            ..described
        };
        check.scores.push(score);
        Tested { check }
    }

    /// Returns the check without its test; it is judged only if both sides have enough rows.
    fn describe(&self, name: &str, names: Vec<String>, spec: &DriftSpec) -> DriftCheck {
        let [n_reference, n_current] = [0, 1].map(|i| self.all[i].iter().sum::<u64>());
        let judged = n_reference.min(n_current) as usize >= spec.min_rows;
        let psi = psi(&self.pooled[0], &self.pooled[1]);
        let js_distance = js_distance(&self.all[0], &self.all[1]);
        let sizes = self.sizes([n_reference, n_current]);
        DriftCheck {
            name: name.to_owned(),
            kind: String::new(),
            n_reference,
            n_current,
            psi,
            psi_noise95: psi_noise(n_reference, n_current, self.pooled[0].len(), NOISE_ALPHA),
            js_distance,
            test: String::new(),
            statistic: 0.0,
            p_value: 1.0,
            p_adjusted: 1.0,
            means: None,
            wasserstein_sd: None,
            column: None,
            top: self.largest_changes(names, [n_reference, n_current]),
            verdict: if judged { DriftVerdict::NoDrift } else { DriftVerdict::Insufficient },
            scores: bin_scores(psi, js_distance, sizes, Some(spec.min_psi)),
        }
    }

    /// Returns the numbers of bins; `n` is the number of rows of each side.
    fn sizes(&self, n: [u64; 2]) -> BinSizes {
        let share = n[0].min(n[1]) as f64 / (n[0] + n[1]) as f64;
        let both = (0..self.all[0].len()).map(|i| self.all[0][i] + self.all[1][i]);
        let filled: Vec<u64> = both.filter(|&count| count > 0).collect();
        let is_rare = |count: &&u64| **count as f64 * share < LEAST_EXPECTED;
        let n_rare = filled.iter().filter(is_rare).count();
        BinSizes { n, n_pooled: self.pooled[0].len(), n_filled: filled.len(), n_rare }
    }

    /// Returns the names of the largest changes with their shares; `n` is the number of rows of each side.
    fn largest_changes(&self, names: Vec<String>, n: [u64; 2]) -> Vec<(String, f64, f64)> {
        // |c n - r m| in whole numbers: equal changes stay equal, so the sort keeps the order of names or bins.
        let change = |i: usize| {
            let [r, c] = [0, 1].map(|side| u128::from(self.all[side][i]));
            (c * u128::from(n[0])).abs_diff(r * u128::from(n[1]))
        };
        let mut changed: Vec<(usize, String)> =
            names.into_iter().enumerate().filter(|(i, _)| change(*i) > 0).collect();
        changed.sort_by_key(|(i, _)| Reverse(change(*i)));
        changed.truncate(TOP);
        let share = |side: usize, i: usize| self.all[side][i] as f64 / n[side] as f64;
        changed.into_iter().map(|(i, name)| (name, share(0, i), share(1, i))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciles_close_on_the_right_and_merge_where_values_tie() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(decile_edges(&values), [10., 20., 30., 40., 50., 60., 70., 80., 90.]);
        let mut mostly_zero = vec![0.0; 95];
        mostly_zero.extend([0.5; 5]);
        assert_eq!(decile_edges(&mostly_zero), [0.0]);
        assert_eq!(bin_names(&[0.0]), ["<= 0", "> 0"]);
        assert_eq!(bin_names(&[3.0, 4.25]), ["<= 3", "3 to 4.25", "> 4.25"]);
        assert_eq!(bin_names(&[0.9, 0.99991, 0.99998])[3], "> 0.99998");
        assert_eq!(bin_names(&[12.0, 1e300]), ["<= 12", "12 to 1.000e300", "> 1.000e300"]);
    }

    #[test]
    fn categorical_numbers_equal_the_reference_values() {
        // The smallest expected count in the reference values of `psi` is 5, so no bin is pooled.
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/reference_values.json"))
                .unwrap();
        let names = ["a", "b", "c", "d", "e", "f"];
        let spread = |key: &str| -> Counts<'_> {
            let counts: Vec<usize> = serde_json::from_value(all["psi"][key].clone()).unwrap();
            count(names.iter().zip(counts).flat_map(|(name, c)| vec![*name; c]))
        };
        let tested =
            categorical("intent", &spread("ref"), &spread("cur"), &DriftSpec::default()).unwrap();
        let check = &tested.check;
        for (got, want) in [
            (check.psi, &all["psi"]["jeffreys_half"]),
            (check.psi_noise95, &all["psi"]["crit_05_chi2"]),
            (check.js_distance, &all["divergences"]["js_distance_ln"]),
            (check.statistic, &all["chi2_homogeneity"]["stat"]),
            (check.p_value, &all["chi2_homogeneity"]["p"]),
        ] {
            assert!((got - want.as_f64().unwrap()).abs() < 1e-9, "{got} is not {want}");
        }
        assert_eq!(check.top[0], ("a".to_owned(), 0.4, 0.35));
        // Significant, but below `min_psi`.
        assert_eq!(tested.judge(1e-4, 0.05).verdict, DriftVerdict::NoDrift);
    }

    #[test]
    fn numeric_numbers_equal_the_reference_values() {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/reference_values.json"))
                .unwrap();
        let sample = |key: &str| -> Vec<f64> {
            let values: Vec<f64> = serde_json::from_value(all["ks_2samp"][key].clone()).unwrap();
            finite(values.into_iter())
        };
        let (x, y) = (sample("x"), sample("y"));
        let check = numeric("confidence", &x, &y, &DriftSpec::default()).unwrap().check;
        for (got, want) in [
            (check.statistic, &all["ks_2samp"]["d"]),
            (check.p_value, &all["ks_2samp"]["p_exact"]),
            (check.wasserstein_sd.unwrap(), &all["wasserstein"]["w1_norm_by_ref_std"]),
        ] {
            assert!((got - want.as_f64().unwrap()).abs() < 1e-9, "{got} is not {want}");
        }
        // A constant reference has no standard deviation to measure in.
        let constant = numeric("latency", &[1.0; 5], &[2.0; 5], &DriftSpec::default()).unwrap();
        assert_eq!(constant.check.wasserstein_sd, None);
        assert_eq!(bin_counts(&[1.0, 2.0, 2.0, 3.0], &[2.0]), [3, 1]);
    }

    #[test]
    fn a_replaced_column_of_rare_names_is_drift() {
        let names = |letter: char, n: usize| -> Vec<String> {
            (0..n).map(|i| format!("{letter}{}", i % 60)).collect()
        };
        let tested = |reference: &[String], current: &[String]| {
            let spec = DriftSpec { min_rows: 1, ..DriftSpec::default() };
            let (r, c) = (
                count(reference.iter().map(String::as_str)),
                count(current.iter().map(String::as_str)),
            );
            categorical("intent", &r, &c, &spec).unwrap()
        };
        let replaced = tested(&names('s', 200), &names('t', 200));
        let p = replaced.check.p_value;
        assert!(replaced.check.psi > 1.0 && p < 1e-9, "{:?}", replaced.check);
        assert_eq!(replaced.judge(p, 0.05).verdict, DriftVerdict::Drift);
        let same = tested(&names('s', 200), &names('s', 180));
        assert_eq!(same.judge(1.0, 0.05).verdict, DriftVerdict::NoDrift);

        // A tenth of the rows has rare names, and all of these were replaced.
        let with_rare = |letter: char| [vec!["web".to_owned(); 1_800], names(letter, 200)].concat();
        let rare = tested(&with_rare('s'), &with_rare('t'));
        assert!(rare.check.psi > 0.1 && rare.check.p_value < 1e-9, "{:?}", rare.check);

        // 8 of 100 rows have a new name, fewer than can be pooled: an exact test.
        let new = [vec!["web".to_owned(); 92], vec!["app".to_owned(); 8]].concat();
        let new = tested(&vec!["web".to_owned(); 100], &new);
        assert_eq!(new.check.test, "fisher_exact");
        assert!(new.check.psi > 0.1 && new.check.p_value < 0.01, "{:?}", new.check);

        // Of so few rows nothing can be said.
        let few = tested(&names('s', 6), &names('t', 6));
        assert_eq!(few.judge(1.0, 0.05).verdict, DriftVerdict::Insufficient);
    }

    #[test]
    fn a_side_without_values_cannot_be_compared() {
        let spec = DriftSpec::default();
        assert!(categorical("intent", &Counts::new(), &Counts::from([("a", 1)]), &spec).is_none());
        assert!(numeric("confidence", &[0.5], &finite([f64::NAN].into_iter()), &spec).is_none());
        assert!(missing("intent_missing", (0, 9), (0, 9), &spec).is_none());
        assert!(missing("intent_missing", (1, 9), (0, 0), &spec).is_none());
    }
}
