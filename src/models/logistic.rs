//! Multinomial logistic regression by L-BFGS.
//!
//! It minimises sum_i -log p(y_i | x_i) + 1/(2C) |W|^2, p = softmax(W x + b), b not penalised:
//! the objective of scikit-learn's `LogisticRegression`.
//! Source: Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithms 7.4 and 7.5; the line
//! search is the bisection of Lewis and Overton (2013) for the weak Wolfe conditions.
//!
//! Every sum is taken over pieces of fixed size, in order, so that threads change nothing.

use super::linear::LinearHead;
use crate::features::FeatureMatrix;
use rayon::prelude::*;
use std::collections::VecDeque;

/// How to fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogisticSpec {
    /// Inverse strength of regularisation, > 0.
    pub(super) c: f64,
    pub(super) max_iterations: usize,
    /// Stop when no partial derivative of the mean loss exceeds this.
    pub(super) tolerance: f64,
}

/// Steps remembered. They are kept in single precision: they shape the next step, not where it ends.
const MEMORY: usize = 6;
/// Rows, features or numbers a thread takes at a time.
const ROWS: usize = 128;
const FEATURES: usize = 256;
const NUMBERS: usize = 1 << 14;

/// Fits on `rows` of `x`, whose intents are `y[row]`; the same on any number of threads.
pub(super) fn fit(
    x: &FeatureMatrix,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: LogisticSpec,
    advance: &(dyn Fn(u64) + Sync),
) -> LinearHead {
    let problem = Problem {
        x,
        rows,
        truth: rows.iter().map(|&row| y[row as usize]).collect(),
        by_feature: x.transposed(rows),
        n_classes,
        c: spec.c,
    };
    let n_features = x.n_features();
    let parameters = minimise(&problem, spec, advance);
    LinearHead::new(
        n_features,
        n_classes,
        |feature, class| parameters[feature * n_classes + class] as f32,
        |class| parameters[n_features * n_classes + class] as f32,
    )
}

struct Problem<'a> {
    x: &'a FeatureMatrix,
    rows: &'a [u32],
    truth: Vec<u32>,
    by_feature: FeatureMatrix,
    n_classes: usize,
    c: f64,
}

impl Problem<'_> {
    /// Returns the objective at `at` (weights feature by feature, then intercepts) and writes its gradient.
    fn evaluate(&self, at: &[f64], gradient: &mut [f64], residuals: &mut [f64]) -> f64 {
        let k = self.n_classes;
        let n_weights = self.x.n_features() * k;
        let (weights, intercept) = at.split_at(n_weights);
        let parts: Vec<(f64, Vec<f64>)> = residuals
            .par_chunks_mut(ROWS * k)
            .enumerate()
            .map(|(chunk, residuals)| {
                let mut loss = 0.0;
                let mut slope = vec![0.0; k];
                for (i, residual) in residuals.chunks_exact_mut(k).enumerate() {
                    let i = chunk * ROWS + i;
                    residual.copy_from_slice(intercept);
                    let (columns, values) = self.x.row(self.rows[i] as usize);
                    for (&column, &value) in columns.iter().zip(values) {
                        let weights = &weights[column as usize * k..][..k];
                        let value = f64::from(value);
                        for (score, weight) in residual.iter_mut().zip(weights) {
                            *score += value * weight;
                        }
                    }
                    let truth = self.truth[i] as usize;
                    let largest = residual.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let at_truth = residual[truth] - largest;
                    let mut sum = 0.0;
                    for score in residual.iter_mut() {
                        *score = (*score - largest).exp();
                        sum += *score;
                    }
                    loss += sum.ln() - at_truth;
                    for (p, slope) in residual.iter_mut().zip(&mut slope) {
                        *p /= sum;
                        *slope += *p;
                    }
                    residual[truth] -= 1.0;
                    slope[truth] -= 1.0;
                }
                (loss, slope)
            })
            .collect();
        let (weight_gradient, intercept_gradient) = gradient.split_at_mut(n_weights);
        intercept_gradient.fill(0.0);
        let mut loss = 0.0;
        for (part, slope) in parts {
            loss += part;
            for (total, part) in intercept_gradient.iter_mut().zip(slope) {
                *total += part;
            }
        }
        weight_gradient.par_chunks_mut(FEATURES * k).enumerate().for_each(|(chunk, gradient)| {
            for (feature, gradient) in gradient.chunks_exact_mut(k).enumerate() {
                let feature = chunk * FEATURES + feature;
                for (slope, weight) in gradient.iter_mut().zip(&weights[feature * k..]) {
                    *slope = weight / self.c;
                }
                let (rows, values) = self.by_feature.row(feature);
                for (&row, &value) in rows.iter().zip(values) {
                    let residual = &residuals[row as usize * k..][..k];
                    let value = f64::from(value);
                    for (slope, residual) in gradient.iter_mut().zip(residual) {
                        *slope += value * residual;
                    }
                }
            }
        });
        loss + 0.5 / self.c * dot(weights, weights)
    }
}

/// A step and how the gradient changed over it.
struct Pair {
    step: Vec<f32>,
    change: Vec<f32>,
    /// 1 / (step . change)
    rho: f64,
}

fn minimise(problem: &Problem<'_>, spec: LogisticSpec, advance: &(dyn Fn(u64) + Sync)) -> Vec<f64> {
    let n = (problem.x.n_features() + 1) * problem.n_classes;
    let mut residuals = vec![0.0; problem.rows.len() * problem.n_classes];
    let (mut at, mut gradient) = (vec![0.0; n], vec![0.0; n]);
    let (mut next, mut next_gradient) = (vec![0.0; n], vec![0.0; n]);
    let mut direction = vec![0.0; n];
    let mut value = problem.evaluate(&at, &mut gradient, &mut residuals);
    let mut memory: VecDeque<Pair> = VecDeque::with_capacity(MEMORY + 1);
    let small_enough = spec.tolerance * problem.rows.len().max(1) as f64;
    for _ in 0..spec.max_iterations {
        if largest(&gradient) <= small_enough {
            break;
        }
        descent(&memory, &gradient, &mut direction);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // Rounding spoilt the memory: start afresh along the gradient.
            memory.clear();
            descent(&memory, &gradient, &mut direction);
            slope = dot(&direction, &gradient);
        }
        let first = if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt() } else { 1.0 };
        let (mut step, mut low, mut high) = (first, 0.0, f64::INFINITY);
        let mut accepted = false;
        for _ in 0..40 {
            next.par_chunks_mut(NUMBERS)
                .zip(at.par_chunks(NUMBERS).zip(direction.par_chunks(NUMBERS)))
                .for_each(|(next, (at, direction))| {
                    for (next, (at, direction)) in next.iter_mut().zip(at.iter().zip(direction)) {
                        *next = at + step * direction;
                    }
                });
            let next_value = problem.evaluate(&next, &mut next_gradient, &mut residuals);
            if next_value > value + 1e-4 * step * slope {
                high = step;
            } else if dot(&direction, &next_gradient) < 0.9 * slope {
                low = step;
            } else {
                value = next_value;
                accepted = true;
                break;
            }
            step = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * step };
        }
        if !accepted {
            // The objective is flat to rounding: this is the minimum, as far as numbers go.
            break;
        }
        let single = |a: &[f64], b: &[f64]| -> Vec<f32> {
            a.par_iter().zip(b).with_min_len(NUMBERS).map(|(a, b)| (a - b) as f32).collect()
        };
        let pair_step = single(&next, &at);
        let change = single(&next_gradient, &gradient);
        let curvature = mixed_dot(&change, &pair_step);
        if curvature > 1e-12 * mixed_dot(&change, &change) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Pair { step: pair_step, change, rho: 1.0 / curvature });
        }
        std::mem::swap(&mut at, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        advance(1);
    }
    at
}

/// Writes minus the inverse Hessian, as the memory knows it, times the gradient.
fn descent(memory: &VecDeque<Pair>, gradient: &[f64], direction: &mut [f64]) {
    direction.copy_from_slice(gradient);
    let mut weights = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let weight = pair.rho * half_dot(&pair.step, direction);
        add(direction, -weight, &pair.change);
        weights.push(weight);
    }
    if let Some(last) = memory.back() {
        let scale = 1.0 / (last.rho * mixed_dot(&last.change, &last.change));
        direction.par_iter_mut().with_min_len(NUMBERS).for_each(|value| *value *= scale);
    }
    for (pair, weight) in memory.iter().zip(weights.into_iter().rev()) {
        let other = pair.rho * half_dot(&pair.change, direction);
        add(direction, weight - other, &pair.step);
    }
    direction.par_iter_mut().with_min_len(NUMBERS).for_each(|value| *value = -*value);
}

fn add(to: &mut [f64], scale: f64, what: &[f32]) {
    to.par_chunks_mut(NUMBERS).zip(what.par_chunks(NUMBERS)).for_each(|(to, what)| {
        for (to, what) in to.iter_mut().zip(what) {
            *to += scale * f64::from(*what);
        }
    });
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

/// Adds up in pieces of fixed size, and the pieces in order.
fn pieces<A: Sync, B: Sync>(a: &[A], b: &[B], product: impl Fn(&A, &B) -> f64 + Sync) -> f64 {
    let parts: Vec<f64> = a
        .par_chunks(NUMBERS)
        .zip(b.par_chunks(NUMBERS))
        .map(|(a, b)| {
            // Four sums side by side, which the processor takes at once.
            let mut sums = [0.0; 4];
            for (a, b) in a.chunks(4).zip(b.chunks(4)) {
                for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                    *sum += product(a, b);
                }
            }
            (sums[0] + sums[1]) + (sums[2] + sums[3])
        })
        .collect();
    parts.iter().sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    pieces(a, b, |a, b| a * b)
}

fn half_dot(a: &[f32], b: &[f64]) -> f64 {
    pieces(a, b, |a, b| f64::from(*a) * b)
}

fn mixed_dot(a: &[f32], b: &[f32]) -> f64 {
    pieces(a, b, |a, b| f64::from(*a) * f64::from(*b))
}
