//! The subjects whose requests limits count.

use std::{fmt, net::IpAddr};

/// A subject whose requests a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// A caller, by the kind and the name of its credentials.
    Caller(&'static str, &'a str),
    /// An address, see [`limited_as`](super::limited_as).
    Address(IpAddr),
    /// A conversation, by the kind and the name of its caller and its id.
    Conversation(&'static str, &'a str, &'a str),
    /// All callers together.
    All,
}

/// An unambiguous text. It names people and conversations, so it is never stored or shown as it is.
impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(kind, name) => write!(f, "caller {kind} {}:{name}", name.len()),
            Self::Address(address) => write!(f, "address {address}"),
            Self::Conversation(kind, name, id) => {
                write!(f, "conversation {kind} {}:{name} {id}", name.len())
            }
            Self::All => f.write_str("all"),
        }
    }
}
