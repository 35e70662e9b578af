//! The deployment log of an environment: who serves, at what share, and why.
//!
//! `deployments/<environment>/log` is the only authority for the champion and the routing of an environment. Every server
//! of the environment follows it, and every command is an entry in it.
//!
//! - [`Deployment`] is one entry: its author, its reason, and one [`Change`]
//! - [`ChampionMove`] moves the champion: forward with a proof of passed gates, back with a former champion
//! - [`Environment`] is the fold of the entries

mod champion_move;
mod entry;
mod environment;

pub use champion_move::ChampionMove;
pub use entry::{Change, Deployment, RequestMark, RolloutStep};
pub use environment::{Deployed, Environment, Freeze, Lease, PolicyRecord, Reign};

use botops_store::{Log, Store};

/// The environment in force where nobody names one.
pub const DEFAULT_ENVIRONMENT: &str = "production";

/// Returns the deployment log of `environment` in the registry at `store`.
#[must_use]
pub fn deployment_log(store: &Store, environment: &str) -> Log<Deployment> {
    store.log(&log_path(environment))
}

/// Returns the path of the deployment log of `environment`.
#[must_use]
pub fn log_path(environment: &str) -> String {
    format!("deployments/{environment}/log")
}

#[cfg(test)]
mod checkpoint_tests;
#[cfg(test)]
mod tests;
