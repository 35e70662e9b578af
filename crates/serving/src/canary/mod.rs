//! The rollout under way: its ticks, its commands and their effects.
//!
//! In: observations, commands, the clock. Out: entries of the deployment log, and the routing.
//!
//! - [`driver`] ticks: it takes the observations, asks [`botops_rollout::advance`] for at most one
//!   step, records the step in the deployment log, then carries it out
//! - a rollback is the other way round: requests stop reaching the challenger before anything waits
//! - [`commands`] are those of the admin API, [`rollback`] is that of the model, [`transition_effects`]
//!   carries out the steps, [`clock_jumps`] pauses after a jump of the wall clock, and [`state`] holds the data of all four
//! - [`standing`] says whether this server drives the rollouts, and [`succession`] lets the next server take over
//! - [`view`] is a copy that is shown while the state is locked, and [`showing`] keeps it current

mod clock_jumps;
mod commands;
mod driver;
mod rollback;
mod showing;
mod standing;
mod state;
mod succession;
#[cfg(test)]
mod tests;
mod transition_effects;
mod view;

pub(crate) use driver::Canary;
pub use state::{EndedRollout, Restored};
pub(crate) use state::{Mode, Requester, Started, under_way};
