//! A server among the others of its environment, and the rollout under way.
//!
//! In: the entries of the deployment log, observations, commands, the clock. Out: entries of the log, and the routing.
//!
//! - [`follow`] reads the next entry of the log again and again. What it has read decides the routing ([`routes`]), the
//!   share of the challenger ([`share`]) and the models in memory ([`loading`])
//! - any server takes a command ([`commands`], [`drill`], [`freezing`]): it is appended ([`entries`]) behind what the
//!   server has read, or checked again. An abort and a rollback take effect first, and are recorded after ([`rollback`])
//! - one server ticks ([`lease`], [`ticking`]): it merges the observations of all ([`evidence`]), asks
//!   [`botops_rollout::advance`] for at most one step, appends the step, and carries out its effect
//! - a process that was stopped, or cannot read the store, sends nothing to a challenger ([`freshness`])
//! - [`shown`] is a copy that is read while the state is locked, and [`clock_jumps`] pauses after a jump of the wall clock

mod arrival;
mod clock_jumps;
mod commands;
mod conditions;
mod counting;
mod drill;
mod entries;
mod event_source;
mod evidence;
mod follow;
mod freezing;
mod freshness;
mod journal;
mod lease;
mod loading;
mod pace;
mod repeated;
mod rollback;
mod routes;
mod share;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod ticking;
mod versions;
mod view;
mod withdrawals;

pub(crate) use commands::{StartRequest, request_key};
pub(crate) use drill::drill_plan;
pub(crate) use follow::{Canary, Parts};
pub(crate) use freshness::Freshness;
pub(crate) use journal::{Journal, Opened};
pub(crate) use pace::Pace;
pub use state::{EndedRollout, Restored};
pub(crate) use state::{Mode, Requester, Started, under_way};
pub use versions::knowledge_files;
pub(crate) use versions::{
    RegistryVersions, RehearsedVersions, Versions, load_version, no_rollouts, no_rollouts_of,
};
