//! Three processes on one registry follow one deployment log, under load, while they are killed, stopped and cut off.
//!
//! Every wait for another server is a twentieth of the real one (`BOTOPS_TIMES=20`). `BOTOPS_TEST_ROLLOUTS` sets the number
//! of rollouts, and `BOTOPS_TEST_SEED` the disturbances and commands; the seed is printed.

mod campaign;
mod checks;
mod disturbances;
mod fleet;
mod gate;
mod invariants;
mod jumping;
mod load;
mod rolling;

use crate::{servers::Moto, support::print_past_harness};
use std::env;

/// The number of rollouts of a run of all tests.
const ROLLOUTS: usize = 20;

/// Returns the number in the environment variable `name`, or `default`.
fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Returns the seed of this run, and prints it.
fn seed(test: &str) -> u64 {
    let seed = number("BOTOPS_TEST_SEED", 12);
    print_past_harness(&format!("{test}: BOTOPS_TEST_SEED={seed}"));
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_that_are_killed_stopped_and_cut_off_agree_on_every_rollout() {
    let rollouts = number("BOTOPS_TEST_ROLLOUTS", ROLLOUTS as u64);
    let fleet = fleet::Fleet::on_files().await;
    let plan = campaign::Campaign { rollouts: rollouts as usize, disturbed: true };
    plan.run(fleet, seed("three servers")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_on_an_object_store_whose_answers_are_lost_agree_on_every_rollout() {
    let Some(moto) = Moto::start() else { return };
    let fleet = fleet::Fleet::on_moto(moto).await;
    let plan = campaign::Campaign { rollouts: 3, disturbed: true };
    plan.run(fleet, seed("three servers on moto")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_whose_clocks_jump_agree_on_every_rollout() {
    let name = "three servers whose clocks jump";
    let Some(preload) = crate::serving::clock_jumps::preload(name) else { return };
    let fleet = fleet::Fleet::with_clocks(&preload).await;
    let rollouts = number("BOTOPS_TEST_JUMPS", 4);
    jumping::run(fleet, rollouts as usize, seed(name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_goes_on_while_each_of_three_servers_is_renewed() {
    let fleet = fleet::Fleet::on_files().await;
    rolling::renew_all(fleet, seed("rolling update")).await;
}
