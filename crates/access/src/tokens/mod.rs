//! Tokens (JWT) of administrators and clients: the issuers that a server trusts, and the check of a token.
//!
//! In: a token as a bearer sends it, and the time. Out: its subject and its scopes.
//!
//! - a key decides on the algorithm, never the token: RSA keys of at least 2,048 bits take RS256, P-256 keys take ES256,
//!   Ed25519 keys take EdDSA, a shared secret of at least 256 bits takes HS256. `none` has no keys here
//! - a token cannot say where its key is: `jku`, `x5u`, `x5c` and `jwk` are not read, and `crit` is refused
//! - a duplicate member is refused, because two programs could read two values
//!
//! The signatures are checked by ring, which TLS uses, too. Of a token library only the decoding would be left: the key
//! decides on the algorithm, and the time is passed in.

mod algorithm;
mod jwks;
mod jwt;
mod key_set;
mod spec;
mod strict_json;
#[cfg(test)]
mod tests;

use crate::{Authenticated, Identity, IdentityKind, Refused, Scopes, token_problem::TokenProblem};
pub use algorithm::TokenAlgorithm;
use botops_findings::{Fault, Result};
use botops_http::Url;
use chrono::{DateTime, Utc};
pub(crate) use jwt::MOST_BYTES as LONGEST_TOKEN;
use jwt::Token;
use key_set::KeySet;
pub use spec::{Grants, IssuerKeys, IssuerSpec, TokenSecret};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use strict_json::Members;

/// The issuers that a server trusts, with their keys.
#[derive(Debug)]
pub struct Issuers(Vec<Issuer>);

#[derive(Debug)]
struct Issuer {
    spec: IssuerSpec,
    keys: Keys,
}

/// The keys of an issuer.
#[derive(Debug)]
enum Keys {
    Set(KeySet),
    Secret(ring::hmac::Key),
}

/// A token that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Its issuer.
    pub issuer: String,
    /// Its subject.
    pub subject: String,
    /// Its scopes.
    pub scopes: Scopes,
    /// The time from which it is refused.
    pub until: DateTime<Utc>,
}

impl VerifiedToken {
    /// Returns the administrator or job that the token is about.
    #[must_use]
    pub fn administrator(self) -> Authenticated {
        let identity = Identity::new(IdentityKind::Oidc, self.subject);
        Authenticated { identity, scopes: self.scopes }
    }
}

impl Issuers {
    /// Checks `specs`, which are at the key `setting` of the settings; relative paths start at `root`. Reads no keys yet.
    ///
    /// # Errors
    /// `BOT-1049` (exit 2) if one cannot be used; `BOT-1080` (exit 2) its scopes do not go together; `BOT-1018` if there can
    /// be no HTTP client.
    pub fn new(setting: &str, specs: Vec<IssuerSpec>, root: &Path) -> Result<Self> {
        let issuer = |spec: IssuerSpec| {
            spec.check(setting)?;
            let fault = |problem: String| {
                Fault::usage("BOT-1049", format!("`{setting}`: {problem}"))
                    .hint("name the keys as `jwks: https://login.example.com/jwks`, or as the path of a file")
            };
            let keys = match &spec.keys {
                IssuerKeys::Secret(secret) => Keys::Secret(secret.key()),
                IssuerKeys::Jwks(jwks) => Keys::Set(match place(jwks, root).map_err(fault)? {
                    Place::Url(url) => KeySet::at_url(url)?,
                    Place::File(path) => KeySet::in_file(path),
                }),
            };
            Ok(Issuer { spec, keys })
        };
        specs.into_iter().map(issuer).collect::<Result<_>>().map(Self)
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the keys of every issuer. Returns the problems, which may pass: the keys are read again when they are needed. A key
    /// that is too weak is one.
    pub async fn warm(&self, now: Instant) -> Vec<String> {
        let mut problems = Vec::new();
        for issuer in &self.0 {
            let Keys::Set(keys) = &issuer.keys else { continue };
            let found = keys.refresh(now).await.unwrap_or_else(|problem| vec![problem]);
            let of_issuer = |problem| format!("the keys of `{}`: {problem}", issuer.spec.issuer);
            problems.extend(found.into_iter().map(of_issuer));
        }
        problems
    }

    /// Checks `token` at `now`; `instant` is the same time by the monotonic clock, for the age of keys.
    ///
    /// While an issuer changes its secret, the settings name it twice: one of them has to verify the token.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub async fn verify(
        &self,
        token: &str,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<VerifiedToken, Refused> {
        let token = Token::parse(token).map_err(Refused::Token)?;
        let mut found = TokenProblem::Untrusted;
        for issuer in self.0.iter().filter(|issuer| issuer.has_issued(&token)) {
            match issuer.verify(&token, now, instant).await {
                Ok(verified) => return Ok(verified),
                Err(problem) if !found.is_signed() => found = problem,
                Err(_) => {}
            }
        }
        Err(Refused::Token(found))
    }
}

impl Issuer {
    /// Returns whether `token` claims to be from this issuer, for the audience of this server.
    fn has_issued(&self, token: &Token<'_>) -> bool {
        token.claims.text("iss") == Some(self.spec.issuer.as_str())
            && audiences(&token.claims).any(|audience| audience == self.spec.audience)
    }

    async fn verify(
        &self,
        token: &Token<'_>,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<VerifiedToken, TokenProblem> {
        let spec = &self.spec;
        if !spec.algorithms.is_empty() && !spec.algorithms.contains(&token.algorithm) {
            return Err(TokenProblem::UnknownKey);
        }
        match &self.keys {
            Keys::Secret(key) if token.algorithm == TokenAlgorithm::Hs256 => {
                ring::hmac::verify(key, token.signed, &token.signature)
                    .map_err(|_| TokenProblem::Signature)?;
            }
            Keys::Secret(_) => return Err(TokenProblem::UnknownKey),
            Keys::Set(keys) => {
                let key = keys.find(token.kid.as_deref(), token.algorithm, instant).await?;
                key.verify(token.signed, &token.signature)?;
            }
        }
        Ok(VerifiedToken {
            until: token.check_times(now, spec.leeway)?,
            subject: token.subject()?.to_owned(),
            scopes: spec.scopes(&token.claims)?,
            issuer: spec.issuer.clone(),
        })
    }
}

/// Returns the audiences of a token: a text, or several.
fn audiences(claims: &Members) -> impl Iterator<Item = &str> {
    claims.text("aud").into_iter().chain(claims.texts("aud"))
}

/// Where public keys are.
enum Place {
    Url(Url),
    File(PathBuf),
}

/// Reads the place of public keys.
fn place(jwks: &str, root: &Path) -> Result<Place, String> {
    let shown = botops_text::display(jwks, 120);
    if !jwks.contains("://") {
        return match jwks {
            "" => Err("`jwks` is empty".to_owned()),
            path => Ok(Place::File(root.join(path))),
        };
    }
    let url = Url::parse(jwks).map_err(|error| format!("`{shown}` is not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL of `jwks` must not contain a user or a password".to_owned());
    }
    let is_safe =
        url.scheme() == "https" || url.scheme() == "http" && botops_http::is_loopback(&url);
    match is_safe {
        true => Ok(Place::Url(url)),
        false => Err(format!("`{shown}` is not an `https://` URL: others could replace the keys")),
    }
}
