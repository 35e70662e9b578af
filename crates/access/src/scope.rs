//! Scopes and roles: the rights on a server.

use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

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
    /// Reads, runs rollouts, and rolls back the model: who promotes a version can also take it back.
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

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = Fault;

    /// Reads the name of a scope.
    ///
    /// # Errors
    /// `BOT-1041` (exit 2) if there is no such scope.
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| unknown("scope", text, Self::ALL.map(Self::name).as_slice()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Fault;

    /// Reads the name of a role.
    ///
    /// # Errors
    /// `BOT-1041` (exit 2) if there is no such role.
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| unknown("role", text, Self::ALL.map(Self::name).as_slice()))
    }
}

/// The fault of a name that no scope or role has.
fn unknown(kind: &str, text: &str, names: &[&str]) -> Fault {
    let shown = botops_text::display(text, 40);
    Fault::usage("BOT-1041", format!("`{shown}` is not a {kind}"))
        .hint(format!("the {kind}s are `{}`", names.join("`, `")))
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Viewer, Self::Operator, Self::Approver, Self::Responder, Self::Auditor, Self::Admin];

    /// Returns the name, as in settings and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Responder => "responder",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// Returns the scopes of the role.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        use Scope::{Admin, Approve, Audit, Emergency, Operate, Read};
        let scopes: &[Scope] = match self {
            Self::Viewer => &[Read],
            Self::Operator => &[Read, Operate, Emergency],
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
    fn the_names_of_scopes_and_roles_are_read_back() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        }
        for role in Role::ALL {
            assert_eq!(role.to_string().parse::<Role>().unwrap(), role);
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        let fault = "oper\u{1b}ate".parse::<Scope>().unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1041", 2));
        assert!(fault.hints()[0].contains("`operate`"), "{fault}");
        assert!(!fault.message().contains('\u{1b}'), "{fault}");
    }

    #[test]
    fn only_an_admin_has_every_scope() {
        for scope in Scope::ALL {
            assert!(scope.is_in(&Role::Admin.scopes()));
            let holders =
                [Role::Viewer, Role::Operator, Role::Approver, Role::Responder, Role::Auditor];
            let n = holders.into_iter().filter(|role| scope.is_in(&role.scopes())).count();
            let expected = match scope {
                Scope::Read => 5,
                Scope::Emergency => 2,
                Scope::Admin | Scope::Knowledge => 0,
                _ => 1,
            };
            assert_eq!(n, expected, "{}", scope.name());
        }
    }
}
