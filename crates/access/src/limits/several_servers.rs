//! Limits that several servers count together.

use super::rate::Rate;
use futures::future::BoxFuture;
use std::{fmt, time::Duration};

/// A request that is counted at a shared limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The key of the limit and its subject: an opaque name, the same at all servers.
    pub key: String,
    /// The rate.
    pub rate: Rate,
}

/// The answer of a shared limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many more requests may come at once.
    pub remaining: u32,
    /// The time until the request may come, if it is refused.
    pub retry_after: Option<Duration>,
}

/// A store that counts requests for several servers (GCRA, by the clock of the store).
pub trait SharedLimits: Send + Sync + fmt::Debug {
    /// Counts a request at each of `asked`, or at none of them if one refuses it. Answers in the order of `asked`, in a
    /// bounded time.
    ///
    /// # Errors
    /// In words without secrets, if the store does not answer in time or cannot be reached. The request may have been
    /// counted all the same.
    fn take<'a>(&'a self, asked: &'a [Asked]) -> BoxFuture<'a, Result<Vec<Taken>, String>>;
}

/// The behavior of a server that cannot reach the shared limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSharedFailure {
    /// It counts alone, so that a client gets the rate once at each server.
    #[default]
    Local,
    /// It refuses requests.
    Refuse,
}
