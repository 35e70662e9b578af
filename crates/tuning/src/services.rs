//! The inputs and results of a search.

use crate::{events::TuneListener, trial_store::Entry};
use botops_digest::Digest;
use botops_evaluation::{FoldOutcome, SearchReport};
use botops_experiments::{CodeState, Environment, Experiments};
use botops_findings::Result;
use botops_pipelines::Equipment;
use chrono::{DateTime, Utc};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// The part of the trials that a process judges first.
///
/// - `index` is below `count`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub index: u32,
    /// The number of shards.
    pub count: u32,
}

impl Shard {
    /// All trials.
    pub const ALL: Self = Self { index: 0, count: 1 };
}

/// The records that trials are judged on.
#[derive(Debug, Clone)]
pub struct TuneData {
    /// The name of the data.
    pub name: String,
    /// The file of the data.
    pub path: PathBuf,
    /// Its digest.
    pub digest: Digest,
    /// Text and intent of each record, in order.
    pub records: Arc<Vec<(String, String)>>,
}

/// The services that a search uses.
pub struct TuneServices<'a> {
    /// The store of results and runs.
    pub experiments: &'a Experiments,
    /// The clock, for records.
    pub clock: &'a (dyn Fn() -> Result<DateTime<Utc>> + Sync),
    /// The version of the code.
    pub code: CodeState,
    /// The machine.
    pub environment: Environment,
    /// Receives events.
    pub listener: &'a dyn TuneListener,
    /// The part that this process judges first.
    pub shard: Shard,
    /// How long to wait for a result of another process before judging it here.
    pub lease: Duration,
    /// How often to look for results of other processes.
    pub poll: Duration,
    /// Trials judged in parallel.
    pub workers: usize,
    /// The encoder and caches of the base configuration.
    pub equipment: Arc<Equipment>,
}

/// The result of a search.
#[derive(Debug, Clone)]
pub struct SearchResult {
    /// The report.
    pub report: SearchReport,
    /// The winner's configuration, in YAML.
    pub winner: String,
    /// The id of the recorded run.
    pub run: String,
}

/// A trial that enters no further rung, with its result in each rung.
pub(crate) struct FinishedTrial<'a> {
    pub(crate) trial: u32,
    pub(crate) entries: Vec<&'a Entry>,
    /// The folds that judged it in its last rung.
    pub(crate) folds: Vec<FoldOutcome>,
}
