//! Who a request of the public API is from.

use crate::{Scope, ScopeSet};
use std::sync::Arc;

/// Who a request of the public API is from. Every request that reaches a handler carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicCaller {
    /// The name, unique among the callers of its kind: of a key its name, of a token `<iss>#<sub>`, of the shared token
    /// `admin`; empty for an anonymous caller. It may name a person, so no log holds it.
    pub id: Arc<str>,
    /// How the name is known.
    pub kind: CallerKind,
    /// The scopes.
    pub scopes: ScopeSet,
    /// Whether it is known by a key, and the server has not been able to read for long whether that was revoked.
    pub by_old_key: bool,
}

/// How the name of a [`PublicCaller`] is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// Nothing is known: the server is open.
    Anonymous,
    /// By an API key.
    Key,
    /// By a token of an issuer.
    Token,
    /// By the shared admin token.
    SharedToken,
}

impl PublicCaller {
    /// The scopes of everyone on an open server.
    pub const OF_EVERYONE: [Scope; 4] =
        [Scope::Predict, Scope::Chat, Scope::Feedback, Scope::Search];

    /// Returns an anonymous caller with `scopes`.
    #[must_use]
    pub fn anonymous(scopes: ScopeSet) -> Self {
        Self { id: Arc::from(""), kind: CallerKind::Anonymous, scopes, by_old_key: false }
    }

    /// Returns whether the caller may see which version answers, on which arm.
    #[must_use]
    pub fn sees_versions(&self) -> bool {
        self.scopes.has(Scope::Read)
    }
}
