//! What was seen of one column: how full, of which type, in which bounds, with which values.

use botops_datasets::value::{Value, ValueType};
use std::collections::{BTreeMap, HashSet};

/// Different values kept of a column; one that has more is no set.
pub(crate) const MOST_VALUES: usize = 200;
/// Values whose uniqueness is looked into: what is unique so far is an identifier.
const LOOKED_AT: usize = 200_000;

/// A column as it is met, cell by cell; what is held is bounded.
#[derive(Debug)]
pub(crate) struct Column {
    /// Cells with something in them.
    pub(crate) filled: u64,
    /// Empty ones.
    pub(crate) missing: u64,
    /// Types that every value has, the narrowest first.
    kinds: Vec<ValueType>,
    /// The least value, as the widest type left reads it.
    pub(crate) low: Option<Value>,
    /// The greatest one.
    pub(crate) high: Option<Value>,
    /// The fewest characters of a value.
    pub(crate) shortest: usize,
    /// The most.
    pub(crate) longest: usize,
    /// How often each value is there; `None` once there are too many.
    pub(crate) values: Option<BTreeMap<String, u64>>,
    /// Digests of the values; `None` once one was there twice.
    once: Option<HashSet<u64>>,
    /// Values that hold personal data.
    pub(crate) personal: u64,
    /// Whether some value has more than one word, or is long.
    pub(crate) is_phrase: bool,
}

impl Column {
    /// Begins.
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
            once: Some(HashSet::new()),
            personal: 0,
            is_phrase: false,
        }
    }

    /// Takes the next cell.
    pub(crate) fn add(&mut self, cell: &str) {
        if cell.trim().is_empty() {
            self.missing += 1;
            return;
        }
        self.filled += 1;
        self.kinds.retain(|kind| kind.read(cell).is_some());
        // The widest kind left reads what the narrower ones read, and the widths are those of one kind.
        if let Some(value) = self.kinds.last().and_then(|kind| kind.read(cell)) {
            let is_below = self.low.is_none_or(|low| value < low);
            let is_above = self.high.is_none_or(|high| value > high);
            self.low = if is_below { Some(value) } else { self.low };
            self.high = if is_above { Some(value) } else { self.high };
        }
        let chars = cell.chars().count();
        self.shortest = self.shortest.min(chars);
        self.longest = self.longest.max(chars);
        self.is_phrase |= chars > 64 || cell.contains(char::is_whitespace);
        if let Some(values) = &mut self.values {
            match values.get_mut(cell) {
                Some(count) => *count += 1,
                None => {
                    values.insert(cell.to_owned(), 1);
                }
            }
            if values.len() > MOST_VALUES {
                self.values = None;
            }
        }
        if let Some(once) = &mut self.once
            && once.len() < LOOKED_AT
        {
            let digest = botops_digest::Digest::of(cell.as_bytes());
            let mut half = [0; 8];
            half.copy_from_slice(&digest.as_bytes()[..8]);
            if !once.insert(u64::from_be_bytes(half)) {
                self.once = None;
            }
        }
        self.personal += u64::from(!botops_text::personal_data(cell).is_empty());
    }

    /// Returns the narrowest type that every value has; `None`: they are texts, or there is none.
    pub(crate) fn kind(&self) -> Option<ValueType> {
        self.kinds.first().copied().filter(|_| self.filled > 0)
    }

    /// Returns whether no value was there twice, as far as was looked.
    pub(crate) fn is_unique(&self) -> bool {
        self.once.is_some() && self.filled > 0
    }
}
