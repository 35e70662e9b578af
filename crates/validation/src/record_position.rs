//! The position of a record, and findings about records.

use crate::external_sort::Sortable;
use botops_datasets::table::Row;

/// The position of a record in the data, its number in its file and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordPosition {
    /// From 0; counts on over several files.
    pub(crate) position: u64,
    /// From 1.
    pub(crate) record: u64,
    /// From 1.
    pub(crate) line: u64,
}

impl RecordPosition {
    /// Returns the position of `row`, the record at `position`.
    pub(crate) fn of(row: Row<'_>, position: u64) -> Self {
        Self { position, record: row.record(), line: row.line() }
    }
}

/// The message of a finding, and its help.
pub(crate) type Message = (String, String);

/// Receives the findings of checks of one record.
pub(crate) trait FindingSink {
    /// Takes a finding of `slot` at `at`; `content` identifies its subject, whatever its line.
    fn add(
        &mut self,
        slot: usize,
        at: RecordPosition,
        content: &[&str],
        message: impl FnOnce() -> Message,
    );
}

/// A finding that compares a record with an earlier one, found after all were read; its message is made when the record is
/// read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LateFinding {
    pub(crate) at: RecordPosition,
    pub(crate) slot: usize,
    /// The record that it is compared with.
    pub(crate) other: RecordPosition,
    /// The number of the other record's intent.
    pub(crate) intent: u32,
    /// The key that both share.
    pub(crate) key: u128,
}

/// A [`LateFinding`] as a reason to reject its record, to be sorted by record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LateReason {
    pub(crate) position: u64,
    slot: u32,
    other: RecordPosition,
    intent: u32,
}

impl LateReason {
    /// Makes the reason of `late`.
    pub(crate) fn of(late: &LateFinding) -> Self {
        let slot = u32::try_from(late.slot).expect("slots are fewer than 2^32");
        Self { position: late.at.position, slot, other: late.other, intent: late.intent }
    }

    /// Returns the finding about the record at `at`, without its key.
    pub(crate) fn finding(self, at: RecordPosition) -> LateFinding {
        let Self { slot, other, intent, .. } = self;
        LateFinding { at, slot: slot as usize, other, intent, key: 0 }
    }
}

impl Sortable for LateReason {
    const BYTES: usize = 40;

    fn write(self, bytes: &mut Vec<u8>) {
        let Self { position, slot, other, intent } = self;
        for value in [position, other.position, other.record, other.line] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(&slot.to_le_bytes());
        bytes.extend_from_slice(&intent.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        let long = |at: usize| {
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes"))
        };
        let word = |at: usize| {
            u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of 4 bytes"))
        };
        let other = RecordPosition { position: long(8), record: long(16), line: long(24) };
        Self { position: long(0), slot: word(32), other, intent: word(36) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_as_it_was_written() {
        let other = RecordPosition { position: 1 << 40, record: 7, line: 1 << 33 };
        let reason = LateReason { position: 1 << 41, slot: 3, other, intent: u32::MAX };
        let mut bytes = Vec::new();
        reason.write(&mut bytes);
        assert_eq!(bytes.len(), LateReason::BYTES);
        assert_eq!(LateReason::read(&bytes), reason);
    }
}
