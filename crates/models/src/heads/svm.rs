//! One-vs-rest L2-loss linear support vector machine by dual coordinate descent with shrinking.
//!
//! For each intent, with y = +1 for its rows and -1 for the others, it minimises
//! 1/2 |w|^2 + C sum_i max(0, 1 - y_i w.x_i)^2; the intercept is the weight of one more feature that is always 1.
//! Source: Hsieh, Chang, Lin, Keerthi, Sundararajan, "A Dual Coordinate Descent Method for
//! Large-scale Linear SVM", ICML 2008, algorithm 3.
//!
//! Sixteen intents are solved side by side: their weights of one feature share a cache line, so one pass over a row
//! serves all sixteen. They share only the order in which rows are visited; each shrinks and converges independently.

use super::{fit_request::TrainingSet, linear::LinearHead};
use botops_stats::random::Random;
use rayon::prelude::*;
use std::sync::Mutex;

/// Intents solved side by side.
const LANES: usize = 16;
/// One bit for each of the sixteen intents.
type Bits = u16;

/// Settings of the solver.
#[derive(Debug, Clone)]
pub(crate) struct SvmSpec {
    /// Inverse strength of regularisation, > 0.
    pub(crate) c: f64,
    /// Factor of C for the rows of each intent, `[n_classes]`, when that intent is separated from the others. The rows of
    /// the others have factor 1, as in liblinear; with two intents, each has its own factor.
    pub(crate) class_weight: Vec<f32>,
    /// The largest number of passes over the rows.
    pub(crate) max_iterations: usize,
    /// The solver stops when the projected gradients of all rows span at most this.
    pub(crate) tolerance: f64,
    pub(crate) seed: u64,
}

/// Fits on `set`; the result does not depend on the number of threads.
pub(crate) fn fit(
    set: TrainingSet<'_>,
    spec: &SvmSpec,
    advance: &(dyn Fn(u64) + Sync),
) -> LinearHead {
    let n_classes = set.n_classes;
    let weights = vec![0.0_f32; set.x.n_features() * n_classes];
    let fitted = Mutex::new((weights, vec![0.0_f32; n_classes]));
    // Each block is copied as soon as it is solved, so the weights of all intents never exist twice.
    each_block(set, spec, advance, &|first, block| {
        let lanes = LANES.min(n_classes - first);
        let mut fitted = fitted.lock().expect("no block panics while it copies its weights");
        let (weights, intercept) = &mut *fitted;
        for (row, weights) in weights.chunks_exact_mut(n_classes).zip(&block.weights) {
            row[first..first + lanes].copy_from_slice(&weights[..lanes]);
        }
        intercept[first..first + lanes].copy_from_slice(&block.intercept[..lanes]);
    });
    let (weights, intercept) =
        fitted.into_inner().expect("no block panics while it copies its weights");
    LinearHead::of(weights, intercept)
}

/// Fits on `set`, and returns the scores `[held, n_classes]` of the rows `held`, in their order.
///
/// The scores are those of the head that [`fit`] returns, but the head is never assembled, which saves its memory.
pub(crate) fn fit_and_score(
    set: TrainingSet<'_>,
    held: &[u32],
    spec: &SvmSpec,
    advance: &(dyn Fn(u64) + Sync),
) -> Vec<f64> {
    let n_classes = set.n_classes;
    let scores = Mutex::new(vec![0.0_f64; held.len() * n_classes]);
    each_block(set, spec, advance, &|first, block| {
        let lanes = LANES.min(n_classes - first);
        let margins: Vec<[f32; LANES]> =
            held.iter().map(|&row| block.margin(set.x.row(row as usize))).collect();
        let mut scores = scores.lock().expect("no block panics while it copies its weights");
        for (scores, margin) in scores.chunks_exact_mut(n_classes).zip(margins) {
            for (score, margin) in scores[first..].iter_mut().zip(&margin[..lanes]) {
                *score = f64::from(*margin);
            }
        }
    });
    scores.into_inner().expect("no block panics while it copies its weights")
}

/// Solves blocks of sixteen intents on all threads, and calls `solved` with the first intent of each block and the block.
fn each_block(
    set: TrainingSet<'_>,
    spec: &SvmSpec,
    advance: &(dyn Fn(u64) + Sync),
    solved: &(dyn Fn(usize, &Block) + Sync),
) {
    let TrainingSet { x, rows, n_classes, .. } = set;
    let squares: Vec<f32> = rows
        .iter()
        .map(|&row| x.row(row as usize).1.iter().map(|v| v * v).sum::<f32>() + 1.0)
        .collect();
    (0..n_classes.div_ceil(LANES)).into_par_iter().for_each(|block| {
        let first = block * LANES;
        let lanes = LANES.min(n_classes - first);
        let problem = Problem { set, squares: &squares, first: first as u32, lanes, spec };
        let random = Random::stream(spec.seed, block as u64);
        solved(first, &problem.solve(random));
        advance(lanes as u64);
    });
}

/// The weights `[n_features]` and the intercepts of sixteen intents.
struct Block {
    weights: Vec<[f32; LANES]>,
    intercept: [f32; LANES],
}

impl Block {
    #[inline]
    fn margin(&self, (columns, values): (&[u32], &[f32])) -> [f32; LANES] {
        let mut margin = self.intercept;
        for (&column, &value) in columns.iter().zip(values) {
            let weights = &self.weights[column as usize];
            for l in 0..LANES {
                margin[l] += value * weights[l];
            }
        }
        margin
    }

    #[inline]
    fn add(&mut self, (columns, values): (&[u32], &[f32]), change: &[f32; LANES]) {
        for (intercept, change) in self.intercept.iter_mut().zip(change) {
            *intercept += change;
        }
        for (&column, &value) in columns.iter().zip(values) {
            let weights = &mut self.weights[column as usize];
            for l in 0..LANES {
                weights[l] += value * change[l];
            }
        }
    }
}

/// The state of one of the sixteen intents.
#[derive(Clone, Copy, PartialEq)]
enum Lane {
    /// Rows whose alpha is likely to stay 0 are skipped.
    Shrunk,
    /// Converged on the rows that are not skipped; waits for the other intents, so one pass checks all rows for all.
    Waiting,
    /// All rows are visited.
    Whole,
    /// Converged on all rows.
    Done,
}

/// The problem of separating each of sixteen intents from all others.
struct Problem<'a> {
    set: TrainingSet<'a>,
    /// The squared length of each row, including the feature of the intercept.
    squares: &'a [f32],
    first: u32,
    lanes: usize,
    spec: &'a SvmSpec,
}

impl Problem<'_> {
    /// Returns 1 / 2C for the rows of each of the sixteen intents, and for the rows of the others.
    fn diagonals(&self) -> ([f32; LANES], [f32; LANES]) {
        let weight = &self.spec.class_weight;
        let diagonal = |weight: f32| (0.5 / (self.spec.c * f64::from(weight))) as f32;
        let (mut own, mut other) = ([1.0; LANES], [1.0; LANES]);
        for l in 0..self.lanes {
            let class = self.first as usize + l;
            own[l] = diagonal(weight[class]);
            other[l] = diagonal(if weight.len() == 2 { weight[1 - class] } else { 1.0 });
        }
        (own, other)
    }

    fn solve(&self, mut random: Random) -> Block {
        let Self { set: TrainingSet { x, rows, y, .. }, lanes, spec, .. } = *self;
        let (own, other) = self.diagonals();
        let tolerance = spec.tolerance as f32;
        // Steps this small do not change decisions, but cost as much as large ones.
        let negligible = tolerance * 0.1;
        let mut block =
            Block { weights: vec![[0.0_f32; LANES]; x.n_features()], intercept: [0.0_f32; LANES] };
        let mut alpha = vec![[0.0_f32; LANES]; rows.len()];
        let mut lane = [Lane::Done; LANES];
        lane[..lanes].fill(Lane::Whole);
        let mut active = vec![Bits::MAX; rows.len()];
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let mut largest_before = [f32::INFINITY; LANES];
        for _ in 0..spec.max_iterations {
            let running = (0..LANES).fold(0, |bits, l| {
                bits | Bits::from(matches!(lane[l], Lane::Shrunk | Lane::Whole)) << l
            });
            random.shuffle(&mut order);
            let (mut largest, mut smallest) = ([f32::NEG_INFINITY; LANES], [f32::INFINITY; LANES]);
            for &i in &order {
                let i = i as usize;
                let bits = active[i] & running;
                if bits == 0 {
                    continue;
                }
                let row = x.row(rows[i] as usize);
                let margin = block.margin(row);
                let class = y[rows[i] as usize].wrapping_sub(self.first);
                let mut change = [0.0_f32; LANES];
                let mut changed = false;
                for l in 0..LANES {
                    if bits >> l & 1 == 0 {
                        continue;
                    }
                    let (sign, diagonal) =
                        if class == l as u32 { (1.0, own[l]) } else { (-1.0, other[l]) };
                    let alpha = &mut alpha[i][l];
                    let gradient = sign * margin[l] - 1.0 + diagonal * *alpha;
                    let mut projected = gradient;
                    if *alpha == 0.0 {
                        if gradient > largest_before[l] {
                            active[i] &= !(1 << l);
                            continue;
                        }
                        projected = gradient.min(0.0);
                    }
                    largest[l] = largest[l].max(projected);
                    smallest[l] = smallest[l].min(projected);
                    if projected.abs() > negligible {
                        let next = (*alpha - gradient / (self.squares[i] + diagonal)).max(0.0);
                        change[l] = (next - *alpha) * sign;
                        *alpha = next;
                        changed = true;
                    }
                }
                if changed {
                    block.add(row, &change);
                }
            }
            for l in 0..lanes {
                if !matches!(lane[l], Lane::Shrunk | Lane::Whole) {
                    continue;
                }
                // A lane without an active row has smallest > largest, and counts as converged.
                if largest[l] - smallest[l] <= tolerance {
                    lane[l] = if lane[l] == Lane::Whole { Lane::Done } else { Lane::Waiting };
                } else {
                    lane[l] = Lane::Shrunk;
                    largest_before[l] = if largest[l] > 0.0 { largest[l] } else { f32::INFINITY };
                }
            }
            if lane.contains(&Lane::Shrunk) {
                let kept = lane_bits(&lane, Lane::Shrunk);
                order.retain(|&i| active[i as usize] & kept != 0);
            } else if lane.contains(&Lane::Waiting) {
                let again = lane_bits(&lane, Lane::Waiting);
                for bits in &mut active {
                    *bits |= again;
                }
                order = (0..rows.len() as u32).collect();
                for l in 0..lanes {
                    if lane[l] == Lane::Waiting {
                        lane[l] = Lane::Whole;
                        largest_before[l] = f32::INFINITY;
                    }
                }
            } else {
                break;
            }
        }
        block
    }
}

fn lane_bits(lanes: &[Lane; LANES], state: Lane) -> Bits {
    (0..LANES).fold(0, |bits, l| bits | Bits::from(lanes[l] == state) << l)
}
