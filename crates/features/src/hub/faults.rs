//! Faults and hints that the cache and the download share.

use botops_findings::Fault;
use std::path::Path;

/// Returns the hint for machines that cannot reach the hub.
pub(super) fn offline_hint() -> String {
    "set `source` to a folder with the encoder's config.json, tokenizer.json and model.safetensors, or run once on a machine that can reach the hub and copy its cache folder".to_owned()
}

/// Returns the fault of a cache folder that cannot be written.
pub(super) fn unwritable(path: &Path, reason: impl std::fmt::Display) -> Fault {
    Fault::internal("BOT-7028", format!("the cache of encoders cannot be written: {reason}"))
        .file(path)
        .hint("check the permissions and the free space of the folder")
}
