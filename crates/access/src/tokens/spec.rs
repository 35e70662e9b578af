//! An issuer of tokens, as the settings name it, and its checks.

use super::{algorithm::TokenAlgorithm, strict_json::Members};
use crate::{Role, Scope, Scopes, scope::check_together, token_problem::TokenProblem};
use botops_findings::{Fault, Result};
use std::{collections::BTreeMap, fmt, time::Duration};

/// The fewest bytes of a shared secret: 256 bits, as RFC 7518 requires for HS256.
const LEAST_BYTES: usize = 32;
/// The longest leeway.
const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

/// An issuer of tokens, as the settings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSpec {
    /// The issuer: the exact value of `iss`.
    pub issuer: String,
    /// The audience: a value of `aud`.
    pub audience: String,
    /// The keys that verify its tokens.
    pub keys: IssuerKeys,
    /// The algorithms that are accepted; empty for all that its keys verify.
    pub algorithms: Vec<TokenAlgorithm>,
    /// The difference of clocks that is accepted, at most 5 minutes.
    pub leeway: Duration,
    /// The scopes of its tokens.
    pub grants: Grants,
}

/// The keys that verify the tokens of an issuer. They decide on the algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKeys {
    /// Public keys: a URL of `https`, or of `http` on this machine, or the path of a file.
    Jwks(String),
    /// A secret that the issuer shares, for HS256.
    Secret(TokenSecret),
}

/// The scopes that the tokens of an issuer have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grants {
    /// Those of the roles of administrators that a claim names.
    Roles {
        /// The claim, such as `groups`.
        claim: String,
        /// The role of each value of the claim. Other values give no role.
        roles: BTreeMap<String, Role>,
    },
    /// Those of clients, and `read`, that a claim names. Other values give no scope.
    Claim(String),
    /// These, for every token.
    Fixed(Scopes),
}

/// A secret that an issuer shares. Its `Debug` output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// Wraps a secret: the bytes of its text are the key.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Returns the key.
    pub(super) fn key(&self) -> ring::hmac::Key {
        ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.0.as_bytes())
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl IssuerSpec {
    /// The difference of clocks that is accepted without a setting.
    pub const LEEWAY: Duration = Duration::from_secs(60);

    /// Checks all but the place of the keys; `setting` is the key of the settings with the issuer.
    pub(super) fn check(&self, setting: &str) -> Result<()> {
        let shown = botops_text::display(&self.issuer, 80);
        let fault = |problem: &str| Fault::usage("BOT-1049", format!("`{setting}`: {problem}"));
        let claim = match &self.grants {
            Grants::Roles { claim, .. } | Grants::Claim(claim) => claim.as_str(),
            Grants::Fixed(_) => "fixed",
        };
        if self.issuer.is_empty() || self.audience.is_empty() || claim.is_empty() {
            return Err(fault("an issuer, an audience and a claim must not be empty")
                .hint("without an audience, a token for any other service would be accepted"));
        }
        match &self.grants {
            Grants::Roles { roles, .. } if roles.is_empty() => {
                return Err(fault(&format!("no value of a claim of `{shown}` has a role"))
                    .hint("such as `roles: { release-managers: operator }`"));
            }
            Grants::Fixed(scopes) if scopes.is_empty() => {
                return Err(fault(&format!("the tokens of `{shown}` have no scope")).hint(
                    "such as `scopes: [predict, chat]`, or leave it out to read them from a claim",
                ));
            }
            Grants::Fixed(scopes) => {
                if let Some(other) = scopes.iter().find(|scope| !is_for_clients(**scope)) {
                    return Err(fault(&format!("`{other}` is no scope of a client"))
                        .hint("tokens of administrators belong to `server.admin_oidc`"));
                }
                check_together(scopes)?;
            }
            _ => {}
        }
        if self.leeway > LONGEST_LEEWAY {
            let minutes = LONGEST_LEEWAY.as_secs() / 60;
            return Err(fault(&format!(
                "the leeway of `{shown}` is longer than {minutes} minutes"
            ))
            .hint("synchronize the clocks: an expired token is accepted for the leeway"));
        }
        self.check_algorithms(&fault, &shown)
    }

    fn check_algorithms(&self, fault: &impl Fn(&str) -> Fault, shown: &str) -> Result<()> {
        match &self.keys {
            IssuerKeys::Secret(TokenSecret(secret)) if secret.len() < LEAST_BYTES => {
                let n = secret.len();
                let problem = format!(
                    "the secret of `{shown}` has {n} bytes: HS256 needs at least {LEAST_BYTES} (256 bits)"
                );
                Err(fault(&problem).hint("make one with `openssl rand -hex 32`"))
            }
            IssuerKeys::Secret(_) => {
                match self.algorithms.iter().find(|it| **it != TokenAlgorithm::Hs256) {
                    Some(other) => {
                        Err(fault(&format!("`{shown}` has a `secret`, which cannot verify {other}"))
                            .hint("name its public keys with `jwks`, or accept HS256"))
                    }
                    None => Ok(()),
                }
            }
            IssuerKeys::Jwks(_) if self.algorithms.contains(&TokenAlgorithm::Hs256) => {
                Err(fault(&format!("`{shown}` has public keys, which cannot verify HS256"))
                    .hint("name its `secret`: a token signed with a public key as the secret would be accepted"))
            }
            IssuerKeys::Jwks(_) => Ok(()),
        }
    }

    /// Returns the scopes of a token with `claims`.
    pub(super) fn scopes(&self, claims: &Members) -> Result<Scopes, TokenProblem> {
        let scopes: Scopes = match &self.grants {
            Grants::Fixed(scopes) => scopes.clone(),
            Grants::Roles { claim, roles } => values(claims, claim)
                .into_iter()
                .filter_map(|value| roles.get(value))
                .flat_map(|role| role.scopes())
                .collect(),
            Grants::Claim(claim) => values(claims, claim)
                .into_iter()
                .filter_map(|value| value.parse().ok())
                .filter(|scope| is_for_clients(*scope))
                .collect(),
        };
        check_together(&scopes).map_err(|_| TokenProblem::Scopes)?;
        Ok(scopes)
    }
}

/// Returns whether a client may have `scope`.
fn is_for_clients(scope: Scope) -> bool {
    scope.is_of_clients() || scope == Scope::Read
}

/// Returns the values of a claim.
fn values<'a>(claims: &'a Members, claim: &str) -> Vec<&'a str> {
    match claims.text(claim) {
        // RFC 8693 and RFC 6749: a scope is a list with spaces. Other texts are one value.
        Some(text) if matches!(claim, "scope" | "scp") => text.split(' ').collect(),
        Some(text) => vec![text],
        None => claims.texts(claim).collect(),
    }
}
