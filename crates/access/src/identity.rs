//! Who acted, as a log records it.

use serde::{Deserialize, Serialize};

/// Who acted: a name, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Identity {
    /// The name: of a key its name, of an OIDC token its subject, of a socket its user, of a server `botops`.
    pub name: String,
    /// How the name is known.
    pub kind: IdentityKind,
    /// The person or job that a client says it acts for. Nothing proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

/// How the name of an [`Identity`] is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// A server decided by itself.
    Automatic,
    /// The program that wrote to the store says so, and nothing proves it.
    Claimed,
    /// The shared admin token, which does not tell its users apart.
    SharedToken,
    /// An admin API key.
    Key,
    /// A token of an OIDC issuer.
    Oidc,
    /// The user of a process, as the kernel tells it for a Unix socket.
    Socket,
}

impl Identity {
    /// The name of a server that decides by itself.
    pub const AUTOMATIC: &'static str = "botops";

    /// Makes an identity that acts for itself.
    #[must_use]
    pub fn new(kind: IdentityKind, name: impl Into<String>) -> Self {
        Self { name: name.into(), kind, on_behalf_of: None }
    }

    /// Returns the identity of a server that decides by itself.
    #[must_use]
    pub fn automatic() -> Self {
        Self::new(IdentityKind::Automatic, Self::AUTOMATIC)
    }

    /// Returns the identity with the person or job that it says to act for.
    #[must_use]
    pub fn on_behalf_of(self, on_behalf_of: Option<String>) -> Self {
        Self { on_behalf_of, ..self }
    }

    /// Returns the identity in words: `admin`, or `admin on behalf of ada`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.on_behalf_of {
            Some(other) => format!("{} on behalf of {other}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns whether both are the same person or job, so that one cannot approve what the other requested.
    ///
    /// Two people behind the shared token cannot be told apart, so they count as one.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.name == other.name
    }

    /// Returns whether a server checked the name.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        !matches!(self.kind, IdentityKind::Automatic | IdentityKind::Claimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_name_is_nobody_that_a_server_checked() {
        let key = Identity::new(IdentityKind::Key, "ada");
        let claimed = Identity::new(IdentityKind::Claimed, "ada");
        assert!(key.is_authenticated() && !claimed.is_authenticated());
        assert!(!Identity::automatic().is_authenticated());
        assert!(!key.is_same(&claimed), "a claim does not stand for the person");
        let for_ben = key.clone().on_behalf_of(Some("ben".to_owned()));
        assert!(key.is_same(&for_ben));
        assert_eq!((key.label(), for_ben.label()), ("ada".into(), "ada on behalf of ben".into()));
    }

    #[test]
    fn an_identity_is_short_in_a_log() {
        let json = serde_json::to_string(&Identity::new(IdentityKind::SharedToken, "admin"));
        assert_eq!(json.unwrap(), r#"{"name":"admin","kind":"shared_token"}"#);
    }
}
