//! The scores that tell what lies out of scope, and what they are made of.

use serde::{Deserialize, Serialize};

/// A score of how surely a message is in scope and understood: the higher, the surer.
///
/// s are the raw scores of the intents, T the temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OosScore {
    /// The confidence: the largest of softmax(s / T). Source: Hendrycks and Gimpel, ICLR 2017.
    MaxProbability,
    /// The largest of s, unscaled. Source: Hendrycks et al., ICML 2022.
    MaxLogit,
    /// T log sum exp(s / T). Source: Liu et al., "Energy-based Out-of-distribution Detection", `NeurIPS` 2020.
    Energy,
    /// The cosine between the features and the nearest intent's mean.
    Centroid,
    /// The confidence when one more class, learned from the out-of-scope records, competes with the intents: that
    /// of the best intent, so that it falls both where nothing fits and where two intents do. Of our support set,
    /// out of fold, the area under risk-coverage was 0.027 by it, 0.035 by one less the probability of that class.
    OosClass,
}

impl OosScore {
    /// All of them, in the order in which a tie is decided.
    pub const ALL: [Self; 5] =
        [Self::MaxProbability, Self::MaxLogit, Self::Energy, Self::Centroid, Self::OosClass];

    /// Returns the name as written in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxProbability => "max_probability",
            Self::MaxLogit => "max_logit",
            Self::Energy => "energy",
            Self::Centroid => "centroid",
            Self::OosClass => "oos_class",
        }
    }
}

/// What the scores of one message are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The largest of softmax(s / T) over the intents.
    pub confidence: f64,
    /// The largest of s.
    pub logit: f64,
    /// The raw score of the out-of-scope class, where the model has one.
    pub oos_logit: Option<f64>,
    /// The cosine to the nearest intent's mean, where it is known.
    pub cosine: Option<f64>,
}

impl Evidence {
    /// Returns the value of `score` at `temperature`; `None` where the model has not what it is made of.
    #[must_use]
    pub fn score(&self, score: OosScore, temperature: f64) -> Option<f64> {
        // sum exp((s - logit) / T) is 1 / confidence: nothing has to be summed again.
        match score {
            OosScore::MaxProbability => Some(self.confidence),
            OosScore::MaxLogit => Some(self.logit),
            OosScore::Energy => Some(self.logit - temperature * self.confidence.ln()),
            OosScore::Centroid => self.cosine,
            OosScore::OosClass => self.oos_logit.map(|oos| {
                let odds = ((oos - self.logit) / temperature).exp() * self.confidence;
                self.confidence / (1.0 + odds)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_stats::{calibration::softmax, special::log_sum_exp};

    #[test]
    fn every_score_is_what_its_formula_says() {
        let (s, oos, t) = ([0.3, -0.4, 1.1, 0.2], 0.9, 0.37);
        let mut proba = s;
        softmax(&mut proba, t);
        let evidence =
            Evidence { confidence: proba[2], logit: 1.1, oos_logit: Some(oos), cosine: Some(0.6) };
        let scaled: Vec<f64> = s.iter().map(|s| s / t).collect();
        let mut with = [0.3, -0.4, 1.1, 0.2, oos];
        softmax(&mut with, t);
        for (score, wanted) in [
            (OosScore::MaxProbability, proba[2]),
            (OosScore::MaxLogit, 1.1),
            (OosScore::Energy, t * log_sum_exp(&scaled)),
            (OosScore::Centroid, 0.6),
            (OosScore::OosClass, with[2]),
        ] {
            let found = evidence.score(score, t).unwrap();
            assert!((found - wanted).abs() < 1e-12, "{score:?}: {found} {wanted}");
        }
        let plain = Evidence { oos_logit: None, cosine: None, ..evidence };
        assert_eq!(plain.score(OosScore::Centroid, t), None);
        assert_eq!(plain.score(OosScore::OosClass, t), None);
    }

    #[test]
    fn a_certain_model_has_scores_that_are_numbers() {
        let sure = Evidence { confidence: 1.0, logit: 1e6, oos_logit: Some(-1e6), cosine: None };
        let lost = Evidence { oos_logit: Some(1e9), ..sure };
        assert_eq!(sure.score(OosScore::OosClass, 0.05), Some(1.0));
        assert_eq!(lost.score(OosScore::OosClass, 0.05), Some(0.0));
        assert_eq!(sure.score(OosScore::Energy, 0.05), Some(1e6));
    }
}
