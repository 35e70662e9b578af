//! Names of conversations, persons and messages in the store: HMACs under the identity key.

use botops_digest::hmac_sha256;
use std::fmt;

/// The key under which a channel names things. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct NameKey {
    key: Vec<u8>,
    channel: String,
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl NameKey {
    pub(crate) fn new(key: &[u8], channel: &str) -> Self {
        Self { key: key.to_vec(), channel: channel.to_owned() }
    }

    /// Returns the name of a conversation.
    pub(crate) fn conversation(&self, id: &str) -> String {
        self.name(&["conversation", id])
    }

    /// Returns the name of a person.
    pub(crate) fn person(&self, id: &str) -> String {
        self.name(&["person", id])
    }

    /// Returns the name of a message.
    pub(crate) fn message(&self, conversation: &str, id: &str) -> String {
        self.name(&["message", conversation, id])
    }

    /// Returns 128 bits of an HMAC in hex. Each part is preceded by its length, so that no two lists of parts are the same bytes.
    fn name(&self, parts: &[&str]) -> String {
        let mut bytes = b"botops.channel/1".to_vec();
        for part in std::iter::once(self.channel.as_str()).chain(parts.iter().copied()) {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        hmac_sha256(&self.key, &bytes).hex()[..32].to_owned()
    }
}
