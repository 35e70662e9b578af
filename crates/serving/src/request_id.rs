//! Request ids: unique across servers and restarts, and recognised by the server that gave them out.

use serde::Serialize;
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// The id of a request: the server that answered it, and a number that the server counts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestId {
    server: u64,
    /// The number, from 1.
    pub(super) number: u64,
}

impl RequestId {
    /// Returns a number in [0, 1) that depends on the id alone: it chooses the arm of a request without a conversation.
    pub(super) fn draw(self) -> f64 {
        // SplitMix64 of the id is cheap, and threads share no generator.
        let mut z = self.server ^ self.number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.server, self.number)
    }
}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Gives out the ids of a server.
pub(super) struct RequestIds {
    server: u64,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        // The low bits of a ULID are random, so two servers, or two starts of one, do not share ids.
        let server = ulid::Ulid::generate().random() as u64;
        Self { server, next: AtomicU64::new(1) }
    }
}

impl RequestIds {
    /// Returns the next id.
    pub(super) fn next(&self) -> RequestId {
        RequestId { server: self.server, number: self.next.fetch_add(1, Ordering::Relaxed) }
    }

    /// Returns the number in `id`, or `None` if another server gave it out.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        let (server, number) = id.split_once('-')?;
        let server = u64::from_str_radix(server, 16).ok()?;
        let number = u64::from_str_radix(number, 16).ok()?;
        (server == self.server).then_some(number)
    }
}
