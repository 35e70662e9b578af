//! The probabilities of all label sequences of an utterance (forward-backward).

use super::labels::{OUTSIDE, before, is_inside};

/// Exponentials of the weights between labels.
#[derive(Debug)]
pub(super) struct Transitions {
    pub(super) n_labels: usize,
    /// `[n_labels, n_labels]`, the later label first; 0 where a label may not follow.
    pub(super) between: Vec<f64>,
    /// `[n_labels]`; 0 for labels that cannot come first.
    pub(super) first: Vec<f64>,
}

impl Transitions {
    /// Makes the exponentials of zero weights.
    pub(super) fn new(n_labels: usize) -> Self {
        let mut made =
            Self { n_labels, between: vec![0.0; n_labels * n_labels], first: vec![0.0; n_labels] };
        made.set(&vec![0.0; n_labels], &vec![0.0; n_labels * n_labels]);
        made
    }

    /// Takes over the weights of first labels and between labels.
    pub(super) fn set(&mut self, first: &[f32], between: &[f32]) {
        let n_labels = self.n_labels;
        for (label, weight) in first.iter().enumerate() {
            let may_begin = !is_inside(label);
            self.first[label] = if may_begin { f64::from(*weight).exp() } else { 0.0 };
            for other in before(label, n_labels) {
                let at = label * n_labels + other;
                self.between[at] = f64::from(between[at]).exp();
            }
        }
    }
}

/// Working memory of a lattice, reused between utterances.
#[derive(Debug, Default)]
pub(super) struct Lattice {
    /// Exponentials of the scores, the largest of a token being 1 `[n, n_labels]`.
    emitted: Vec<f64>,
    /// Scaled probabilities of the labels up to a token, and from it on `[n, n_labels]`.
    forward: Vec<f64>,
    backward: Vec<f64>,
    /// The scale of each token `[n]`.
    scales: Vec<f64>,
    /// Scaled probabilities of a token with those after it `[n_labels]`.
    ahead: Vec<f64>,
}

impl Lattice {
    /// Returns the negative log-likelihood of the labels `gold` `[n]` given `scores` `[n, n_labels]`; `None` if it is
    /// beyond the range of numbers.
    pub(super) fn read(
        &mut self,
        scores: &[f32],
        gold: &[u16],
        transitions: &Transitions,
    ) -> Option<f64> {
        let (n, n_labels) = (gold.len(), transitions.n_labels);
        let Self { emitted, forward, scales, .. } = self;
        for values in [&mut *emitted, &mut *forward] {
            values.clear();
            values.resize(n * n_labels, 0.0);
        }
        scales.clear();
        let mut loss = 0.0;
        for i in 0..n {
            let row = i * n_labels..(i + 1) * n_labels;
            let scores = &scores[row.clone()];
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let emitted = &mut emitted[row.clone()];
            for (emitted, score) in emitted.iter_mut().zip(scores) {
                *emitted = f64::from(score - top).exp();
            }
            let (past, now) = forward.split_at_mut(row.start);
            let past = &past[row.start.saturating_sub(n_labels)..];
            let now = &mut now[..n_labels];
            let mut scale = 0.0;
            for label in 0..n_labels {
                let reached = match i {
                    0 => transitions.first[label],
                    _ => {
                        let range = before(label, n_labels);
                        let weights = &transitions.between[label * n_labels..][range.clone()];
                        past[range].iter().zip(weights).map(|(past, weight)| past * weight).sum()
                    }
                };
                now[label] = reached * emitted[label];
                scale += now[label];
            }
            now.iter_mut().for_each(|value| *value /= scale);
            scales.push(scale);
            let label = usize::from(gold[i]);
            let step = match i {
                0 => transitions.first[label],
                _ => transitions.between[label * n_labels + usize::from(gold[i - 1])],
            };
            // The scores of a token share their maximum, which cancels out.
            loss += scale.ln() - step.ln() - f64::from(scores[label] - top);
        }
        loss.is_finite().then_some(loss.max(0.0))
    }

    /// Writes the gradient of the loss after [`Self::read`]: of each score to `delta` `[n, n_labels]`, and adds that of
    /// the first labels and of the labels between to `first` and `between`.
    pub(super) fn gradient(
        &mut self,
        gold: &[u16],
        transitions: &Transitions,
        delta: &mut [f32],
        (first, between): (&mut [f64], &mut [f64]),
    ) {
        let (n, n_labels) = (gold.len(), transitions.n_labels);
        let Self { emitted, forward, backward, scales, ahead } = self;
        backward.clear();
        backward.resize(n_labels, 1.0);
        ahead.clear();
        ahead.resize(n_labels, 0.0);
        for i in (0..n).rev() {
            let row = i * n_labels..(i + 1) * n_labels;
            for (label, delta) in delta[row.clone()].iter_mut().enumerate() {
                *delta = (forward[row.start + label] * backward[label]) as f32;
            }
            let label = usize::from(gold[i]);
            delta[row.start + label] -= 1.0;
            if i == 0 {
                first.iter_mut().zip(&delta[..n_labels]).for_each(|(g, d)| *g += f64::from(*d));
                continue;
            }
            for label in OUTSIDE..n_labels {
                ahead[label] = emitted[row.start + label] * backward[label] / scales[i];
            }
            backward.fill(0.0);
            let past = &forward[row.start - n_labels..row.start];
            for (label, &ahead) in ahead.iter().enumerate() {
                if ahead == 0.0 {
                    continue;
                }
                let range = before(label, n_labels);
                let at = label * n_labels;
                let weights = &transitions.between[at..][range.clone()];
                let gradient = &mut between[at..][range.clone()];
                for (((weight, gradient), past), back) in
                    weights.iter().zip(gradient).zip(&past[range.clone()]).zip(&mut backward[range])
                {
                    let reached = weight * ahead;
                    *back += reached;
                    *gradient += past * reached;
                }
            }
            between[label * n_labels + usize::from(gold[i - 1])] -= 1.0;
        }
    }
}
