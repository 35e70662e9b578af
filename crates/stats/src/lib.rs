//! Pure statistics: tests, intervals, divergences, calibration, always-valid evidence, seeded resampling.

pub mod bootstrap;
pub mod calibration;
pub mod classification;
pub mod confident;
pub mod conformal;
pub mod divergence;
pub mod evidence;
pub mod homogeneity;
pub mod intervals;
pub mod label_noise;
pub mod multiple;
pub mod paired;
pub mod power_law;
pub mod random;
pub mod ranking;
pub mod reliability;
pub mod selective;
pub mod separation;
pub mod special;
pub mod two_sample;

/// Returns the reference values that the tests are pinned to.
#[cfg(test)]
pub(crate) fn reference() -> serde_json::Value {
    let text = include_str!("../../../tests/fixtures/reference_values.json");
    serde_json::from_str(text).expect("the fixture is valid JSON")
}
