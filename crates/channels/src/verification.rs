//! Signatures of requests, compared in constant time.

use crate::{exchange::ReceivedRequest, message::usable_id};
use botops_digest::hmac_sha256;
use botops_http::SigningKey;

/// The largest difference between the clocks of the two sides.
const TOLERANCE_SECONDS: u64 = 300;

/// Returns whether two texts are the same. The time depends on the lengths only.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    // Digests are compared: a prefix that two texts share shows nothing about the digest of the other one.
    let key = [0x5c; 32];
    hmac_sha256(&key, a)
        .as_bytes()
        .iter()
        .zip(hmac_sha256(&key, b).as_bytes())
        .fold(u8::from(a.len() != b.len()), |difference, (x, y)| {
            difference | std::hint::black_box(x ^ y)
        })
        == 0
}

/// Returns the time of a request that one of the keys signs in the format of Standard Webhooks, and that is neither old nor of
/// the future.
pub(crate) fn signed_at(request: &ReceivedRequest<'_>, keys: &[SigningKey]) -> Option<i64> {
    let id = usable_id(request.header("webhook-id")?)?;
    let timestamp: i64 = request.header("webhook-timestamp")?.parse().ok()?;
    let body = std::str::from_utf8(request.body).ok()?;
    if timestamp.abs_diff(request.now.timestamp()) > TOLERANCE_SECONDS {
        return None;
    }
    let given = request.header("webhook-signature")?;
    // A sender signs with at most two keys; more entries are not looked at.
    let is_signed = given.split(' ').take(8).fold(false, |found, signature| {
        keys.iter().fold(found, |found, key| {
            found | is_same(key.sign(&id, timestamp, body).as_bytes(), signature.as_bytes())
        })
    });
    is_signed.then_some(timestamp)
}

/// Returns whether `signature`, hex digits, is the HMAC-SHA256 of `message` under `key`.
pub(crate) fn is_hex_hmac(key: &[u8], message: &[u8], signature: &str) -> bool {
    let expected = hmac_sha256(key, message).hex();
    is_same(expected.as_bytes(), signature.to_ascii_lowercase().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_test_case_of_rfc_4231_is_verified_and_no_other_digits_are() {
        let digits = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert!(is_hex_hmac(&[0x0b; 20], b"Hi There", digits));
        assert!(is_hex_hmac(&[0x0b; 20], b"Hi There", &digits.to_uppercase()));
        for bad in ["", &digits[1..], &digits.replace('7', "8")] {
            assert!(!is_hex_hmac(&[0x0b; 20], b"Hi There", bad), "{bad}");
        }
    }
}
