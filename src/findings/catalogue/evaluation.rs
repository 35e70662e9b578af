//! 3xxx: evaluation and gates.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
