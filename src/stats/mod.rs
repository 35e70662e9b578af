//! Pure statistics: tests, intervals, divergences, calibration, always-valid evidence, seeded resampling.

pub mod divergence;
pub mod evidence;
pub mod homogeneity;
pub mod multiple;
pub mod random;
pub mod special;
pub mod two_sample;
