//! The scores of a check: each with its noise floor and the smallest change that these samples could have shown.

use botops_stats::{
    detectable::{chi2_detectable, ks_detectable, ks_noise, least_shift},
    special::{chi2_quantile, normal_quantile},
};
use serde::{Deserialize, Serialize};

/// The probability with which a change of the size [`Score::detectable`] is found.
pub const POWER: f64 = 0.9;

/// The rate at which sampling alone exceeds a noise floor.
pub(crate) const NOISE_ALPHA: f64 = 0.05;

/// The steps between the quantiles that describe a distribution.
const STEPS: usize = 50;

/// The kind of a check that has no bins.
pub(crate) const FURTHER: &str = "sample";

/// A score of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// `psi`, `js_distance`, `wasserstein_sd`, or the name of the test.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The value that sampling alone exceeds in 5 of 100 comparisons.
    pub noise95: f64,
    /// The smallest true value that an alarm finds in 9 of 10 comparisons of samples of these sizes: it has to be
    /// significant among all checks of the report and, for the deciding score, at least `least`. `None` if no value is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// The smallest value that counts as large; only the deciding score of a check has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The distribution of the score by sampling alone.
    #[serde(skip)]
    law: Law,
}

/// The distribution of a score by sampling alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Law {
    /// It is not known, or was not kept.
    #[default]
    Unknown,
    /// `scale` times a chi-squared variable.
    Chi2 { dof: u32, scale: f64 },
    /// The root of `scale` times a chi-squared variable.
    RootChi2 { dof: u32, scale: f64 },
    /// A Kolmogorov-Smirnov distance of samples of these sizes.
    Ks { n: u64, m: u64 },
    /// A shift of values with these quantiles, found by the Kolmogorov-Smirnov distance of `least` or more.
    Shift { quantiles: Vec<f64>, n: u64, m: u64, least: f64 },
    /// A normal variable.
    Normal { mean: f64, sd: f64 },
}

impl Score {
    /// Returns a score that is nearly normal with `mean` and `sd` by sampling alone; large values are drift if they are at
    /// least `least`.
    #[must_use]
    pub fn normal(name: &str, value: f64, [mean, sd]: [f64; 2], least: f64) -> Self {
        let noise95 = mean + normal_quantile(1.0 - NOISE_ALPHA) * sd;
        let law = Law::Normal { mean, sd };
        Self { least: Some(least), ..Self::new(name, value, noise95, law) }
    }

    pub(crate) fn new(name: &str, value: f64, noise95: f64, law: Law) -> Self {
        Self { name: name.to_owned(), value, noise95, detectable: None, least: None, law }
    }

    /// Sets the smallest change that is detected at the significance `level`, with [`POWER`].
    pub(crate) fn detect(&mut self, level: f64) {
        let least = self.least.unwrap_or(0.0);
        // The noncentrality of a chi-squared test that has to exceed `least`, too.
        let noncentrality = |dof: u32, least: f64| {
            let threshold = chi2_quantile(1.0 - level, dof).max(least);
            threshold.is_finite().then(|| chi2_detectable(dof, threshold, POWER))
        };
        let change = match &self.law {
            Law::Unknown => None,
            Law::Chi2 { dof: 0, .. } | Law::RootChi2 { dof: 0, .. } => None,
            Law::Chi2 { dof, scale } => {
                noncentrality(*dof, least / scale).map(|change| scale * change)
            }
            Law::RootChi2 { dof, scale } => {
                noncentrality(*dof, 0.0).map(|change| (scale * change).sqrt())
            }
            Law::Ks { n, m } => ks_detectable(*n, *m, ks_noise(*n, *m, level).max(least), POWER),
            Law::Shift { quantiles, n, m, least } => {
                let distance = ks_detectable(*n, *m, ks_noise(*n, *m, level).max(*least), POWER);
                distance.and_then(|distance| least_shift(quantiles, distance))
            }
            Law::Normal { mean, sd } => {
                let threshold = mean + normal_quantile(1.0 - level) * sd;
                Some(threshold.max(least) + normal_quantile(POWER) * sd)
            }
        };
        self.detectable = change.filter(|change| change.is_finite());
    }
}

/// Counts of bins: the numbers that the laws of PSI, JS distance and Pearson's statistic depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BinSizes {
    /// The rows of the reference and of the current data.
    pub(crate) n: [u64; 2],
    /// The pooled bins.
    pub(crate) n_pooled: usize,
    /// The bins that are not empty on both sides.
    pub(crate) n_filled: usize,
    /// Of these, the ones whose expected count is below 5 on a side.
    pub(crate) n_rare: usize,
}

/// Returns the PSI and the JS distance of a check as scores; `least_psi` decides if it is given.
pub(crate) fn bin_scores(psi: f64, js: f64, sizes: BinSizes, least_psi: Option<f64>) -> Vec<Score> {
    let scale = sizes.n.iter().map(|n| 1.0 / *n as f64).sum::<f64>();
    let dof = |bins: usize| u32::try_from(bins.saturating_sub(1)).unwrap_or(u32::MAX);
    // The squared JS distance is an eighth of PSI for small changes. A bin of a few rows adds up to ln 2 / 2 for each
    // row where the approximation has 1/4.
    let rare = sizes.n_rare as f64 / sizes.n_filled.max(1) as f64;
    let js_scale = scale / 8.0 * (1.0 + (2.0 * std::f64::consts::LN_2 - 1.0) * rare);
    let quantile = |dof: u32| chi2_quantile(1.0 - NOISE_ALPHA, dof);
    let (pooled, filled) = (dof(sizes.n_pooled), dof(sizes.n_filled));
    let mut psi =
        Score::new("psi", psi, scale * quantile(pooled), Law::Chi2 { dof: pooled, scale });
    psi.least = least_psi;
    let js_law = Law::RootChi2 { dof: filled, scale: js_scale };
    vec![psi, Score::new("js_distance", js, (js_scale * quantile(filled)).sqrt(), js_law)]
}

/// Returns Pearson's statistic of `n_pooled` bins as a score.
pub(crate) fn chi2_score(test: &str, statistic: f64, n_pooled: usize) -> Score {
    let dof = u32::try_from(n_pooled.saturating_sub(1)).unwrap_or(u32::MAX);
    Score::new(
        test,
        statistic,
        chi2_quantile(1.0 - NOISE_ALPHA, dof),
        Law::Chi2 { dof, scale: 1.0 },
    )
}

/// Returns evenly spaced quantiles, from the smallest value to the largest; `at(i)` is the value of rank `i` of `n`.
pub(crate) fn evenly(n: usize, at: impl Fn(usize) -> f64) -> Vec<f64> {
    if n == 0 {
        return Vec::new();
    }
    let steps = STEPS.min(n.saturating_sub(1)).max(1);
    (0..=steps).map(|i| at(i * (n - 1) / steps)).collect()
}
