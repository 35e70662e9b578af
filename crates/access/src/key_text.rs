//! The text of a key: `botops_<id>_<secret>`.

use botops_digest::Digest;
use botops_findings::{Fault, Result};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;

/// The first part of every key. Scanners find keys in code and logs by it.
pub const PREFIX: &str = "botops_";
/// The characters of an id: 48 bits in hexadecimal.
const ID_CHARS: usize = 12;
/// The characters of a secret: 256 bits in hexadecimal.
const SECRET_CHARS: usize = 64;

/// A key, to be shown once. Its `Debug` output does not show the secret.
///
/// - the id is public: lists and logs name it
/// - the secret is 256 bits from the random generator of the system, so a fast hash protects it: unlike a password, it
///   cannot be guessed from a list, and a slow hash would only slow down each request
pub struct NewKey {
    /// The public id.
    pub id: String,
    /// Digest of the secret: the part that is stored.
    pub hash: Digest,
    text: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl NewKey {
    /// Makes a key of random bits.
    ///
    /// # Errors
    /// `BOT-1060` (exit 1) if the system has no random bits.
    pub fn random() -> Result<Self> {
        let (id, secret) =
            (random_hex::<{ ID_CHARS / 2 }>()?, random_hex::<{ SECRET_CHARS / 2 }>()?);
        let hash = Digest::of(secret.as_bytes());
        Ok(Self { text: format!("{PREFIX}{id}_{secret}"), id, hash })
    }

    /// Returns the key itself, for the one place that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

/// Returns 256 random bits in hexadecimal, for a key that a machine keeps.
///
/// # Errors
/// `BOT-1060` (exit 1) if the system has no random bits.
pub fn random_key() -> Result<String> {
    random_hex::<{ SECRET_CHARS / 2 }>()
}

fn random_hex<const N: usize>() -> Result<String> {
    let mut bytes = [0_u8; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        Fault::internal("BOT-1060", "the operating system returned no random bits for a key")
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The parts of a key that a request presents.
pub(super) struct PresentedKey<'a> {
    /// The public id.
    pub(super) id: &'a str,
    /// Digest of the secret.
    pub(super) hash: Digest,
}

impl<'a> PresentedKey<'a> {
    /// Reads a key; `None` if the text has another form.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_hex = |part: &str, n: usize| {
            part.len() == n && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_key = is_hex(id, ID_CHARS) && is_hex(secret, SECRET_CHARS);
        is_key.then(|| Self { id, hash: Digest::of(secret.as_bytes()) })
    }
}

/// Returns the public id in a key; `None` if the text has no id.
pub(super) fn id_in(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX)?.split_once('_').map(|(id, _)| id)
}

/// Compares digests in a time that does not depend on where they differ.
#[must_use]
pub fn is_equal(a: &Digest, b: &Digest) -> bool {
    a.as_bytes().iter().zip(b.as_bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_never_shown_by_accident() {
        let (one, other) = (NewKey::random().unwrap(), NewKey::random().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_ne!(one.id, other.id);
        let read = PresentedKey::parse(one.expose()).unwrap();
        assert_eq!((read.id, read.hash), (one.id.as_str(), one.hash));
        assert!(is_equal(&one.hash, &read.hash) && !is_equal(&one.hash, &other.hash));
        let secret = one.expose().rsplit_once('_').unwrap().1;
        assert_eq!(secret.len() * 4, 256, "bits");
        assert!(!format!("{one:?}").contains(secret), "{one:?}");
    }

    #[test]
    fn a_text_of_another_form_is_no_key() {
        let key = NewKey::random().unwrap();
        let text = key.expose();
        let upper = text.to_uppercase();
        let long = format!("{text}0");
        for other in ["", "botops_", "botops__", &text[..text.len() - 1], &upper, &long, &text[7..]]
        {
            assert!(PresentedKey::parse(other).is_none(), "{other}");
        }
    }
}
