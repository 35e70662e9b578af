//! Training: samples, folds, calibration, cross-validation.

pub(crate) mod calibration;
pub(crate) mod cross_validation;
pub(crate) mod feature_table;
pub(crate) mod folds;
pub(crate) mod out_of_fold;
pub(crate) mod samples;
pub mod train;
