//! The conversations of one server: units and failures while a rollout is under way, verdicts, and traffic.
//!
//! In: messages and their outcomes, by arm and share, and verdicts on answers. Out: observations of a replica, which the judge
//! merges over all replicas, and the rates that a plan is forecast from. Names of conversations are HMACs ([`UnitKey`]).

mod generations;
mod observer;
mod traffic_meter;
mod unit_key;
mod verdicts;

pub use generations::Generations;
pub use observer::{JudgedUnit, Observer, Outcome, Place, REMEMBERED};
pub use traffic_meter::{ServerTraffic, TrafficMeter};
pub use unit_key::UnitKey;
pub use verdicts::Feedback;
