//! Which records, one bit each.

/// A set of records, by their position from 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Adds a position.
    pub(crate) fn insert(&mut self, at: u64) {
        let (word, bit) = place(at);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    /// Returns whether it is there.
    pub(crate) fn contains(&self, at: u64) -> bool {
        let (word, bit) = place(at);
        self.0.get(word).is_some_and(|there| there & bit != 0)
    }

    /// Adds all of another set.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Returns the greatest; `None` when there is none.
    pub(crate) fn last(&self) -> Option<u64> {
        let word = self.0.iter().rposition(|word| *word != 0)?;
        Some(word as u64 * 64 + 63 - u64::from(self.0[word].leading_zeros()))
    }
}

fn place(at: u64) -> (usize, u64) {
    (
        usize::try_from(at / 64).expect("the records of a file are fewer than addresses"),
        1 << (at % 64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_and_nothing_else() {
        let mut bits = Bits::default();
        assert_eq!((bits.len(), bits.last()), (0, None));
        for at in [0, 63, 64, 1_000, 64] {
            bits.insert(at);
        }
        let mut other = Bits::default();
        other.insert(2_000);
        bits.add(&other);
        let there: Vec<u64> = (0..3_000).filter(|&at| bits.contains(at)).collect();
        assert_eq!(there, [0, 63, 64, 1_000, 2_000]);
        assert_eq!((bits.len(), bits.last()), (5, Some(2_000)));
    }
}
