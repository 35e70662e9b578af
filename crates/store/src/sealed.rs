//! Canonical JSON whose first member is the digest of the rest, so that any altered byte is detected.

use botops_digest::{Digest, canonical_json};
use serde::Serialize;

/// Returns the bytes with which sealed JSON begins.
fn opening(digest: &Digest) -> String {
    format!("{{\"digest\":\"{digest}\",")
}

/// Returns `value`, an object without a member that sorts before `digest`, as canonical JSON with its digest.
pub(super) fn seal(value: &impl Serialize) -> Vec<u8> {
    let body = canonical_json(value);
    let mut bytes = opening(&Digest::of(&body)).into_bytes();
    bytes.extend_from_slice(&body[1..]);
    bytes
}

/// Returns whether `bytes` begin with the digest of the rest.
pub(super) fn is_intact(bytes: &[u8]) -> bool {
    let length = opening(&Digest::of(&[])).len();
    let Some(rest) = bytes.get(length..) else { return false };
    let body = [b"{", rest].concat();
    bytes.starts_with(opening(&Digest::of(&body)).as_bytes())
}
