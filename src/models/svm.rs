//! One-vs-rest L2-loss linear support vector machine by dual coordinate descent with shrinking.
//!
//! For each intent, with y = +1 for its rows and -1 for the others, it minimises
//! 1/2 |w|^2 + C sum_i max(0, 1 - y_i w.x_i)^2, the intercept being one more weight, of a feature that is always 1.
//! Source: Hsieh, Chang, Lin, Keerthi, Sundararajan, "A Dual Coordinate Descent Method for
//! Large-scale Linear SVM", ICML 2008, algorithm 3.
//!
//! Eight intents are solved side by side: their weights of one feature lie together, so that one
//! pass over a row serves all eight, and the processor adds them at once. They share the order in
//! which rows are visited, nothing else: each shrinks and converges as if alone.

use super::linear::LinearHead;
use crate::{features::FeatureMatrix, stats::random::Random};
use rayon::prelude::*;

/// Intents solved side by side.
const LANES: usize = 8;

/// How to fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct SvmSpec {
    /// Inverse strength of regularisation, > 0.
    pub(super) c: f64,
    /// The most passes over the rows.
    pub(super) max_iterations: usize,
    /// Stop when the projected gradients of all rows lie within this.
    pub(super) tolerance: f64,
    pub(super) seed: u64,
}

/// Fits on `rows` of `x`, whose intents are `y[row]`; the same on any number of threads.
pub(super) fn fit(
    x: &FeatureMatrix,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: SvmSpec,
    advance: &(dyn Fn(u64) + Sync),
) -> LinearHead {
    let blocks: Vec<Block> = (0..n_classes.div_ceil(LANES))
        .into_par_iter()
        .map(|block| {
            let first = block * LANES;
            let lanes = LANES.min(n_classes - first);
            let random = Random::stream(spec.seed, block as u64);
            let fitted = fit_block(x, rows, y, first as u32, lanes, spec, random);
            advance(lanes as u64);
            fitted
        })
        .collect();
    LinearHead::new(
        x.n_features(),
        n_classes,
        |feature, class| blocks[class / LANES].weights[feature][class % LANES],
        |class| blocks[class / LANES].intercept[class % LANES],
    )
}

struct Block {
    weights: Vec<[f32; LANES]>,
    intercept: [f32; LANES],
}

/// Where one of the eight stands.
#[derive(Clone, Copy, PartialEq)]
enum Lane {
    /// Some rows may be set aside.
    Shrunk,
    /// Converged on the rows not set aside; waits for the others, so that all are checked in one pass.
    Waiting,
    /// All rows are looked at.
    Whole,
    Done,
}

fn fit_block(
    x: &FeatureMatrix,
    rows: &[u32],
    y: &[u32],
    first: u32,
    lanes: usize,
    spec: SvmSpec,
    mut random: Random,
) -> Block {
    let diagonal = (0.5 / spec.c) as f32;
    let tolerance = spec.tolerance as f32;
    // Steps this small change no decision, but each costs as much as a large one.
    let negligible = tolerance * 0.01;
    let squares: Vec<f32> = rows
        .iter()
        .map(|&row| x.row(row as usize).1.iter().map(|v| v * v).sum::<f32>() + 1.0 + diagonal)
        .collect();
    let mut weights = vec![[0.0_f32; LANES]; x.n_features()];
    let mut intercept = [0.0_f32; LANES];
    let mut alpha = vec![[0.0_f32; LANES]; rows.len()];
    let mut lane = [Lane::Done; LANES];
    lane[..lanes].fill(Lane::Whole);
    let mut active = vec![u8::MAX; rows.len()];
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let mut largest_before = [f32::INFINITY; LANES];
    for _ in 0..spec.max_iterations {
        let running = (0..LANES).fold(0_u8, |bits, l| {
            bits | u8::from(matches!(lane[l], Lane::Shrunk | Lane::Whole)) << l
        });
        random.shuffle(&mut order);
        let (mut largest, mut smallest) = ([f32::NEG_INFINITY; LANES], [f32::INFINITY; LANES]);
        for &i in &order {
            let i = i as usize;
            let bits = active[i] & running;
            if bits == 0 {
                continue;
            }
            let (columns, values) = x.row(rows[i] as usize);
            let mut margin = intercept;
            for (&column, &value) in columns.iter().zip(values) {
                let weights = &weights[column as usize];
                for l in 0..LANES {
                    margin[l] += value * weights[l];
                }
            }
            let class = y[rows[i] as usize].wrapping_sub(first);
            let mut change = [0.0_f32; LANES];
            let mut changed = false;
            for l in 0..LANES {
                if bits >> l & 1 == 0 {
                    continue;
                }
                let sign = if class == l as u32 { 1.0 } else { -1.0 };
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
                    let next = (*alpha - gradient / squares[i]).max(0.0);
                    change[l] = (next - *alpha) * sign;
                    *alpha = next;
                    changed = true;
                }
            }
            if changed {
                for l in 0..LANES {
                    intercept[l] += change[l];
                }
                for (&column, &value) in columns.iter().zip(values) {
                    let weights = &mut weights[column as usize];
                    for l in 0..LANES {
                        weights[l] += value * change[l];
                    }
                }
            }
        }
        for l in 0..lanes {
            if !matches!(lane[l], Lane::Shrunk | Lane::Whole) {
                continue;
            }
            // Of a lane without an active row, the bounds crossed: that is converged, too.
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
    Block { weights, intercept }
}

fn lane_bits(lanes: &[Lane; LANES], wanted: Lane) -> u8 {
    (0..LANES).fold(0, |bits, l| bits | u8::from(lanes[l] == wanted) << l)
}
