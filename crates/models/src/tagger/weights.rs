//! The weights of attributes, found by their keys.

use super::attributes::{N_PLACES, RADIUS};

/// The weights of the attributes that have one.
///
/// - `keys` rises strictly; the entries of `keys[i]` end at `ends[i]` and begin at the end of those before
/// - the entry `(code, weight)` adds `weight` to the score of the label `code % n_labels` of the token that is
///   `code / n_labels - RADIUS` tokens after that of the attribute
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Weights {
    keys: Vec<u64>,
    ends: Vec<u32>,
    codes: Vec<u16>,
    weights: Vec<f32>,
    /// Open addressing: index + 1 of a key, or 0. A power of two of slots, at most half of them used.
    slots: Vec<u32>,
}

/// Returns the code of `label` of the token `place` tokens after that of the attribute, `-RADIUS` to `RADIUS`.
pub(super) fn code(place: isize, label: usize, n_labels: usize) -> u16 {
    let row = place + RADIUS as isize;
    (row as usize * n_labels + label) as u16
}

impl Weights {
    /// Makes the weights of `keys`, which rise strictly; `ends`, `codes` and `weights` as in the fields.
    ///
    /// Returns `None` if they do not belong together, or if a code is not below `N_PLACES * n_labels`.
    pub(super) fn new(
        keys: Vec<u64>,
        ends: Vec<u32>,
        codes: Vec<u16>,
        weights: Vec<f32>,
        n_labels: usize,
    ) -> Option<Self> {
        let rises = keys.is_sorted_by(|a, b| a < b) && ends.is_sorted();
        let is_complete = ends.last().copied().unwrap_or(0) as usize == codes.len();
        let is_valid = rises
            && is_complete
            && keys.len() == ends.len()
            && codes.len() == weights.len()
            && codes.iter().all(|&code| usize::from(code) < N_PLACES * n_labels)
            && weights.iter().all(|weight| weight.is_finite());
        if !is_valid {
            return None;
        }
        let n_slots = (2 * keys.len()).next_power_of_two();
        let mut slots = vec![0_u32; n_slots];
        for (i, key) in keys.iter().enumerate() {
            let mut at = slot(*key, n_slots);
            while slots[at] != 0 {
                at = (at + 1) % n_slots;
            }
            slots[at] = i as u32 + 1;
        }
        Some(Self { keys, ends, codes, weights, slots })
    }

    /// Returns the keys, ends, codes and weights.
    pub(super) fn parts(&self) -> (&[u64], &[u32], &[u16], &[f32]) {
        (&self.keys, &self.ends, &self.codes, &self.weights)
    }

    /// Adds the weights of the attribute `key` to `scores`: the scores of the labels of all tokens that see it, the first
    /// of which is `RADIUS` tokens before its own.
    #[inline]
    pub(super) fn add_to(&self, key: u64, scores: &mut [f32]) {
        let n_slots = self.slots.len();
        let mut at = slot(key, n_slots);
        loop {
            let i = match self.slots[at] {
                0 => return,
                i => i as usize - 1,
            };
            if self.keys[i] == key {
                let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
                let end = self.ends[i] as usize;
                for (code, weight) in self.codes[start..end].iter().zip(&self.weights[start..end]) {
                    scores[usize::from(*code)] += weight;
                }
                return;
            }
            at = (at + 1) & (n_slots - 1);
        }
    }
}

/// Returns the first slot of `key`; the lowest bits of a key are not random.
#[inline]
fn slot(key: u64, n_slots: usize) -> usize {
    (key >> 3) as usize & (n_slots - 1)
}
