//! 1xxx: usage and configuration.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    code: "BOT-1001",
    title: "a file cannot be read",
    explanation: "The path does not exist, is a directory, or may not be read. Check the path and its permissions.",
}];
