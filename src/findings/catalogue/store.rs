//! 5xxx: store, registry and runs.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
