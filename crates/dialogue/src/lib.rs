//! Dialogue: entities found by pattern, responses made from templates.
//!
//! Input: a [`DialogueSpec`] as written, then utterances with their intents. Output: the entities of an
//! utterance, and the response. The crate is pure and safe on any text: patterns run in time linear in
//! the length of the text.

mod dialogue;
mod entities;
mod spec;
mod template;

pub use dialogue::Dialogue;
pub use entities::Entity;
pub use spec::DialogueSpec;

#[cfg(test)]
mod tests;
