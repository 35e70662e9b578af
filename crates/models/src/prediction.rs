//! A classified utterance.

use serde::Serialize;

/// A classified utterance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Index of the predicted intent; ties go to the lowest index (names are sorted).
    pub intent: usize,
    /// Its calibrated probability, in [0, 1].
    pub confidence: f64,
    /// The largest raw score (margin or log-odds) of an intent.
    pub logit: f64,
    /// The score that is compared with the model's threshold: [`crate::IntentModel::fallback`] names it.
    pub score: f64,
    /// Whether the model falls back: the score is below the threshold, or nothing in the text is known.
    pub fallback: bool,
}

impl Prediction {
    /// Returns the indices of the `top` likeliest intents: the predicted one first, the others by `proba` `[n_classes]`,
    /// ties by index.
    ///
    /// If nothing in the text is known, all intents are equally likely, and the predicted one can be any of them.
    #[must_use]
    pub fn likeliest(&self, proba: &[f64], top: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..proba.len()).collect();
        order.sort_by(|&a, &b| {
            let is_predicted = |i: usize| i == self.intent;
            is_predicted(b)
                .cmp(&is_predicted(a))
                .then(proba[b].total_cmp(&proba[a]))
                .then(a.cmp(&b))
        });
        order.truncate(top);
        order
    }
}
