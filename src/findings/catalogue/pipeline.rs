//! 8xxx: pipelines.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
