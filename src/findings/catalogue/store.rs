//! 5xxx: store, registry and runs.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    code: "BOT-5030",
    title: "the store overwrites what is there",
    explanation: "Everything durable rests on creating an object only if it is not there yet (put-if-absent). This store said yes twice to the same name, so two writers at once could lose one another's entries. Use a local disk, Amazon S3 or a server that honours `If-None-Match: *`; `botops doctor --probe` tells.",
}];
