//! The public keys of an issuer: a JWK set of RFC 7517.

use super::{algorithm::TokenAlgorithm, strict_json::Members};
use crate::token_problem::TokenProblem;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use std::ops::RangeInclusive;

/// The most keys of a set.
const MOST_KEYS: usize = 64;

/// The lengths of RSA keys with which ring verifies RS256, in bits.
const RSA_BITS: RangeInclusive<usize> = 2_048..=8_192;

/// A public key, which verifies by one algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VerifyingKey {
    /// Its id, if it has one.
    pub(super) kid: Option<String>,
    /// The algorithm.
    pub(super) algorithm: TokenAlgorithm,
    /// The key: n of RSA, the point of P-256, the 32 bytes of Ed25519.
    bytes: Vec<u8>,
    /// The exponent of RSA.
    exponent: Vec<u8>,
}

impl VerifyingKey {
    /// Checks a signature.
    ///
    /// # Errors
    /// [`TokenProblem::Signature`].
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), TokenProblem> {
        let verified = match self.algorithm {
            TokenAlgorithm::Rs256 => RsaPublicKeyComponents { n: &self.bytes, e: &self.exponent }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature),
            TokenAlgorithm::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.bytes)
                .verify(signed, signature),
            TokenAlgorithm::EdDsa => {
                UnparsedPublicKey::new(&ED25519, &self.bytes).verify(signed, signature)
            }
            // A public key is no secret.
            TokenAlgorithm::Hs256 => return Err(TokenProblem::Signature),
        };
        verified.map_err(|_| TokenProblem::Signature)
    }

    /// Returns the problem of a key that verifies nothing although its owner may think so: an RSA key of another length than
    /// RS256 takes here.
    fn problem(&self) -> Option<String> {
        if self.algorithm != TokenAlgorithm::Rs256 {
            return None;
        }
        let bits = match self.bytes.split_first() {
            Some((first, rest)) => 8 * rest.len() + 8 - first.leading_zeros() as usize,
            None => 0,
        };
        if RSA_BITS.contains(&bits) {
            return None;
        }
        let name = match &self.kid {
            Some(kid) => format!("the RSA key `{}`", botops_text::display(kid, 60)),
            None => "an RSA key without an id".to_owned(),
        };
        let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
        Some(format!("{name} has {bits} bits, and is not used: {least} to {most} are needed"))
    }

    /// Reads one key of a set; `None` for a key of another kind, such as a shared secret or one that encrypts.
    fn read(jwk: &Members) -> Option<Self> {
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk.text(name)?).ok();
        // `use` and `key_ops` keep a key from verifying, if they are there.
        let verifies = (!jwk.has("use") || jwk.text("use") == Some("sig"))
            && (!jwk.has("key_ops") || jwk.texts("key_ops").any(|operation| operation == "verify"));
        if !verifies {
            return None;
        }
        let (algorithm, bytes, exponent) = match (jwk.text("kty")?, jwk.text("crv")) {
            ("RSA", None) => {
                // ring takes numbers without leading zeros.
                let number = |name| bytes(name).map(without_leading_zeros);
                (TokenAlgorithm::Rs256, number("n")?, number("e")?)
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                (TokenAlgorithm::Es256, [&[4][..], &x, &y].concat(), Vec::new())
            }
            ("OKP", Some("Ed25519")) => (TokenAlgorithm::EdDsa, bytes("x")?, Vec::new()),
            _ => return None,
        };
        let agrees = |name: &str| TokenAlgorithm::named(name) == Some(algorithm);
        if jwk.has("alg") && !jwk.text("alg").is_some_and(agrees) {
            return None;
        }
        let kid = jwk.text("kid").map(str::to_owned);
        Some(Self { kid, algorithm, bytes, exponent })
    }
}

fn without_leading_zeros(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// Reads the keys of a set that verify signatures; others are skipped. Also returns the problems of those that should verify
/// and cannot.
///
/// # Errors
/// A clause, if it is no set, has more than 64 keys, or none of use.
pub(super) fn read(json: &[u8]) -> Result<(Vec<VerifyingKey>, Vec<String>), String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Members>,
    }
    let Set { keys } =
        serde_json::from_slice(json).map_err(|error| format!("they are no JWK set: {error}"))?;
    if keys.len() > MOST_KEYS {
        return Err(format!("there are {} keys: at most {MOST_KEYS} are read", keys.len()));
    }
    let (mut usable, mut problems) = (Vec::new(), Vec::new());
    for key in keys.iter().filter_map(VerifyingKey::read) {
        match key.problem() {
            Some(problem) => problems.push(problem),
            None => usable.push(key),
        }
    }
    if usable.is_empty() {
        let none = "none of them verifies RS256, ES256 or EdDSA".to_owned();
        return Err(std::iter::once(none).chain(problems).collect::<Vec<_>>().join("; "));
    }
    Ok((usable, problems))
}
