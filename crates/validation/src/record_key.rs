//! Keys by which records are compared across a whole file.

use crate::{
    class_counts::NO_CLASS,
    external_sort::{ExternalSort, MOST_HELD, Sortable},
    record_position::{LateFinding, RecordPosition},
};
use botops_digest::Digest;
use botops_findings::Result;
use std::path::Path;

/// The key of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A value of at most 15 bytes: its bytes, and their number in the last byte. Cheaper than a digest.
    Short(u128),
    /// The first 128 bits of a SHA-256.
    Digest(u128),
}

impl Key {
    /// Returns the key of `cell`.
    pub(crate) fn of(cell: &str) -> Self {
        let mut bytes = [0; 16];
        match (bytes.get_mut(..cell.len()), u8::try_from(cell.len())) {
            (Some(beginning), Ok(length @ ..16)) => {
                beginning.copy_from_slice(cell.as_bytes());
                bytes[15] = length;
                Self::Short(u128::from_be_bytes(bytes))
            }
            _ => Self::Digest(key_of(&[cell])),
        }
    }

    fn of_entry(entry: &Entry) -> Self {
        if entry.exact == SHORT { Self::Short(entry.key) } else { Self::Digest(entry.key) }
    }

    /// Returns the first 128 bits of the SHA-256 of the value.
    fn digest(self) -> u128 {
        match self {
            Self::Digest(key) => key,
            Self::Short(key) => {
                let bytes = key.to_be_bytes();
                let cell = std::str::from_utf8(&bytes[..usize::from(bytes[15])]);
                key_of(&[cell.expect("a short key is a text and its length")])
            }
        }
    }
}

/// Returns the first 128 bits of the SHA-256 of `cells`, each with its length, so that the boundaries count.
pub(crate) fn key_of(cells: &[&str]) -> u128 {
    let digest = match cells {
        [one] => Digest::of(one.as_bytes()),
        several => {
            let mut bytes = Vec::with_capacity(several.iter().map(|cell| cell.len() + 8).sum());
            for cell in several {
                bytes.extend_from_slice(&(cell.len() as u64).to_le_bytes());
                bytes.extend_from_slice(cell.as_bytes());
            }
            Digest::of(&bytes)
        }
    };
    let mut half = [0; 16];
    half.copy_from_slice(&digest.as_bytes()[..16]);
    u128::from_be_bytes(half)
}

/// The value of [`Entry::exact`] for a [`Key::Short`]; 0 for a [`Key::Digest`].
const SHORT: u64 = 1;

/// A record and its key; sorted by key, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The key, of 128 bits.
    pub(crate) key: u128,
    /// The record.
    pub(crate) at: RecordPosition,
    /// The first 64 bits of the SHA-256 of the exact text; for values, the kind of key.
    pub(crate) exact: u64,
    /// The number of the intent.
    pub(crate) intent: u32,
}

impl Entry {
    /// Returns the finding of `slot` that this record repeats `other`, or contradicts it.
    pub(crate) fn finding(&self, slot: usize, other: &Self) -> LateFinding {
        LateFinding { at: self.at, slot, other: other.at, intent: other.intent, key: self.key }
    }
}

impl Sortable for Entry {
    const BYTES: usize = 52;

    fn write(self, bytes: &mut Vec<u8>) {
        let Self { key, at, exact, intent } = self;
        bytes.extend_from_slice(&key.to_le_bytes());
        for value in [at.position, at.record, at.line, exact] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(&intent.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        let long = |at: usize| {
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes"))
        };
        Self {
            key: u128::from(long(8)) << 64 | u128::from(long(0)),
            at: RecordPosition { position: long(16), record: long(24), line: long(32) },
            exact: long(40),
            intent: u32::from_le_bytes(bytes[48..52].try_into().expect("a slice of 4 bytes")),
        }
    }
}

/// Records with the keys that must be distinct.
#[derive(Debug)]
pub(crate) struct DistinctKeys(ExternalSort<Entry>);

impl DistinctKeys {
    /// Begins; entries that do not fit into memory go to `spill`.
    pub(crate) fn new(spill: Option<&Path>) -> Self {
        Self(ExternalSort::new(spill, MOST_HELD))
    }

    /// Adds the record at `at`.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(crate) fn add(&mut self, key: Key, at: RecordPosition) -> Result<()> {
        self.0.push(match key {
            Key::Short(key) => Entry { key, at, exact: SHORT, intent: NO_CLASS },
            Key::Digest(key) => Entry { key, at, exact: 0, intent: NO_CLASS },
        })
    }

    /// Reports every record that is not the first with its key; records with one key come in the order of the file.
    ///
    /// # Errors
    /// `BOT-1002`; those of `report`.
    pub(crate) fn finish(
        &mut self,
        slot: usize,
        mut report: impl FnMut(LateFinding) -> Result<()>,
    ) -> Result<()> {
        let mut merge = self.0.merge()?;
        // The bytes of a short value may equal the digest of a long one, so the two kinds of key are compared separately.
        let (mut first_digest, mut first_short) = (None::<Entry>, None::<Entry>);
        while let Some(entry) = merge.next()? {
            let first = if entry.exact == SHORT { &mut first_short } else { &mut first_digest };
            match first {
                Some(first) if first.key == entry.key => {
                    let key = Key::of_entry(&entry).digest();
                    report(LateFinding { key, ..entry.finding(slot, first) })?;
                }
                _ => *first = Some(entry),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_values_have_different_keys_and_the_same_digest() {
        let cells = [
            "",
            "a",
            "a\0",
            "ab-00000012",
            "déjà vu, 15 by",
            "fifteen bytes !",
            "sixteen bytes !!",
        ];
        let keys: Vec<Key> = cells.iter().map(|cell| Key::of(cell)).collect();
        for (i, (cell, key)) in cells.iter().zip(&keys).enumerate() {
            assert_eq!(key.digest(), key_of(&[cell]), "{cell}");
            assert_eq!(matches!(key, Key::Short(_)), cell.len() < 16, "{cell}");
            assert!(!keys[..i].contains(key), "{cell}");
        }
    }

    #[test]
    fn a_digest_with_the_bytes_of_a_value_is_not_that_value() {
        let mut keys = DistinctKeys::new(None);
        let Key::Short(same) = Key::of("value") else { panic!("it is short") };
        for (position, key) in
            (0..).zip([Key::Short(same), Key::Digest(same), Key::Short(same), Key::Digest(1)])
        {
            let at = RecordPosition { position, record: position + 1, line: position + 2 };
            keys.add(key, at).unwrap();
        }
        let mut found = Vec::new();
        keys.finish(7, |late| {
            found.push((late.slot, late.at.record, late.other.record, late.key));
            Ok(())
        })
        .unwrap();
        assert_eq!(found, [(7, 3, 1, key_of(&["value"]))]);
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let at = RecordPosition { position: 1 << 40, record: 3, line: 1 << 35 };
        let entry = Entry { key: u128::MAX - 5, at, exact: 1 << 50, intent: 9 };
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        assert_eq!(bytes.len(), Entry::BYTES);
        assert_eq!(Entry::read(&bytes), entry);
    }
}
