//! The names of an encoder's files, on the hub and in the cache.

/// The files of an encoder; the last may be missing.
pub(super) const FILES: [&str; 4] = ["config.json", "tokenizer.json", "model.safetensors", POOLING];
/// The optional file with the pooling.
pub(super) const POOLING: &str = "1_Pooling/config.json";
