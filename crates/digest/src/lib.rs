//! Content identity: SHA-256 of bytes, of readers, and of structures as canonical JSON.
//!
//! In: bytes, a reader, or a serializable value. Out: a [`Digest`], written `sha256:<64 hex digits>`. [`hmac_sha256`] keys
//! a digest, so that ids cannot be recognised without the key.

use serde::{Deserialize, Serialize, de};
use sha2::{Digest as _, Sha256};
use std::{fmt, io, str::FromStr};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// A SHA-256 digest, written `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the digest of `value` as canonical JSON; see [`canonical_json`].
    ///
    /// # Panics
    /// If `value` cannot be written as JSON (a map with keys that are not strings), which is a bug.
    #[must_use]
    pub fn of_json<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::of(&canonical_json(value))
    }

    /// Returns the digest of all bytes of `reader`.
    ///
    /// # Errors
    /// If reading fails.
    pub fn of_reader(mut reader: impl io::Read) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the digest with these 32 bytes.
    #[inline]
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
    }

    /// Returns the first 12 hex digits, for display only: too few to identify content.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Returns the 32 bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Returns `value` as JSON with sorted keys and no spaces, so that equal values have equal bytes.
///
/// # Panics
/// If `value` cannot be written as JSON, which is a bug.
#[must_use]
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // serde_json's map is a BTreeMap (feature `preserve_order` is off), so its keys are sorted.
    let value = serde_json::to_value(value).expect("botops serializes only valid JSON structures");
    serde_json::to_vec(&value).expect("a JSON value can be written as JSON")
}

/// Computes a digest piece by piece.
#[derive(Default, Clone)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest of all appended bytes.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Returns the HMAC-SHA256 of `message` under `key` (RFC 2104), as a digest.
///
/// A key longer than 64 bytes counts as its SHA-256. Compare secrets in constant time; this only computes.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Digest {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(Digest::of(key).as_bytes());
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let (mut inner, mut outer) = (Hasher::default(), Hasher::default());
    inner.update(&block.map(|byte| byte ^ 0x36));
    inner.update(message);
    outer.update(&block.map(|byte| byte ^ 0x5c));
    outer.update(inner.finish().as_bytes());
    outer.finish()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A string that is not a digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a digest: expected `sha256:` and 64 lowercase hex digits")]
pub struct ParseDigestError(String);

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || ParseDigestError(text.to_owned());
        let hex = text.strip_prefix("sha256:").ok_or_else(fault)?;
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(fault());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| fault())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| fault())?;
        }
        Ok(Self(bytes))
    }
}

impl utoipa::PartialSchema for Digest {
    fn schema() -> RefOr<Schema> {
        let of = ObjectBuilder::new().schema_type(Type::String);
        let description = "A SHA-256 digest, as `sha256:` and 64 hexadecimal digits.";
        of.pattern(Some("^sha256:[0-9a-f]{64}$")).description(Some(description)).into()
    }
}

impl utoipa::ToSchema for Digest {}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_equals_the_vectors_of_rfc_4231() {
        // Test cases 1, 2, 3, 6 and 7; the last two have a key longer than a block.
        let long = [0xaa; 131];
        let cases: [(&[u8], &[u8], &str); 5] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &long,
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, message, expected) in cases {
            assert_eq!(hmac_sha256(key, message).hex(), expected);
        }
    }
}
