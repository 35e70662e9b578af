//! The decision not to answer: a calibrated probability that an answer is right, and a threshold.

use botops_stats::selective::{Answered, fixed_sequence};
use serde::{Deserialize, Serialize};

/// The number of signals.
const SIGNALS: usize = 6;

/// The evidence for one answer, each in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signals {
    /// The share of the question's content in the quoted sentence, rare words counting more.
    pub sentence: f64,
    /// That share in the sentence before it, the section and the title, too.
    pub around: f64,
    /// That share in the whole passage.
    pub passage: f64,
    /// The share of the probability that the quoted sentence has among all sentences.
    pub share: f64,
    /// The share of neighbouring words of the question that are near each other in the sentence.
    pub pairs: f64,
}

impl Signals {
    fn values(&self) -> [f64; SIGNALS] {
        [1.0, self.sentence, self.around, self.passage, self.share, self.pairs]
    }
}

/// The decision not to answer: weights of a logistic model, and the least probability of an answer.
///
/// - weights are finite
/// - the threshold is in [0, 1]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abstention {
    /// The weights: first the constant, then those of [`Signals`] in their order.
    weights: [f64; SIGNALS],
    /// The least probability of an answer that is given.
    threshold: f64,
    /// The questions that it was fitted on; 0 for the embedded default.
    n_questions: u32,
}

/// An answer whose truth is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownAnswer {
    /// The evidence.
    pub signals: Signals,
    /// Whether the quote answers the question. An answer to a question that the documents do not answer is wrong.
    pub is_right: bool,
}

/// The fewest known answers of each kind from which weights are fitted.
const FEWEST: usize = 20;
/// The weight of the squared weights in the fit: it keeps few questions from deciding everything.
const RIDGE: f64 = 1.0;
/// The largest share of wrong answers among those that are given, and the level at which it holds.
const RISK: f64 = 0.25;
const LEVEL: f64 = 0.9;
/// The thresholds that are tried, from 1 downward.
const STEPS: u32 = 100;

impl Default for Abstention {
    /// The decision fitted on the half of XQuAD English that chooses: see [`crate::answer`]. Questions without an answer are its
    /// own questions after the passage that answers them was removed.
    fn default() -> Self {
        Self {
            weights: [-5.073, 0.296, 1.806, 1.889, 3.03, 1.543],
            threshold: 0.34,
            n_questions: 0,
        }
    }
}

impl Abstention {
    /// Fits the probability and the threshold on answers whose truth is known; `None` if fewer than 20 of them are right, or
    /// fewer than 20 wrong.
    ///
    /// The probability is a logistic regression with a ridge of 1, by Newton's method. Thresholds are tried from 1 downward, and
    /// the last one before the risk can be above 0.25 (level 0.9, Clopper-Pearson, fixed sequence) is taken. If the first one
    /// that answers fails already, the threshold is 0.5: an answer is then more probably right than wrong.
    #[must_use]
    pub fn fit(known: &[KnownAnswer]) -> Option<Self> {
        let n_right = known.iter().filter(|it| it.is_right).count();
        if n_right < FEWEST || known.len() - n_right < FEWEST {
            return None;
        }
        let weights = logistic(known);
        let fitted = Self { weights, threshold: 0.5, n_questions: known.len() as u32 };
        let samples: Vec<(f64, bool)> =
            known.iter().map(|it| (fitted.probability(&it.signals), !it.is_right)).collect();
        Some(Self { threshold: threshold(&samples).unwrap_or(0.5), ..fitted })
    }

    /// Returns the probability that the quote is right: 1 / (1 + exp(-(w0 + sum of w x signal))).
    #[must_use]
    pub fn probability(&self, signals: &Signals) -> f64 {
        let z: f64 = self.weights.iter().zip(signals.values()).map(|(w, x)| w * x).sum();
        sigmoid(z)
    }

    /// Returns the least probability of an answer that is given.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Returns the least confidence of answers that are given, so that at most a quarter of them is wrong (level 0.9,
    /// Clopper-Pearson, fixed sequence); `None` if no confidence of at least 20 answers proves that.
    ///
    /// `answers` are the confidence of each answer, given or not, and whether it is wrong. They decide on the threshold only:
    /// the confidence stays that of the index.
    #[must_use]
    pub fn least_confidence(answers: &[(f64, bool)]) -> Option<f64> {
        threshold(answers)
    }

    /// Returns the number of questions that it was fitted on; 0 for the embedded default.
    #[must_use]
    pub fn n_questions(&self) -> u32 {
        self.n_questions
    }

    /// Returns whether the weights are finite and the threshold is a probability: a file may hold anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.weights.iter().all(|weight| weight.is_finite())
            && (0.0..=1.0).contains(&self.threshold)
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Returns the lowest threshold, going down from 1, at which the risk of the answers given is at most [`RISK`].
fn threshold(samples: &[(f64, bool)]) -> Option<f64> {
    let thresholds: Vec<f64> = (0..=STEPS)
        .map(|step| f64::from(STEPS - step) / f64::from(STEPS))
        // Too few answers prove nothing; the sequence begins where there are enough.
        .skip_while(|&threshold| Answered::at(threshold, samples).n < FEWEST as u64)
        .collect();
    let answered: Vec<Answered> =
        thresholds.iter().map(|&threshold| Answered::at(threshold, samples)).collect();
    fixed_sequence(&answered, RISK, LEVEL).map(|last| thresholds[last])
}

/// Returns the weights that maximize the likelihood less half the ridge times their squares; the constant is not shrunk.
fn logistic(known: &[KnownAnswer]) -> [f64; SIGNALS] {
    let mut weights = [0.0; SIGNALS];
    for _ in 0..50 {
        let mut gradient = [0.0; SIGNALS];
        let mut hessian = [[0.0; SIGNALS]; SIGNALS];
        for answer in known {
            let x = answer.signals.values();
            let p = sigmoid(weights.iter().zip(x).map(|(w, x)| w * x).sum());
            let error = f64::from(u8::from(answer.is_right)) - p;
            for i in 0..SIGNALS {
                gradient[i] += error * x[i];
                for j in 0..SIGNALS {
                    hessian[i][j] += p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        for i in 0..SIGNALS {
            let ridge = if i == 0 { 1e-6 } else { RIDGE };
            gradient[i] -= ridge * weights[i];
            hessian[i][i] += ridge;
        }
        let step = solve(hessian, gradient);
        weights.iter_mut().zip(step).for_each(|(weight, step)| *weight += step);
        if step.iter().all(|step| step.abs() < 1e-9) {
            break;
        }
    }
    weights
}

/// Solves `a` x = `b` by Gaussian elimination with pivots; `a` is positive definite.
fn solve(mut a: [[f64; SIGNALS]; SIGNALS], mut b: [f64; SIGNALS]) -> [f64; SIGNALS] {
    for column in 0..SIGNALS {
        let pivot = (column..SIGNALS)
            .max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()))
            .unwrap_or(column);
        a.swap(column, pivot);
        b.swap(column, pivot);
        let row = a[column];
        for below in column + 1..SIGNALS {
            let factor = a[below][column] / row[column];
            for (value, above) in a[below].iter_mut().zip(row) {
                *value -= factor * above;
            }
            b[below] -= factor * b[column];
        }
    }
    for at in (0..SIGNALS).rev() {
        let rest: f64 = (at + 1..SIGNALS).map(|other| a[at][other] * b[other]).sum();
        b[at] = (b[at] - rest) / a[at][at];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(n: usize, sentence: f64, is_right: bool) -> Vec<KnownAnswer> {
        let signals = Signals { sentence, around: sentence, ..Signals::default() };
        vec![KnownAnswer { signals, is_right }; n]
    }

    #[test]
    fn the_probability_is_that_of_the_known_answers() {
        // Of the answers with evidence 0.9, 90 of 100 are right; of those with 0.1, 10 of 100.
        let all = [
            known(90, 0.9, true),
            known(10, 0.9, false),
            known(10, 0.1, true),
            known(90, 0.1, false),
        ]
        .concat();
        let fitted = Abstention::fit(&all).unwrap();
        let at = |sentence: f64| {
            fitted.probability(&Signals { sentence, around: sentence, ..Signals::default() })
        };
        assert!((at(0.9) - 0.9).abs() < 0.03 && (at(0.1) - 0.1).abs() < 0.03, "{fitted:?}");
        // The answers with little evidence would make the risk 0.5; those with much have 0.1.
        assert!(fitted.threshold() > at(0.1) && fitted.threshold() <= at(0.9), "{fitted:?}");
        assert_eq!(fitted.n_questions(), 200);
    }

    #[test]
    fn few_known_answers_fit_nothing() {
        assert_eq!(Abstention::fit(&known(100, 0.9, true)), None);
        let few = [known(100, 0.9, true), known(19, 0.1, false)].concat();
        assert_eq!(Abstention::fit(&few), None);
    }

    #[test]
    fn the_least_confidence_is_the_lowest_one_that_the_answers_prove() {
        // Of 100 answers at 0.8, 10 are wrong; of 100 at 0.4, 50. All together would be 60 of 200, more than a quarter.
        let at = |confidence: f64, n_wrong: usize| {
            (0..100).map(move |answer| (confidence, answer < n_wrong))
        };
        let answers: Vec<(f64, bool)> = at(0.8, 10).chain(at(0.4, 50)).collect();
        assert_eq!(Abstention::least_confidence(&answers), Some(0.41));
        // SciPy: beta.cdf(0.25, 19 + 1, 100 - 19) = 0.9005, and 0.8512 for 20 wrong answers.
        let alone = |n_wrong| Abstention::least_confidence(&at(0.8, n_wrong).collect::<Vec<_>>());
        assert_eq!((alone(19), alone(20)), (Some(0.0), None));
        // 19 answers prove nothing, even if all are right.
        assert_eq!(Abstention::least_confidence(&[(0.9, false); 19]), None);
        assert_eq!(Abstention::least_confidence(&[]), None);
    }

    #[test]
    fn answers_that_are_mostly_wrong_leave_the_threshold_at_one_half() {
        let all = [known(30, 0.5, true), known(70, 0.5, false)].concat();
        let fitted = Abstention::fit(&all).unwrap();
        assert!((fitted.threshold() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn it_is_written_and_read_and_unsound_values_are_noticed() {
        let json = serde_json::to_string(&Abstention::default()).unwrap();
        assert_eq!(serde_json::from_str::<Abstention>(&json).unwrap(), Abstention::default());
        assert!(Abstention::default().is_sound());
        let unsound: Abstention = serde_json::from_str(&json.replace("0.34", "34")).unwrap();
        assert!(!unsound.is_sound());
        assert!(
            serde_json::from_str::<Abstention>(&json.replace("threshold", "treshold")).is_err()
        );
    }
}
