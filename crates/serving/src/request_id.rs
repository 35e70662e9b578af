//! Request ids: nobody can guess one, and the server that gave one out finds its number again.

use botops_access::{IdKey, SealedNumber};
use serde::Serialize;
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// The id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestId {
    sealed: SealedNumber,
    /// The number, from 1: requests of one server are numbered in their order.
    pub(super) number: u64,
}

impl RequestId {
    /// Returns a number in [0, 1) that depends on the id alone: it chooses the arm of a request without a conversation.
    pub(super) fn draw(&self) -> f64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.sealed.as_bytes();
        (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl RequestId {
    /// Returns the id of these bytes, as it is written.
    pub(super) fn written(bytes: &[u8; 24]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the id as bytes.
    pub(super) fn bytes(&self) -> [u8; 24] {
        *self.sealed.as_bytes()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sealed.fmt(f)
    }
}

impl PartialSchema for RequestId {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{48}$"));
        text.description(Some("The id of a request.")).into()
    }
}

impl ToSchema for RequestId {}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Gives out the ids of a server.
pub(super) struct RequestIds {
    key: IdKey,
    next: AtomicU64,
}

impl RequestIds {
    /// Makes the ids of a server, under a key of this process.
    ///
    /// # Errors
    /// `BOT-1060` (exit 1) if the system has no random bits.
    pub(super) fn new() -> botops_findings::Result<Self> {
        Ok(Self { key: IdKey::random()?, next: AtomicU64::new(1) })
    }

    /// Returns the next id.
    pub(super) fn next(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId { sealed: self.key.seal(number), number }
    }

    /// Returns the number in `id`, or `None` if another server gave it out, or nobody did.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        self.key.open(&id.parse().ok()?)
    }
}
