//! Scopes and roles: the rights on a server.

use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// A right on a server: on its admin API, or on its public API.
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
    /// Everything on the admin API, with freezes and keys.
    Admin,
    /// Classify texts.
    Predict,
    /// Talk to the bot.
    Chat,
    /// Report the true intent of a message of one's own.
    Feedback,
    /// Search the documents that answers are taken from.
    Search,
    /// Judge messages as a reviewer. It is given to people, and never together with [`Self::Chat`] or [`Self::Predict`]: who
    /// sends messages must not judge them.
    Review,
}

/// A set of scopes. [`Scope::Admin`] stands for all those of the admin API, and for none of the public API.
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
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::Operate,
        Self::Approve,
        Self::Emergency,
        Self::Audit,
        Self::Knowledge,
        Self::Admin,
        Self::Predict,
        Self::Chat,
        Self::Feedback,
        Self::Search,
        Self::Review,
    ];

    /// The scopes of the public API, which clients have.
    pub const OF_CLIENTS: [Self; 5] =
        [Self::Predict, Self::Chat, Self::Feedback, Self::Search, Self::Review];

    /// Returns whether it is a scope of the public API.
    #[must_use]
    pub fn is_of_clients(self) -> bool {
        Self::OF_CLIENTS.contains(&self)
    }

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
            Self::Predict => "predict",
            Self::Chat => "chat",
            Self::Feedback => "feedback",
            Self::Search => "search",
            Self::Review => "review",
        }
    }

    /// Returns whether `scopes` hold this one, by itself or through [`Self::Admin`].
    #[must_use]
    pub fn is_in(self, scopes: &Scopes) -> bool {
        scopes.contains(&self) || scopes.contains(&Self::Admin) && !self.is_of_clients()
    }
}

/// Checks that `scopes` go together: those of clients with each other and with [`Scope::Read`], those of administrators with
/// each other, and [`Scope::Review`] never with [`Scope::Chat`] or [`Scope::Predict`].
///
/// # Errors
/// `BOT-1080` (exit 2).
pub(super) fn check_together(scopes: &Scopes) -> Result<()> {
    let sends = [Scope::Chat, Scope::Predict].into_iter().find(|scope| scopes.contains(scope));
    if let (true, Some(sends)) = (scopes.contains(&Scope::Review), sends) {
        let message = format!("`review` and `{sends}` do not go together");
        return Err(Fault::usage("BOT-1080", message)
            .hint("who sends messages must not judge them: make a key with `review` for a person, and another one for the client"));
    }
    let of_clients = scopes.iter().find(|scope| scope.is_of_clients());
    let other = scopes.iter().find(|scope| !scope.is_of_clients() && **scope != Scope::Read);
    if let (Some(client), Some(other)) = (of_clients, other) {
        let message = format!("`{client}` and `{other}` do not go together");
        return Err(Fault::usage("BOT-1080", message)
            .hint("a client may have `read` besides its own scopes: make another key for the administrator"));
    }
    Ok(())
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
    fn only_an_admin_has_every_scope_of_the_admin_api() {
        for scope in Scope::ALL {
            assert_eq!(scope.is_in(&Role::Admin.scopes()), !scope.is_of_clients());
            let holders =
                [Role::Viewer, Role::Operator, Role::Approver, Role::Responder, Role::Auditor];
            let n = holders.into_iter().filter(|role| scope.is_in(&role.scopes())).count();
            let expected = match scope {
                Scope::Read => 5,
                Scope::Emergency => 2,
                Scope::Admin | Scope::Knowledge => 0,
                _ if scope.is_of_clients() => 0,
                _ => 1,
            };
            assert_eq!(n, expected, "{}", scope.name());
        }
    }

    #[test]
    fn scopes_of_clients_go_together_with_each_other_and_with_read_alone() {
        use Scope::{Admin, Chat, Feedback, Operate, Predict, Read, Review, Search};
        for fit in [
            &[Predict, Chat, Feedback, Search, Read][..],
            &[Review, Feedback, Search, Read],
            &[Read, Operate, Admin],
            &[],
        ] {
            check_together(&fit.iter().copied().collect()).unwrap();
        }
        for unfit in
            [&[Review, Chat][..], &[Review, Predict, Read], &[Chat, Operate], &[Review, Admin]]
        {
            let fault = check_together(&unfit.iter().copied().collect()).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1080", 2), "{unfit:?}");
        }
    }
}
