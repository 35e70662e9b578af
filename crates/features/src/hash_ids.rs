//! A hash table from the hashes of n-grams to ids.

/// A table from hashes to the ids 0, 1, ...
///
/// It uses open addressing, is at most half full, and is indexed by the top bits of a hash.
#[derive(Debug, Clone)]
pub(super) struct HashIds {
    hashes: Vec<u64>,
    ids: Vec<u32>,
    shift: u32,
    len: u32,
}

/// Marks a free slot; an n-gram with this hash is stored with hash 1 instead.
const EMPTY: u64 = 0;

impl Default for HashIds {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl HashIds {
    /// Makes an empty table with room for `n` hashes.
    fn with_capacity(n: usize) -> Self {
        let capacity = (2 * n).next_power_of_two().max(16);
        Self {
            hashes: vec![EMPTY; capacity],
            ids: vec![0; capacity],
            shift: 64 - capacity.trailing_zeros(),
            len: 0,
        }
    }

    /// Assigns the ids 0, 1, ... to `hashes`; `None` if one is repeated.
    pub(super) fn new(hashes: impl ExactSizeIterator<Item = u64>) -> Option<Self> {
        let mut table = Self::with_capacity(hashes.len());
        for hash in hashes {
            if !table.intern(hash).1 {
                return None;
            }
        }
        Some(table)
    }

    /// Returns the id of `hash`, and whether it is new; a new hash gets the next id.
    #[inline]
    pub(super) fn intern(&mut self, hash: u64) -> (u32, bool) {
        let hash = hash.max(1);
        let (at, found) = self.slot(hash);
        if found {
            return (self.ids[at], false);
        }
        let id = self.len;
        self.len += 1;
        self.hashes[at] = hash;
        self.ids[at] = id;
        if 2 * self.len as usize > self.hashes.len() {
            self.grow();
        }
        (id, true)
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = Self::with_capacity(self.hashes.len());
        for (&hash, &id) in self.hashes.iter().zip(&self.ids).filter(|(n, _)| **n != EMPTY) {
            let (at, _) = larger.slot(hash);
            larger.hashes[at] = hash;
            larger.ids[at] = id;
        }
        larger.len = self.len;
        *self = larger;
    }

    /// Returns the slot of `hash` and `true`, or the free slot for it and `false`.
    #[inline]
    fn slot(&self, hash: u64) -> (usize, bool) {
        let mask = self.hashes.len() - 1;
        let mut at = (hash >> self.shift) as usize & mask;
        loop {
            let stored = self.hashes[at];
            if stored == hash {
                return (at, true);
            }
            if stored == EMPTY {
                return (at, false);
            }
            at = (at + 1) & mask;
        }
    }

    /// Returns the id of `hash`, if it has one.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> Option<u32> {
        let (at, found) = self.slot(hash.max(1));
        found.then(|| self.ids[at])
    }
}
