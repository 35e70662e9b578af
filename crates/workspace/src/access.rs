//! The block `access:` of `botops.yaml`: who may call the public API of a server.

use crate::secret::SecretSource;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::fmt;

/// The words that `access` may be instead of a block.
const WORDS: &[&str] = &["open", "keys"];

/// The block `access:` of `botops.yaml` or of a profile, or one of the words `open` (everyone) and `keys` (the holders of API
/// keys).
#[derive(Debug, Clone, PartialEq)]
pub enum AccessSpec {
    /// `open`: everyone.
    Open,
    /// A block, or `keys`: the holders of credentials.
    Restricted(RestrictedSpec),
}

/// The block `access:`: the credentials that the public API accepts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestrictedSpec {
    /// Whether the API keys of `botops keys create` are accepted.
    #[serde(default = "yes")]
    pub keys: bool,
    /// The issuers whose tokens (JWT) are accepted.
    #[serde(default)]
    pub jwt: Vec<JwtSpec>,
}

fn yes() -> bool {
    true
}

/// An issuer of tokens of clients: an entry of `access.jwt`. It has either `jwks` or `secret`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSpec {
    /// The issuer: the exact value of `iss`, such as `https://login.example.com`.
    pub issuer: String,
    /// The audience that tokens for this server name in `aud`.
    pub audience: String,
    /// The public keys of the issuer, for RS256, ES256 and EdDSA: an `https://` URL, or the path of a file.
    #[serde(default)]
    pub jwks: Option<String>,
    /// The secret of at least 256 bits that the issuer shares, for HS256, by reference: `${env:NAME}` or `${file:PATH}`.
    #[serde(default)]
    pub secret: Option<String>,
    /// The algorithms that are accepted, such as `ES256`; all that the keys verify if left out.
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// The difference of clocks that is accepted, at most `5m`.
    #[serde(default = "leeway")]
    pub leeway: String,
    /// The claim that names the scopes of a token: `predict`, `chat`, `feedback`, `search`, `review`, `read`.
    #[serde(default = "scope")]
    pub claim: String,
    /// The scopes of every token, instead of those in the claim.
    #[serde(default)]
    pub scopes: Vec<String>,
}

fn leeway() -> String {
    "60s".to_owned()
}

fn scope() -> String {
    "scope".to_owned()
}

/// Who may call the public API, with the references of secrets read and not resolved.
#[derive(Debug, Clone, Default)]
pub enum PublicAccess {
    /// Nobody decided.
    #[default]
    Undecided,
    /// Everyone.
    Open,
    /// The holders of credentials.
    Restricted {
        /// Whether API keys are accepted.
        keys: bool,
        /// The issuers of tokens, each with its secret, if it shares one.
        jwt: Vec<(JwtSpec, SecretSource)>,
    },
}

impl AccessSpec {
    /// Reads one of the words that stand for a block.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        match word {
            "open" => Some(Self::Open),
            "keys" => Some(Self::Restricted(RestrictedSpec { keys: true, jwt: Vec::new() })),
            _ => None,
        }
    }
}

impl Serialize for AccessSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Open => serializer.serialize_str("open"),
            Self::Restricted(spec) => spec.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AccessSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = AccessSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`open`, `keys` or a block of keys")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<AccessSpec, E> {
                AccessSpec::of_word(word).ok_or_else(|| E::unknown_variant(word, WORDS))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AccessSpec, A::Error> {
                let block = RestrictedSpec::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AccessSpec::Restricted(block))
            }
        }
        deserializer.deserialize_any(Written)
    }
}
