//! Results of trials as create-only objects of a store, shared by every process of a search.

use botops_digest::{Digest, canonical_json};
use botops_evaluation::FoldOutcome;
use botops_experiments::{CodeState, Environment};
use botops_findings::{Fault, Result};
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const SCHEMA: &str = "botops.tune_trial/1";

/// The result of a trial in a rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// `botops.tune_trial/1`.
    pub(crate) schema: String,
    /// The search.
    pub(crate) search: Digest,
    /// The trial.
    pub(crate) trial: u32,
    /// The rung, from 0.
    pub(crate) rung: u32,
    /// The drawn settings.
    pub(crate) params: BTreeMap<String, Value>,
    /// The result of each fold; empty if it failed.
    pub(crate) folds: Vec<FoldOutcome>,
    /// Why it could not be trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
    /// The time at which judging began.
    pub(crate) started_at: DateTime<Utc>,
    /// The time at which judging ended.
    pub(crate) finished_at: DateTime<Utc>,
    /// The version of the code.
    pub(crate) code: CodeState,
    /// The machine.
    pub(crate) environment: Environment,
}

/// A trial and a rung, both numbered from 0.
pub(crate) type Key = (u32, u32);

/// The entries of one search.
pub(crate) struct TrialStore<'a> {
    store: &'a Store,
    search: Digest,
}

impl<'a> TrialStore<'a> {
    pub(crate) fn new(store: &'a Store, search: Digest) -> Self {
        Self { store, search }
    }

    fn folder(&self) -> String {
        format!("tunes/{}/trials", self.search.hex())
    }

    fn path(&self, (trial, rung): Key) -> String {
        format!("{}/{trial}-{rung}.json", self.folder())
    }

    /// Returns the keys of all entries; objects with other names are ignored.
    pub(crate) async fn known(&self) -> Result<BTreeSet<Key>> {
        let listed = self.store.objects(&self.folder(), None).await?;
        Ok(listed
            .iter()
            .filter_map(|path| {
                let name = path.rsplit('/').next()?.strip_suffix(".json")?;
                let (trial, rung) = name.split_once('-')?;
                Some((trial.parse().ok()?, rung.parse().ok()?))
            })
            .collect())
    }

    /// Reads the entry of `key`, which must have these `params` and `folds`.
    ///
    /// # Errors
    /// `BOT-8046` (exit 3) if it belongs to another search or cannot be read; `BOT-5007` (exit 6) for a newer format; those of
    /// the store.
    pub(crate) async fn read(
        &self,
        key: Key,
        params: &BTreeMap<String, Value>,
        folds: std::ops::Range<u32>,
    ) -> Result<Option<Entry>> {
        let path = self.path(key);
        let Some(bytes) = self.store.read(&path).await? else { return Ok(None) };
        let place = self.store.object_url(&path);
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let remove = "remove that object and run again: the trial is judged again";
        let broken = |what: String| Fault::data("BOT-8046", what).file(&place).hint(remove);
        let unreadable = |error: serde_json::Error| {
            broken(format!("the result of trial {} cannot be read: {error}", key.0))
        };
        let head: Head = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if head.schema != SCHEMA {
            let newer = head.schema.strip_prefix("botops.tune_trial/").map(str::parse::<u32>);
            return Err(match newer {
                Some(Ok(version)) if version > 1 => Fault::policy(
                    "BOT-5007",
                    format!(
                        "the result of trial {} has the format `{}`, newer than this botops",
                        key.0, head.schema
                    ),
                )
                .file(&place)
                .hint("install a newer botops"),
                _ => broken(format!("`{}` is not a format of trial results", head.schema)),
            });
        }
        let entry: Entry = serde_json::from_slice(&bytes).map_err(unreadable)?;
        let judged = entry.folds.iter().map(|fold| fold.fold);
        let whole = match &entry.failed {
            Some(_) => entry.folds.is_empty(),
            None => judged.eq(folds),
        };
        let same = entry.search == self.search && (entry.trial, entry.rung) == key;
        if same && entry.params == *params && whole {
            Ok(Some(entry))
        } else {
            Err(broken(format!("the stored result of trial {} belongs to another search", key.0)))
        }
    }

    /// Writes an entry unless it exists; returns whether this call wrote it.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn write(&self, entry: &Entry) -> Result<bool> {
        self.store.create(&self.path((entry.trial, entry.rung)), canonical_json(entry).into()).await
    }

    /// Returns an empty entry of this search.
    pub(crate) fn entry(&self, (trial, rung): Key, params: &BTreeMap<String, Value>) -> Entry {
        Entry {
            schema: SCHEMA.to_owned(),
            search: self.search,
            trial,
            rung,
            params: params.clone(),
            folds: Vec::new(),
            failed: None,
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
            code: CodeState::default(),
            environment: Environment::default(),
        }
    }
}
