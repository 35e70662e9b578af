//! Answers that a language model writes, behind an OpenAI-compatible endpoint.
//!
//! In: a [`Request`], which is a question with its passages, history and rules. Out: the pieces of an answer as they arrive,
//! and then [`Generated`] with its citations, tokens and cost, or a [`GenerationFailure`] with its class. A [`Generator`] keeps
//! to its budget, its time-outs and its number of tries, and stops asking for a while after repeated failures. The answer is
//! not trusted here: whoever shows it checks its citations. A [`FollowUp`] is a question that depends on the conversation; the
//! answer to it is that question in full.

mod attempt;
mod breaker;
mod budget;
mod failure;
mod generated;
mod generator;
mod prompt;
mod protocol;
mod request;
mod retry_after;
mod server_sent_events;
mod settings;
#[cfg(test)]
mod tests;

pub use breaker::BreakerSpec;
pub use budget::Spent;
pub use failure::{FailureKind, GenerationFailure};
pub use generated::{Finish, Generated, Usage};
pub use generator::Generator;
pub use prompt::NO_ANSWER;
pub use request::{FollowUp, Passage, Request, Speaker, Turn};
pub use server_sent_events::{EventStream, UnfitStream};
pub use settings::{Delivery, GenerationSettings};
