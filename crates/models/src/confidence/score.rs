//! Scores that separate in-scope from out-of-scope messages.

use serde::{Deserialize, Serialize};

/// A score of a message: higher scores mean that it is more likely in scope and classified correctly.
///
/// s are the raw scores of the intents, T is the temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OosScore {
    /// The confidence: the largest of softmax(s / T). Source: Hendrycks and Gimpel, ICLR 2017.
    MaxProbability,
    /// The largest of s, unscaled. Source: Hendrycks et al., ICML 2022.
    MaxLogit,
    /// T log sum exp(s / T). Source: Liu et al., "Energy-based Out-of-distribution Detection", `NeurIPS` 2020.
    Energy,
    /// The cosine between the features and the nearest mean of an intent.
    Centroid,
    /// The probability of the best intent when one more class, learned from the out-of-scope records, competes with the
    /// intents. It is low both if no intent fits and if two do. On our support set the out-of-fold area under the
    /// risk-coverage curve was 0.027 with it, and 0.035 with 1 - the probability of that class.
    OosClass,
}

impl OosScore {
    /// All scores, in the order that decides ties.
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

/// The quantities that the scores of one message are computed from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The largest of softmax(s / T) over the intents.
    pub confidence: f64,
    /// The largest of s.
    pub logit: f64,
    /// The raw score of the out-of-scope class, if the model has one.
    pub oos_logit: Option<f64>,
    /// The cosine to the nearest mean of an intent, if it was computed.
    pub cosine: Option<f64>,
}

impl Evidence {
    /// Returns the value of `score` at `temperature`; `None` if a quantity that it needs is missing.
    #[must_use]
    pub fn score(&self, score: OosScore, temperature: f64) -> Option<f64> {
        // sum exp((s - logit) / T) is 1 / confidence, so it need not be computed again.
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
    fn every_score_matches_its_formula() {
        let (s, oos, t) = ([0.3, -0.4, 1.1, 0.2], 0.9, 0.37);
        let mut proba = s;
        softmax(&mut proba, t);
        let evidence =
            Evidence { confidence: proba[2], logit: 1.1, oos_logit: Some(oos), cosine: Some(0.6) };
        let scaled: Vec<f64> = s.iter().map(|s| s / t).collect();
        let mut with = [0.3, -0.4, 1.1, 0.2, oos];
        softmax(&mut with, t);
        for (score, expected) in [
            (OosScore::MaxProbability, proba[2]),
            (OosScore::MaxLogit, 1.1),
            (OosScore::Energy, t * log_sum_exp(&scaled)),
            (OosScore::Centroid, 0.6),
            (OosScore::OosClass, with[2]),
        ] {
            let value = evidence.score(score, t).unwrap();
            assert!((value - expected).abs() < 1e-12, "{score:?}: {value} {expected}");
        }
        let plain = Evidence { oos_logit: None, cosine: None, ..evidence };
        assert_eq!(plain.score(OosScore::Centroid, t), None);
        assert_eq!(plain.score(OosScore::OosClass, t), None);
    }

    #[test]
    fn the_scores_of_a_certain_model_are_finite() {
        let certain = Evidence { confidence: 1.0, logit: 1e6, oos_logit: Some(-1e6), cosine: None };
        let out_of_scope = Evidence { oos_logit: Some(1e9), ..certain };
        assert_eq!(certain.score(OosScore::OosClass, 0.05), Some(1.0));
        assert_eq!(out_of_scope.score(OosScore::OosClass, 0.05), Some(0.0));
        assert_eq!(certain.score(OosScore::Energy, 0.05), Some(1e6));
    }
}
