//! The names of conversations, persons and messages in a store: HMACs, so that nobody without the key can tell whose
//! they are.

use botops_digest::hmac_sha256;
use botops_findings::{Fault, Result};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr, sync::Arc};

/// A name of 128 bits: the first half of an HMAC-SHA256, or random. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 16]);

impl Id {
    /// Makes a random name.
    ///
    /// # Errors
    /// `BOT-6125` (exit 1) if the operating system returns no random bits.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Returns the name in `bytes`; `None` unless they are 16.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn keyed(key: &[u8], kind: &str, parts: &[&[u8]]) -> Self {
        let mut message = kind.as_bytes().to_vec();
        for part in parts {
            // With its length, no part can pass for two.
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        let digest = hmac_sha256(key, &message);
        let mut name = [0; 16];
        name.copy_from_slice(&digest.as_bytes()[..16]);
        Self(name)
    }
}

/// Fills `bytes` with random bits of the operating system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| Fault::internal("BOT-6125", "the operating system returned no random bits"))
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Many are written in a second: once for each record of the prediction log.
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
        let digits = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
        f.write_str(&digits.collect::<String>())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_name =
            text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_name).ok_or(())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| D::Error::custom("not a name of 32 hexadecimal digits"))
    }
}

/// The identity keys: the one in force, and the one before, which is read but never written under.
#[derive(Clone)]
pub struct Names {
    key: Arc<[u8]>,
    old: Option<Arc<[u8]>>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("has_old", &self.old.is_some()).finish_non_exhaustive()
    }
}

/// The names of a conversation and of the person in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The conversation.
    pub conversation: Id,
    /// The person, if the request named one.
    pub person: Option<Id>,
    /// The conversation under the identity key before.
    pub old: Option<Id>,
}

impl Names {
    /// Makes the names under `key`; those under `old` are still found.
    #[must_use]
    pub fn new(key: &[u8], old: Option<&[u8]>) -> Self {
        let old = old.filter(|old| *old != key).map(Arc::from);
        Self { key: Arc::from(key), old }
    }

    /// Returns the names of the conversation and the person that a client calls `conversation_id` and `user_id`.
    #[must_use]
    pub fn of(&self, conversation_id: &str, user_id: Option<&str>) -> Named {
        Named {
            conversation: conversation(&self.key, conversation_id),
            person: user_id.map(|id| person(&self.key, id)),
            old: self.old.as_ref().map(|key| conversation(key, conversation_id)),
        }
    }

    /// Returns the names under which a conversation may be stored: the one in force, that of the key before, and
    /// `written` itself if it is a name as `botops conversations list` writes it.
    #[must_use]
    pub fn conversations(&self, written: &str) -> Vec<Id> {
        self.candidates(written, conversation)
    }

    /// Returns the names under which a person may be stored, as [`Self::conversations`].
    #[must_use]
    pub fn persons(&self, written: &str) -> Vec<Id> {
        self.candidates(written, person)
    }

    fn candidates(&self, written: &str, name: fn(&[u8], &str) -> Id) -> Vec<Id> {
        let mut found = vec![name(&self.key, written)];
        found.extend(self.old.as_ref().map(|key| name(key, written)));
        found.extend(written.parse::<Id>());
        found
    }

    /// Returns the name of a message in a conversation.
    #[must_use]
    pub fn message(&self, named: &Named, message_id: &str) -> Id {
        message(&self.key, named.conversation, message_id)
    }

    /// Returns the name that a message had under the key before.
    #[must_use]
    pub fn old_message(&self, named: &Named, message_id: &str) -> Option<Id> {
        Some(message(self.old.as_ref()?, named.old?, message_id))
    }
}

fn conversation(key: &[u8], id: &str) -> Id {
    Id::keyed(key, "botops conversation", &[id.as_bytes()])
}

fn person(key: &[u8], id: &str) -> Id {
    Id::keyed(key, "botops person", &[id.as_bytes()])
}

fn message(key: &[u8], conversation: Id, id: &str) -> Id {
    Id::keyed(key, "botops message", &[conversation.as_bytes(), id.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_key_and_on_what_they_name() {
        let (one, two) = (Names::new(b"one", None), Names::new(b"two", Some(b"one")));
        let (a, b) = (one.of("c", Some("c")), two.of("c", None));
        assert_ne!(Some(a.conversation), a.person, "a person and a conversation of one text");
        assert_ne!(a.conversation, b.conversation);
        assert_eq!(b.old, Some(a.conversation), "the key before finds what it named");
        assert_eq!(two.old_message(&b, "m"), Some(one.message(&a, "m")));
        assert_ne!(one.message(&a, "m"), one.message(&one.of("d", None), "m"));
        assert_eq!(Names::new(b"one", Some(b"one")).of("c", None).old, None);
        assert!(!format!("{two:?}").contains("one"), "no key is printed");
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let id = Id::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<Id>(&json).unwrap(), id);
        for wrong in ["", "ab", &"G".repeat(32), &"A".repeat(32), &format!("+{}", "1".repeat(31))] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
        let names = Names::new(b"key", None);
        assert!(names.conversations(&id.to_string()).contains(&id), "as `list` writes it");
        assert_eq!(names.conversations("c"), [names.of("c", None).conversation]);
    }
}
