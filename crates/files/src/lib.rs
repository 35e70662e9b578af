//! Files that are complete or absent, and scratch space that is removed after use.

mod atomic_file;
mod scratch;

pub use atomic_file::{Aside, followed, replace};
pub use scratch::Scratch;
