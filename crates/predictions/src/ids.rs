//! The names of the records of an hour, as small as they can be compared.

use botops_digest::Digest;
use std::collections::HashSet;

/// A set of names of records. A name is kept as 128 bits of its SHA-256, about 20 bytes with the table: two names have the same
/// bits by chance once in 10^24 hours of 10 million records.
#[derive(Debug, Default)]
pub(crate) struct Ids(HashSet<u128>);

impl Ids {
    /// Adds the name of the text number `index` of a request. Returns whether it is new.
    pub(crate) fn insert(&mut self, request_id: &str, index: u32) -> bool {
        let mut name = Vec::with_capacity(request_id.len() + 4);
        name.extend_from_slice(request_id.as_bytes());
        name.extend_from_slice(&index.to_le_bytes());
        let digest = Digest::of(&name);
        let bits = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        self.0.insert(u128::from_le_bytes(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_request_and_a_place() {
        let mut ids = Ids::default();
        assert!(ids.insert("a", 0) && ids.insert("a", 1) && ids.insert("b", 0));
        assert!(!ids.insert("a", 1) && !ids.insert("b", 0));
    }
}
