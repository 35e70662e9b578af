//! The inverted index: terms, and for each the chunks that have it.

use super::analysis::Group;

/// The parameter of BM25 that limits the effect of repetition.
pub(crate) const K1: f32 = 1.2;
/// The parameter of BM25 that sets the effect of length.
pub(crate) const B: f32 = 0.75;
/// Quarters: the weights of fields are multiples of 1/4, so that frequencies are integers.
pub(crate) const UNITS: f32 = 4.0;

/// A chunk that has a term, in the upper 24 bits, and the weighted frequency in quarters, at most 255, in the lower 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Posting(u32);

/// The most chunks of an index; the number of one has to fit the 24 bits of a [`Posting`].
pub(crate) const MOST_CHUNKS: usize = 1_000_000;

impl Posting {
    /// Makes a posting of a chunk below [`MOST_CHUNKS`].
    pub(crate) fn new(chunk: u32, frequency: u8) -> Self {
        Self(chunk << 8 | u32::from(frequency))
    }

    /// Returns the chunk.
    #[inline]
    pub(crate) fn chunk(self) -> u32 {
        self.0 >> 8
    }

    /// Returns the weighted frequency, in quarters.
    #[inline]
    pub(crate) fn frequency(self) -> u8 {
        self.0 as u8
    }
}

/// The inverted index of all chunks.
///
/// - `terms` rise, by group and then by the bytes of the stem
/// - the postings of a term are sorted by chunk, each chunk once, and `starts` has one more value than there are terms
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lexicon {
    /// The bytes of all terms; each begins with the byte of its group.
    pub(crate) bytes: Vec<u8>,
    /// The end of each term in `bytes`.
    pub(crate) ends: Vec<u32>,
    /// The first posting of each term, and the number of postings.
    pub(crate) starts: Vec<u32>,
    /// The postings of all terms.
    pub(crate) postings: Vec<Posting>,
    /// The group of each chunk.
    pub(crate) groups: Vec<Group>,
    /// The weighted length of each chunk, in quarters.
    pub(crate) lengths: Vec<u32>,
    /// Computed from the rest.
    pub(crate) derived: Derived,
}

/// Values that the scoring reads, computed when an index is built or loaded.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Derived {
    /// The groups that have chunks, each with the number of its chunks.
    pub(crate) present: Vec<(Group, u32)>,
    /// For each chunk k1 (1 - b + b length / mean length of the group), in quarters.
    pub(crate) norms: Vec<f32>,
    /// For each term the largest tf / (tf + norm) of a chunk.
    pub(crate) largest: Vec<f32>,
}

impl Lexicon {
    /// Returns the number of terms.
    pub(crate) fn n_terms(&self) -> usize {
        self.ends.len()
    }

    /// Returns the bytes of term `term`: the group, then the stem.
    pub(crate) fn term(&self, term: usize) -> &[u8] {
        let start = term.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[term] as usize]
    }

    /// Returns the number of the term `stem` of `group`, if a chunk has it.
    pub(crate) fn find(&self, group: Group, stem: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.n_terms());
        while low < high {
            let middle = low.midpoint(high);
            let term = self.term(middle);
            match term[0].cmp(&group.byte()).then_with(|| term[1..].cmp(stem.as_bytes())) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Returns the postings of term `term`.
    pub(crate) fn postings(&self, term: usize) -> &[Posting] {
        &self.postings[self.starts[term] as usize..self.starts[term + 1] as usize]
    }

    /// Returns ln(1 + (N - df + 0.5) / (df + 0.5)), as Lucene computes it; N and df count the chunks of the group of the
    /// term, whether a question may see them or not.
    pub(crate) fn idf(&self, term: usize) -> f32 {
        let group = self.term(term)[0];
        let n = self.derived.present.iter().find(|(present, _)| present.byte() == group);
        let n = n.map_or(0.0, |(_, n)| f64::from(*n));
        let df = f64::from(self.starts[term + 1] - self.starts[term]);
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln() as f32
    }

    /// Computes [`Derived`] again, after the other fields changed.
    pub(crate) fn derive(&mut self) {
        let mut sums: std::collections::BTreeMap<Group, (u32, u64)> =
            std::collections::BTreeMap::new();
        for (group, length) in self.groups.iter().zip(&self.lengths) {
            let (n, sum) = sums.entry(*group).or_default();
            *n += 1;
            *sum += u64::from(*length);
        }
        let norms = self.groups.iter().zip(&self.lengths).map(|(group, length)| {
            let (n, sum) = sums[group];
            let mean = (sum as f64 / f64::from(n)).max(1.0) as f32;
            K1 * UNITS * (1.0 - B + B * (*length as f32 / mean))
        });
        self.derived.norms = norms.collect();
        self.derived.present = sums.iter().map(|(group, (n, _))| (*group, *n)).collect();
        self.derived.largest = (0..self.n_terms())
            .map(|term| {
                self.postings(term).iter().fold(0.0_f32, |largest, posting| {
                    let norm = self.derived.norms[posting.chunk() as usize];
                    largest.max(saturation(posting.frequency(), norm))
                })
            })
            .collect();
    }
}

/// Returns tf / (tf + norm), in [0, 1): the part of BM25 that depends on the chunk. The constant factor k1 + 1 of the
/// original formula is left out, as in Lucene: it changes no order.
#[inline]
pub(crate) fn saturation(frequency: u8, norm: f32) -> f32 {
    let frequency = f32::from(frequency);
    frequency / (frequency + norm)
}
