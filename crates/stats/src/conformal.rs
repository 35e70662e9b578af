//! Split conformal prediction: sets of classes that contain the truth with a given probability.
//!
//! In: probabilities and truths of samples the model was not trained on ([`nonconformity`], [`quantile`]). Out: for the
//! probabilities of another sample, the set of classes with low nonconformity ([`prediction_set`]). If that sample is
//! exchangeable with the others, its set contains its truth with a probability of at least 1 - alpha, for any model and
//! any data.

/// The nonconformity score: how unusual a class is, given the probabilities of all classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nonconformity {
    /// 1 - `p_c`. Gives the smallest sets on average, which may be empty.
    /// Source: Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers", JASA 2019.
    Lac,
    /// The sum of the probabilities of the class and of all likelier ones. Gives larger sets where the model is less
    /// certain, and never an empty one.
    /// Source: Romano, Sesia and Candès, "Classification with Valid and Adaptive Coverage", `NeurIPS` 2020.
    Aps,
    /// [`Self::Aps`] plus `lambda` for each rank above `k_reg`, which excludes unlikely classes.
    /// Source: Angelopoulos et al., "Uncertainty Sets for Image Classifiers using Conformal Prediction", ICLR 2021.
    Raps {
        /// The penalty per rank, at least 0.
        lambda: f64,
        /// The number of likeliest classes without a penalty.
        k_reg: usize,
    },
}

impl Nonconformity {
    fn penalty(self, rank: usize) -> f64 {
        match self {
            Self::Raps { lambda, k_reg } if rank > k_reg => lambda * (rank - k_reg) as f64,
            _ => 0.0,
        }
    }
}

/// Returns the nonconformity of `class` under the probabilities `proba` `[n_classes]`, at least 0.
///
/// # Panics
/// If there is no such class.
#[must_use]
pub fn nonconformity(method: Nonconformity, proba: &[f64], class: usize) -> f64 {
    match method {
        Nonconformity::Lac => 1.0 - proba[class],
        Nonconformity::Aps | Nonconformity::Raps { .. } => {
            let mut sum = 0.0;
            for (rank, other) in (1..).zip(likeliest(proba)) {
                sum += proba[other];
                if other == class {
                    return sum + method.penalty(rank);
                }
            }
            unreachable!("every class has a rank")
        }
    }
}

/// Returns the k-th smallest of `scores`, k = ceil((n + 1)(1 - `alpha`)); `None` if k > n, so that no class may be left
/// out.
///
/// `scores` are finite, in any order.
///
/// # Panics
/// If `alpha` is outside (0, 1).
#[must_use]
pub fn quantile(scores: &[f64], alpha: f64) -> Option<f64> {
    assert!(alpha > 0.0 && alpha < 1.0, "alpha is in (0, 1), not {alpha}");
    // By rounding, a product such as 20 * 0.9 may slightly exceed its exact value, a whole number.
    let k = ((scores.len() + 1) as f64 * (1.0 - alpha) - 1e-9).ceil().max(1.0) as usize;
    if k > scores.len() {
        return None;
    }
    let mut scores = scores.to_vec();
    let (_, kth, _) = scores.select_nth_unstable_by(k - 1, f64::total_cmp);
    Some(*kth)
}

/// Returns the smallest number of scores with a [`quantile`]: the smallest n with ceil((n + 1)(1 - `alpha`)) <= n.
///
/// # Panics
/// If `alpha` is outside (0, 1).
#[must_use]
pub fn fewest_samples(alpha: f64) -> u64 {
    assert!(alpha > 0.0 && alpha < 1.0, "alpha is in (0, 1), not {alpha}");
    // With the same allowance for rounding as the quantile.
    ((1.0 - alpha - 1e-9) / alpha).ceil().max(1.0) as u64
}

/// Returns the prediction set for the probabilities `proba` `[n_classes]`, likeliest class first, ties by index.
///
/// `quantile_of(class)` is the [`quantile`] for that class; `None` includes the class. With LAC, class c is included if
/// 1 - `p_c` is at most its quantile. With APS and RAPS, it is included if the score of the class before it is below its
/// quantile, so that the class that crosses the quantile is included; the likeliest class always is.
#[must_use]
pub fn prediction_set(
    method: Nonconformity,
    proba: &[f64],
    quantile_of: impl Fn(usize) -> Option<f64>,
) -> Vec<usize> {
    let is_included =
        |class: usize, test: &dyn Fn(f64) -> bool| quantile_of(class).is_none_or(test);
    if method == Nonconformity::Lac {
        let mut found: Vec<usize> = (0..proba.len())
            .filter(|&class| is_included(class, &|quantile| 1.0 - proba[class] <= quantile))
            .collect();
        by_likelihood(&mut found, proba);
        return found;
    }
    let mut before = 0.0;
    let mut found = likeliest(proba);
    let mut rank = 0;
    found.retain(|&class| {
        rank += 1;
        // The score of the class before decides, so that the class that crosses the quantile is included.
        let score_before = before + method.penalty(rank - 1);
        before += proba[class];
        is_included(class, &|quantile| rank == 1 || score_before < quantile)
    });
    found
}

/// Returns the classes, likeliest first, ties by index.
fn likeliest(proba: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..proba.len()).collect();
    by_likelihood(&mut order, proba);
    order
}

fn by_likelihood(classes: &mut [usize], proba: &[f64]) {
    classes.sort_by(|&a, &b| proba[b].total_cmp(&proba[a]).then(a.cmp(&b)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{calibration::softmax, random::Random, reference};

    #[test]
    fn the_quantile_equals_the_reference() {
        // k = ceil((n + 1)(1 - alpha)), the k-th smallest score
        let fixture = &reference()["conformal_lac"];
        let scores: Vec<f64> = serde_json::from_value(fixture["scores"].clone()).unwrap();
        let alpha = fixture["alpha"].as_f64().unwrap();
        let found = quantile(&scores, alpha).unwrap();
        assert!((found - fixture["qhat"].as_f64().unwrap()).abs() < 1e-12);
        let k = fixture["k"].as_u64().unwrap();
        assert_eq!(scores.iter().filter(|score| **score <= found).count() as u64, k);
        // Nine scores are enough for alpha = 0.1, and eight are not.
        assert_eq!(quantile(&scores[..9], 0.1), Some(scores[8]));
        assert_eq!(quantile(&scores[..8], 0.1), None);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn lac_includes_classes_by_their_probability() {
        let proba = [0.15, 0.6, 0.05, 0.2];
        let set = |q| prediction_set(Nonconformity::Lac, &proba, |_| q);
        assert_eq!(set(Some(0.8)), [1, 3]);
        assert_eq!(set(Some(0.39)), [] as [usize; 0]);
        assert_eq!(set(None), [1, 3, 0, 2]);
        // One class has its own quantile.
        let by_class = |class| Some(if class == 2 { 0.96 } else { 0.5 });
        assert_eq!(prediction_set(Nonconformity::Lac, &proba, by_class), [1, 2]);
    }

    #[test]
    fn aps_includes_the_class_that_crosses_and_raps_penalizes_ranks() {
        let proba = [0.15, 0.6, 0.05, 0.2];
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        close(nonconformity(Nonconformity::Aps, &proba, 1), 0.6);
        close(nonconformity(Nonconformity::Aps, &proba, 0), 0.95);
        let raps = Nonconformity::Raps { lambda: 0.1, k_reg: 1 };
        close(nonconformity(raps, &proba, 1), 0.6);
        close(nonconformity(raps, &proba, 3), 0.9);
        close(nonconformity(raps, &proba, 2), 1.3);
        let set = |method, q| prediction_set(method, &proba, |_| Some(q));
        assert_eq!(set(Nonconformity::Aps, 0.7), [1, 3]);
        assert_eq!(set(Nonconformity::Aps, 0.01), [1]);
        assert_eq!(set(Nonconformity::Aps, 0.85), [1, 3, 0]);
        assert_eq!(set(raps, 0.85), [1, 3]);
    }

    /// Returns the share of 400 x 25 new samples whose set, fitted on `n` others, contains their truth.
    fn coverage(method: Nonconformity, n: usize, alpha: f64) -> f64 {
        let mut covered = 0;
        for repeat in 0..400 {
            let mut random = Random::stream(3, repeat);
            // The model sees distorted probabilities: the guarantee also holds for bad models.
            let mut draw = || {
                let mut proba: Vec<f64> = (0..6).map(|_| 3.0 * random.unit()).collect();
                let mut seen: Vec<f64> = proba.iter().map(|s| 2.0 * s * random.unit()).collect();
                softmax(&mut proba, 0.4);
                softmax(&mut seen, 1.0);
                let mut left = random.unit();
                let truth = proba.iter().position(|p| {
                    left -= p;
                    left < 0.0
                });
                (seen, truth.unwrap_or(5))
            };
            let scores: Vec<f64> =
                (0..n).map(|_| draw()).map(|(p, truth)| nonconformity(method, &p, truth)).collect();
            let threshold = quantile(&scores, alpha);
            covered += (0..25)
                .map(|_| draw())
                .filter(|(p, truth)| prediction_set(method, p, |_| threshold).contains(truth))
                .count();
        }
        covered as f64 / 10_000.0
    }

    #[test]
    fn sets_contain_the_truth_with_the_given_probability() {
        // Exactly k / (n + 1) for LAC: 90 / 100 and 45 / 50; the standard error of the mean of 400 is about 0.004.
        for (method, n, alpha, lowest, highest) in [
            (Nonconformity::Lac, 99, 0.1, 0.885, 0.915),
            (Nonconformity::Lac, 49, 0.1, 0.885, 0.915),
            (Nonconformity::Lac, 99, 0.3, 0.68, 0.72),
            (Nonconformity::Aps, 99, 0.1, 0.885, 0.999),
            (Nonconformity::Raps { lambda: 0.05, k_reg: 2 }, 99, 0.1, 0.885, 0.999),
        ] {
            let found = coverage(method, n, alpha);
            assert!((lowest..=highest).contains(&found), "{method:?} {n} {alpha}: {found}");
        }
    }

    #[test]
    fn the_fewest_samples_are_the_smallest_number_with_a_quantile() {
        for alpha in [0.001, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 1.0 / 3.0, 0.5, 0.9, 0.999] {
            let n = fewest_samples(alpha) as usize;
            assert!(quantile(&vec![0.5; n], alpha).is_some(), "{alpha}: {n}");
            assert!(n == 1 || quantile(&vec![0.5; n - 1], alpha).is_none(), "{alpha}: {n}");
        }
        assert_eq!([0.0001, 0.05, 0.1, 0.5].map(fewest_samples), [9_999, 19, 9, 1]);
    }
}
