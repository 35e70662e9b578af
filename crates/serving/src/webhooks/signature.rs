//! The signature of a webhook, in the format of Standard Webhooks: HMAC-SHA256 of `id.timestamp.body`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use botops_digest::hmac_sha256;
use botops_findings::{Fault, Result};
use botops_workspace::Secret;

/// The fewest bytes of a key.
const LEAST_BYTES: usize = 24;

/// The prefix of a secret whose rest is the key in base64.
const BASE64_PREFIX: &str = "whsec_";

/// A key that signs. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SigningKey(Vec<u8>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl SigningKey {
    /// Reads the key of `secret`: its bytes or, after `whsec_`, the bytes that the rest encodes in base64.
    ///
    /// # Errors
    /// `BOT-1070` (exit 2) it has fewer than 24 bytes, or the rest is not base64.
    pub(super) fn new(secret: &Secret) -> Result<Self> {
        let text = secret.expose();
        let key = match text.strip_prefix(BASE64_PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
                Fault::usage(
                    "BOT-1070",
                    "a secret of `server.webhooks` begins with `whsec_`, and the rest is not base64",
                )
                .hint("make one with `openssl rand -hex 32`")
            })?,
            None => text.as_bytes().to_vec(),
        };
        if key.len() < LEAST_BYTES {
            let message = format!(
                "a secret of `server.webhooks` has {} bytes: at least {LEAST_BYTES} are needed",
                key.len()
            );
            return Err(
                Fault::usage("BOT-1070", message).hint("make one with `openssl rand -hex 32`")
            );
        }
        Ok(Self(key))
    }

    /// Returns the signature of a message, such as `v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let mac = hmac_sha256(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_standard_webhooks_has_its_signature() {
        // The example of the specification and of its libraries.
        let key = SigningKey::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signature =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_long_enough_and_no_fault_shows_it() {
        SigningKey::new(&Secret::new("k".repeat(24))).unwrap();
        for bad in ["k".repeat(23), "whsec_a2V5".to_owned(), "whsec_not*base64*".to_owned()] {
            let fault = SigningKey::new(&Secret::new(bad.clone())).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1070", 2));
            assert!(!format!("{fault:?}").contains(&bad), "{fault:?}");
        }
        let key = SigningKey::new(&Secret::new("k".repeat(24))).unwrap();
        assert_eq!(format!("{key:?}"), "[redacted]");
    }
}
