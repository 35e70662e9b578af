//! A mergeable summary of numbers: counts of logarithmic buckets, from which any quantile follows within 1 %.
//!
//! It is `DDSketch` with integer counts. Source: Masson, Rim and Lee, "`DDSketch`: a fast and fully-mergeable quantile sketch
//! with relative-error guarantees", VLDB 2019. If a sketch would have too many buckets, every two neighbors become one
//! (Epicoco et al., "`UDDSketch`", 2020).
//!
//! The buckets of a number follow from its bits by additions and products alone, so every machine chooses the same one.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The relative error of a value that a sketch returns, as long as it has at most [`MOST_BUCKETS`] buckets.
pub const RELATIVE_ACCURACY: f64 = 0.01;
/// The most buckets of one sketch. At an accuracy of 1 % these span numbers of one sign whose ratio is 10^17.
pub const MOST_BUCKETS: usize = 2_048;
/// The most times that neighbors can become one: then every number of one sign is in one of two buckets.
const MOST_LEVELS: u32 = 17;

/// The count of numbers in each bucket, with the smallest and the largest number.
///
/// - merging adds counts, so the result is the same in every order and grouping, and equal to one pass over all numbers
/// - `level` is the smallest at which the sketch has at most [`MOST_BUCKETS`] buckets
/// - no bucket is empty
/// - numbers below 2.2e-308 count as 0
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Sketch {
    /// How often every two neighbors became one.
    #[serde(skip_serializing_if = "is_zero")]
    level: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    negative: BTreeMap<i32, u64>,
    #[serde(skip_serializing_if = "is_none")]
    zero: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    positive: BTreeMap<i32, u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(level: &u32) -> bool {
    *level == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(n: &u64) -> bool {
    *n == 0
}

impl Sketch {
    /// Adds `value`. Returns false, and adds nothing, if it is infinite or not a number.
    pub fn add(&mut self, value: f64) -> bool {
        self.add_times(value, 1)
    }

    /// Adds `value` `n` times, as [`Self::add`] does.
    pub fn add_times(&mut self, value: f64, n: u64) -> bool {
        if !value.is_finite() {
            return false;
        }
        if n == 0 {
            return true;
        }
        // -0 is 0: the two are equal, and the order in which they come must not matter.
        let value = value + 0.0;
        self.widen([value, value]);
        if value.abs() < f64::MIN_POSITIVE {
            self.zero = self.zero.saturating_add(n);
            return true;
        }
        let index = coarser(index(value.abs()), self.level);
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        let count = side.entry(index).or_default();
        let is_new = *count == 0;
        *count = count.saturating_add(n);
        if is_new {
            self.collapse();
        }
        true
    }

    /// Adds the numbers of `other`.
    pub fn merge(&mut self, other: &Self) {
        let Some(range) = other.range else { return };
        self.widen(range);
        self.zero = self.zero.saturating_add(other.zero);
        self.coarsen_to(other.level);
        for (side, others) in
            [(&mut self.negative, &other.negative), (&mut self.positive, &other.positive)]
        {
            for (index, n) in others {
                let count = side.entry(coarser(*index, self.level - other.level)).or_default();
                *count = count.saturating_add(*n);
            }
        }
        self.collapse();
    }

    /// Returns the number of numbers.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.negative.values().chain(self.positive.values()).fold(self.zero, |n, count| n + count)
    }

    /// Returns whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_none()
    }

    /// Returns the smallest and the largest number, exactly; `None` without numbers.
    #[must_use]
    pub fn range(&self) -> Option<[f64; 2]> {
        self.range
    }

    /// Returns the largest relative error of a value returned: [`RELATIVE_ACCURACY`], or more if neighbors became one.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        // tanh(2a) of a = artanh(accuracy): the ratio of the ends of a bucket is squared.
        (0..self.level)
            .fold(RELATIVE_ACCURACY, |accuracy, _| 2.0 * accuracy / (1.0 + accuracy * accuracy))
    }

    /// Returns the number of buckets, at most [`MOST_BUCKETS`] and one for zero.
    #[must_use]
    pub fn n_buckets(&self) -> usize {
        self.negative.len() + self.positive.len() + usize::from(self.zero > 0)
    }

    /// Returns a value for each bucket, rising, with the count of its numbers: each of these is within
    /// [`Self::accuracy`] of the value.
    pub fn values(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let level = self.level;
        let value = move |index: i32| middle(index, level);
        let negative = self.negative.iter().rev().map(move |(index, n)| (-value(*index), *n));
        let zero = (self.zero > 0).then_some((0.0, self.zero));
        negative.chain(zero).chain(self.positive.iter().map(move |(index, n)| (value(*index), *n)))
    }

    /// Returns the value with the share `q` in [0, 1] of the numbers at or below it, within [`Self::accuracy`]; `None`
    /// without numbers.
    ///
    /// It is the smallest number with this share, as for a list of all numbers: the smallest number for 0, the largest for
    /// 1. It never lies outside of [`Self::range`].
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let [low, high] = self.range?;
        let n = self.n();
        // 0.07 x 5,000 is a little more than 350.
        let share = q.clamp(0.0, 1.0) * (1.0 - 2.0 * f64::EPSILON);
        let rank = ((share * n as f64).ceil() as u64).clamp(1, n);
        if rank == n {
            return Some(high);
        }
        let mut below = 0;
        let value = self.values().find(|(_, count)| {
            below += count;
            below >= rank
        });
        value.map(|(value, _)| value.clamp(low, high))
    }

    fn widen(&mut self, [low, high]: [f64; 2]) {
        self.range = Some(match self.range {
            Some([a, b]) => [a.min(low), b.max(high)],
            None => [low, high],
        });
    }

    /// Makes one bucket of every two neighbors, until there are few enough.
    fn collapse(&mut self) {
        while self.negative.len() + self.positive.len() > MOST_BUCKETS && self.level < MOST_LEVELS {
            self.coarsen_to(self.level + 1);
        }
    }

    fn coarsen_to(&mut self, level: u32) {
        let by = level.saturating_sub(self.level);
        if by == 0 {
            return;
        }
        for side in [&mut self.negative, &mut self.positive] {
            let mut coarse: BTreeMap<i32, u64> = BTreeMap::new();
            for (index, n) in std::mem::take(side) {
                let count = coarse.entry(coarser(index, by)).or_default();
                *count = count.saturating_add(n);
            }
            *side = coarse;
        }
        self.level = level;
    }
}

/// A sketch as JSON, before its checks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default)]
    level: u32,
    #[serde(default)]
    range: Option<[f64; 2]>,
    #[serde(default)]
    negative: BTreeMap<i32, u64>,
    #[serde(default)]
    zero: u64,
    #[serde(default)]
    positive: BTreeMap<i32, u64>,
}

impl TryFrom<Stored> for Sketch {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { level, range, negative, zero, positive } = stored;
        let counts = || negative.values().chain(positive.values());
        let (first, last) = (index(f64::MIN_POSITIVE), index(f64::MAX));
        let is_known = |i: &i32| (coarser(first, level)..=coarser(last, level)).contains(i);
        if level > MOST_LEVELS || !negative.keys().chain(positive.keys()).all(is_known) {
            return Err("a sketch has a bucket out of range");
        }
        let total = counts().try_fold(zero, |total, n| total.checked_add(*n));
        if counts().any(|n| *n == 0) || total.is_none_or(|total| (total == 0) != range.is_none()) {
            return Err("a sketch has counts that no numbers have");
        }
        if range.is_some_and(|[low, high]| !(low.is_finite() && high.is_finite() && low <= high)) {
            return Err("a sketch has a range that no numbers have");
        }
        let mut sketch = Self { level, range, negative, zero, positive };
        sketch.collapse();
        Ok(sketch)
    }
}

/// Returns the index of the bucket at `level` steps coarser: the ceiling of index / 2^steps.
fn coarser(index: i32, steps: u32) -> i32 {
    -((-index) >> steps)
}

/// Returns the number of buckets for a unit of [`height`], so that the ends of none have a ratio above
/// (1 + accuracy) / (1 - accuracy).
///
/// The slope of `height` over the natural logarithm is at least 10/7, so that many for a unit are 0.7 / ln(ratio).
fn buckets_for_unit() -> f64 {
    // ln((1 + a) / (1 - a)) = 2 artanh(a); five terms of its series are exact for a of a hundredth.
    let a = RELATIVE_ACCURACY;
    let square = a * a;
    let series = 1.0
        + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square * (1.0 / 9.0))));
    0.7 / (2.0 * a * series)
}

/// Returns the index of the bucket of a positive normal number.
fn index(value: f64) -> i32 {
    (height(value) * buckets_for_unit()).ceil() as i32
}

/// Returns a rising function of a positive normal number, near its binary logarithm, and equal to it for powers of 2: the
/// exponent, and a cubic polynomial of the fraction.
fn height(value: f64) -> f64 {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7FF) as i32 - 1_023;
    let fraction = f64::from_bits((bits & 0x000F_FFFF_FFFF_FFFF) | 1.0_f64.to_bits()) - 1.0;
    f64::from(exponent) + polynomial(fraction)
}

fn polynomial(s: f64) -> f64 {
    s * (10.0 / 7.0 + s * (-3.0 / 5.0 + s * (6.0 / 35.0)))
}

/// Returns the value of a bucket at `level`: it has the same relative distance from both ends.
fn middle(index: i32, level: u32) -> f64 {
    let end = |index: i32| {
        let finest = f64::from(index) * f64::from(1_u32 << level);
        of_height(finest / buckets_for_unit())
    };
    let (low, high) = (end(index - 1), end(index));
    // 2 / (1 / low + 1 / high), without an overflow.
    (2.0 * low / (1.0 + low / high)).min(f64::MAX)
}

/// Returns the number with this [`height`], within the range of normal numbers.
fn of_height(height: f64) -> f64 {
    if height >= 1_024.0 {
        return f64::MAX;
    }
    let exponent = height.floor().max(-1_022.0);
    let wanted = (height - exponent).clamp(0.0, 1.0);
    // Newton's method: the polynomial is rising and smooth, and eight steps reach the last bit.
    let mut s = wanted;
    for _ in 0..8 {
        let slope = 10.0 / 7.0 + s * (-6.0 / 5.0 + s * (18.0 / 35.0));
        s = (s - (polynomial(s) - wanted) / slope).clamp(0.0, 1.0);
    }
    let power = f64::from_bits(((exponent as i64 + 1_023) as u64) << 52);
    (1.0 + s) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| assert!(sketch.add(*value)));
        sketch
    }

    fn json(sketch: &Sketch) -> String {
        serde_json::to_string(sketch).unwrap()
    }

    /// Returns numbers of both signs over many orders of magnitude, with zeros.
    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut random = Random::new(seed);
        (0..n)
            .map(|_| {
                let size = 10_f64.powf(8.0 * random.unit() - 4.0);
                [size, -size, 0.0, size][random.below(4)]
            })
            .collect()
    }

    #[test]
    fn every_number_is_within_the_accuracy_of_its_bucket() {
        let mut random = Random::new(3);
        let mut values: Vec<f64> =
            (0..20_000).map(|_| 10_f64.powf(600.0 * random.unit() - 300.0)).collect();
        values.extend([1.0, 2.0, 0.5, 1.0 + f64::EPSILON, f64::MIN_POSITIVE, f64::MAX, 1e-300]);
        values.extend((1..2_000).map(f64::from));
        for value in values {
            let (own, n) = sketch(&[value]).values().next().unwrap();
            assert!((own - value).abs() <= 0.010_000_001 * value, "{value} became {own}");
            assert_eq!(n, 1);
        }
    }

    #[test]
    fn quantiles_are_within_the_accuracy_of_those_of_all_numbers() {
        let mut values = numbers(5_000, 1);
        let sketch = sketch(&values);
        values.sort_unstable_by(f64::total_cmp);
        for percent in 0..=100_usize {
            let exact = values[(percent * values.len()).div_ceil(100).max(1) - 1];
            let got = sketch.quantile(percent as f64 / 100.0).unwrap();
            assert!((got - exact).abs() <= 0.010_000_001 * exact.abs(), "{percent}: {got} {exact}");
        }
        assert_eq!(sketch.range(), Some([values[0], values[4_999]]));
        assert_eq!((sketch.n(), sketch.accuracy()), (5_000, RELATIVE_ACCURACY));
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn merging_is_the_same_in_every_order_and_equal_to_one_pass() {
        let values = numbers(3_000, 2);
        let whole = sketch(&values);
        let parts: Vec<Sketch> = values.chunks(177).map(sketch).collect();
        let join = |parts: &mut dyn Iterator<Item = &Sketch>| {
            let mut all = Sketch::default();
            parts.for_each(|part| all.merge(part));
            all
        };
        assert_eq!(json(&join(&mut parts.iter())), json(&whole));
        assert_eq!(json(&join(&mut parts.iter().rev())), json(&whole));
        let halves = [join(&mut parts[..5].iter()), join(&mut parts[5..].iter())];
        assert_eq!(json(&join(&mut halves.iter().rev())), json(&whole));
        assert_eq!(serde_json::from_str::<Sketch>(&json(&whole)).unwrap(), whole);
    }

    #[test]
    fn too_many_buckets_become_fewer_and_wider_in_every_order_alike() {
        let mut random = Random::new(5);
        let values: Vec<f64> =
            (0..20_000).map(|_| 10_f64.powf(500.0 * random.unit() - 250.0)).collect();
        let whole = sketch(&values);
        assert!(whole.n_buckets() <= MOST_BUCKETS && whole.level > 0);
        let mut backward = Sketch::default();
        values.chunks(500).rev().for_each(|part| backward.merge(&sketch(part)));
        assert_eq!(json(&backward), json(&whole));
        let mut sorted = values;
        sorted.sort_unstable_by(f64::total_cmp);
        let (exact, got) = (sorted[9_999], whole.quantile(0.5).unwrap());
        assert!((got - exact).abs() <= 1.000_001 * whole.accuracy() * exact, "{got} {exact}");
        assert!((0.3..0.32).contains(&whole.accuracy()), "{}", whole.accuracy());
    }

    #[test]
    fn zero_negative_and_unusable_numbers() {
        let mut sketch = sketch(&[-2.0, -0.0, 0.0, 1e-320, 2.0]);
        assert_eq!(sketch.values().map(|(_, n)| n).collect::<Vec<_>>(), [1, 3, 1]);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!sketch.add(value));
        }
        assert_eq!((sketch.n(), sketch.n_buckets()), (5, 3));
        assert_eq!(sketch.quantile(0.0).map(|low| (low + 2.0).abs() < 0.03), Some(true));
    }

    #[test]
    fn a_damaged_sketch_is_refused() {
        for text in [
            r#"{"level":99}"#,
            r#"{"zero":1}"#,
            r#"{"range":[0.0,1.0]}"#,
            r#"{"range":[2.0,1.0],"zero":1}"#,
            r#"{"range":[1.0,1.0],"positive":{"0":0}}"#,
            r#"{"range":[1.0,1.0],"positive":{"2000000000":1}}"#,
            r#"{"range":[1.0,1.0],"positive":{"0":18446744073709551615,"1":1}}"#,
            r#"{"range":[1.0,1.0],"zero":1,"other":1}"#,
        ] {
            assert!(serde_json::from_str::<Sketch>(text).is_err(), "{text}");
        }
    }
}
