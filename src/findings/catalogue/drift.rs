//! 4xxx: drift.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
