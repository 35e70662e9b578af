//! The name of a conversation in observations: an HMAC, so that nobody without the key can tell whose it is.

use botops_digest::hmac_sha256;
use std::sync::Arc;

/// The key under which the servers of an environment name conversations. All of them must have the same one, or a
/// conversation that meets two servers counts twice.
#[derive(Clone)]
pub struct UnitKey {
    key: Arc<[u8]>,
    /// Whether other servers have the same key.
    shared: bool,
}

impl UnitKey {
    /// Makes the key of these bytes.
    pub fn new(key: &[u8]) -> Self {
        Self { key: Arc::from(key), shared: true }
    }

    /// Makes a key for one process, which counts alone.
    pub fn alone() -> Self {
        let key = ulid::Ulid::generate().to_string();
        Self { shared: false, ..Self::new(key.as_bytes()) }
    }

    /// Returns the name of a conversation.
    pub fn of(&self, conversation_id: &str) -> u64 {
        botops_rollout::unit_key(&self.key, conversation_id)
    }

    /// Returns the name of the message of a request in observations.
    pub fn of_message(&self, request: &[u8; 24]) -> u64 {
        let digest = hmac_sha256(&self.key, &[b"message", &request[..]].concat());
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Returns the name of a caller of the public API, whose name is known in the way `kind`: 32 hexadecimal digits.
    pub fn of_caller(&self, kind: &str, id: &str) -> String {
        let digest = hmac_sha256(&self.key, format!("caller\n{kind}\n{id}").as_bytes());
        digest.hex()[..32].to_owned()
    }

    /// Returns a text that is equal for equal keys, and does not tell the key; `None` for a key of one process.
    pub fn fingerprint(&self) -> Option<String> {
        let digest = hmac_sha256(&self.key, b"the fingerprint of an identity key");
        self.shared.then(|| digest.hex()[..16].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_give_equal_names_and_a_fingerprint_without_the_key() {
        let [a, b, c] = [&b"one"[..], b"one", b"two"].map(UnitKey::new);
        assert_eq!(
            (a.of("conversation"), a.fingerprint()),
            (b.of("conversation"), b.fingerprint())
        );
        assert_ne!(a.of("conversation"), c.of("conversation"));
        assert_ne!(a.of("conversation"), a.of("other"));
        assert_ne!(a.fingerprint(), c.fingerprint());
        assert_eq!(a.fingerprint().map(|text| text.len()), Some(16));
        assert_eq!(UnitKey::alone().fingerprint(), None);
    }
}
