//! Load profiles as they are written in YAML.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A load profile as written: well-formed, but perhaps out of range. [`Profile::check`](crate::Profile::check) checks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSpec {
    /// The version of the format: 1.
    pub version: u32,
    /// The name, for reports.
    pub name: String,
    /// The kind of load.
    #[serde(rename = "loop")]
    pub pacing: Pacing,
    /// The stages, one after the other. The load goes in a straight line from that of the stage before; it begins at 0.
    pub stages: Vec<StageSpec>,
    /// The time between two messages of a user, in a closed loop.
    #[serde(default)]
    pub think: ThinkSpec,
    /// The times between requests, in an open loop.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// The most requests under way in an open loop; more wait, and their latency counts from the time they were due.
    #[serde(default = "default_in_flight")]
    pub max_in_flight: u32,
    /// The kinds of requests, by their shares.
    #[serde(default)]
    pub mix: MixSpec,
    /// A file with one utterance a line, relative to the profile; without it, built-in ones are sent.
    #[serde(default)]
    pub texts: Option<PathBuf>,
    /// The longest time of one attempt, such as `10s`.
    #[serde(default = "default_timeout")]
    pub timeout: String,
    /// Repetition of requests that may be repeated; default: none.
    #[serde(default)]
    pub retry: Option<RetrySpec>,
    /// The seed of all random numbers: same seed, same schedule and same texts.
    #[serde(default)]
    pub seed: u64,
    /// Rules on the whole test, such as `p95 < 50ms` and `errors = 0`.
    #[serde(default)]
    pub thresholds: Vec<String>,
}

/// The kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// Users, each with at most one request under way.
    Closed,
    /// Requests that come at a rate, whether or not earlier ones were answered.
    Open,
}

/// The times between the requests of an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Independent requests (a Poisson process), as those of many people.
    #[default]
    Random,
    /// Equal times, as those of a program.
    Even,
}

/// A part of a load test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// The name, for reports.
    pub name: String,
    /// The duration, such as `2m`; with `0s` the load jumps.
    pub duration: String,
    /// The users at its end, in a closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// The requests per second at its end, in an open loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Rules on this stage alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<String>,
}

/// The time from one message of a user to the next, drawn evenly between two bounds.
///
/// It runs from the time at which the earlier message was due. A user whose answer takes longer than that sends the next
/// message at once, and its latency counts from the time at which it was due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThinkSpec {
    /// The least time, such as `1s`.
    pub min: String,
    /// The longest time, such as `3s`.
    pub max: String,
}

impl Default for ThinkSpec {
    fn default() -> Self {
        Self { min: "1s".to_owned(), max: "3s".to_owned() }
    }
}

/// The kinds of requests, by their shares. In a closed loop each user sends one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixSpec {
    /// `POST /v1/chat`.
    #[serde(default)]
    pub chat: u32,
    /// `POST /v1/predict`.
    #[serde(default)]
    pub predict: u32,
    /// Messages over `GET /v1/ws`.
    #[serde(default)]
    pub websocket: u32,
}

impl Default for MixSpec {
    fn default() -> Self {
        Self { chat: 1, predict: 0, websocket: 0 }
    }
}

/// Repetition of requests that got no answer, or 429, 502, 503 or 504. All kinds may be repeated: a prediction changes
/// nothing, and a message carries an id under which it is answered once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// The most repetitions of a request, from 1 to 10.
    pub max: u32,
    /// The time before the first repetition, such as `50ms`. It doubles with each, and a random half of it is left out.
    #[serde(default = "default_backoff")]
    pub backoff: String,
    /// The longest time before a repetition, also if `Retry-After` asks for more.
    #[serde(default = "default_longest")]
    pub longest: String,
}

fn default_in_flight() -> u32 {
    1_000
}

fn default_timeout() -> String {
    "10s".to_owned()
}

pub(crate) fn default_backoff() -> String {
    "50ms".to_owned()
}

pub(crate) fn default_longest() -> String {
    "2s".to_owned()
}
