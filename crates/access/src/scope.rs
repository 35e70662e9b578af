//! Scopes and roles: the rights on a server.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A right on the admin API of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read the state of models and rollouts, and metrics.
    Read,
    /// Start, pause, resume, advance and promote a rollout, and roll it back.
    Operate,
    /// Approve or reject a promotion.
    Approve,
    /// Roll back a rollout or the model.
    Emergency,
    /// Read the deployment log with all its authors.
    Audit,
    /// Change the documents that answers are taken from.
    Knowledge,
    /// Everything, with freezes and keys.
    Admin,
}

/// A set of scopes. [`Scope::Admin`] stands for all of them.
pub type Scopes = BTreeSet<Scope>;

/// A usual set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and runs rollouts.
    Operator,
    /// Reads and approves.
    Approver,
    /// Reads, and rolls back.
    Responder,
    /// Reads, with the audit trail.
    Auditor,
    /// Everything.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Operate,
        Self::Approve,
        Self::Emergency,
        Self::Audit,
        Self::Knowledge,
        Self::Admin,
    ];

    /// Returns the name, as in settings, logs and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Approve => "approve",
            Self::Emergency => "emergency",
            Self::Audit => "audit",
            Self::Knowledge => "knowledge",
            Self::Admin => "admin",
        }
    }

    /// Returns whether `scopes` hold this one, by itself or through [`Self::Admin`].
    #[must_use]
    pub fn is_in(self, scopes: &Scopes) -> bool {
        scopes.contains(&self) || scopes.contains(&Self::Admin)
    }
}

impl Role {
    /// Returns the scopes of the role.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        use Scope::{Admin, Approve, Audit, Emergency, Operate, Read};
        let scopes: &[Scope] = match self {
            Self::Viewer => &[Read],
            Self::Operator => &[Read, Operate],
            Self::Approver => &[Read, Approve],
            Self::Responder => &[Read, Emergency],
            Self::Auditor => &[Read, Audit],
            Self::Admin => &[Admin],
        };
        scopes.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_admin_has_every_scope() {
        for scope in Scope::ALL {
            assert!(scope.is_in(&Role::Admin.scopes()));
            let holders =
                [Role::Viewer, Role::Operator, Role::Approver, Role::Responder, Role::Auditor];
            let n = holders.into_iter().filter(|role| scope.is_in(&role.scopes())).count();
            let expected = match scope {
                Scope::Read => 5,
                Scope::Admin | Scope::Knowledge => 0,
                _ => 1,
            };
            assert_eq!(n, expected, "{}", scope.name());
        }
    }
}
