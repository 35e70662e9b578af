//! The model file: a container of named parts, and their digests.
//!
//! [`write`] makes a file of parts, [`read`] checks a file and returns its parts, and [`part_digests`] lists them.

mod container;
mod parts;

pub(crate) use container::{FileParts, MAGIC, PartContent, read, write};
pub use parts::part_digests;
