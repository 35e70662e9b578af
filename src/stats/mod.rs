//! Pure statistics: tests, intervals, divergences, calibration, always-valid evidence, seeded resampling.

pub mod calibration;
pub mod random;
