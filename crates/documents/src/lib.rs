//! Documents: files in many formats to text with headings, and that text to chunks.
//!
//! In: the bytes of a file that a stranger may have written. Out: a [`Document`], which is blocks of text with their
//! headings and pages, and [`Chunk`]s of it, which are what an index finds and an answer quotes.
//!
//! - [`read`] takes Markdown, HTML, plain text, PDF, DOCX, and tables of questions; the content decides on the format
//! - text is in the encoding of its mark, its declaration or its `<meta charset>`, else in UTF-8
//! - every step that can enlarge the input checks it against [`Limits`] again
//! - PDF files are read by a [`PdfReader`], in a process of its own

mod builder;
mod chunk;
mod chunking;
mod document;
mod docx;
mod encoding;
#[cfg(test)]
mod encoding_tests;
mod file;
mod format;
mod front_matter;
mod html;
mod html_tag;
mod limits;
mod markdown;
mod meta_charset;
mod metadata;
pub mod pdf;
mod plain_text;
mod questions;
mod read;
#[cfg(test)]
mod tests;
mod tokens;

pub use chunk::{Chunk, ChunkId, ChunkSpec};
pub use chunking::{FEWEST_TOKENS, MOST_TOKENS, chunks};
pub use document::{Block, BlockKind, Document};
pub use file::{Declared, FileSource, ReadFile};
pub use format::DocumentFormat;
pub use limits::Limits;
pub use pdf::{ChildPdfReader, PdfReader};
pub use read::read;
pub use tokens::{sentences, tokens};
