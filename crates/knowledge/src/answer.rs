//! Extractive answers: the sentence that answers, quoted as it stands, and the words in it that are the answer itself.
//!
//! In: a question and the passages that retrieval found. Out: a quote of one of them with its source, or an abstention.
//! Sentences and spans of words are ranked by a linear model over features of our own. Its weights were fitted on half of the
//! passages of XQuAD English (Artetxe, Ruder and Yogatama, 2020; CC BY-SA 4.0), those of which the first byte of the SHA-256 of
//! the text is even; every figure that is reported comes from the other half.

mod candidate;
mod extraction;
#[expect(clippy::print_stdout, reason = "the constants and figures are copied from its output")]
#[cfg(test)]
mod fitting;
mod from_index;
mod passage_words;
mod passages;
mod question;
mod span;
#[cfg(test)]
mod tests;
mod weights;
mod word_class;
mod words;

pub use candidate::Candidate;
pub use extraction::{AnswerSpec, Answered, Extract, extract};
pub use from_index::answer;
pub use words::is_stop_word;
pub(crate) use words::{Word, sentences, stemmer, words};
