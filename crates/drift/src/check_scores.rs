//! Checks and their scores: those of numbers, and checks that were made elsewhere.

use crate::{
    report::{DriftCheck, DriftVerdict},
    score::{FURTHER, Law, NOISE_ALPHA, Score},
};
use botops_stats::detectable::{ks_noise, wasserstein_noise};

/// Returns the scores of a numeric check: the distance of Kolmogorov and Smirnov, which decides, and the Wasserstein
/// distance. `quantiles` are those of [`evenly`].
pub(crate) fn numeric_scores(
    check: &DriftCheck,
    quantiles: &[f64],
    sd: f64,
    least_ks: f64,
) -> Vec<Score> {
    let (n, m) = (check.n_reference, check.n_current);
    let noise = ks_noise(n, m, NOISE_ALPHA);
    let mut ks = Score::new(&check.test, check.statistic, noise, Law::Ks { n, m });
    ks.least = Some(least_ks);
    let mut scores = vec![ks];
    if let Some(distance) = check.wasserstein_sd {
        let quantiles: Vec<f64> = quantiles.iter().map(|value| value / sd).collect();
        let noise = wasserstein_noise(&quantiles, n, m, NOISE_ALPHA);
        let law = Law::Shift { quantiles, n, m, least: least_ks };
        if noise.is_finite() {
            scores.push(Score::new("wasserstein_sd", distance, noise, law));
        }
    }
    scores
}

impl DriftCheck {
    /// Returns a check that was made elsewhere, such as one of texts or embeddings; `n` are the rows of both sides. It has
    /// no bins, so its PSI and its JS distance are 0. [`DriftReport::with`](crate::DriftReport::with) judges it.
    #[must_use]
    pub fn further(name: &str, test: &str, n: [u64; 2], p_value: f64, score: Score) -> Self {
        Self {
            name: name.to_owned(),
            kind: FURTHER.to_owned(),
            n_reference: n[0],
            n_current: n[1],
            psi: 0.0,
            psi_noise95: 0.0,
            js_distance: 0.0,
            test: test.to_owned(),
            statistic: score.value,
            p_value,
            p_adjusted: 1.0,
            means: None,
            wasserstein_sd: None,
            column: None,
            top: Vec::new(),
            verdict: DriftVerdict::NoDrift,
            scores: vec![score],
        }
    }

    /// Returns the score that decides whether the effect is large; `None` for a report that an older version wrote.
    #[must_use]
    pub fn deciding(&self) -> Option<&Score> {
        self.scores.iter().find(|score| score.least.is_some())
    }

    /// Returns whether the deciding score is at least the smallest value that counts as large.
    pub(crate) fn is_large(&self) -> bool {
        self.deciding().is_some_and(|score| score.least.is_some_and(|least| score.value >= least))
    }

    /// Sets the smallest detectable changes at the significance `level`.
    pub(crate) fn detect(&mut self, level: f64) {
        self.scores.iter_mut().for_each(|score| score.detect(level));
    }
}
