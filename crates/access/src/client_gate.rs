//! The check of every request of the public API: who it is from, and with which scopes.
//!
//! - a key is a hash and a look-up in a table that no request locks
//! - a token is verified once and remembered by its digest for a minute
//! - a bearer token that is sent is checked, even where everyone may call: a mistake does not pass for a stranger

use crate::{
    CallerKind, Issuers, LiveKeys, PublicCaller, Refused, Role, Scope, ScopeSet, TokenProblem,
    key_text::{PREFIX, is_equal},
    tokens::LONGEST_TOKEN,
    verified_tokens::VerifiedTokens,
};
use botops_digest::Digest;
use chrono::{DateTime, Utc};
use std::{sync::Arc, time::Instant};

/// The credentials that the public API accepts.
#[derive(Debug, Default)]
pub struct ClientGate {
    /// Whether everyone may call, also without credentials.
    pub is_open: bool,
    /// The keys of the environment.
    pub keys: Option<Arc<LiveKeys>>,
    /// The issuers of tokens.
    pub issuers: Option<Issuers>,
    /// Digest of the shared admin token, which has the scope `read` here, and none of clients.
    pub shared_token: Option<Digest>,
    /// The tokens that were verified shortly before.
    pub verified: TokenCache,
}

/// The tokens that were verified shortly before.
#[derive(Debug, Default)]
pub struct TokenCache(VerifiedTokens);

/// A request whose credentials were looked at.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked<'a> {
    /// It is from this caller.
    Caller(PublicCaller),
    /// It has a token that [`ClientGate::verify`] must check.
    Token(&'a str),
}

impl ClientGate {
    /// Looks at the value of an `Authorization` header; `instant` is the same time as `now` by the monotonic clock.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn look<'a>(
        &self,
        authorization: Option<&'a [u8]>,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<Looked<'a>, Refused> {
        let Some(sent) = authorization.and_then(bearer_token) else {
            return match self.is_open {
                true => Ok(Looked::Caller(PublicCaller::anonymous(Self::of_everyone()))),
                false => Err(Refused::NoToken),
            };
        };
        let sent = std::str::from_utf8(sent).map_err(|_| Refused::WrongToken)?;
        if let Some(keys) = self.keys.as_ref().filter(|_| sent.starts_with(PREFIX)) {
            match keys.caller(sent, now, instant) {
                Ok(caller) => return Ok(Looked::Caller(self.with_those_of_everyone(caller))),
                // The shared token may begin like a key.
                Err(Refused::WrongToken) => {}
                Err(refused) => return Err(refused),
            }
        }
        if sent.len() > LONGEST_TOKEN {
            return Err(Refused::Token(TokenProblem::TooLong));
        }
        let digest = Digest::of(sent.as_bytes());
        if self.shared_token.is_some_and(|token| is_equal(&token, &digest)) {
            let caller = PublicCaller {
                id: Arc::from("admin"),
                kind: CallerKind::SharedToken,
                scopes: ScopeSet::from(&Role::Admin.scopes()),
                by_old_key: false,
            };
            return Ok(Looked::Caller(self.with_those_of_everyone(caller)));
        }
        if self.issuers.is_none() || sent.starts_with(PREFIX) {
            return Err(Refused::WrongToken);
        }
        Ok(self.verified.0.get(&digest, now).map_or(Looked::Token(sent), Looked::Caller))
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub async fn verify(
        &self,
        token: &str,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<PublicCaller, Refused> {
        let issuers = self.issuers.as_ref().ok_or(Refused::WrongToken)?;
        let found = issuers.verify(token, now, instant).await?;
        let caller = self.with_those_of_everyone(PublicCaller {
            id: format!("{}#{}", found.issuer, found.subject).into(),
            kind: CallerKind::Token,
            scopes: ScopeSet::from(&found.scopes),
            by_old_key: false,
        });
        self.verified.0.insert(Digest::of(token.as_bytes()), caller.clone(), now, found.until);
        Ok(caller)
    }

    fn of_everyone() -> ScopeSet {
        ScopeSet::of(&PublicCaller::OF_EVERYONE)
    }

    /// Adds the scopes of everyone on an open server, but not to those of a reviewer, who sends no messages.
    fn with_those_of_everyone(&self, caller: PublicCaller) -> PublicCaller {
        match self.is_open && !caller.scopes.has(Scope::Review) {
            true => PublicCaller { scopes: caller.scopes.with(Self::of_everyone()), ..caller },
            false => caller,
        }
    }
}

/// Returns the token of an `Authorization` header. The name of the scheme may be in any case, as RFC 9110 requires.
#[must_use]
pub fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME) && token.first() == Some(&b' ');
    is_bearer.then(|| token.trim_ascii_start())
}

#[cfg(test)]
mod tests;
