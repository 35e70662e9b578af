//! Texts under keys of their own: each person has a random key in each conversation, itself wrapped by the data key.
//!
//! Erasing the wrapped key makes every copy of the texts unreadable, in older backups too, as long as the wrapped keys are
//! backed up apart from the texts, in their newest state only.

use crate::names::{Id, fill};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use botops_findings::{Fault, Result};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The bytes of a key.
const KEY_BYTES: usize = 32;
/// The most data keys at a time: the one in force, and the one before.
const MOST_KEYS: usize = 2;
/// The longest id of a data key, in characters.
const LONGEST_KEY_ID: usize = 32;
/// The first byte of sealed bytes: the version of their form. Plain ones begin with `{`.
const SEALED: u8 = 1;

/// The data keys: the one in force first, then the one before, which still unwraps.
#[derive(Clone)]
pub struct DataKeys(Arc<[(String, LessSafeKey)]>);

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.0.iter().map(|(id, _)| &**id).collect();
        f.debug_tuple("DataKeys").field(&ids).finish()
    }
}

/// The key of a person in a conversation.
#[derive(Clone)]
pub(crate) struct PersonKey(Arc<LessSafeKey>);

/// A person's key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The person; the conversation itself where nobody is named.
    pub person: Id,
    /// The conversation.
    pub conversation: Id,
    /// The id of the data key that wraps it.
    pub key_id: String,
    /// The key, sealed.
    pub wrapped: Vec<u8>,
    /// The time when it was made or last needed for a new conversation, in milliseconds since 1970.
    pub at: i64,
}

/// Bytes that a data key itself seals, for texts that wait outside of a store of conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBytes {
    /// The id of the data key.
    pub key_id: String,
    /// The version, a random nonce, and the ciphertext with its tag, in base64.
    bytes: String,
}

impl DataKeys {
    /// Seals `bytes` under the key in force. They open only in their place.
    ///
    /// # Errors
    /// `BOT-6125` (exit 1) the operating system returns no random bits.
    pub fn seal(&self, bytes: &[u8], place: &[u8]) -> Result<SealedBytes> {
        let (id, key) = &self.0[0];
        let sealed = seal(key, bytes, &bytes_context(place))?;
        Ok(SealedBytes { key_id: id.clone(), bytes: STANDARD.encode(sealed) })
    }

    /// Opens what was sealed in this place.
    ///
    /// # Errors
    /// `BOT-6117` (exit 2) its data key is not among these; `BOT-6123` (exit 3) it was changed, or sealed in another place.
    pub fn open(&self, sealed: &SealedBytes, place: &[u8]) -> Result<Vec<u8>> {
        let Some((_, key)) = self.0.iter().find(|(id, _)| *id == sealed.key_id) else {
            return Err(not_set(&sealed.key_id));
        };
        let bytes = STANDARD.decode(&sealed.bytes).ok();
        bytes.and_then(|bytes| open(key, &bytes, &bytes_context(place))).ok_or_else(|| {
            Fault::data("BOT-6123", "a sealed text cannot be opened")
                .hint("it was stored under another data key of the same id, or changed")
        })
    }

    /// Reads the keys in `text`: `ID:BASE64`, or two with a comma between, the one in force first. A key has 32 bytes.
    ///
    /// # Errors
    /// `BOT-6117` (exit 2). The message contains no part of a key.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = |why: &str| {
            Fault::usage("BOT-6117", format!("the data key cannot be used: {why}"))
                .hint("make one with `echo \"2026a:$(openssl rand -base64 32)\"`")
                .hint("to replace it, write the new one in front: `2026b:BASE64,2026a:BASE64`")
        };
        let mut keys: Vec<(String, LessSafeKey)> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let Some((id, encoded)) = part.split_once(':') else {
                return Err(fault("a key has the form `ID:BASE64`"));
            };
            let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if id.is_empty() || id.len() > LONGEST_KEY_ID || !id.chars().all(is_id) {
                return Err(fault("an id has 1 to 32 letters, digits, `.`, `-` and `_`"));
            }
            let bytes = STANDARD.decode(encoded).map_err(|_| fault("a key is not base64"))?;
            if bytes.len() != KEY_BYTES {
                return Err(fault("a key has 32 bytes"));
            }
            if keys.iter().any(|(known, _)| known == id) {
                return Err(fault("two keys have the same id"));
            }
            keys.push((id.to_owned(), cipher(&bytes)));
        }
        if keys.len() > MOST_KEYS {
            return Err(fault("at most two are valid at a time"));
        }
        Ok(Self(keys.into()))
    }

    /// Returns the id of the key in force.
    #[must_use]
    pub fn current(&self) -> &str {
        &self.0[0].0
    }

    /// Makes a random key for `person` in `conversation`, at the time `at`, wrapped by the key in force.
    pub(crate) fn make(&self, conversation: Id, person: Id, at: i64) -> Result<WrappedKey> {
        let mut bytes = [0; KEY_BYTES];
        fill(&mut bytes)?;
        self.wrap(&bytes, conversation, person, at)
    }

    fn wrap(&self, bytes: &[u8], conversation: Id, person: Id, at: i64) -> Result<WrappedKey> {
        let (id, key) = &self.0[0];
        let wrapped = seal(key, bytes, &key_context(conversation, person, id))?;
        Ok(WrappedKey { person, conversation, key_id: id.clone(), wrapped, at })
    }

    /// Returns the key in `wrapped`.
    ///
    /// # Errors
    /// `BOT-6117` (exit 2) if its data key is not among these, `BOT-6123` (exit 3) if it was changed.
    pub(crate) fn unwrap(&self, wrapped: &WrappedKey) -> Result<PersonKey> {
        Ok(PersonKey(Arc::new(cipher(&self.bytes(wrapped)?))))
    }

    /// Wraps a key again, under the data key in force.
    ///
    /// # Errors
    /// As [`Self::unwrap`].
    pub(crate) fn rewrap(&self, wrapped: &WrappedKey) -> Result<WrappedKey> {
        self.wrap(&self.bytes(wrapped)?, wrapped.conversation, wrapped.person, wrapped.at)
    }

    fn bytes(&self, wrapped: &WrappedKey) -> Result<Vec<u8>> {
        let Some((id, key)) = self.0.iter().find(|(id, _)| *id == wrapped.key_id) else {
            return Err(not_set(&wrapped.key_id));
        };
        let context = key_context(wrapped.conversation, wrapped.person, id);
        open(key, &wrapped.wrapped, &context).ok_or_else(|| {
            Fault::data("BOT-6123", "the key of a person cannot be unwrapped")
                .hint("it was stored under another data key of the same id, or changed")
        })
    }
}

impl PersonKey {
    /// Seals the body of a turn. It opens only in its place.
    pub(crate) fn seal(&self, body: &[u8], place: &[u8]) -> Result<Vec<u8>> {
        seal(&self.0, body, place)
    }

    /// Opens the body of the turn in this place; `None` if it was sealed under another key or in another place, or
    /// changed.
    pub(crate) fn open(&self, sealed: &[u8], place: &[u8]) -> Option<Vec<u8>> {
        open(&self.0, sealed, place)
    }
}

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The fault of texts under a data key that is not set.
fn not_set(key_id: &str) -> Fault {
    let id = botops_text::display(key_id, LONGEST_KEY_ID);
    let message = format!("texts are stored under the data key `{id}`, which is not set");
    Fault::usage("BOT-6117", message)
        .hint("add it to `secrets.data_key`, after the key in force and a comma")
}

/// Returns the context to which bytes are bound. No key of a person has one of this form.
fn bytes_context(place: &[u8]) -> Vec<u8> {
    [b"botops sealed bytes", place].concat()
}

/// Returns whether a stored body is sealed.
pub(crate) fn is_sealed(body: &[u8]) -> bool {
    body.first() == Some(&SEALED)
}

/// Makes the cipher of 32 bytes.
fn cipher(bytes: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("a key has 32 bytes"))
}

/// Returns the context to which a wrapped key is bound.
fn key_context(conversation: Id, person: Id, key_id: &str) -> Vec<u8> {
    let (conversation, person) = (conversation.as_bytes(), person.as_bytes());
    [b"botops person key", &conversation[..], person, key_id.as_bytes()].concat()
}

/// Seals `bytes`: the version, a random nonce, and the ciphertext with its tag.
fn seal(key: &LessSafeKey, bytes: &[u8], context: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    fill(&mut nonce)?;
    let mut sealed = Vec::with_capacity(1 + NONCE_LEN + bytes.len() + AES_256_GCM.tag_len());
    let mut text = bytes.to_vec();
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(context),
        &mut text,
    )
    .map_err(|_| Fault::internal("BOT-6125", "a text could not be encrypted"))?;
    sealed.push(SEALED);
    sealed.extend_from_slice(&nonce);
    sealed.append(&mut text);
    Ok(sealed)
}

fn open(key: &LessSafeKey, sealed: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.strip_prefix(&[SEALED])?.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = text.to_vec();
    let n = key.open_in_place(nonce, Aad::from(context), &mut text).ok()?.len();
    text.truncate(n);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, byte: u8) -> String {
        format!("{id}:{}", STANDARD.encode([byte; 32]))
    }

    fn ids() -> (Id, Id) {
        (Id::from_bytes(&[1; 16]).unwrap(), Id::from_bytes(&[2; 16]).unwrap())
    }

    #[test]
    fn a_key_is_wrapped_and_unwrapped_only_where_it_belongs() {
        let keys = DataKeys::parse(&key("a", 7)).unwrap();
        let (conversation, person) = ids();
        let wrapped = keys.make(conversation, person, 5).unwrap();
        assert_eq!(wrapped.key_id, "a");
        let person_key = keys.unwrap(&wrapped).unwrap();
        let sealed = person_key.seal(b"hello", b"here").unwrap();
        assert!(is_sealed(&sealed) && !is_sealed(b"{}"));
        assert_eq!(person_key.open(&sealed, b"here").unwrap(), b"hello");
        assert!(person_key.open(&sealed, b"there").is_none(), "another place");
        assert_ne!(person_key.seal(b"hello", b"here").unwrap(), sealed, "another nonce");
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(person_key.open(&changed, b"here").is_none(), "byte {i}");
        }
        let moved = WrappedKey { conversation: person, ..wrapped.clone() };
        assert_eq!(keys.unwrap(&moved).unwrap_err().code(), "BOT-6123");
        let other = DataKeys::parse(&key("a", 8)).unwrap();
        assert_eq!(other.unwrap(&wrapped).unwrap_err().code(), "BOT-6123");
    }

    #[test]
    fn a_new_data_key_wraps_again_and_the_old_one_still_unwraps() {
        let (conversation, person) = ids();
        let old = DataKeys::parse(&key("a", 7)).unwrap();
        let wrapped = old.make(conversation, person, 5).unwrap();
        let sealed = old.unwrap(&wrapped).unwrap().seal(b"hello", b"here").unwrap();
        let both = DataKeys::parse(&format!("{},{}", key("b", 8), key("a", 7))).unwrap();
        let again = both.rewrap(&wrapped).unwrap();
        assert_eq!((again.key_id.as_str(), again.at), ("b", 5));
        let new = DataKeys::parse(&key("b", 8)).unwrap();
        assert_eq!(new.unwrap(&again).unwrap().open(&sealed, b"here").unwrap(), b"hello");
        let fault = new.unwrap(&wrapped).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6117", 2));
        assert!(fault.message().contains("`a`"));
    }

    #[test]
    fn bytes_open_under_their_data_key_and_in_their_place_only() {
        let old = DataKeys::parse(&key("a", 7)).unwrap();
        let sealed = old.seal(b"hello", b"here").unwrap();
        assert!(!serde_json::to_string(&sealed).unwrap().contains("hello"));
        let both = DataKeys::parse(&format!("{},{}", key("b", 8), key("a", 7))).unwrap();
        assert_eq!(both.open(&sealed, b"here").unwrap(), b"hello");
        assert_eq!(both.seal(b"hello", b"here").unwrap().key_id, "b");
        assert_eq!(old.open(&sealed, b"there").unwrap_err().code(), "BOT-6123");
        let other = DataKeys::parse(&key("a", 9)).unwrap();
        assert_eq!(other.open(&sealed, b"here").unwrap_err().code(), "BOT-6123");
        let new = DataKeys::parse(&key("b", 8)).unwrap();
        assert_eq!(new.open(&sealed, b"here").unwrap_err().code(), "BOT-6117");
        let broken = SealedBytes { bytes: "no base64!".to_owned(), ..sealed };
        assert_eq!(old.open(&broken, b"here").unwrap_err().code(), "BOT-6123");
    }

    #[test]
    fn keys_that_cannot_be_used_are_refused_and_not_shown() {
        let secret = STANDARD.encode([9; 32]);
        for wrong in [
            String::new(),
            secret.clone(),
            format!(":{secret}"),
            format!("a b:{secret}"),
            "a:AAAA".to_owned(),
            format!("a:{secret}!"),
            format!("a:{secret},a:{secret}"),
            format!("a:{secret},b:{secret},c:{secret}"),
        ] {
            let fault = DataKeys::parse(&wrong).unwrap_err();
            assert_eq!(fault.code(), "BOT-6117", "{wrong}");
            assert!(!format!("{fault:?}").contains(&secret));
        }
        assert_eq!(format!("{:?}", DataKeys::parse(&key("a", 7)).unwrap()), "DataKeys([\"a\"])");
    }
}
