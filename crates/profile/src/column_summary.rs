//! The summary of one column: filled and empty cells, type, bounds, lengths and values.

use botops_datasets::value::{Value, ValueType};
use std::collections::{BTreeMap, HashSet};

/// The most distinct values that are kept; a column with more is not a set of values.
pub(crate) const MOST_VALUES: usize = 200;
/// The most values that are checked for repeats; a column with more does not count as unique.
const MOST_COMPARED: usize = 200_000;

/// A summary that grows cell by cell; its size is bounded.
#[derive(Debug)]
pub(crate) struct Column {
    /// Cells with a value.
    pub(crate) filled: u64,
    /// Empty cells.
    pub(crate) missing: u64,
    /// The types that fit every value so far, the narrowest first.
    kinds: Vec<ValueType>,
    /// The smallest value, read as the widest type left.
    pub(crate) low: Option<Value>,
    /// The greatest value, read as the widest type left.
    pub(crate) high: Option<Value>,
    /// The length of the shortest value, in characters.
    pub(crate) shortest: usize,
    /// The length of the longest value, in characters.
    pub(crate) longest: usize,
    /// The count of each value, without white space around it; `None` once there are more than [`MOST_VALUES`].
    pub(crate) values: Option<BTreeMap<String, u64>>,
    /// Digests of the values; `None` once a value occurred twice, or there are more than [`MOST_COMPARED`].
    digests: Option<HashSet<u64>>,
    /// Values with personal data.
    pub(crate) personal: u64,
    /// Whether some value has more than one word, or is long.
    pub(crate) is_phrase: bool,
}

impl Column {
    /// Makes the summary of no cell.
    pub(crate) fn new() -> Self {
        use ValueType::{Boolean, Date, Datetime, Integer, Number};
        Self {
            filled: 0,
            missing: 0,
            kinds: vec![Boolean, Integer, Number, Date, Datetime],
            low: None,
            high: None,
            shortest: usize::MAX,
            longest: 0,
            values: Some(BTreeMap::new()),
            digests: Some(HashSet::new()),
            personal: 0,
            is_phrase: false,
        }
    }

    /// Adds a cell.
    pub(crate) fn add(&mut self, cell: &str) {
        if cell.trim().is_empty() {
            self.missing += 1;
            return;
        }
        self.filled += 1;
        self.kinds.retain(|kind| kind.read(cell).is_some());
        // The widest type left reads the values of the narrower ones, so all bounds are of one type.
        if let Some(value) = self.kinds.last().and_then(|kind| kind.read(cell)) {
            let is_below = self.low.is_none_or(|low| value < low);
            let is_above = self.high.is_none_or(|high| value > high);
            self.low = if is_below { Some(value) } else { self.low };
            self.high = if is_above { Some(value) } else { self.high };
        }
        let chars = cell.chars().count();
        self.shortest = self.shortest.min(chars);
        self.longest = self.longest.max(chars);
        // White space around a value has no meaning: ` refund` is the label `refund`.
        let value = cell.trim();
        self.is_phrase |= chars > 64 || value.contains(char::is_whitespace);
        if let Some(values) = &mut self.values {
            match values.get_mut(value) {
                Some(count) => *count += 1,
                None => {
                    values.insert(value.to_owned(), 1);
                }
            }
            if values.len() > MOST_VALUES {
                self.values = None;
            }
        }
        if let Some(digests) = &mut self.digests {
            let digest = botops_digest::Digest::of(cell.as_bytes());
            let mut half = [0; 8];
            half.copy_from_slice(&digest.as_bytes()[..8]);
            if !digests.insert(u64::from_be_bytes(half)) || digests.len() > MOST_COMPARED {
                self.digests = None;
            }
        }
        self.personal += u64::from(!botops_text::personal_data(cell).is_empty());
    }

    /// Returns the narrowest type of all values; `None` for texts, and without a value.
    pub(crate) fn kind(&self) -> Option<ValueType> {
        self.kinds.first().copied().filter(|_| self.filled > 0)
    }

    /// Returns whether no value occurred twice; `false` with more than [`MOST_COMPARED`] values, which are not all compared.
    pub(crate) fn is_unique(&self) -> bool {
        self.digests.is_some() && self.filled > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_more_values_than_are_compared_does_not_count_as_unique() {
        let mut column = Column::new();
        for i in 0..MOST_COMPARED {
            column.add(&i.to_string());
        }
        assert!(column.is_unique());
        // The rest may repeat any of them.
        column.add("last");
        column.add("last");
        assert!(!column.is_unique());
    }
}
