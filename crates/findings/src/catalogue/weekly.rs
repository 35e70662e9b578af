//! 708x and 709x: behavioural tests, and pipelines that learn from the prediction log.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-7080",
        kind: Some(FaultKind::Usage),
        title: "invalid behavioural tests",
        explanation: "A file of behavioural tests has no test, an empty text or name, an utterance that is listed twice, or a setting out of range. The message names the key. Minimum functionality is `minimum: [{capability: a lost parcel, intent: order_status, must_pass: [where is my parcel]}]`; `invariance:` and `direction:` are optional.",
    },
    Entry {
        code: "BOT-7081",
        kind: None,
        title: "behavioural tests of an unknown intent",
        explanation: "Behavioural tests expect an intent that the model does not know, so that they fail. The intent is misspelled, or it was renamed, or the model was trained without its utterances. Correct the name in the file of the tests, or train the model with the intent.",
    },
];
