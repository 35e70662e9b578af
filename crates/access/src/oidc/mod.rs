//! OIDC tokens: the issuers that a server trusts, and the check of a token.
//!
//! In: a token as a bearer sends it, and the time. Out: an [`Identity`] named by its `sub`, with the scopes of its roles.
//!
//! - a key decides on the algorithm, never the token: RSA keys of at least 2,048 bits take RS256, P-256 keys take ES256,
//!   Ed25519 keys take EdDSA. `none` and HS256 have no keys here
//! - a token cannot say where its key is: `jku`, `x5u`, `x5c` and `jwk` are not read, and `crit` is refused
//! - a duplicate member is refused, because two programs could read two values
//!
//! The signatures are checked by ring, which TLS uses, too. Of a token library only the decoding would be left: the key
//! decides on the algorithm, and the time is passed in.

mod jwks;
mod jwt;
mod key_set;
mod strict_json;
#[cfg(test)]
mod tests;

use crate::{
    Authenticated, Identity, IdentityKind, Refused, Role, Scopes, token_problem::TokenProblem,
};
use botops_findings::{Fault, Result};
use botops_http::Url;
use chrono::{DateTime, Utc};
use jwt::Token;
use key_set::KeySet;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};
use strict_json::Members;

/// An issuer of tokens, as the settings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSpec {
    /// The issuer: the exact value of `iss`.
    pub issuer: String,
    /// The audience: a value of `aud`.
    pub audience: String,
    /// The public keys: a URL of `https`, or of `http` on this machine, or the path of a file.
    pub jwks: String,
    /// The claim that names the roles, such as `groups`.
    pub claim: String,
    /// The role of each value of the claim. Other values give no role.
    pub roles: BTreeMap<String, Role>,
}

/// The issuers that a server trusts, with their keys.
#[derive(Debug)]
pub struct Issuers(Vec<Issuer>);

#[derive(Debug)]
struct Issuer {
    spec: IssuerSpec,
    keys: KeySet,
}

impl Issuers {
    /// Checks `specs`; relative paths start at `root`. Reads no keys yet.
    ///
    /// # Errors
    /// `BOT-1049` (exit 2) if one cannot be used; `BOT-1018` if there can be no HTTP client.
    pub fn new(specs: Vec<IssuerSpec>, root: &Path) -> Result<Self> {
        let issuer = |spec: IssuerSpec| {
            let fault = |problem: String| {
                Fault::usage("BOT-1049", format!("`server.admin_oidc`: {problem}"))
            };
            if spec.issuer.is_empty() || spec.audience.is_empty() || spec.claim.is_empty() {
                return Err(fault(
                    "an issuer, an audience and a claim must not be empty".to_owned(),
                )
                .hint("without an audience, a token for any other service would be accepted"));
            }
            if spec.roles.is_empty() {
                let shown = botops_text::display(&spec.issuer, 80);
                return Err(fault(format!("no value of a claim of `{shown}` has a role"))
                    .hint("such as `roles: { release-managers: operator }`"));
            }
            let keys = match place(&spec.jwks, root).map_err(fault)? {
                Place::Url(url) => KeySet::at_url(url)?,
                Place::File(path) => KeySet::in_file(path),
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

    /// Reads the keys of every issuer. Returns the problems, which may pass: the keys are read again when they are needed.
    pub async fn warm(&self, now: Instant) -> Vec<String> {
        let mut problems = Vec::new();
        for issuer in &self.0 {
            if let Err(problem) = issuer.keys.refresh(now).await {
                problems.push(format!("the keys of `{}`: {problem}", issuer.spec.issuer));
            }
        }
        problems
    }

    /// Checks `token` at `now`; `instant` is the same time by the monotonic clock, for the age of keys.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub async fn verify(
        &self,
        token: &str,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<Authenticated, Refused> {
        let token = Token::parse(token).map_err(Refused::Token)?;
        let is_trusted = |issuer: &&Issuer| {
            token.claims.text("iss") == Some(issuer.spec.issuer.as_str())
                && audiences(&token.claims).any(|audience| audience == issuer.spec.audience)
        };
        let issuer =
            self.0.iter().find(is_trusted).ok_or(Refused::Token(TokenProblem::Untrusted))?;
        let key = issuer.keys.find(token.kid.as_deref(), token.algorithm, instant).await;
        let check = || {
            key?.verify(token.signed, &token.signature)?;
            token.check_times(now)?;
            token.subject()
        };
        let subject = check().map_err(Refused::Token)?;
        let scopes = issuer.spec.scopes(&token.claims);
        Ok(Authenticated { identity: Identity::new(IdentityKind::Oidc, subject), scopes })
    }
}

impl IssuerSpec {
    /// Returns the scopes of the roles that `claims` name.
    fn scopes(&self, claims: &Members) -> Scopes {
        let values: Vec<&str> = match claims.text(&self.claim) {
            // RFC 8693 and RFC 6749: a scope is a list with spaces. Other texts are one value.
            Some(text) if matches!(self.claim.as_str(), "scope" | "scp") => {
                text.split(' ').collect()
            }
            Some(text) => vec![text],
            None => claims.texts(&self.claim).collect(),
        };
        values
            .into_iter()
            .filter_map(|value| self.roles.get(value))
            .flat_map(|role| role.scopes())
            .collect()
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
