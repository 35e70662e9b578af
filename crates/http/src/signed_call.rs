//! The signature of an outgoing call, in the format of Standard Webhooks: HMAC-SHA256 of `id.timestamp.body`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use botops_digest::hmac_sha256;
use reqwest::RequestBuilder;
use std::fmt;

/// The fewest bytes of a key.
const LEAST_BYTES: usize = 24;

/// The prefix of a secret whose rest is the key in base64.
const BASE64_PREFIX: &str = "whsec_";

/// A key that signs. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The reason for which a secret is no key; its text goes on from `a secret of ...`, and does not show the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfitSecret {
    /// It begins with `whsec_`, and the rest is not base64.
    NotBase64,
    /// Its key has fewer than 24 bytes.
    TooShort {
        /// The bytes that it has.
        bytes: usize,
    },
}

impl fmt::Display for UnfitSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64 => f.write_str("begins with `whsec_`, and the rest is not base64"),
            Self::TooShort { bytes } => {
                write!(f, "has {bytes} bytes: at least {LEAST_BYTES} are needed")
            }
        }
    }
}

impl std::error::Error for UnfitSecret {}

impl SigningKey {
    /// Reads the key of `secret`: its bytes or, after `whsec_`, the bytes that the rest encodes in base64.
    ///
    /// # Errors
    /// It has fewer than 24 bytes, or the rest is not base64.
    pub fn new(secret: &str) -> Result<Self, UnfitSecret> {
        let key = match secret.strip_prefix(BASE64_PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| UnfitSecret::NotBase64)?,
            None => secret.as_bytes().to_vec(),
        };
        match key.len() {
            bytes if bytes < LEAST_BYTES => Err(UnfitSecret::TooShort { bytes }),
            _ => Ok(Self(key)),
        }
    }

    /// Returns the signature of a message, such as `v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=`.
    ///
    /// `timestamp` is the time of the attempt, in seconds of Unix time.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let mac = hmac_sha256(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.as_bytes()))
    }
}

/// Gives `request` the body and the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, with one signature of
/// each of `keys`, separated by a space. Without a key it has no signature.
///
/// `id` is the same in every attempt; `timestamp` is the time of this attempt, in seconds of Unix time. The type of the body
/// is for the caller to set.
pub fn signed(
    request: RequestBuilder,
    keys: &[SigningKey],
    (id, timestamp): (&str, i64),
    body: String,
) -> RequestBuilder {
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(id, timestamp, &body)).collect();
    let request = request.header("webhook-id", id).header("webhook-timestamp", timestamp);
    let request = match signatures.is_empty() {
        true => request,
        false => request.header("webhook-signature", signatures.join(" ")),
    };
    request.body(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_standard_webhooks_has_its_signature() {
        // The example of the specification and of its libraries.
        let key = SigningKey::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_long_enough_and_nothing_shows_it() {
        SigningKey::new(&"k".repeat(24)).unwrap();
        for (bad, expected) in [
            ("k".repeat(23), UnfitSecret::TooShort { bytes: 23 }),
            ("whsec_a2V5".to_owned(), UnfitSecret::TooShort { bytes: 3 }),
            ("whsec_not*base64*".to_owned(), UnfitSecret::NotBase64),
        ] {
            let unfit = SigningKey::new(&bad).unwrap_err();
            assert_eq!(unfit, expected);
            assert!(!format!("{unfit} {unfit:?}").contains(&bad), "{unfit:?}");
        }
        let key = SigningKey::new(&"k".repeat(24)).unwrap();
        assert_eq!(format!("{key:?}"), "[redacted]");
    }

    #[test]
    fn a_call_carries_its_id_its_time_and_a_signature_of_each_key() {
        crate::install_tls();
        let client = reqwest::Client::new();
        let key = |letter: &str| SigningKey::new(&letter.repeat(24)).unwrap();
        let keys = [key("a"), key("b")];
        let call = |keys: &[SigningKey]| {
            let request = client.post("http://127.0.0.1:9/hook");
            signed(request, keys, ("production-7", 1_700_000_000), "{}".to_owned()).build().unwrap()
        };
        let request = call(&keys);
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(header("webhook-id"), "production-7");
        assert_eq!(header("webhook-timestamp"), "1700000000");
        let [first, second] = keys.map(|key| key.sign("production-7", 1_700_000_000, "{}"));
        assert_ne!(first, second);
        assert_eq!(header("webhook-signature"), format!("{first} {second}"));
        assert_eq!(request.body().and_then(|body| body.as_bytes()), Some(b"{}".as_slice()));
        assert!(!call(&[]).headers().contains_key("webhook-signature"));
    }
}
