//! Sides for the units that hold several intents, such as conversations.
//!
//! Such a unit fills the quotas of all of its intents at once. Units take the side that leaves each intent, and each language
//! of it, nearest to its share; then single units move, and pairs change places, while that improves the division. An intent
//! without any record on a side counts more than any deviation from a share.

use crate::lock::SplitSide;
use botops_digest::Digest;

/// The most units for which pairs are exchanged; the number of pairs grows with its square.
const MOST_EXCHANGED: usize = 400;
/// The most passes of improvement. Each one strictly improves the division, so few are used.
const MOST_PASSES: usize = 50;
/// A smaller improvement is a rounding error.
const LEAST_GAIN: f64 = 1e-9;

/// A unit of records of several intents.
pub(crate) struct MixedUnit {
    /// The smallest hash of its texts; units are taken in this order.
    pub(crate) hash: Digest,
    /// The number of its records in each class, by the index of the class.
    pub(crate) counts: Vec<(usize, usize)>,
}

/// A class of records that is to be divided by the shares: an intent, a language of an intent, or all records.
pub(crate) struct Class {
    /// The weight of its deviation from the shares.
    pub(crate) weight: f64,
    /// The records of the class on each side so far, in the order of the sides.
    pub(crate) counts: Vec<usize>,
    /// The records of the class that have a side, and those of the mixed units.
    pub(crate) size: usize,
    /// The units of this class alone, which fill empty sides later; `None` if sides may stay empty.
    pub(crate) fillers: Option<usize>,
}

/// Returns the index of the side of each of `units`, which sorts them by hash; `shares` are those of the `sides`.
pub(crate) fn divide(
    units: &mut [MixedUnit],
    mut classes: Vec<Class>,
    sides: &[SplitSide],
    shares: &[f64],
) -> Vec<usize> {
    units.sort_unstable_by_key(|unit| unit.hash);
    let mut division = Division { sides, shares, classes: &mut classes };
    let mut placed: Vec<usize> = Vec::with_capacity(units.len());
    for unit in &*units {
        let costs = (0..sides.len()).map(|side| (division.cost_of(unit, None, side), side));
        let best = costs.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, side)| side);
        division.place(unit, None, best);
        placed.push(best);
    }
    for _ in 0..MOST_PASSES {
        let mut is_better = division.move_units(units, &mut placed);
        if units.len() <= MOST_EXCHANGED {
            is_better |= division.exchange_units(units, &mut placed);
        }
        if !is_better {
            break;
        }
    }
    placed
}

struct Division<'a> {
    sides: &'a [SplitSide],
    shares: &'a [f64],
    classes: &'a mut [Class],
}

impl Division<'_> {
    /// Moves each unit whose move improves the division; returns whether one did.
    fn move_units(&mut self, units: &[MixedUnit], placed: &mut [usize]) -> bool {
        let mut is_better = false;
        for (unit, at) in units.iter().zip(placed) {
            for side in 0..self.sides.len() {
                if side != *at && self.cost_of(unit, Some(*at), side) < -LEAST_GAIN {
                    self.place(unit, Some(*at), side);
                    *at = side;
                    is_better = true;
                }
            }
        }
        is_better
    }

    /// Exchanges each pair of units on two sides whose exchange improves the division; returns whether one did.
    fn exchange_units(&mut self, units: &[MixedUnit], placed: &mut [usize]) -> bool {
        let mut is_better = false;
        for i in 0..units.len() {
            for j in i + 1..units.len() {
                let (a, b) = (placed[i], placed[j]);
                if a == b {
                    continue;
                }
                let first = self.cost_of(&units[i], Some(a), b);
                self.place(&units[i], Some(a), b);
                if first + self.cost_of(&units[j], Some(b), a) < -LEAST_GAIN {
                    self.place(&units[j], Some(b), a);
                    placed.swap(i, j);
                    is_better = true;
                } else {
                    self.place(&units[i], Some(b), a);
                }
            }
        }
        is_better
    }

    /// Returns how much the cost grows when `unit` goes from the side `from`, if it is on one, to the side `to`.
    fn cost_of(&mut self, unit: &MixedUnit, from: Option<usize>, to: usize) -> f64 {
        let before = self.cost(unit);
        self.place(unit, from, to);
        let after = self.cost(unit);
        self.take(unit, to);
        if let Some(from) = from {
            self.add(unit, from);
        }
        after - before
    }

    fn place(&mut self, unit: &MixedUnit, from: Option<usize>, to: usize) {
        if let Some(from) = from {
            self.take(unit, from);
        }
        self.add(unit, to);
    }

    fn add(&mut self, unit: &MixedUnit, side: usize) {
        unit.counts.iter().for_each(|&(class, n)| self.classes[class].counts[side] += n);
    }

    fn take(&mut self, unit: &MixedUnit, side: usize) {
        unit.counts.iter().for_each(|&(class, n)| self.classes[class].counts[side] -= n);
    }

    /// Returns the cost of the classes of `unit`: their squared deviations from the shares, and their empty sides.
    fn cost(&self, unit: &MixedUnit) -> f64 {
        unit.counts.iter().map(|&(class, _)| self.cost_of_class(&self.classes[class])).sum()
    }

    fn cost_of_class(&self, class: &Class) -> f64 {
        let size = class.size.max(1) as f64;
        let deviations = class.counts.iter().zip(self.shares).map(|(&n, share)| {
            let deviation = n as f64 / size - share;
            deviation * deviation
        });
        let deviation = class.weight * deviations.sum::<f64>();
        let Some(fillers) = class.fillers else { return deviation };
        let empty = self.sides.iter().zip(&class.counts).filter(|&(_, &n)| n == 0);
        // A model cannot be fitted without training records, so an empty side counts most there.
        let penalty = |side: SplitSide| match side {
            SplitSide::Train => 400.0,
            SplitSide::Test => 200.0,
            SplitSide::Validation => 100.0,
        };
        deviation + empty.skip(fillers).map(|(&side, _)| penalty(side)).sum::<f64>()
    }
}
