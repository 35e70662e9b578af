//! The log of sweeps.

use super::bounds::is_id;
use crate::{Act, Registry, state::MAX_CONFLICTS};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::{Appended, newer_payload};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The path of the log of sweeps.
const LOG: &str = "gc/log";
const SCHEMA: &str = "botops.gc/1";

/// An entry of the log of sweeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct GarbageEvent {
    /// `botops.gc/1`.
    pub schema: String,
    /// The time.
    pub at: DateTime<Utc>,
    /// Who sweeps.
    pub actor: String,
    /// The reason; may be empty.
    pub reason: String,
    /// The id of the plan.
    pub sweep: String,
    /// The step.
    pub change: GarbageChange,
}

/// An entry as it is stored.
#[derive(Deserialize)]
struct Stored {
    schema: String,
    at: DateTime<Utc>,
    actor: String,
    reason: String,
    sweep: String,
    change: serde_json::Value,
}

impl TryFrom<Stored> for GarbageEvent {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { schema, at, actor, reason, sweep, change } = stored;
        if schema != SCHEMA {
            return Err(newer_payload(&schema));
        }
        let change = serde_json::from_value(change).map_err(|error| error.to_string())?;
        Ok(Self { schema, at, actor, reason, sweep, change })
    }
}

/// A step of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum GarbageChange {
    /// The sweep of a plan began.
    Began {
        /// The number of blobs in the plan.
        blobs: u64,
        /// Their size in bytes.
        bytes: u64,
        /// The grace period in seconds.
        grace_seconds: i64,
    },
    /// These blobs are removed next. After an interruption, some of them may still exist.
    Tombstoned {
        /// The blobs.
        blobs: Vec<Digest>,
    },
    /// The sweep ended.
    Finished {
        /// The number of blobs that were removed since it began or was continued.
        blobs: u64,
        /// Their size in bytes.
        bytes: u64,
    },
}

/// A sweep that began and did not end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnfinishedSweep {
    /// The id of its plan.
    pub sweep: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Who began it.
    pub actor: String,
    /// Its grace period in seconds.
    pub grace_seconds: i64,
    /// The blobs that it was about to remove.
    #[serde(skip)]
    pub tombstoned: Vec<Digest>,
}

impl Registry {
    /// Returns the entries of the log of sweeps, the oldest first.
    ///
    /// # Errors
    /// Those of the store; `BOT-5006` the log is damaged (exit 3), `BOT-5007` it is newer than this botops (exit 6).
    pub async fn sweeps(&self) -> Result<Vec<GarbageEvent>> {
        let entries = self.store.log::<GarbageEvent>(LOG).entries().await?;
        Ok(entries.into_iter().map(|entry| entry.payload).collect())
    }

    /// Returns the sweeps that began and did not end, the oldest first.
    ///
    /// # Errors
    /// Those of [`Self::sweeps`].
    pub async fn unfinished_sweeps(&self) -> Result<Vec<UnfinishedSweep>> {
        let mut open: Vec<UnfinishedSweep> = Vec::new();
        let sweeps = self.sweeps().await?;
        // An id names objects of the store. A sweep with another one was never carried out.
        for event in sweeps.into_iter().filter(|event| is_id(&event.sweep)) {
            match event.change {
                GarbageChange::Began { grace_seconds, .. } => open.push(UnfinishedSweep {
                    grace_seconds,
                    sweep: event.sweep,
                    began_at: event.at,
                    actor: event.actor,
                    tombstoned: Vec::new(),
                }),
                GarbageChange::Tombstoned { blobs } => {
                    if let Some(sweep) = open.iter_mut().find(|open| open.sweep == event.sweep) {
                        sweep.tombstoned.extend(blobs);
                    }
                }
                GarbageChange::Finished { .. } => open.retain(|open| open.sweep != event.sweep),
            }
        }
        Ok(open)
    }

    /// Appends a step of `sweep` to the log.
    pub(super) async fn log_sweep(
        &self,
        sweep: &str,
        change: GarbageChange,
        act: &Act,
    ) -> Result<()> {
        let log = self.store.log::<GarbageEvent>(LOG);
        let event = GarbageEvent {
            schema: SCHEMA.to_owned(),
            at: act.at,
            actor: act.actor.clone(),
            reason: act.reason.clone(),
            sweep: sweep.to_owned(),
            change,
        };
        let mut entries = log.entries().await?;
        let mut retries = self.store.retries().begin_against(MAX_CONFLICTS);
        loop {
            if let Appended::Written(_) = log.append(entries.last(), event.clone()).await? {
                return Ok(());
            }
            if !retries.pause().await {
                let message = "others keep writing to the log of sweeps";
                return Err(Fault::conflict("BOT-5014", message).hint("try again in a moment"));
            }
            let newer = log.poll(entries.last()).await?;
            entries.extend(newer);
        }
    }
}
