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
    Entry {
        code: "BOT-1112",
        kind: Some(FaultKind::Usage),
        title: "a slot, step, action or rule of a dialogue cannot be used",
        explanation: "A part of the dialogue has a value that cannot work: a slot that nothing fills, a needed slot without a question, a duration or probability out of range, a response of which no variant may hold, or an action whose address is no web address. Values may only fill the path and the query of an address, and only those of slots that the intent needs, or that have a value for other cases, as in `{size|any}`. The message names the key.",
    },
    Entry {
        code: "BOT-1113",
        kind: Some(FaultKind::Usage),
        title: "a dialogue names a slot, intent or entity that it does not declare",
        explanation: "Slots are declared under `slots:`, entities under `entities:`, and intents by a response or under `intents:`. The message names the key, and the nearest declared name. A button needs an intent of the dialogue, because a press must lead somewhere.",
    },
];
