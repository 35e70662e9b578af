//! Files that are complete or absent, and scratch files that are removed after use.
//!
//! In: a path and bytes. Out: the file at that path, replaced atomically, or a fault that says why it cannot be written.

mod atomic_file;
mod scratch;

pub use atomic_file::{AtomicFile, replace, resolve_links};
pub use scratch::Scratch;
