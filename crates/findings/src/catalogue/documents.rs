//! 71xx: documents and their formats.

use super::entry::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
