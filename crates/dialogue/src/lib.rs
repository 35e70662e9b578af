//! Dialogue: entities found by patterns, parsers and lists of names, turns with slots, questions and actions, responses made from templates.
//!
//! Input: a [`DialogueSpec`] as written, then utterances with their intents. Output: the entities of an
//! utterance, and the response. The crate is pure and safe on any text: the number and size of patterns and lists are limited, one
//! search takes time linear in the length of the text, and the number of searches is limited.

mod action;
mod answers;
mod branches;
mod call_method;
mod dialogue;
mod entities;
mod entity_spec;
mod faults;
mod intent_spec;
mod machine;
mod merging;
mod moment;
mod plan;
mod press;
mod reference;
mod rephrase;
mod response_spec;
mod review;
mod rules_spec;
mod sentences;
mod slot_spec;
mod slots;
mod spec;
mod state;
mod step;
mod stories;
mod story_check;
mod story_spec;
mod template;
mod texts;
mod turn;
mod typed;
mod words;

pub use call_method::CallMethod;
pub use dialogue::Dialogue;
pub use entities::{Entities, Entity};
pub use entity_spec::{DateOrder, EntityRule, EntitySpec, EntityType, Prefer};
pub use intent_spec::{ActionSpec, IntentSpec, Meaning};
pub use moment::Moment;
pub use rephrase::is_rephrase;
pub use response_spec::{ButtonSpec, Condition, ResponseSpec, TextsSpec, VariantSpec};
pub use rules_spec::{ClarifySpec, HandOffSpec, SentencesSpec, WordsSpec};
pub use slot_spec::{SlotSpec, SourceSpec};
pub use spec::{DIALOGUE_VERSION, DialogueSpec};
pub use state::{Awaited, DialogueState, HandOffReason, HandedOff, SlotValue};
pub use step::{
    ActionCall, ActionOutcome, Button, Effect, Found, HandOffCall, Lookup, Reply, Step, Understood,
};
pub use stories::{Classifier, Coverage, Difference, Heard, StoryOutcome, StoryReport};
pub use story_spec::{CallSpec, OutcomeSpec, StorySpec, TurnSpec};

#[cfg(test)]
mod knowledge_tests;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod story_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn_properties;
#[cfg(test)]
mod turn_tests;
