//! Rate limits (GCRA): how often a caller, an address, a conversation and a route are served.
//!
//! In: the rates of `botops.yaml` and the sender of a request. Out: a [`Verdict`].
//!
//! - a [`Rate`] is written `50/s burst 200`; a [`Limit`] counts each key on its own, in bounded memory
//! - [`TrustedProxies`] says whose request it is, behind proxies
//! - [`RequestLimits`] says which limits apply; [`SharedLimits`] counts for several servers

mod client_address;
mod limit;
mod rate;
mod request_limits;
mod several_servers;
mod subject;
mod table;

pub use client_address::{Network, TrustedProxies, limited_as};
pub use limit::{Limit, MAX_KEYS, Verdict};
pub use rate::Rate;
pub use request_limits::{Applied, RateSpec, RequestLimits, RouteRates, Sender, take_all};
pub use several_servers::{Asked, OnSharedFailure, SharedLimits, Taken};
pub use subject::Subject;
