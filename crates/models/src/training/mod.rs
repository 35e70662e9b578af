//! Training: samples, features, folds, calibration and cross-validation.

pub(crate) mod calibration;
pub(crate) mod context;
pub(crate) mod cross_validation;
pub(crate) mod cross_validator;
pub(crate) mod feature_table;
pub(crate) mod folds;
pub(crate) mod goldens;
pub(crate) mod out_of_fold;
pub(crate) mod samples;
pub(crate) mod train;
pub(crate) mod unseen_records;

pub use cross_validation::{CrossValidation, cross_validate};
pub use cross_validator::{CrossValidator, HeldOut, temperatures};
pub use train::{TrainingInput, train, train_and_judge};
pub use unseen_records::{UnseenRecord, UnseenRecords};
