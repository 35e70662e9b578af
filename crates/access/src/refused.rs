//! The reasons why credentials are refused.

use crate::token_problem::TokenProblem;
use chrono::{DateTime, Utc};

/// The reason why credentials are refused.
///
/// A reason names a key only if the request proved that it holds the secret, so it tells strangers nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The request has no bearer token.
    NoToken,
    /// No credentials of this server have this text.
    WrongToken,
    /// The key was right until it expired.
    Expired {
        /// The name of the key.
        name: String,
        /// The time.
        at: DateTime<Utc>,
    },
    /// The key was rotated, and the grace period of the old secret is over.
    Replaced {
        /// The name of the key.
        name: String,
        /// The end of the grace period.
        at: DateTime<Utc>,
    },
    /// The key was revoked.
    Revoked {
        /// The name of the key.
        name: String,
        /// The time.
        at: DateTime<Utc>,
    },
    /// The user of a process has no role on the socket.
    User {
        /// The name of the user.
        name: String,
    },
    /// A token of an OIDC issuer has this problem.
    Token(TokenProblem),
    /// The server has not been able to read the log of keys yet.
    KeysUnread,
}

impl Refused {
    /// Returns the reason as a clause, without any part of a secret.
    #[must_use]
    pub fn clause(&self) -> String {
        let time = |at: &DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        match self {
            Self::NoToken => "no bearer token was sent".to_owned(),
            Self::WrongToken => "the bearer token is wrong".to_owned(),
            Self::Expired { name, at } => format!("the key `{name}` expired at {}", time(at)),
            Self::Replaced { name, at } => {
                format!("the key `{name}` was rotated, and the old secret ended at {}", time(at))
            }
            Self::Revoked { name, at } => format!("the key `{name}` was revoked at {}", time(at)),
            Self::User { name } => format!("the user `{name}` has no role here"),
            Self::Token(problem) => problem.clause().to_owned(),
            Self::KeysUnread => "the keys of this environment could not be read yet".to_owned(),
        }
    }
}
