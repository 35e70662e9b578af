//! The best of many scores, in a fixed order.

use std::{cmp::Reverse, collections::BinaryHeap};

/// The scores that are compared at once with the least of the best.
const BLOCK: usize = 64;

/// The `k` best scores: higher ones first, then lower chunks.
#[derive(Debug, Default)]
pub(crate) struct Ranked {
    k: usize,
    /// Score and chunk in one number that rises with the rank.
    best: BinaryHeap<Reverse<u64>>,
}

impl Ranked {
    /// Forgets all scores, and keeps `k` from now on.
    pub(crate) fn reset(&mut self, k: usize) {
        self.k = k;
        self.best.clear();
    }

    /// Adds a score, which is not NaN.
    #[inline]
    pub(crate) fn push(&mut self, chunk: u32, score: f32) {
        let key = u64::from(ordered(score)) << 32 | u64::from(!chunk);
        if self.best.len() < self.k {
            self.best.push(Reverse(key));
        } else if let Some(mut least) = self.best.peek_mut()
            && key > least.0
        {
            *least = Reverse(key);
        }
    }

    /// Adds the scores above `floor`, those of the chunks from 0 on. Chunks that were added before must be lower ones.
    pub(crate) fn push_above(&mut self, scores: &[f32], floor: f32) {
        // Once there are k scores, only a higher one enters: of equal ones, the lower chunk came first.
        let mut least = self.least().map_or(floor, |least| least.max(floor));
        for (block, first) in scores.chunks(BLOCK).zip((0_u32..).step_by(BLOCK)) {
            // Without an early exit, many scores are compared at once.
            if !block.iter().fold(false, |any, score| any | (*score > least)) {
                continue;
            }
            for (&score, chunk) in block.iter().zip(first..) {
                if score > least {
                    self.push(chunk, score);
                    least = self.least().map_or(floor, |least| least.max(floor));
                }
            }
        }
    }

    /// Returns the `k`-th best score, if there are as many.
    pub(crate) fn least(&self) -> Option<f32> {
        let least = self.best.peek().filter(|_| self.best.len() == self.k)?;
        Some(unordered((least.0 >> 32) as u32))
    }

    /// Writes chunks and scores to `out`, which is cleared first, the best first.
    pub(crate) fn drain_into(&mut self, out: &mut Vec<(u32, f32)>) {
        out.clear();
        out.extend(
            self.best.drain().map(|Reverse(key)| (!(key as u32), unordered((key >> 32) as u32))),
        );
        out.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }
}

/// Returns a number that rises with `score`.
fn ordered(score: f32) -> u32 {
    let bits = score.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

fn unordered(number: u32) -> f32 {
    f32::from_bits(if number >> 31 == 1 { number & !(1 << 31) } else { !number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_scores_at_once_rank_as_one_after_another() {
        // Few different scores, so that many are equal; some are at the floor.
        let scores: Vec<f32> = (0..1_000_u32).map(|at| ((at * 7_919) % 31) as f32 - 5.0).collect();
        for k in [0, 1, 10, 64, 2_000] {
            for floor in [0.0, 20.0, 100.0, f32::NEG_INFINITY] {
                let (mut many, mut single) = (Ranked::default(), Ranked::default());
                many.reset(k);
                single.reset(k);
                many.push_above(&scores, floor);
                for (chunk, score) in (0..).zip(&scores) {
                    if *score > floor {
                        single.push(chunk, *score);
                    }
                }
                let (mut found, mut expected) = (Vec::new(), Vec::new());
                many.drain_into(&mut found);
                single.drain_into(&mut expected);
                assert_eq!(found, expected, "{k}, {floor}");
            }
        }
    }
}
