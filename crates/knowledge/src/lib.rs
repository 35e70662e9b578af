//! Knowledge: documents by content, an index over them, retrieval, and answers with their sources.
//!
//! In: documents of a store, or a `.knowledge` file, and questions. Out: the passages that answer, each with its source.

mod abstention;
pub mod answer;
pub mod citations;
mod filters;
mod follow_up;
mod index;
mod search;
mod source;
pub mod store;

pub use abstention::{Abstention, KnownAnswer, Signals};
pub use filters::Filters;
pub use follow_up::{Completed, PastQuestion, complete};
pub use index::{DocumentEntry, FieldWeights, IndexSpec, IndexedDocument, KnowledgeIndex, Passage};
pub use search::{Hit, Mode, Query, SearchScratch};
pub use source::Source;
