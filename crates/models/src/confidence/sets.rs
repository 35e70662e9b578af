//! Sets of intents that contain the true intent with a stated probability, as a model stores them.

use super::{
    rounding::storable_above,
    spec::{ConformalMethod, ConformalSpec},
};
use crate::heads::head::malformed;
use botops_findings::{Finding, Result, Severity};
use botops_labels::Labels;
use botops_stats::conformal::{fewest_samples, nonconformity, prediction_set, quantile};
use botops_text as text;
use serde::{Deserialize, Serialize};

/// The quantiles that determine prediction sets.
///
/// - `quantiles` has one entry for all intents, or one for each
/// - an entry is 0 or more; `None`: there are too few records to leave an intent out of a set
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionSets {
    /// The share of in-scope messages whose intent the set may miss, in (0, 1).
    pub alpha: f64,
    /// The nonconformity score of an intent.
    pub method: ConformalMethod,
    /// Number of in-scope out-of-fold records that the quantiles are based on.
    pub n_samples: u64,
    quantiles: Vec<Option<f64>>,
    /// RAPS: the penalty of a rank, and the last rank without penalty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raps: Option<(f64, usize)>,
}

impl PredictionSets {
    /// Fits the quantiles on probabilities `[n, n_classes]` of records the model did not see, and their intents `[n]`.
    ///
    /// Quantiles are rounded up to nine decimals, which can only enlarge a set.
    pub(super) fn fit(
        spec: &ConformalSpec,
        proba: &[f64],
        n_classes: usize,
        truth: &[usize],
    ) -> Self {
        let method = spec.nonconformity();
        let scores: Vec<(usize, f64)> = proba
            .chunks_exact(n_classes)
            .zip(truth)
            .map(|(proba, &truth)| (truth, nonconformity(method, proba, truth)))
            .collect();
        let quantile_of = |include: &dyn Fn(usize) -> bool| {
            let scores: Vec<f64> = scores
                .iter()
                .filter(|(truth, _)| include(*truth))
                .map(|(_, score)| *score)
                .collect();
            quantile(&scores, spec.alpha).map(storable_above)
        };
        let quantiles = match spec.class_conditional {
            true => (0..n_classes).map(|class| quantile_of(&|truth| truth == class)).collect(),
            false => vec![quantile_of(&|_| true)],
        };
        Self {
            alpha: spec.alpha,
            method: spec.method,
            n_samples: truth.len() as u64,
            quantiles,
            raps: (spec.method == ConformalMethod::Raps).then_some((spec.lambda, spec.k_reg)),
        }
    }

    /// Returns whether every intent has a quantile of its own.
    #[must_use]
    pub fn is_class_conditional(&self) -> bool {
        self.quantiles.len() > 1
    }

    /// Returns the set for `proba` `[n_classes]`: indices of intents, the likeliest first, ties by index.
    ///
    /// With probability 1 - alpha or more it contains the intent of an in-scope message like those of the training data;
    /// with a quantile for each intent, this holds for each intent. With LAC it can be empty: no intent is likely enough.
    #[must_use]
    pub fn of(&self, proba: &[f64]) -> Vec<usize> {
        let (lambda, k_reg) = self.raps.unwrap_or_default();
        let spec = ConformalSpec { method: self.method, lambda, k_reg, ..ConformalSpec::default() };
        prediction_set(spec.nonconformity(), proba, |class| match self.quantiles.as_slice() {
            [all] => *all,
            each => each[class],
        })
    }

    /// Returns a warning if some intents are in every set, because there are too few records; `labels` names the intents.
    pub(crate) fn finding(&self, labels: &Labels) -> Option<Finding> {
        const SHOWN: usize = 5;
        let missing: Vec<usize> =
            (0..self.quantiles.len()).filter(|&i| self.quantiles[i].is_none()).collect();
        if missing.is_empty() {
            return None;
        }
        let (alpha, needed) = (self.alpha, text::count(fewest_samples(self.alpha)));
        let warning = |message, help| Finding::new("BOT-7065", Severity::Warning, message, help);
        if !self.is_class_conditional() {
            let message = format!(
                "prediction sets contain every intent: with `conformal.alpha: {alpha}`, leaving an intent out takes {needed} \
                 in-scope records, and there are {}",
                text::count(self.n_samples)
            );
            return Some(warning(
                message,
                format!("train with {needed} in-scope records, or raise `conformal.alpha`"),
            ));
        }
        let mut names: Vec<String> = missing
            .iter()
            .take(SHOWN)
            .map(|&i| format!("`{}`", text::display(labels.name(i), 60)))
            .collect();
        if missing.len() > SHOWN {
            names.push(format!("{} more", text::count((missing.len() - SHOWN) as u64)));
        }
        let message = format!(
            "{} of {} intents are in every prediction set: with `conformal.alpha: {alpha}` and `class_conditional`, leaving \
             an intent out takes {needed} records of it: {}",
            text::count(missing.len() as u64),
            text::count(labels.len() as u64),
            names.join(", ")
        );
        Some(warning(
            message,
            format!(
                "label {needed} records of each, raise `conformal.alpha`, or remove `class_conditional`"
            ),
        ))
    }

    /// Checks values that were read from a file.
    ///
    /// # Errors
    /// `BOT-7003` (exit 3) if they are inconsistent.
    pub(super) fn check(&self, n_classes: usize) -> Result<()> {
        let alpha = self.alpha > 0.0 && self.alpha < 1.0;
        let number = [1, n_classes].contains(&self.quantiles.len());
        let quantiles = self.quantiles.iter().flatten().all(|q| q.is_finite() && *q >= 0.0);
        let raps = (self.method == ConformalMethod::Raps) == self.raps.is_some()
            && self.raps.is_none_or(|(lambda, _)| lambda.is_finite() && lambda >= 0.0);
        match alpha && number && quantiles && raps {
            true => Ok(()),
            false => Err(malformed("has inconsistent prediction sets")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::reference;
    use botops_stats::{
        calibration::{fit_temperature, softmax},
        random::Random,
    };

    #[test]
    fn the_quantile_matches_the_reference() {
        let fixture = &reference()["conformal_lac"];
        let scores: Vec<f64> = serde_json::from_value(fixture["scores"].clone()).unwrap();
        let proba: Vec<f64> = scores.iter().flat_map(|score| [1.0 - score, *score]).collect();
        let spec =
            ConformalSpec { alpha: fixture["alpha"].as_f64().unwrap(), ..Default::default() };
        let sets = PredictionSets::fit(&spec, &proba, 2, &vec![0; scores.len()]);
        let [Some(quantile)] = sets.quantiles.as_slice() else { panic!("{sets:?}") };
        assert!((quantile - fixture["qhat"].as_f64().unwrap()).abs() < 1.1e-9, "{quantile}");
        assert_eq!(sets.of(&[0.3, 0.7]), [1, 0]);
        assert_eq!(sets.of(&[0.05, 0.95]), [1]);
        sets.check(2).unwrap();
        let too_few = PredictionSets::fit(&spec, &proba[..16], 2, &[0; 8]);
        assert_eq!(too_few.of(&[0.01, 0.99]), [1, 0]);
    }

    /// Draws raw scores of three intents whose softmax at temperature 0.5 is the distribution of the truth; the third
    /// intent is rare and hard to predict.
    fn draw(random: &mut Random, n: usize) -> (Vec<f64>, Vec<usize>) {
        let mut scores = Vec::new();
        let mut truth = Vec::new();
        for _ in 0..n {
            let row = [random.unit(), random.unit(), random.unit() - 0.6];
            let mut proba = row;
            softmax(&mut proba, 0.5);
            let mut left = random.unit();
            let class = proba.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            scores.extend(row);
            truth.push(class.unwrap_or(2));
        }
        (scores, truth)
    }

    /// Returns the share of new rows whose truth is in the set, for all rows and for intent 2. The temperature is fitted
    /// on the same rows as the quantiles.
    fn coverage(spec: &ConformalSpec, n: usize) -> [f64; 2] {
        let (mut covered, mut seen) = ([0.0; 2], [0.0; 2]);
        for repeat in 0..300 {
            let mut random = Random::stream(41, repeat);
            let (mut scores, truth) = draw(&mut random, n);
            let temperature = fit_temperature(&scores, 3, &truth);
            scores.chunks_exact_mut(3).for_each(|row| softmax(row, temperature));
            let sets = PredictionSets::fit(spec, &scores, 3, &truth);
            let (mut scores, truth) = draw(&mut random, 60);
            for (row, truth) in scores.chunks_exact_mut(3).zip(truth) {
                softmax(row, temperature);
                let contains = f64::from(u8::from(sets.of(row).contains(&truth)));
                for i in 0..=usize::from(truth == 2) {
                    covered[i] += contains;
                    seen[i] += 1.0;
                }
            }
        }
        [covered[0] / seen[0], covered[1] / seen[1]]
    }

    #[test]
    fn coverage_holds_with_the_temperature_fitted_on_the_same_rows() {
        let lac = ConformalSpec { alpha: 0.2, ..Default::default() };
        // The expected coverage is between 0.8 and 0.8 + 1 / (n + 1). With 18,000 rows and 300 quantiles the standard
        // error is about 0.004 (n = 100).
        for n in [100, 400] {
            let [all, _] = coverage(&lac, n);
            assert!((0.788..0.825).contains(&all), "{n}: {all}");
        }
        for method in [ConformalMethod::Aps, ConformalMethod::Raps] {
            let [all, _] = coverage(&ConformalSpec { method, ..lac }, 100);
            assert!(all > 0.788, "{method:?}: {all}");
        }
    }

    #[test]
    fn a_quantile_for_each_intent_covers_rare_intents_too() {
        let lac = ConformalSpec { alpha: 0.2, ..Default::default() };
        let [_, rare] = coverage(&lac, 300);
        assert!(rare < 0.7, "the rare intent is too easy for this test: {rare}");
        let [all, rare] = coverage(&ConformalSpec { class_conditional: true, ..lac }, 300);
        assert!(rare > 0.78 && all > 0.788, "{rare} {all}");
    }

    #[test]
    fn sets_round_trip_through_json_and_inconsistent_ones_are_refused() {
        let (scores, truth) = draw(&mut Random::new(1), 50);
        let spec = ConformalSpec {
            method: ConformalMethod::Raps,
            class_conditional: true,
            ..Default::default()
        };
        let proba: Vec<f64> = scores
            .chunks_exact(3)
            .flat_map(|row| {
                let mut row = [row[0], row[1], row[2]];
                softmax(&mut row, 1.0);
                row
            })
            .collect();
        let sets = PredictionSets::fit(&spec, &proba, 3, &truth);
        let json = serde_json::to_value(&sets).unwrap();
        assert_eq!(serde_json::from_value::<PredictionSets>(json).unwrap(), sets);
        sets.check(3).unwrap();
        assert!(sets.check(4).is_err());
        for invalid in [
            PredictionSets { alpha: 1.0, ..sets.clone() },
            PredictionSets { quantiles: vec![Some(-0.1)], ..sets.clone() },
            PredictionSets { raps: None, ..sets.clone() },
            PredictionSets { method: ConformalMethod::Lac, ..sets.clone() },
        ] {
            assert_eq!(invalid.check(3).unwrap_err().code(), "BOT-7003");
        }
    }
}
