//! The reasons why a token of an issuer is refused.

/// The reason why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenProblem {
    /// It is longer than 8 KiB.
    TooLong,
    /// It is no token in the compact form, or its JSON is not valid.
    Malformed,
    /// It has a critical extension.
    Critical,
    /// Its issuer and audience are none that the server trusts.
    Untrusted,
    /// No key of the issuer has its `kid` and its algorithm.
    UnknownKey,
    /// The keys of the issuer cannot be read now.
    NoKeys,
    /// Its signature is wrong.
    Signature,
    /// Its `exp` is over, or missing.
    Expired,
    /// Its `nbf` is in the future.
    NotYetValid,
    /// Its `sub` is missing, longer than 200 bytes, or has a control character.
    Subject,
    /// Its scopes do not go together.
    Scopes,
}

impl TokenProblem {
    /// Returns the reason as a clause.
    #[must_use]
    pub fn clause(self) -> &'static str {
        match self {
            Self::TooLong => "the token is longer than 8 KiB",
            Self::Malformed => "the token cannot be read",
            Self::Critical => "the token has a critical extension",
            Self::Untrusted => "the issuer and the audience of the token are not trusted together",
            Self::UnknownKey => "no key of the issuer has the `kid` and the algorithm of the token",
            Self::NoKeys => "the keys of the issuer cannot be read now",
            Self::Signature => "the signature of the token is wrong",
            Self::Expired => "the token is expired, or has no `exp`",
            Self::NotYetValid => "the token is not valid yet",
            Self::Subject => "the token has no `sub` that can be a name",
            Self::Scopes => "the token has `review` together with `chat` or `predict`",
        }
    }

    /// Returns whether the issuer signed the token, so that its sender may know the reason.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Expired | Self::NotYetValid | Self::Subject | Self::Scopes)
    }
}
