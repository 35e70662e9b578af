//! Dialogue: entities found by pattern, responses made from templates.
//!
//! Input: a [`DialogueSpec`] as written, then utterances with their intents. Output: the entities of an
//! utterance, and the response. The crate is pure and safe on any text: the number and size of patterns are limited, one
//! search takes time linear in the length of the text, and the number of searches is limited.

mod dialogue;
mod entities;
mod entity_spec;
mod machine;
mod merging;
mod moment;
mod spec;
mod state;
mod step;
mod template;

pub use dialogue::Dialogue;
pub use entities::{Entities, Entity};
pub use entity_spec::{DateOrder, EntityRule, EntitySpec, EntityType};
pub use moment::Moment;
pub use spec::DialogueSpec;
pub use state::{Awaited, DialogueState, HandOffReason, HandedOff, SlotValue};
pub use step::{
    ActionCall, ActionOutcome, Button, CallMethod, Effect, HandOffCall, Reply, Step, Understood,
};

#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod tests;
