//! Multinomial logistic regression by dual coordinate ascent.
//!
//! It minimises sum_i C_i * -log p(y_i | x_i) + 1/2 |W|^2, p = softmax(W x + b), b not penalised. This is the objective
//! of scikit-learn's `LogisticRegression`, where C_i is C times the weight of the intent. With two intents, C is halved:
//! scikit-learn then has one weight vector, the difference of our two.
//!
//! The dual has a distribution alpha_i over the intents for each row, and W = sum_i C_i (e_yi - alpha_i) x_i; at the
//! solution alpha_i is the model's prediction for the row. Rows are visited in random order, and each visit solves for
//! its alpha_i alone: log alpha_k + q alpha_k = s_k + q alpha'_k - nu for all k, where s are the scores, alpha' is the
//! previous alpha, q = C_i (|x_i|^2 + sigma), and nu makes alpha sum to 1. A visit costs two passes over one row, and a
//! few rounds over the rows converge further than many steps of a method that uses only the gradient.
//! Source: Yu, Huang, Lin, "Dual Coordinate Descent Methods for Logistic Regression and Maximum
//! Entropy Models", Machine Learning 85, 2011; Shalev-Shwartz and Zhang, "Stochastic Dual Coordinate
//! Ascent Methods", JMLR 14, 2013.
//!
//! Because b is not penalised, sum_i C_i (e_yi - alpha_i) = 0; b is the multiplier of this condition, corrected after
//! every round (the method of multipliers, Bertsekas 1982), and sigma is its step.
//!
//! The Kullback-Leibler divergence of alpha_i from p_i is the row's share of the duality gap; the sum over the rows is
//! the stopping criterion. Rows with a small share are skipped for one or more rounds. Large problems are solved in
//! single precision, because the stopping rule limits their accuracy far more than rounding does; small ones are solved
//! in double precision, which costs them little.

use super::{fit_request::TrainingSet, linear::LinearHead};
use botops_stats::random::Random;
use std::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};

/// Settings of the solver.
#[derive(Debug, Clone)]
pub(crate) struct LogisticSpec {
    /// Inverse strength of regularisation, > 0.
    pub(crate) c: f64,
    /// Factor of C for the rows of each intent, `[n_classes]`.
    pub(crate) class_weight: Vec<f32>,
    /// The largest number of rounds over the rows.
    pub(crate) max_iterations: usize,
    /// The solver stops when the mean divergence between alpha and p, in nats, is at most this; `None`: the default for
    /// the size of the problem.
    pub(crate) tolerance: Option<f64>,
    pub(crate) seed: u64,
}

/// Values of a row that are processed side by side.
const LANES: usize = 8;
/// The smallest number of weights for which they are single-precision numbers.
const LARGE: usize = 1 << 18;
/// The default tolerances of large and of small problems.
const TOLERANCE: (f64, f64) = (5e-4, 1e-12);
/// A row whose divergence is below this share of the tolerance is settled: its alpha is not updated.
const SETTLED: f64 = 0.3;
/// The longest pause of a settled row, in rounds.
const LONGEST_PAUSE: u8 = 3;
/// Newton steps of a visit; the next visit continues from their result.
const NEWTON_STEPS: usize = 3;
/// The logarithm of the smallest probability that is distinguished from 0.
const LEAST_LOG: f32 = -60.0;

/// Fits on `set`; the result does not depend on the number of threads.
pub(crate) fn fit(
    set: TrainingSet<'_>,
    spec: &LogisticSpec,
    advance: &(dyn Fn(u64) + Sync),
) -> LinearHead {
    let TrainingSet { x, n_classes, .. } = set;
    if x.n_features() * n_classes < LARGE {
        let (weights, intercept) = Solver::<f64>::new(set, spec, TOLERANCE.1).solve(advance);
        LinearHead::new(
            x.n_features(),
            n_classes,
            |feature, class| weights[feature * n_classes + class] as f32,
            |class| intercept[class] as f32,
        )
    } else {
        let (weights, intercept) = Solver::<f32>::new(set, spec, TOLERANCE.0).solve(advance);
        LinearHead::of(weights, intercept)
    }
}

/// A floating-point number.
trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + Into<f64>
    + From<f32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
{
    const ZERO: Self;
    const ONE: Self;
    /// e to the power of [`LEAST_LOG`], approximately.
    const LEAST: Self;
    fn of(value: f64) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LEAST: Self = 8.8e-27;

    fn of(value: f64) -> Self {
        value
    }

    fn exp(self) -> Self {
        self.exp()
    }

    fn ln(self) -> Self {
        self.ln()
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LEAST: Self = 8.8e-27;

    fn of(value: f64) -> Self {
        value as Self
    }

    /// Returns e^x for x in [-87, 88] with relative error 2e-7: 2^k e^r, |r| <= ln(2) / 2, e^r by a polynomial.
    ///
    /// It uses only sums and products, so the compiler can vectorise it, and the result is the same on every machine.
    /// Source: Cephes, `expf`.
    #[inline(always)]
    fn exp(self) -> Self {
        let x = Real::min(Real::max(self, -87.0), 88.0);
        // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
        let k = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
        let r = (x - k * 0.693_359_4) + k * 2.121_944_4e-4;
        let mut p = 1.987_569_1e-4_f32;
        for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = p * r + coefficient;
        }
        let power = ((k as i32 + 127) << 23) as u32;
        (p * r * r + r + 1.0) * Self::from_bits(power)
    }

    /// Returns ln x for a normal x > 0 with error 2e-7: k ln 2 + ln m, m near 1, ln m by its series in
    /// (m - 1) / (m + 1).
    #[inline(always)]
    fn ln(self) -> Self {
        let bits = self.to_bits();
        let m = Self::from_bits((bits & 0x7f_ffff) | 0x3f80_0000);
        let is_large = m > std::f32::consts::SQRT_2;
        let m = if is_large { 0.5 * m } else { m };
        let k = (bits >> 23) as i32 - 127 + i32::from(is_large);
        let s = (m - 1.0) / (m + 1.0);
        let z = s * s;
        let mut series = 1.0 / 11.0;
        for coefficient in [1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
            series = series * z + coefficient;
        }
        k as Self * std::f32::consts::LN_2 + 2.0 * s * series
    }
}

/// The problem and the state of its solution.
struct Solver<'a, R> {
    set: TrainingSet<'a>,
    /// The class of each row.
    truth: Vec<u32>,
    /// C_i and q of each row.
    costs: Vec<(R, R)>,
    sigma: R,
    tolerance: f64,
    max_iterations: usize,
    random: Random,
    /// `[n_features, n_classes]`
    weights: Vec<R>,
    /// `[stride]`: n_classes, padded to whole lanes
    intercept: Vec<R>,
    /// sum_i C_i (e_yi - alpha_i), `[stride]`
    imbalance: Vec<R>,
    /// `[rows, stride]`; 0 in the padding
    alpha: Vec<R>,
    visits: Vec<Visit>,
    scratch: Scratch<R>,
}

/// The last visit of a row.
#[derive(Clone, Copy)]
struct Visit {
    /// The divergence of the row at that visit.
    divergence: f32,
    /// Rounds left before the next visit.
    pause: u8,
    /// Length of the last pause, in rounds.
    last_pause: u8,
}

/// Values of one row, `[stride]` each.
struct Scratch<R> {
    /// Scores, then ln p; [`LEAST_LOG`] in the padding.
    log_p: Vec<R>,
    /// ln alpha of the solution so far.
    log_alpha: Vec<R>,
    /// e to the power of `log_p` or of `log_alpha`.
    exp: Vec<R>,
    /// C_i (previous alpha - new alpha)
    step: Vec<R>,
}

impl<'a, R: Real> Solver<'a, R> {
    fn new(set: TrainingSet<'a>, spec: &LogisticSpec, tolerance: f64) -> Self {
        let TrainingSet { x, rows, n_classes, .. } = set;
        let stride = n_classes.next_multiple_of(LANES);
        let c = if n_classes == 2 { 0.5 * spec.c } else { spec.c };
        // The step of the multiplier: large enough to find b in a few rounds even if the rows have little weight, and
        // no larger, because it slows down every visit.
        let weight = c * rows.len() as f64 / n_classes as f64;
        let sigma = (400.0 / weight).clamp(0.1, 1.0);
        let truth: Vec<u32> = set.classes().collect();
        let costs = rows
            .iter()
            .zip(&truth)
            .map(|(&row, &truth)| {
                let square: f64 =
                    x.row(row as usize).1.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
                let c = c * f64::from(spec.class_weight[truth as usize]);
                (R::of(c), R::of(c * (square + sigma)))
            })
            .collect();
        // The starting point: every alpha is certain of its row's intent, so W = 0.
        let mut alpha = vec![R::ZERO; rows.len() * stride];
        for (alpha, &truth) in alpha.chunks_exact_mut(stride).zip(&truth) {
            alpha[truth as usize] = R::ONE;
        }
        let zeros = || vec![R::ZERO; stride];
        Self {
            set,
            truth,
            costs,
            sigma: R::of(sigma),
            tolerance: spec.tolerance.unwrap_or(tolerance),
            max_iterations: spec.max_iterations,
            random: Random::stream(spec.seed, 0),
            weights: vec![R::ZERO; x.n_features() * n_classes],
            intercept: zeros(),
            imbalance: zeros(),
            alpha,
            visits: vec![Visit { divergence: f32::INFINITY, pause: 0, last_pause: 0 }; rows.len()],
            scratch: Scratch { log_p: zeros(), log_alpha: zeros(), exp: zeros(), step: zeros() },
        }
    }

    /// Returns weights `[n_features, n_classes]` and intercepts `[n_classes]`.
    fn solve(mut self, advance: &(dyn Fn(u64) + Sync)) -> (Vec<R>, Vec<R>) {
        let settled = (SETTLED * self.tolerance) as f32;
        let mut order: Vec<u32> = (0..self.set.rows.len() as u32).collect();
        for _ in 0..self.max_iterations {
            self.random.shuffle(&mut order);
            let mut gap = 0.0;
            for &i in &order {
                let Visit { divergence, pause, .. } = &mut self.visits[i as usize];
                if *pause > 0 {
                    *pause -= 1;
                    gap += f64::from(*divergence);
                } else {
                    gap += f64::from(self.visit(i as usize, settled));
                }
            }
            for (b, imbalance) in self.intercept.iter_mut().zip(&self.imbalance) {
                *b += self.sigma * *imbalance;
            }
            advance(1);
            if gap <= self.tolerance * self.set.rows.len() as f64 {
                break;
            }
        }
        self.intercept.truncate(self.set.n_classes);
        (self.weights, self.intercept)
    }

    /// Solves for the alpha of row `i`, unless the row is settled; returns the divergence before the update.
    fn visit(&mut self, i: usize, settled: f32) -> f32 {
        let stride = self.intercept.len();
        let (c, q) = self.costs[i];
        self.score(i);
        let alpha = &mut self.alpha[i * stride..][..stride];
        let divergence: f32 = self.scratch.compare(alpha, q);
        let visit = &mut self.visits[i];
        visit.divergence = divergence;
        if divergence < settled {
            visit.last_pause = (visit.last_pause + 1).min(LONGEST_PAUSE);
            visit.pause = visit.last_pause;
            return divergence;
        }
        visit.last_pause = 0;
        self.scratch.solve(alpha, q);
        self.scratch.update(alpha, c, self.set.n_classes);
        let step = &self.scratch.step;
        for ((b, imbalance), &step) in self.intercept.iter_mut().zip(&mut self.imbalance).zip(step)
        {
            *b += self.sigma * step;
            *imbalance += step;
        }
        let TrainingSet { x, rows, n_classes, .. } = self.set;
        let (columns, values) = x.row(rows[i] as usize);
        for (&column, &value) in columns.iter().zip(values) {
            let weights = &mut self.weights[column as usize * n_classes..];
            add_scaled(&mut weights[..n_classes], value.into(), step);
        }
        divergence
    }

    /// Writes the scores of row `i` to `log_p`.
    fn score(&mut self, i: usize) {
        let TrainingSet { x, rows, n_classes, .. } = self.set;
        let scores = &mut self.scratch.log_p;
        scores.copy_from_slice(&self.intercept);
        let (scores, padding) = scores.split_at_mut(n_classes);
        let (columns, values) = x.row(rows[i] as usize);
        for (&column, &value) in columns.iter().zip(values) {
            add_scaled(scores, value.into(), &self.weights[column as usize * n_classes..]);
        }
        // Far below every score, so the padding has no probability.
        let least = scores.iter().copied().fold(scores[0], Real::min);
        padding.fill(least - R::of(1e4));
        debug_assert!(self.truth[i] < n_classes as u32, "a truth is a class");
    }
}

impl<R: Real> Scratch<R> {
    /// Turns the scores in `log_p` into log probabilities, writes the starting point of the solution to `log_alpha`, and
    /// returns the divergence of `alpha` from p: sum_k alpha_k ln(alpha_k / p_k).
    fn compare(&mut self, alpha: &[R], q: R) -> f32 {
        let largest = self.log_p.iter().copied().fold(self.log_p[0], Real::max);
        let mut sums = [R::ZERO; LANES];
        let (log_p, _) = self.log_p.as_chunks_mut::<LANES>();
        let (exp, _) = self.exp.as_chunks_mut::<LANES>();
        for (log_p, exp) in log_p.iter_mut().zip(&mut *exp) {
            for l in 0..LANES {
                log_p[l] -= largest;
                exp[l] = Real::exp(Real::max(log_p[l], LEAST_LOG.into()));
                sums[l] += exp[l];
            }
        }
        let sum = total(sums);
        let log_sum = Real::ln(sum);
        // An alpha far below p will be at least near p / (1 + q), so it starts there; a larger one starts at its value.
        let share = R::ONE / (sum * (R::ONE + q));
        let mut sums = [R::ZERO; LANES];
        let (log_alpha, _) = self.log_alpha.as_chunks_mut::<LANES>();
        let (alpha, _) = alpha.as_chunks::<LANES>();
        for ((log_p, alpha), (exp, log_alpha)) in
            log_p.iter_mut().zip(alpha).zip(exp.iter().zip(log_alpha))
        {
            for l in 0..LANES {
                log_p[l] = Real::max(log_p[l] - log_sum, LEAST_LOG.into());
                let log = Real::ln(Real::max(alpha[l], R::LEAST));
                sums[l] += alpha[l] * (log - log_p[l]);
                let start = Real::max(exp[l] * share, R::LEAST);
                log_alpha[l] = if alpha[l] > start { log } else { Real::ln(start) };
            }
        }
        let divergence: f64 = total(sums).into();
        divergence.max(0.0) as f32
    }

    /// Makes Newton steps in ln alpha and nu jointly.
    fn solve(&mut self, alpha: &[R], q: R) {
        let (log_p, _) = self.log_p.as_chunks::<LANES>();
        let (exp, _) = self.exp.as_chunks_mut::<LANES>();
        let (log_alpha, _) = self.log_alpha.as_chunks_mut::<LANES>();
        let (alpha, _) = alpha.as_chunks::<LANES>();
        let mut nu = R::ZERO;
        for _ in 0..NEWTON_STEPS {
            let mut sums = [[R::ZERO; LANES]; 3];
            for ((log_p, alpha), (exp, log_alpha)) in
                log_p.iter().zip(alpha).zip(exp.iter_mut().zip(&*log_alpha))
            {
                for l in 0..LANES {
                    exp[l] = Real::exp(log_alpha[l]);
                    let error = log_alpha[l] + q * (exp[l] - alpha[l]) - log_p[l] + nu;
                    let slope = exp[l] / (R::ONE + q * exp[l]);
                    sums[0][l] += exp[l];
                    sums[1][l] += error * slope;
                    sums[2][l] += slope;
                }
            }
            nu += (total(sums[0]) - R::ONE - total(sums[1])) / total(sums[2]);
            let mut largest = [R::ZERO; LANES];
            for ((log_p, alpha), (exp, log_alpha)) in
                log_p.iter().zip(alpha).zip(exp.iter().zip(&mut *log_alpha))
            {
                for l in 0..LANES {
                    let error = log_alpha[l] + q * (exp[l] - alpha[l]) - log_p[l] + nu;
                    let step = (R::ZERO - error) / (R::ONE + q * exp[l]);
                    // In ln alpha an upward step that is too long overshoots alpha exponentially, so it is bounded.
                    let step = Real::min(Real::max(step, R::of(-3.0)), R::of(1.5));
                    log_alpha[l] = Real::max(log_alpha[l] + step, LEAST_LOG.into());
                    let moved = exp[l] * step;
                    largest[l] = Real::max(largest[l], Real::max(moved, R::ZERO - moved));
                }
            }
            let largest = largest.into_iter().fold(R::ZERO, Real::max);
            if largest < R::of(1e-3) {
                break;
            }
        }
    }

    /// Sets `alpha` to the solution, scaled to sum to 1, and writes the resulting step of the weights.
    fn update(&mut self, alpha: &mut [R], c: R, n_classes: usize) {
        let mut sums = [R::ZERO; LANES];
        let (exp, _) = self.exp.as_chunks_mut::<LANES>();
        let (log_alpha, _) = self.log_alpha.as_chunks::<LANES>();
        for (exp, log_alpha) in exp.iter_mut().zip(log_alpha) {
            for l in 0..LANES {
                exp[l] = Real::exp(log_alpha[l]);
                sums[l] += exp[l];
            }
        }
        let scale = R::ONE / total(sums);
        for ((alpha, &exp), step) in alpha.iter_mut().zip(&self.exp).zip(&mut self.step) {
            let next = exp * scale;
            *step = c * (*alpha - next);
            *alpha = next;
        }
        alpha[n_classes..].fill(R::ZERO);
        self.step[n_classes..].fill(R::ZERO);
    }
}

fn total<R: Real>(sums: [R; LANES]) -> R {
    sums.into_iter().fold(R::ZERO, |total, sum| total + sum)
}

/// Adds `scale` times the first values of `from` to `to`, four at a time.
#[inline]
fn add_scaled<R: Real>(to: &mut [R], scale: R, from: &[R]) {
    let from = &from[..to.len()];
    let (to_fours, to_rest) = to.as_chunks_mut::<4>();
    let (from_fours, from_rest) = from.as_chunks::<4>();
    for (to, from) in to_fours.iter_mut().zip(from_fours) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to += scale * from;
        }
    }
    for (to, &from) in to_rest.iter_mut().zip(from_rest) {
        *to += scale * from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_features::FeatureMatrix;

    #[test]
    fn single_precision_exp_and_ln_are_accurate_to_the_last_digits() {
        for i in 0..=40_000 {
            let x = i as f32 * 0.004 - 80.0;
            let (got, expected) = (Real::exp(x), f64::from(x).exp());
            assert!((f64::from(got) - expected).abs() <= 3e-7 * expected, "exp({x}) = {got}");
            let back = Real::ln(got);
            assert!((back - x).abs() <= 2e-6 * x.abs().max(1.0), "ln({got}) = {back}");
        }
        assert_eq!((Real::exp(0.0_f32), Real::ln(1.0_f32)), (1.0, 0.0));
        assert!(Real::exp(-1e30_f32) > 0.0 && Real::exp(1e30_f32).is_finite());
    }

    /// Returns rows of at most five terms each; the intents share many terms.
    fn problem(n: u32, n_classes: u32) -> (FeatureMatrix, Vec<u32>) {
        let mut random = Random::new(9);
        let mut x = FeatureMatrix::new(200);
        let mut y = Vec::new();
        for i in 0..n {
            let class = i % n_classes;
            let mut terms: Vec<u32> = (0..5)
                .map(|_| (class * 7 + random.below(40) as u32 * (random.below(4) as u32 + 1)) % 200)
                .collect();
            terms.sort_unstable();
            terms.dedup();
            x.push_row(terms.into_iter().map(|term| (term, 0.45)));
            y.push(class);
        }
        (x, y)
    }

    #[test]
    fn single_precision_gives_the_same_model() {
        let (x, y) = problem(600, 13);
        let rows: Vec<u32> = (0..600).collect();
        let spec = |tolerance| LogisticSpec {
            c: 10.0,
            class_weight: vec![1.0; 13],
            max_iterations: 500,
            tolerance: Some(tolerance),
            seed: 3,
        };
        let exact = spec(1e-12);
        let set = TrainingSet { x: &x, rows: &rows, y: &y, n_classes: 13 };
        let (weights, _) = Solver::<f64>::new(set, &exact, 1.0).solve(&|_| ());
        let (got, _) = Solver::<f32>::new(set, &spec(1e-7), 1.0).solve(&|_| ());
        let largest = weights.iter().fold(0.0_f64, |a, w| a.max(w.abs()));
        assert!(largest > 1.0);
        for (expected, got) in weights.iter().zip(got) {
            assert!((expected - f64::from(got)).abs() < 5e-3 * largest, "{expected} {got}");
        }
    }

    #[test]
    fn the_gradient_is_zero_at_the_solution() {
        let (x, y) = problem(300, 5);
        let rows: Vec<u32> = (0..300).filter(|row| row % 10 != 3).collect();
        let spec = LogisticSpec {
            c: 3.0,
            class_weight: vec![1.0, 2.0, 0.5, 1.0, 1.0],
            max_iterations: 10_000,
            tolerance: Some(1e-18),
            seed: 3,
        };
        let set = TrainingSet { x: &x, rows: &rows, y: &y, n_classes: 5 };
        let (weights, intercept) = Solver::<f64>::new(set, &spec, 1.0).solve(&|_| ());
        let mut gradient = weights.clone();
        let mut of_intercept = [0.0; 5];
        for &row in &rows {
            let (columns, values) = x.row(row as usize);
            let mut p = intercept.clone();
            for (&column, &value) in columns.iter().zip(values) {
                for (p, w) in p.iter_mut().zip(&weights[column as usize * 5..]) {
                    *p += f64::from(value) * w;
                }
            }
            botops_stats::calibration::softmax(&mut p, 1.0);
            let truth = y[row as usize] as usize;
            let c = 3.0 * f64::from(spec.class_weight[truth]);
            p[truth] -= 1.0;
            for class in 0..5 {
                of_intercept[class] += c * p[class];
                for (&column, &value) in columns.iter().zip(values) {
                    gradient[column as usize * 5 + class] += c * p[class] * f64::from(value);
                }
            }
        }
        let worst = gradient.iter().chain(&of_intercept).fold(0.0_f64, |a, g| a.max(g.abs()));
        assert!(worst < 1e-6, "{worst}");
    }
}
