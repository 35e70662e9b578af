//! Files and folders that are complete or absent, and scratch files that are removed after use.
//!
//! In: a path and bytes. Out: the file at that path, replaced atomically, or a fault that says why it cannot be written.
//!
//! Files of botops itself are written with [`replace`] or [`AtomicFile`]. A path that the user named is an [`Output`]: an
//! existing file that botops did not write is replaced only with `--force`, and links are not followed. An output named `-`
//! is standard output.

mod atomic_file;
mod folder;
mod output;
mod output_kind;
mod overwrite_rule;
mod scratch;
mod standard_output;

pub use atomic_file::{AtomicFile, replace, resolve_links};
pub use folder::{publish_folder, replace_folder};
pub use output::Output;
pub use output_kind::OutputKind;
pub use scratch::Scratch;
pub use standard_output::{STANDARD_OUTPUT, is_standard_output, output_name};
