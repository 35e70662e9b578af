//! A set of records, one bit each.

/// A set of records, by their position from 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecordSet(Vec<u64>);

impl RecordSet {
    /// Adds a position.
    pub(crate) fn insert(&mut self, at: u64) {
        let (word, bit) = place(at);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    /// Returns whether the set has a position.
    #[inline]
    pub(crate) fn contains(&self, at: u64) -> bool {
        let (word, bit) = place(at);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds the positions of another set.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Returns the number of positions.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Returns the greatest position; `None` for an empty set.
    pub(crate) fn last(&self) -> Option<u64> {
        let word = self.0.iter().rposition(|word| *word != 0)?;
        Some(word as u64 * 64 + 63 - u64::from(self.0[word].leading_zeros()))
    }
}

/// Returns the word of a position, and its bit there.
fn place(at: u64) -> (usize, u64) {
    (
        usize::try_from(at / 64)
            .expect("the records of a file are fewer than the addresses of memory"),
        1 << (at % 64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_positions_that_were_added_and_no_others() {
        let mut set = RecordSet::default();
        assert_eq!((set.len(), set.last()), (0, None));
        for at in [0, 63, 64, 1_000, 64] {
            set.insert(at);
        }
        let mut other = RecordSet::default();
        other.insert(2_000);
        set.add(&other);
        let positions: Vec<u64> = (0..3_000).filter(|&at| set.contains(at)).collect();
        assert_eq!(positions, [0, 63, 64, 1_000, 2_000]);
        assert_eq!((set.len(), set.last()), (5, Some(2_000)));
    }
}
