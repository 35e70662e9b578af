//! Documents: files in many formats to text with headings, and that text to chunks.
//!
//! In: the bytes of a file that a stranger may have written. Out: a [`Document`], which is blocks of text with their
//! headings and pages, and [`Chunk`]s of it, which are what an index finds and an answer quotes.

mod chunk;
mod document;

pub use chunk::{Chunk, ChunkId, ChunkSpec};
pub use document::{Block, BlockKind, Document};
