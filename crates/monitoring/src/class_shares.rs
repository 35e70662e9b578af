//! Shares of the intents in a window without labels, and the weights of reference records that give the window's shares.

use std::collections::BTreeMap;

/// The upper ends of the bands of confidence but the last.
const BANDS: [f64; 2] = [0.5, 0.85];
/// The steps of the maximisation; it is damped, so that few are enough.
const STEPS: usize = 60;
const SETTLED: f64 = 1e-6;

/// Returns the outcome of a prediction: its intent, and the band of its confidence.
///
/// The predicted intent alone would not tell messages out of scope, which are never predicted, from any other; they are seldom
/// sure.
pub(crate) fn outcome(predicted: usize, p: f64) -> usize {
    predicted * (BANDS.len() + 1) + BANDS.iter().filter(|&&bound| p > bound).count()
}

/// Pairs of an outcome and a truth that the reference has, grouped by outcome.
#[derive(Debug)]
pub(crate) struct OutcomePairs {
    /// For each outcome, its pairs: the first and the one after the last.
    ranges: BTreeMap<usize, (usize, usize)>,
    /// The truth of each pair.
    truths: Vec<usize>,
    index: BTreeMap<(usize, usize), usize>,
    n_truths: usize,
}

impl OutcomePairs {
    pub(crate) fn of(pairs: impl Iterator<Item = (usize, usize)>, n_truths: usize) -> Self {
        let mut index: BTreeMap<(usize, usize), usize> = pairs.map(|pair| (pair, 0)).collect();
        let mut ranges: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let mut truths = Vec::new();
        for (i, ((outcome, truth), at)) in index.iter_mut().enumerate() {
            *at = i;
            truths.push(*truth);
            ranges.entry(*outcome).or_insert((i, i)).1 = i + 1;
        }
        Self { ranges, truths, index, n_truths }
    }

    pub(crate) fn len(&self) -> usize {
        self.truths.len()
    }

    /// Returns the number of a pair.
    pub(crate) fn number(&self, outcome: usize, truth: usize) -> usize {
        self.index[&(outcome, truth)]
    }

    /// Returns the shares of the truths in the reference, and in current data with these counts of outcomes, by expectation
    /// maximisation over P(outcome | truth) of the reference. Outcomes that the reference lacks are left out.
    ///
    /// `pairs` are the counts of the reference. The current shares are those of largest posterior probability under
    /// a Dirichlet prior around the reference, worth half a record for each truth: with many intents and few records, plain
    /// maximum likelihood follows the noise.
    ///
    /// Source: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities", 2002;
    /// over outcomes as Lipton, Wang and Smola, "Detecting and correcting for label shift with black box predictors", 2018.
    pub(crate) fn shares(&self, pairs: &[f64], current: &[(usize, f64)]) -> [Vec<f64>; 2] {
        let mut of_truth = vec![0.0; self.n_truths];
        for (&truth, count) in self.truths.iter().zip(pairs) {
            of_truth[truth] += count;
        }
        let n: f64 = of_truth.iter().sum();
        let reference: Vec<f64> = of_truth.iter().map(|count| count / n).collect();
        let given: Vec<f64> = self
            .truths
            .iter()
            .zip(pairs)
            .map(|(&truth, count)| if *count > 0.0 { count / of_truth[truth] } else { 0.0 })
            .collect();
        let known: Vec<(f64, usize, usize)> = current
            .iter()
            .filter_map(|&(outcome, count)| {
                let &(from, to) = self.ranges.get(&outcome)?;
                Some((count, from, to))
            })
            .collect();
        let prior = 0.5 * self.n_truths as f64;
        let mut shares = reference.clone();
        for _ in 0..STEPS {
            let mut next: Vec<f64> = reference.iter().map(|share| prior * share).collect();
            for &(count, from, to) in &known {
                let total: f64 = (from..to).map(|i| shares[self.truths[i]] * given[i]).sum();
                if total > 0.0 {
                    for (&truth, given) in self.truths[from..to].iter().zip(&given[from..to]) {
                        next[truth] += count * shares[truth] * given / total;
                    }
                }
            }
            let total: f64 = next.iter().sum();
            next.iter_mut().for_each(|share| *share /= total);
            let change = shares.iter().zip(&next).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            shares = next;
            if change < SETTLED {
                break;
            }
        }
        [reference, shares]
    }
}
