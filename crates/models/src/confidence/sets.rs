//! Sets of intents that hold the truth with a stated probability, as a model stores them.

use super::{
    spec::{ConformalMethod, ConformalSpec},
    storable_above,
};
use crate::heads::head::malformed;
use botops_findings::{Finding, Result, Severity};
use botops_labels::Labels;
use botops_stats::conformal::{fewest_samples, nonconformity, prediction_set, quantile};
use botops_text as text;
use serde::{Deserialize, Serialize};

/// The quantiles that make sets of intents.
///
/// - `quantiles` has one entry for all intents, or one for each
/// - an entry is 0 or more; none: too few records to leave an intent out
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionSets {
    /// The share of in-scope messages whose intent the set may miss, in (0, 1).
    pub alpha: f64,
    /// How strange an intent is.
    pub method: ConformalMethod,
    /// In-scope records they rest on, out of fold.
    pub n_samples: u64,
    quantiles: Vec<Option<f64>>,
    /// RAPS: the penalty of a rank, and the last rank that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raps: Option<(f64, usize)>,
}

impl PredictionSets {
    /// Fits on probabilities `[n, n_classes]` of records the model did not see, and their intents `[n]`.
    ///
    /// Quantiles are stored with nine decimals, rounded up: a set may only grow by it.
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
        let of = |wanted: &dyn Fn(usize) -> bool| {
            let scores: Vec<f64> = scores
                .iter()
                .filter(|(truth, _)| wanted(*truth))
                .map(|(_, score)| *score)
                .collect();
            quantile(&scores, spec.alpha).map(storable_above)
        };
        let quantiles = match spec.class_conditional {
            true => (0..n_classes).map(|class| of(&|truth| truth == class)).collect(),
            false => vec![of(&|_| true)],
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
    /// With probability 1 - alpha or more it holds the intent of an in-scope message like those of the training
    /// data; with a quantile for each intent, of each intent. Under LAC it may be empty: nothing is likely enough.
    #[must_use]
    pub fn of(&self, proba: &[f64]) -> Vec<usize> {
        let (lambda, k_reg) = self.raps.unwrap_or_default();
        let spec = ConformalSpec { method: self.method, lambda, k_reg, ..ConformalSpec::default() };
        prediction_set(spec.nonconformity(), proba, |class| match self.quantiles.as_slice() {
            [all] => *all,
            each => each[class],
        })
    }

    /// Returns what whoever trained it should know: the intents, by the names of `labels`, that no set leaves out.
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
                "the sets of intents hold every intent: with `conformal.alpha: {alpha}`, they leave one out from {needed} \
                 in-scope records on, and there are {}",
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
            "{} of {} intents are in every set: with `conformal.alpha: {alpha}` and `class_conditional`, an intent is left \
             out from {needed} records of its own on: {}",
            text::count(missing.len() as u64),
            text::count(labels.len() as u64),
            names.join(", ")
        );
        Some(warning(
            message,
            format!(
                "label {needed} records of each, raise `conformal.alpha`, or leave `class_conditional` out"
            ),
        ))
    }

    /// Checks what a file says.
    ///
    /// # Errors
    /// `BOT-7003` (exit 3).
    pub(super) fn check(&self, n_classes: usize) -> Result<()> {
        let alpha = self.alpha > 0.0 && self.alpha < 1.0;
        let number = [1, n_classes].contains(&self.quantiles.len());
        let quantiles = self.quantiles.iter().flatten().all(|q| q.is_finite() && *q >= 0.0);
        let raps = (self.method == ConformalMethod::Raps) == self.raps.is_some()
            && self.raps.is_none_or(|(lambda, _)| lambda.is_finite() && lambda >= 0.0);
        match alpha && number && quantiles && raps {
            true => Ok(()),
            false => Err(malformed("has prediction sets that contradict themselves")),
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
    fn the_quantile_is_that_of_the_reference() {
        let fixture = &reference()["conformal_lac"];
        let scores: Vec<f64> = serde_json::from_value(fixture["scores"].clone()).unwrap();
        let proba: Vec<f64> = scores.iter().flat_map(|score| [1.0 - score, *score]).collect();
        let spec =
            ConformalSpec { alpha: fixture["alpha"].as_f64().unwrap(), ..Default::default() };
        let sets = PredictionSets::fit(&spec, &proba, 2, &vec![0; scores.len()]);
        let [Some(found)] = sets.quantiles.as_slice() else { panic!("{sets:?}") };
        assert!((found - fixture["qhat"].as_f64().unwrap()).abs() < 1.1e-9, "{found}");
        assert_eq!(sets.of(&[0.3, 0.7]), [1, 0]);
        assert_eq!(sets.of(&[0.05, 0.95]), [1]);
        sets.check(2).unwrap();
        let too_few = PredictionSets::fit(&spec, &proba[..16], 2, &[0; 8]);
        assert_eq!(too_few.of(&[0.01, 0.99]), [1, 0]);
    }

    /// Draws raw scores of three intents whose softmax at temperature 0.5 is the truth's distribution; the third
    /// intent is rare and hard.
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

    /// Returns the share of new rows whose truth is in the set, of all and of intent 2, with the temperature fitted
    /// on the very rows that make the quantiles.
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
                let held = f64::from(u8::from(sets.of(row).contains(&truth)));
                for i in 0..=usize::from(truth == 2) {
                    covered[i] += held;
                    seen[i] += 1.0;
                }
            }
        }
        [covered[0] / seen[0], covered[1] / seen[1]]
    }

    #[test]
    fn coverage_holds_though_the_temperature_was_fitted_on_the_same_rows() {
        let lac = ConformalSpec { alpha: 0.2, ..Default::default() };
        // Expected is between 0.8 and 0.8 + 1 / (n + 1); 18,000 rows and 300 quantiles leave a standard error of about
        // 0.004 (n = 100).
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
    fn a_quantile_for_each_intent_holds_the_rare_ones_too() {
        let lac = ConformalSpec { alpha: 0.2, ..Default::default() };
        let [_, rare] = coverage(&lac, 300);
        assert!(rare < 0.7, "the case is too easy to tell: {rare}");
        let [all, rare] = coverage(&ConformalSpec { class_conditional: true, ..lac }, 300);
        assert!(rare > 0.78 && all > 0.788, "{rare} {all}");
    }

    #[test]
    fn sets_survive_their_json_and_lies_are_refused() {
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
        for lie in [
            PredictionSets { alpha: 1.0, ..sets.clone() },
            PredictionSets { quantiles: vec![Some(-0.1)], ..sets.clone() },
            PredictionSets { raps: None, ..sets.clone() },
            PredictionSets { method: ConformalMethod::Lac, ..sets.clone() },
        ] {
            assert_eq!(lie.check(3).unwrap_err().code(), "BOT-7003");
        }
    }
}
