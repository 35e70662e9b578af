//! The self-test of a model: its goldens are answered as stored, and generated texts get finite scores.

use crate::{IntentModel, Scratch, intent_model::Golden};
use botops_text as text;
use serde::{Deserialize, Serialize};

/// The largest allowed difference of a golden's confidence from the recorded one.
const GOLDEN_TOLERANCE: f64 = 1e-6;
/// The same for a model with an encoder, whose sums round differently on a processor with other instructions.
const DENSE_GOLDEN_TOLERANCE: f64 = 1e-4;
/// The number of generated texts that together contain every term of the vocabulary.
const TEXTS_OF_TERMS: usize = 32;
/// The same for a model with an encoder, which reads the beginning of a text, and slowly.
const DENSE_TEXTS_OF_TERMS: usize = 4;
/// Generated texts that are the same for every model.
const FIXED_TEXTS: [&str; 6] =
    ["", "?", "hello, where is my order?", "où est mon colis ?", "你好 🙂", "0 1 2 3 4 5 6 7 8 9"];

/// The result of the self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Number of goldens run.
    pub n: usize,
    /// Number of generated texts run. A text fails if a score is infinite or not a number.
    #[serde(default)]
    pub n_generated: usize,
    /// Goldens whose intent or confidence differs (by more than 1e-6, or 1e-4 with an encoder), as
    /// `text: expected, got`; then the failures of generated texts.
    pub failures: Vec<String>,
}

impl IntentModel {
    /// Runs the goldens, then generated texts: each term of the vocabulary is in one of them.
    #[must_use]
    pub fn self_test(&self) -> SelfTest {
        let mut scratch = Scratch::default();
        let mut failures: Vec<String> = self
            .goldens()
            .iter()
            .filter_map(|golden| self.failure_of(golden, &mut scratch))
            .collect();
        let generated = self.generated_texts();
        failures.extend(generated.iter().filter_map(|generated| {
            let (_, is_finite) = self.predict_checked(generated, &mut scratch);
            let shown = || format!("{}: a score is not finite", text::utterance(generated, 80));
            (!is_finite).then(shown)
        }));
        if !self.is_bounded() {
            failures.push("the weights are so large that scores can overflow".to_owned());
        }
        SelfTest { n: self.goldens().len(), n_generated: generated.len(), failures }
    }

    /// Returns how the answer to a golden differs from the stored one; `None` if it does not.
    fn failure_of(&self, golden: &Golden, scratch: &mut Scratch) -> Option<String> {
        let tolerance = match self.encoder() {
            Some(_) => DENSE_GOLDEN_TOLERANCE,
            None => GOLDEN_TOLERANCE,
        };
        let (got, is_finite) = self.predict_checked(&golden.text, scratch);
        let name = self.labels().name(got.intent);
        let is_close = |proba: f64| (proba - golden.confidence).abs() <= tolerance;
        // Rounding can exchange two intents with equal probabilities.
        let tied =
            || self.labels().index_of(&golden.intent).is_some_and(|i| is_close(scratch.proba()[i]));
        let same = is_finite && is_close(got.confidence) && (name == golden.intent || tied());
        (!same).then(|| {
            format!(
                "{}: {} {:.6}, {} {:.6}",
                text::utterance(&golden.text, 80),
                golden.intent,
                golden.confidence,
                name,
                got.confidence
            )
        })
    }

    /// Returns texts that the model has to score, whatever it was trained on.
    fn generated_texts(&self) -> Vec<String> {
        let terms = self.terms();
        let n_texts = match self.encoder() {
            Some(_) => DENSE_TEXTS_OF_TERMS,
            None => TEXTS_OF_TERMS,
        };
        let of_terms = terms.chunks(terms.len().div_ceil(n_texts).max(1)).map(|terms| {
            let terms: Vec<&str> = terms.iter().map(|term| term.text.as_str()).collect();
            terms.join(" ")
        });
        FIXED_TEXTS.into_iter().map(str::to_owned).chain(of_terms).collect()
    }
}
