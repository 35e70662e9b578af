//! Who may do what: identities, scopes, roles, keys, tokens, and the policy of an environment.
//!
//! In: what a request presents (a key, a token, the credentials of a socket). Out: an [`Identity`] and its [`Scopes`].
//!
//! - an [`Identity`] is who acted, as a log records it; a name that a client only claims is never one
//! - a [`Scope`] is a right on the server, and a [`Role`] is a usual set of them

mod identity;
mod scope;

pub use identity::{Identity, IdentityKind};
pub use scope::{Role, Scope, Scopes};
