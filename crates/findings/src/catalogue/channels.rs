//! 75xx: messaging channels.

use super::entry::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
