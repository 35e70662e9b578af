//! The index of one knowledge base: chunks, their terms and their vectors, in one file.
//!
//! In: documents, or the bytes of a `.knowledge` file. Out: a [`KnowledgeIndex`], which `search` ranks and [`Passage`]
//! quotes. The same documents and settings give the same bytes, whether built from nothing or from a previous index.

mod analysis;
mod build;
mod chunk_table;
mod container;
mod document_entry;
mod file;
#[cfg(test)]
pub(crate) mod fixtures;
mod knowledge_index;
mod lexicon;
mod spec;
mod term_counts;
#[cfg(test)]
mod tests;
mod vectors;

pub(crate) use analysis::{Group, each_word, stem};
pub use build::IndexedDocument;
pub use document_entry::DocumentEntry;
pub use knowledge_index::{KnowledgeIndex, Passage};
pub(crate) use lexicon::{Lexicon, saturation};
pub use spec::{FieldWeights, IndexSpec};
pub(crate) use vectors::{QueryVector, Vectors};
