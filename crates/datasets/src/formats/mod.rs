//! File formats: CSV, JSON, Parquet, Rasa training data, and their encodings.

pub mod csv;
pub(crate) mod encoding;
pub mod json;
pub(crate) mod parquet;
pub(crate) mod rasa;
