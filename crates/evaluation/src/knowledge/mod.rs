//! Evaluates knowledge: questions whose documents and answers are known, against one index.
//!
//! In: a [`QuestionSet`] and an [`Answerer`]. Out: a [`KnowledgeReport`] with the metrics of retrieval, of answers and of
//! abstention, a [`KnowledgeComparison`] of two indexes, and the [`Gap`]s of the documents. [`ask_all`] runs the index;
//! everything after it takes the [`QuestionOutcome`]s alone.

mod answer_text;
mod comparison;
mod gaps;
mod index;
mod measure;
mod outcome;
mod question;
mod question_file;
mod report;
mod squad;
#[cfg(test)]
mod tests;

pub use answer_text::{exact_match, normalized, token_f1};
pub use comparison::{KnowledgeComparison, compare_knowledge};
pub use gaps::{Gap, gaps};
pub use index::IndexAnswerer;
pub use measure::{KNOWLEDGE_METRICS, measure_knowledge};
pub use outcome::{Answerer, Asked, Found, QuestionOutcome, ask_all};
pub use question::{Question, QuestionSet};
pub use question_file::read_questions;
pub use report::{CoveragePoint, KnowledgeReport, KnowledgeSubject, MissedQuestion};
