//! 72xx: knowledge, its index and its evaluation.

use super::entry::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
