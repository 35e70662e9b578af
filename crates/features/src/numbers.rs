//! A table from the numbers of n-grams to ids.

/// Numbers to the ids 0, 1, ...: open addressing, half full at most, indexed by the top bits.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    numbers: Vec<u64>,
    ids: Vec<u32>,
    shift: u32,
    len: u32,
}

/// No n-gram is numbered so: see [`Numbers::find`].
const EMPTY: u64 = 0;

impl Default for Numbers {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Numbers {
    /// Makes an empty table with room for `n` numbers.
    fn with_capacity(n: usize) -> Self {
        let capacity = (2 * n).next_power_of_two().max(16);
        Self {
            numbers: vec![EMPTY; capacity],
            ids: vec![0; capacity],
            shift: 64 - capacity.trailing_zeros(),
            len: 0,
        }
    }

    /// Gives the ids 0, 1, ... to `numbers`; `None` when one comes twice.
    pub(super) fn new(numbers: impl ExactSizeIterator<Item = u64>) -> Option<Self> {
        let mut table = Self::with_capacity(numbers.len());
        for number in numbers {
            if !table.intern(number).1 {
                return None;
            }
        }
        Some(table)
    }

    /// Returns the id of `number`, and whether it was given just now: the next one.
    #[inline]
    pub(super) fn intern(&mut self, number: u64) -> (u32, bool) {
        let number = number.max(1);
        let (at, found) = self.place(number);
        if found {
            return (self.ids[at], false);
        }
        let id = self.len;
        self.len += 1;
        self.numbers[at] = number;
        self.ids[at] = id;
        if 2 * self.len as usize > self.numbers.len() {
            self.grow();
        }
        (id, true)
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = Self::with_capacity(self.numbers.len());
        for (&number, &id) in self.numbers.iter().zip(&self.ids).filter(|(n, _)| **n != EMPTY) {
            let (at, _) = larger.place(number);
            larger.numbers[at] = number;
            larger.ids[at] = id;
        }
        larger.len = self.len;
        *self = larger;
    }

    /// Returns where `number` is, or else the free place where it would be.
    #[inline]
    fn place(&self, number: u64) -> (usize, bool) {
        let mask = self.numbers.len() - 1;
        let mut at = (number >> self.shift) as usize & mask;
        loop {
            let there = self.numbers[at];
            if there == number {
                return (at, true);
            }
            if there == EMPTY {
                return (at, false);
            }
            at = (at + 1) & mask;
        }
    }

    /// Returns the id of `number`.
    #[inline]
    pub(super) fn find(&self, number: u64) -> Option<u32> {
        // 0 marks a free place, so an n-gram numbered 0 goes by 1.
        let (at, found) = self.place(number.max(1));
        found.then(|| self.ids[at])
    }
}
