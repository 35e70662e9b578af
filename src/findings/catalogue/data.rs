//! 2xxx: data.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    code: "BOT-2110",
    title: "too few intents",
    explanation: "A classifier needs at least two intents. Check the intent column, or add records of another intent.",
}];
