//! The ids of traces and spans: unique, and not secret.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// Gives out ids. Each is a scrambled number that begins at random, so that two servers do not give out the same.
#[derive(Debug)]
pub(crate) struct SpanIds {
    next: AtomicU64,
    /// The other half of the ids of traces.
    salt: u64,
}

impl SpanIds {
    /// Makes ids that begin at random.
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        Self { next: AtomicU64::new(random.hash_one(1_u8)), salt: random.hash_one(2_u8) }
    }

    /// Returns the id of a span.
    pub(crate) fn span(&self) -> [u8; 8] {
        loop {
            let id = scrambled(self.next.fetch_add(1, Ordering::Relaxed));
            if id != 0 {
                return id.to_be_bytes();
            }
        }
    }

    /// Returns the id of a trace.
    pub(crate) fn trace(&self) -> [u8; 16] {
        let low = u64::from_be_bytes(self.span());
        let high = scrambled(low ^ self.salt);
        (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
    }
}

/// Returns another number for each number (the finalizer of SplitMix64).
fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_id_is_given_out_twice() {
        let (one, other) = (SpanIds::new(), SpanIds::new());
        let mut seen = HashSet::new();
        for _ in 0..20_000 {
            assert!(seen.insert(one.span()) && seen.insert(other.span()));
        }
        let traces: HashSet<_> = (0..20_000).map(|_| one.trace()).collect();
        assert_eq!(traces.len(), 20_000);
    }
}
