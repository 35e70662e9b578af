//! Retrieval: the chunks of an index that fit a question, the best first.
//!
//! In: a [`Query`] and scratch space. Out: [`Hit`]s. Filters decide before anything is ranked. Equal scores are ordered by
//! the number of the chunk, so that the same question gives the same hits on any machine.

mod allowed;
mod coverage;
#[cfg(test)]
mod dense_tests;
mod fusion;
mod lexical;
mod query;
mod ranked;
mod scratch;
#[cfg(test)]
mod tests;

pub use query::{Hit, Mode, Query};
pub use scratch::SearchScratch;
