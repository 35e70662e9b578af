//! Pure statistics: tests, intervals, divergences, calibration, always-valid evidence, seeded resampling.
//!
//! In: counts, scores and probabilities. Out: numbers with their intervals. No function reads a file or the clock, and
//! all randomness comes from a seed.

pub mod argmax;
pub mod bootstrap;
pub mod calibration;
pub mod classification;
pub mod confident;
pub mod conformal;
pub mod detectable;
pub mod divergence;
pub mod evidence;
pub mod expected_accuracy;
pub mod homogeneity;
pub mod intervals;
pub mod label_noise;
pub mod mmd;
pub mod multiple;
pub mod online;
pub mod paired;
pub mod power_law;
pub mod random;
pub mod ranking;
pub mod reliability;
pub mod selective;
pub mod separation;
pub mod sequence;
pub mod sketch;
pub mod special;
pub mod two_sample;
pub mod weighted;

/// Returns the reference values of the tests.
#[cfg(test)]
pub(crate) fn reference() -> serde_json::Value {
    let text = include_str!("../../../tests/fixtures/reference_values.json");
    serde_json::from_str(text).expect("the fixture is valid JSON")
}
