//! The numbers of versions.

use botops_digest::Digest;
use botops_registry::Event;
use botops_store::Entry;
use std::collections::BTreeMap;

/// Numbers the versions of a log, from 1; the key is the digest of the manifest.
pub(super) fn numbers(entries: &[Entry<Event>]) -> BTreeMap<Digest, u64> {
    let registered = entries.iter().filter_map(|entry| match &entry.payload.action {
        botops_registry::Action::Registered { manifest } => Some(*manifest),
        _ => None,
    });
    registered.zip(1..).collect()
}
