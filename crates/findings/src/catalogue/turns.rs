//! Codes of dialogues over several turns: their state, slots, questions and actions, and their stories.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-1110",
        kind: Some(FaultKind::Policy),
        title: "the state of a dialogue was stored by a newer botops",
        explanation: "The state of a conversation (slots, and the answer that the bot waits for) is stored with each turn, with a schema. This server reads the schemas up to its own version, and leaves newer ones as they are. It happens while servers of two versions share the conversations: upgrade the older ones.",
    },
    Entry {
        code: "BOT-1111",
        kind: Some(FaultKind::Gate),
        title: "the stored state of a dialogue is damaged",
        explanation: "The state that is stored with the last turn of a conversation cannot be read. The conversation cannot go on, and is left as it is. `botops conversations forget` removes it, and the next message begins anew. Report it if no one changed the store by hand.",
    },
];
