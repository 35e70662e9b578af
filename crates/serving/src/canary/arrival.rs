//! A model that was asked for in the background.

use crate::routing::Served;
use botops_digest::Digest;
use botops_findings::Result;

/// A model that was asked for in the background.
pub(crate) struct Arrival {
    pub(super) manifest: Digest,
    /// Whether it is to serve as champion.
    pub(super) as_champion: bool,
    pub(super) outcome: Result<Served>,
}
