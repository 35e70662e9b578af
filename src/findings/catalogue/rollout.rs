//! 6xxx: rollout and serving.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
