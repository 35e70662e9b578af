//! The learned tagger: entities found by a linear-chain conditional random field.
//!
//! In: utterances with annotated spans ([`Annotated`]) and a [`TaggerSpec`]. Out: a [`Tagger`], which marks the entities of
//! any text, with their role, their group and the canonical value of a synonym.
//!
//! A text is split into tokens ([`tokens`]). Each token has attributes ([`attributes`]): its word, shape, affixes and the
//! lookup lists that contain it. A token sees its own attributes and those of its neighbours. The labels ([`labels`]) are
//! `O`, and `B` and `I` of each tag: an entity with its role and group. [`training`] fits the weights by stochastic
//! gradient steps on the likelihood of the annotated label sequences; [`decoding`] finds the likeliest sequence.

mod attributes;
mod decoding;
mod features;
mod gazetteer;
mod hashing;
mod labels;
mod lattice;
mod learned;
mod sentences;
mod spans;
mod spec;
mod storage;
mod tokens;
mod training;
mod weights;

pub use decoding::TagScratch;
pub use features::{TokenFeatures, token_features};
pub use learned::{TaggedKind, Tagger};
pub use spans::{Annotated, Span, SpanProblem, span_problems};
pub use spec::{LearnEntities, TaggerSpec};
pub(crate) use storage::{TAGGER_PARTS, read, write};
pub use training::learn;

#[cfg(test)]
mod tests;
