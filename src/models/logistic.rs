//! Multinomial logistic regression by L-BFGS.
//!
//! It minimises sum_i -log p(y_i | x_i) + 1/(2C) |W|^2, p = softmax(W x + b), b not penalised:
//! the objective of scikit-learn's `LogisticRegression`.
//! Source: Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithms 7.4 and 7.5; the line
//! search is the bisection of Lewis and Overton (2013) for the weak Wolfe conditions.
//!
//! Every sum is taken over pieces of fixed size, in order, so that threads change nothing. Large
//! problems are solved in single precision, with sums of products in double: their solution is
//! blurred by the stopping rule far more than by rounding. Small ones cost nothing in double.

use super::linear::LinearHead;
use crate::features::FeatureMatrix;
use rayon::prelude::*;
use std::{
    collections::VecDeque,
    ops::{AddAssign, Mul},
};

/// How to fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogisticSpec {
    /// Inverse strength of regularisation, > 0.
    pub(super) c: f64,
    pub(super) max_iterations: usize,
    /// Stop when no partial derivative of the mean loss exceeds this.
    pub(super) tolerance: f64,
}

/// Steps remembered.
const MEMORY: usize = 5;
/// From so many weights on, they are single-precision numbers.
const LARGE: usize = 1 << 18;
/// Euclidean length of the first step.
const FIRST_STEP: f64 = 1.0;
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
    let head = |parameters: &dyn Fn(usize) -> f32| {
        LinearHead::new(
            n_features,
            n_classes,
            |feature, class| parameters(feature * n_classes + class),
            |class| parameters(n_features * n_classes + class),
        )
    };
    if n_features * n_classes < LARGE {
        let parameters: Vec<f64> = minimise(&problem, spec, advance);
        head(&|i| parameters[i] as f32)
    } else {
        let parameters: Vec<f32> = minimise(&problem, spec, advance);
        head(&|i| parameters[i])
    }
}

/// A floating-point number.
trait Real:
    Copy + Default + Send + Sync + Into<f64> + From<f32> + AddAssign + Mul<Output = Self>
{
    fn of(value: f64) -> Self;
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }
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
    fn evaluate<R: Real>(&self, at: &[R], gradient: &mut [R], residuals: &mut [R]) -> f64 {
        let k = self.n_classes;
        let n_weights = self.x.n_features() * k;
        let (weights, intercept) = at.split_at(n_weights);
        let parts: Vec<(f64, Vec<f64>)> = residuals
            .par_chunks_mut(ROWS * k)
            .enumerate()
            .map(|(chunk, residuals)| {
                let mut loss = 0.0;
                let mut slope = vec![0.0; k];
                let mut proba = vec![0.0; k];
                for (i, residual) in residuals.chunks_exact_mut(k).enumerate() {
                    let i = chunk * ROWS + i;
                    residual.copy_from_slice(intercept);
                    let (columns, values) = self.x.row(self.rows[i] as usize);
                    for (&column, &value) in columns.iter().zip(values) {
                        add_scaled(residual, R::from(value), &weights[column as usize * k..][..k]);
                    }
                    for (p, score) in proba.iter_mut().zip(residual.iter()) {
                        *p = (*score).into();
                    }
                    let truth = self.truth[i] as usize;
                    let at_truth = proba[truth];
                    let largest = proba.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let mut sum = 0.0;
                    for p in &mut proba {
                        *p = (*p - largest).exp();
                        sum += *p;
                    }
                    loss += sum.ln() - (at_truth - largest);
                    for (class, (p, residual)) in proba.iter().zip(residual).enumerate() {
                        let part = p / sum - f64::from(u8::from(class == truth));
                        slope[class] += part;
                        *residual = R::of(part);
                    }
                }
                (loss, slope)
            })
            .collect();
        let (weight_gradient, intercept_gradient) = gradient.split_at_mut(n_weights);
        let mut loss = 0.0;
        let mut slopes = vec![0.0; k];
        for (part, slope) in parts {
            loss += part;
            for (total, part) in slopes.iter_mut().zip(slope) {
                *total += part;
            }
        }
        for (slope, total) in intercept_gradient.iter_mut().zip(slopes) {
            *slope = R::of(total);
        }
        let residuals = &*residuals;
        let penalty = R::of(1.0 / self.c);
        weight_gradient.par_chunks_mut(FEATURES * k).enumerate().for_each(|(chunk, gradient)| {
            for (feature, gradient) in gradient.chunks_exact_mut(k).enumerate() {
                let feature = chunk * FEATURES + feature;
                for (slope, weight) in gradient.iter_mut().zip(&weights[feature * k..]) {
                    *slope = penalty * *weight;
                }
                let (rows, values) = self.by_feature.row(feature);
                for (&row, &value) in rows.iter().zip(values) {
                    add_scaled(gradient, R::from(value), &residuals[row as usize * k..][..k]);
                }
            }
        });
        loss + 0.5 / self.c * dot(weights, weights)
    }
}

#[inline]
fn add_scaled<R: Real>(to: &mut [R], scale: R, what: &[R]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += scale * *what;
    }
}

/// A step and how the gradient changed over it.
struct Pair<R> {
    step: Vec<R>,
    change: Vec<R>,
    /// 1 / (step . change)
    rho: f64,
}

fn minimise<R: Real>(
    problem: &Problem<'_>,
    spec: LogisticSpec,
    advance: &(dyn Fn(u64) + Sync),
) -> Vec<R> {
    let n = (problem.x.n_features() + 1) * problem.n_classes;
    let zero = R::default();
    let mut residuals = vec![zero; problem.rows.len() * problem.n_classes];
    let (mut at, mut gradient) = (vec![zero; n], vec![zero; n]);
    let (mut next, mut next_gradient) = (vec![zero; n], vec![zero; n]);
    let mut direction = vec![zero; n];
    let mut value = problem.evaluate(&at, &mut gradient, &mut residuals);
    let mut memory: VecDeque<Pair<R>> = VecDeque::with_capacity(MEMORY + 1);
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
        // The first step has no curvature to go by: about as long as the weights of a few rows.
        let first =
            if memory.is_empty() { FIRST_STEP / dot(&gradient, &gradient).sqrt() } else { 1.0 };
        let (mut step, mut low, mut high) = (first, 0.0, f64::INFINITY);
        let mut accepted = false;
        for _ in 0..40 {
            let scale = R::of(step);
            next.par_chunks_mut(NUMBERS)
                .zip(at.par_chunks(NUMBERS).zip(direction.par_chunks(NUMBERS)))
                .for_each(|(next, (at, direction))| {
                    next.copy_from_slice(at);
                    add_scaled(next, scale, direction);
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
        // The oldest pair's memory is used again.
        let (mut steps, mut change) = match memory.len() {
            MEMORY => memory.pop_front().map(|pair| (pair.step, pair.change)).unwrap_or_default(),
            _ => (Vec::new(), Vec::new()),
        };
        difference(&next, &at, &mut steps);
        difference(&next_gradient, &gradient, &mut change);
        let curvature = dot(&change, &steps);
        if curvature > 1e-12 * dot(&change, &change) {
            memory.push_back(Pair { step: steps, change, rho: 1.0 / curvature });
        }
        std::mem::swap(&mut at, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        advance(1);
    }
    at
}

fn difference<R: Real>(a: &[R], b: &[R], out: &mut Vec<R>) {
    let minus = R::of(-1.0);
    out.clear();
    out.extend_from_slice(a);
    out.par_chunks_mut(NUMBERS)
        .zip(b.par_chunks(NUMBERS))
        .for_each(|(out, b)| add_scaled(out, minus, b));
}

/// Writes minus the inverse Hessian, as the memory knows it, times the gradient.
fn descent<R: Real>(memory: &VecDeque<Pair<R>>, gradient: &[R], direction: &mut [R]) {
    direction.copy_from_slice(gradient);
    let mut weights = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let weight = pair.rho * dot(&pair.step, direction);
        add(direction, -weight, &pair.change);
        weights.push(weight);
    }
    let scale =
        memory.back().map_or(1.0, |last| 1.0 / (last.rho * dot(&last.change, &last.change)));
    multiply(direction, scale);
    for (pair, weight) in memory.iter().zip(weights.into_iter().rev()) {
        let other = pair.rho * dot(&pair.change, direction);
        add(direction, weight - other, &pair.step);
    }
    multiply(direction, -1.0);
}

fn multiply<R: Real>(values: &mut [R], scale: f64) {
    let scale = R::of(scale);
    values.par_chunks_mut(NUMBERS).for_each(|values| {
        for value in values {
            *value = *value * scale;
        }
    });
}

fn add<R: Real>(to: &mut [R], scale: f64, what: &[R]) {
    let scale = R::of(scale);
    to.par_chunks_mut(NUMBERS)
        .zip(what.par_chunks(NUMBERS))
        .for_each(|(to, what)| add_scaled(to, scale, what));
}

fn largest<R: Real>(values: &[R]) -> f64 {
    values.iter().fold(0.0, |largest, &value| value.into().abs().max(largest))
}

/// Adds up in pieces of fixed size, and the pieces in order.
fn dot<R: Real>(a: &[R], b: &[R]) -> f64 {
    let parts: Vec<f64> = a
        .par_chunks(NUMBERS)
        .zip(b.par_chunks(NUMBERS))
        .map(|(a, b)| {
            // Four sums side by side, which the processor takes at once.
            let mut sums = [0.0_f64; 4];
            for (a, b) in a.chunks(4).zip(b.chunks(4)) {
                for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                    let (a, b): (f64, f64) = (a.into(), b.into());
                    *sum += a * b;
                }
            }
            (sums[0] + sums[1]) + (sums[2] + sums[3])
        })
        .collect();
    parts.iter().sum()
}
