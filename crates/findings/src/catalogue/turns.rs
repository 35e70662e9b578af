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
    Entry {
        code: "BOT-1114",
        kind: Some(FaultKind::Usage),
        title: "a story cannot be replayed",
        explanation: "A story under `tests:` of a dialogue has a name, and turns with a message (`user:`) or a pressed button. Its expectations name slots, branches and states of the dialogue; the outcome of an action is one of `answered`, `refused`, `failed` and `unknown`. The message names the key. Nothing was replayed.",
    },
    Entry {
        code: "BOT-1115",
        kind: None,
        title: "a text of the dialogue lacks a language that others have",
        explanation: "Some responses, questions or titles have a language that this one lacks. People who write in it read the text in the default language, English or the first language of the text. Add the language, or remove it from the other texts.",
    },
    Entry {
        code: "BOT-1116",
        kind: None,
        title: "a part of the dialogue is never reached",
        explanation: "The steps of an intent are never taken, because no intent of the model has its name and no button leads to it; or a variant of a response is never used, because its condition contradicts the slots that the intent needs, or an earlier variant is the same.",
    },
    Entry {
        code: "BOT-1117",
        kind: None,
        title: "a slot is filled, and nothing uses it",
        explanation: "No intent needs the slot, and no text, condition or address names it. The conversation remembers a value of a person for nothing: remove the slot, or use it.",
    },
    Entry {
        code: "BOT-1118",
        kind: Some(FaultKind::Gate),
        title: "a story did not go as expected, or too little is covered",
        explanation: "`botops dialogue test` and the pipeline stage `dialogue_test` replay the stories of a dialogue. Each difference is listed with its story and turn: correct the dialogue, retrain the model, or correct the expectation. With a least coverage, the intents or branches that no story reached are listed too.",
    },
    Entry {
        code: "BOT-1119",
        kind: Some(FaultKind::Usage),
        title: "there are no stories to replay",
        explanation: "The dialogue has no `tests:`, and no file of stories was named. Write at least one story: a name under `story:`, and messages with the expected answers under `turns:`. See `docs/dialogue.md`.",
    },
];
