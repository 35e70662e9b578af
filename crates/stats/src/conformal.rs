//! Sets of classes that hold the truth with a stated probability: split conformal prediction.
//!
//! In come probabilities and truths of samples the model did not see ([`nonconformity`], [`quantile`]); out comes,
//! for the probabilities of another sample, the set of classes that are not too strange ([`prediction_set`]). If the
//! samples are exchangeable with the other one, the set holds its truth with probability 1 - alpha or more, whatever
//! the model and the data.

/// How strange a class is, given the probabilities of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nonconformity {
    /// 1 - `p_c`: the smallest sets on average. They may be empty.
    /// Source: Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers", JASA 2019.
    Lac,
    /// The probability of the class and of all likelier ones: larger sets where the model is less sure. Never empty.
    /// Source: Romano, Sesia and Candès, "Classification with Valid and Adaptive Coverage", `NeurIPS` 2020.
    Aps,
    /// As [`Self::Aps`], and `lambda` for each class of rank above `k_reg`, which keeps unlikely classes out.
    /// Source: Angelopoulos et al., "Uncertainty Sets for Image Classifiers using Conformal Prediction", ICLR 2021.
    Raps {
        /// The penalty of a rank, 0 or more.
        lambda: f64,
        /// Classes of this rank and better are free.
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

/// Returns how strange class `class` is under `proba` `[n_classes]`, 0 or more.
///
/// # Panics
/// When there is no such class.
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

/// Returns the k-th smallest of `scores`, k = ceil((n + 1)(1 - `alpha`)); `None` when k > n: nothing can be left out.
///
/// `scores` are finite, in any order.
///
/// # Panics
/// When `alpha` is outside (0, 1).
#[must_use]
pub fn quantile(scores: &[f64], alpha: f64) -> Option<f64> {
    assert!(alpha > 0.0 && alpha < 1.0, "alpha is in (0, 1), not {alpha}");
    // A product such as 20 * 0.9 may come out a rounding unit above the whole number it is.
    let k = ((scores.len() + 1) as f64 * (1.0 - alpha) - 1e-9).ceil().max(1.0) as usize;
    if k > scores.len() {
        return None;
    }
    let mut scores = scores.to_vec();
    let (_, kth, _) = scores.select_nth_unstable_by(k - 1, f64::total_cmp);
    Some(*kth)
}

/// Returns the fewest scores whose [`quantile`] leaves something out: the least n with ceil((n + 1)(1 - `alpha`)) <= n.
///
/// # Panics
/// When `alpha` is outside (0, 1).
#[must_use]
pub fn fewest_samples(alpha: f64) -> u64 {
    assert!(alpha > 0.0 && alpha < 1.0, "alpha is in (0, 1), not {alpha}");
    // With the same allowance for rounding as the quantile.
    ((1.0 - alpha - 1e-9) / alpha).ceil().max(1.0) as u64
}

/// Returns the classes that are not too strange under `proba` `[n_classes]`, the likeliest first, ties by index.
///
/// `quantile_of(class)` is the [`quantile`] for that class; `None` lets it in. LAC: class c is in when 1 - `p_c` is
/// not above it. APS and RAPS: when what comes before c is below it, so that the class that crosses it is in, and the
/// likeliest always.
#[must_use]
pub fn prediction_set(
    method: Nonconformity,
    proba: &[f64],
    quantile_of: impl Fn(usize) -> Option<f64>,
) -> Vec<usize> {
    let within =
        |class: usize, strange: &dyn Fn(f64) -> bool| quantile_of(class).is_none_or(strange);
    if method == Nonconformity::Lac {
        let mut found: Vec<usize> = (0..proba.len())
            .filter(|&class| within(class, &|most| 1.0 - proba[class] <= most))
            .collect();
        by_likelihood(&mut found, proba);
        return found;
    }
    let mut before = 0.0;
    let mut found = likeliest(proba);
    let mut rank = 0;
    found.retain(|&class| {
        rank += 1;
        // The class that crosses is in: what comes before it decides, with the penalty of the rank before.
        let strange = before + method.penalty(rank - 1);
        before += proba[class];
        within(class, &|most| rank == 1 || strange < most)
    });
    found
}

/// Returns the classes, the likeliest first, ties by index.
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
    fn the_quantile_is_that_of_the_reference() {
        // k = ceil((n + 1)(1 - alpha)), the k-th smallest score
        let fixture = &reference()["conformal_lac"];
        let scores: Vec<f64> = serde_json::from_value(fixture["scores"].clone()).unwrap();
        let alpha = fixture["alpha"].as_f64().unwrap();
        let found = quantile(&scores, alpha).unwrap();
        assert!((found - fixture["qhat"].as_f64().unwrap()).abs() < 1e-12);
        let k = fixture["k"].as_u64().unwrap();
        assert_eq!(scores.iter().filter(|score| **score <= found).count() as u64, k);
        // Nine scores are just enough for alpha = 0.1, and eight are too few.
        assert_eq!(quantile(&scores[..9], 0.1), Some(scores[8]));
        assert_eq!(quantile(&scores[..8], 0.1), None);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn lac_takes_classes_by_their_probability() {
        let proba = [0.15, 0.6, 0.05, 0.2];
        let set = |q| prediction_set(Nonconformity::Lac, &proba, |_| q);
        assert_eq!(set(Some(0.8)), [1, 3]);
        assert_eq!(set(Some(0.39)), [] as [usize; 0]);
        assert_eq!(set(None), [1, 3, 0, 2]);
        // One class with a quantile of its own.
        let by_class = |class| Some(if class == 2 { 0.96 } else { 0.5 });
        assert_eq!(prediction_set(Nonconformity::Lac, &proba, by_class), [1, 2]);
    }

    #[test]
    fn aps_takes_the_class_that_crosses_and_raps_makes_ranks_dear() {
        let proba = [0.15, 0.6, 0.05, 0.2];
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
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

    /// Returns the share of 400 x 25 new samples whose truth is in the set fitted on `n` others.
    fn coverage(method: Nonconformity, n: usize, alpha: f64) -> f64 {
        let mut covered = 0;
        for repeat in 0..400 {
            let mut random = Random::stream(3, repeat);
            // A truth drawn from probabilities that the model sees distorted: sets hold for models that are wrong.
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
            let most = quantile(&scores, alpha);
            covered += (0..25)
                .map(|_| draw())
                .filter(|(p, truth)| prediction_set(method, p, |_| most).contains(truth))
                .count();
        }
        covered as f64 / 10_000.0
    }

    #[test]
    fn sets_hold_the_truth_as_often_as_stated() {
        // Exactly k / (n + 1) for LAC: 90 / 100 and 46 / 50; sampling moves a mean of 400 by about 0.004 a standard error.
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
    fn the_fewest_samples_are_those_whose_quantile_is_there() {
        for alpha in [0.001, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 1.0 / 3.0, 0.5, 0.9, 0.999] {
            let n = fewest_samples(alpha) as usize;
            assert!(quantile(&vec![0.5; n], alpha).is_some(), "{alpha}: {n}");
            assert!(n == 1 || quantile(&vec![0.5; n - 1], alpha).is_none(), "{alpha}: {n}");
        }
        assert_eq!([0.0001, 0.05, 0.1, 0.5].map(fewest_samples), [9_999, 19, 9, 1]);
    }
}
