//! A token in the compact form of RFC 7515: `header.claims.signature`, each in base64url.

use super::{algorithm::TokenAlgorithm, strict_json::Members};
use crate::token_problem::TokenProblem;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// The most bytes of a token.
pub(crate) const MOST_BYTES: usize = 8 << 10;
/// The most bytes of a subject.
const MOST_SUBJECT_BYTES: usize = 200;

/// The longest time for which a token is remembered, in seconds.
const LONGEST_LEFT: f64 = 365.0 * 86_400.0;

/// A token, whose signature is not checked yet.
pub(super) struct Token<'a> {
    /// The algorithm that it claims.
    pub(super) algorithm: TokenAlgorithm,
    /// The id of its key.
    pub(super) kid: Option<String>,
    /// The claims.
    pub(super) claims: Members,
    /// The signed bytes: header and claims as they were sent.
    pub(super) signed: &'a [u8],
    /// The signature.
    pub(super) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Reads a token.
    ///
    /// # Errors
    /// The problem of its form. An algorithm without keys is [`TokenProblem::UnknownKey`].
    pub(super) fn parse(text: &'a str) -> Result<Self, TokenProblem> {
        if text.len() > MOST_BYTES {
            return Err(TokenProblem::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenProblem::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenProblem::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenProblem::Malformed);
        let read = |part: &str| Members::parse(&decode(part)?).map_err(|_| TokenProblem::Malformed);
        let (header, claims) = (read(header)?, read(claims)?);
        if header.has("crit") {
            return Err(TokenProblem::Critical);
        }
        let algorithm = match header.text("alg") {
            Some(name) => TokenAlgorithm::named(name).ok_or(TokenProblem::UnknownKey)?,
            None => return Err(TokenProblem::Malformed),
        };
        let kid = header.text("kid").map(str::to_owned);
        if header.has("kid") && kid.is_none() {
            return Err(TokenProblem::Malformed);
        }
        Ok(Self {
            algorithm,
            kid,
            claims,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
        })
    }

    /// Checks `exp`, which is required, and `nbf`. Returns the time from which the token is refused.
    pub(super) fn check_times(
        &self,
        now: DateTime<Utc>,
        leeway: Duration,
    ) -> Result<DateTime<Utc>, TokenProblem> {
        let (leeway, seconds) = (leeway.as_secs_f64(), now.timestamp_millis() as f64 / 1_000.0);
        let left = match self.claims.number("exp") {
            Some(exp) if seconds < exp + leeway => exp + leeway - seconds,
            _ => return Err(TokenProblem::Expired),
        };
        match self.claims.number("nbf") {
            None if !self.claims.has("nbf") => {}
            Some(nbf) if nbf - leeway <= seconds => {}
            _ => return Err(TokenProblem::NotYetValid),
        }
        // A number of seconds that is too large is as good as a year.
        let left = TimeDelta::milliseconds((left.min(LONGEST_LEFT) * 1_000.0) as i64);
        Ok(now + left)
    }

    /// Returns the subject, which becomes the name in the audit trail.
    pub(super) fn subject(&self) -> Result<&str, TokenProblem> {
        let subject = self.claims.text("sub").unwrap_or_default();
        let is_fit = !subject.trim().is_empty()
            && subject.len() <= MOST_SUBJECT_BYTES
            && !subject.contains(char::is_control);
        if is_fit { Ok(subject) } else { Err(TokenProblem::Subject) }
    }
}
