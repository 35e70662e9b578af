//! The decision on one message: its raw scores become probabilities, a prediction, and whether the model falls back.

use super::{Confidence, Evidence, FallbackRule};
use crate::Prediction;
use botops_stats::{argmax::argmax, calibration::softmax};

/// The facts about a message besides the scores of the intents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// The raw score of the out-of-scope class, if the model has one.
    pub(crate) oos_logit: Option<f64>,
    /// The cosine to the nearest mean of an intent, if the score needs it.
    pub(crate) cosine: Option<f64>,
    /// Whether the model knows anything in the message.
    pub(crate) understood: bool,
}

impl Confidence {
    /// Replaces the raw scores of the intents by their probabilities, and returns the prediction and whether all scores are
    /// finite.
    pub(crate) fn decide(
        &self,
        proba: &mut [f64],
        facts: Facts,
        rule: FallbackRule,
    ) -> (Prediction, bool) {
        let Facts { oos_logit, cosine, understood } = facts;
        let intent = argmax(proba);
        let logit = proba[intent];
        let temperature = self.temperature();
        let is_finite = proba.iter().chain(&oos_logit).all(|score| score.is_finite());
        let even = 1.0 / proba.len() as f64;
        if understood && is_finite {
            softmax(proba, temperature);
        } else {
            proba.fill(even);
        }
        let confidence = proba[intent];
        let evidence = Evidence { confidence, logit, oos_logit, cosine };
        let FallbackRule { score, threshold, .. } = rule;
        let score = evidence
            .score(score, temperature)
            .expect("a model has the quantities that its score needs");
        if !is_finite || !score.is_finite() {
            proba.fill(even);
            let score = threshold.min(0.0) - 1.0;
            let declined =
                Prediction { intent, confidence: even, logit: 0.0, score, fallback: true };
            return (declined, false);
        }
        let fallback = !understood || score < threshold;
        (Prediction { intent, confidence, logit, score, fallback }, true)
    }
}
