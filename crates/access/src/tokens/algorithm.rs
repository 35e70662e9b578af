//! The algorithms that sign tokens.

use botops_findings::{Fault, Result};
use std::{fmt, str::FromStr};

/// An algorithm that signs tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256, for secrets of at least 256 bits.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, for keys of 2,048 to 8,192 bits.
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl TokenAlgorithm {
    /// All algorithms.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// Returns the name, as in tokens and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Returns the algorithm with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for TokenAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TokenAlgorithm {
    type Err = Fault;

    /// Reads the name of an algorithm.
    ///
    /// # Errors
    /// `BOT-1049` (exit 2) if there is no such algorithm.
    fn from_str(text: &str) -> Result<Self> {
        Self::named(text).ok_or_else(|| {
            let shown = botops_text::display(text, 40);
            let names = Self::ALL.map(Self::name).join("`, `");
            Fault::usage("BOT-1049", format!("`{shown}` is not an algorithm of tokens"))
                .hint(format!("the algorithms are `{names}`"))
        })
    }
}
