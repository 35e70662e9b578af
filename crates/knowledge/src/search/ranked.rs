//! The best of many scores, in a fixed order.

use std::{cmp::Reverse, collections::BinaryHeap};

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
