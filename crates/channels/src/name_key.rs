//! Names of conversations, persons and messages in the store: HMACs under the identity key.

use botops_digest::hmac_sha256;
use std::fmt;

/// The key under which a channel names things. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct NameKey {
    key: Vec<u8>,
    old: Option<Vec<u8>>,
    channel: String,
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl NameKey {
    /// Makes the names of a channel under `key`; persons are still found under `old`.
    pub(crate) fn new(key: &[u8], old: Option<&[u8]>, channel: &str) -> Self {
        let old = old.filter(|old| *old != key).map(<[u8]>::to_vec);
        Self { key: key.to_vec(), old, channel: channel.to_owned() }
    }

    /// Returns the name of a conversation.
    pub(crate) fn conversation(&self, id: &str) -> String {
        self.name(&self.key, &["conversation", id])
    }

    /// Returns the names of a person: the one under the key in force first, then that under the key before.
    pub(crate) fn persons(&self, id: &str) -> Vec<String> {
        let keys = std::iter::once(&self.key).chain(&self.old);
        keys.map(|key| self.name(key, &["person", id])).collect()
    }

    /// Returns the name of a message.
    pub(crate) fn message(&self, conversation: &str, id: &str) -> String {
        self.name(&self.key, &["message", conversation, id])
    }

    /// Returns the name of a request of the desk.
    pub(crate) fn desk_request(&self, id: &str) -> String {
        self.name(&self.key, &["desk", id])
    }

    /// Returns 128 bits of an HMAC in hex. Each part is preceded by its length, so that no two lists of parts are the same bytes.
    fn name(&self, key: &[u8], parts: &[&str]) -> String {
        let mut bytes = b"botops.channel/1".to_vec();
        for part in std::iter::once(self.channel.as_str()).chain(parts.iter().copied()) {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        hmac_sha256(key, &bytes).hex()[..32].to_owned()
    }
}
