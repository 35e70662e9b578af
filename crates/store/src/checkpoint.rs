//! Checkpoints: folds of a log up to one of its entries, so that opening a log does not read all of it.
//!
//! The checkpoints of the log `deployments/production/log` are the objects `deployments/production/checkpoints/<n>.json`,
//! created once and never overwritten: `{"digest":"sha256:…","entry":"sha256:…","fold":"…/1","schema":"botops.checkpoint/1",
//! "seq":1000,"state":{…}}`. `entry` is the digest of entry `seq`, and `state` is the fold of the entries up to it.
//!
//! A checkpoint is a cache: it is used only if it is intact and the entry that it names is stored, and
//! [`contradictions`] compares it with the fold from entry 1. The digests protect it against damage, but not against a
//! person who can write to the store and forges a checkpoint with right digests.

use super::{Entry, Log, Store, sealed};
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

const SCHEMA: &str = "botops.checkpoint/1";

/// A state that is the fold of the entries of a log, and of nothing else.
pub trait Fold<T>: Default + Clone + Serialize + DeserializeOwned {
    /// The name and the version of the fold, such as `botops.environment/1`. A checkpoint of another version is not used.
    ///
    /// Another version is needed whenever the same entries lead to another state than before. A new member whose default
    /// is right for every older entry needs none.
    const SCHEMA: &'static str;

    /// Adds the next entry.
    fn apply(&mut self, entry: &Entry<T>);
}

/// A checkpoint as stored.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint<S> {
    /// `botops.checkpoint/1`.
    schema: String,
    /// [`Fold::SCHEMA`].
    fold: String,
    /// The number of the last entry that was folded.
    seq: u64,
    /// The digest of the bytes of that entry.
    entry: Digest,
    /// The fold.
    state: S,
}

/// The checkpoints of one log.
pub(super) struct Checkpoints {
    store: Store,
    /// The path of the log.
    log: String,
}

/// A checkpoint in the listing of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Numbered(pub(super) u64);

impl Checkpoints {
    pub(super) fn of(store: &Store, log: &str) -> Self {
        Self { store: store.clone(), log: log.to_owned() }
    }

    pub(super) fn log(&self) -> &str {
        &self.log
    }

    fn folder(&self) -> String {
        let above = self.log.strip_suffix("/log").unwrap_or(&self.log);
        format!("{above}/checkpoints")
    }

    fn path_of(&self, Numbered(seq): Numbered) -> String {
        format!("{}/{seq:020}.json", self.folder())
    }

    /// Lists the checkpoints, the oldest first. Other files in their folder are ignored.
    pub(super) async fn list(&self) -> Result<Vec<Numbered>> {
        let listed = self.store.objects(&self.folder(), None).await?;
        let number = |path: &String| {
            let name = path.rsplit('/').next()?.strip_suffix(".json")?;
            let number = Numbered(name.parse().ok().filter(|&seq| seq > 0)?);
            (self.path_of(number) == *path).then_some(number)
        };
        Ok(listed.iter().filter_map(number).collect())
    }

    /// Reads a checkpoint, and the entry that it names. The inner result is the reason why it cannot be used.
    ///
    /// # Errors
    /// Those of a store that cannot be reached.
    pub(super) async fn read<T, S>(
        &self,
        number: Numbered,
        log: &Log<T>,
    ) -> Result<Result<(Entry<T>, S)>>
    where
        T: Serialize + DeserializeOwned,
        S: Fold<T>,
    {
        let bytes = match Fault::unless_unreachable(self.store.read(&self.path_of(number)).await)? {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Err(self.unusable(number, "was removed"))),
            Err(fault) => {
                return Ok(Err(self.unusable(number, &format!("cannot be read: {fault}"))));
            }
        };
        let checkpoint: Checkpoint<S> = match parse(&bytes, number, S::SCHEMA) {
            Ok(checkpoint) => checkpoint,
            Err(problem) => return Ok(Err(self.unusable(number, &problem))),
        };
        let seq = number.0;
        let problem = match Fault::unless_unreachable(log.entry_with_digest(seq).await)? {
            Ok(Some((entry, digest))) if digest == checkpoint.entry => {
                return Ok(Ok((entry, checkpoint.state)));
            }
            Ok(Some(_)) => format!("names another entry {seq} than the log has"),
            Ok(None) => format!("names entry {seq}, which the log does not have"),
            Err(fault) => format!("names an entry that cannot be read: {fault}"),
        };
        Ok(Err(self.unusable(number, &problem)))
    }

    /// Creates the checkpoint of `state`, the fold up to entry `seq` with the digest `entry`. One that exists stays.
    ///
    /// # Errors
    /// Those of [`Store::create`]; `BOT-5050` `state` could not be read back.
    pub(super) async fn create<T, S: Fold<T>>(
        &self,
        seq: u64,
        entry: Digest,
        state: &S,
    ) -> Result<()> {
        let (schema, fold) = (SCHEMA.to_owned(), S::SCHEMA.to_owned());
        let bytes = sealed::seal(&Checkpoint { schema, fold, seq, entry, state });
        let number = Numbered(seq);
        // A state that changes on its way through JSON would lead every reader astray.
        match parse::<S>(&bytes, number, S::SCHEMA) {
            Ok(read) if canonical_json(&read.state) == canonical_json(state) => {}
            Ok(_) => return Err(self.unusable(number, "would not be read back unchanged")),
            Err(problem) => return Err(self.unusable(number, &problem)),
        }
        self.store.create(&self.path_of(number), bytes.into()).await.map(drop)
    }

    /// The fault of a checkpoint that `problem`.
    pub(super) fn unusable(&self, number: Numbered, problem: &str) -> Fault {
        let (seq, log) = (number.0, &self.log);
        Fault::data("BOT-5050", format!("the checkpoint of `{log}` after entry {seq} {problem}"))
            .file(self.store.object_url(&self.path_of(number)))
            .hint("the log itself was read instead: see whether it is sound with `botops registry verify`")
            .hint("delete the checkpoint: a later one replaces it")
    }

    fn contradicted(&self, number: Numbered, problem: &str) -> Fault {
        let (seq, log) = (number.0, &self.log);
        Fault::data("BOT-5051", format!("the checkpoint of `{log}` after entry {seq} {problem}"))
            .file(self.store.object_url(&self.path_of(number)))
            .hint(
                "delete it, and restart the servers of the environment: they read the log instead",
            )
            .hint("no program of botops writes such a checkpoint: find out who writes to the store")
    }
}

/// Reads a checkpoint, without a look at the log. The problem ends a sentence that begins with the checkpoint.
fn parse<S: DeserializeOwned>(
    bytes: &[u8],
    number: Numbered,
    fold: &str,
) -> Result<Checkpoint<S>, String> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
        #[serde(default)]
        fold: String,
    }
    let damaged = |error: serde_json::Error| format!("cannot be read: {error}");
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    for (found, ours) in [(&head.schema, SCHEMA), (&head.fold, fold)] {
        if found != ours {
            return Err(format!("has the format `{found}`, but this botops reads `{ours}`"));
        }
    }
    if !sealed::is_intact(bytes) {
        return Err("was altered: its bytes do not match its digest".to_owned());
    }
    let checkpoint: Checkpoint<S> = serde_json::from_slice(bytes).map_err(damaged)?;
    if checkpoint.seq != number.0 {
        return Err(format!("has the number {}", checkpoint.seq));
    }
    Ok(checkpoint)
}

/// Compares every checkpoint of the log at `path` with the fold of `entries`, all entries of that log from 1 on. Returns
/// the problems: a checkpoint that cannot be read (`BOT-5050`), or that is not the fold of the entries (`BOT-5051`).
///
/// Checkpoints in another format or version than this botops writes cannot be compared, and are left out.
///
/// # Errors
/// Those of the store if it cannot be reached.
pub async fn contradictions<T, S: Fold<T>>(
    store: &Store,
    path: &str,
    entries: &[Entry<T>],
) -> Result<Vec<Fault>>
where
    T: Serialize + DeserializeOwned,
{
    let checkpoints = Checkpoints::of(store, path);
    let log = store.log::<T>(path);
    let (mut problems, mut state, mut folded) = (Vec::new(), S::default(), 0);
    for number in checkpoints.list().await? {
        let object = checkpoints.path_of(number);
        let bytes = match Fault::unless_unreachable(store.read(&object).await)? {
            Ok(Some(bytes)) => bytes,
            // Removed since it was listed.
            Ok(None) => continue,
            Err(fault) => {
                problems.push(checkpoints.unusable(number, &format!("cannot be read: {fault}")));
                continue;
            }
        };
        if is_of_another_version(&bytes, S::SCHEMA) {
            continue;
        }
        let checkpoint: Checkpoint<S> = match parse(&bytes, number, S::SCHEMA) {
            Ok(checkpoint) => checkpoint,
            Err(problem) => {
                problems.push(checkpoints.unusable(number, &problem));
                continue;
            }
        };
        let seq = number.0;
        if seq > entries.len() as u64 {
            let problem = format!("names entry {seq}, which the log does not have");
            problems.push(checkpoints.contradicted(number, &problem));
            continue;
        }
        let next = seq as usize;
        entries[folded..next].iter().for_each(|entry| state.apply(entry));
        folded = next;
        // The next entry holds the digest of this one.
        let digest = match entries.get(next).and_then(|after| after.previous) {
            Some(digest) => digest,
            None => log.digest_of(seq).await?,
        };
        if checkpoint.entry != digest {
            let problem = format!("names another entry {seq} than the log has");
            problems.push(checkpoints.contradicted(number, &problem));
        } else if canonical_json(&checkpoint.state) != canonical_json(&state) {
            problems
                .push(checkpoints.contradicted(number, "is not the fold of the entries up to it"));
        }
    }
    Ok(problems)
}

/// Returns whether the bytes are a checkpoint of another format or fold, with a right digest.
fn is_of_another_version(bytes: &[u8], fold: &str) -> bool {
    let member = |name: &str| {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        value.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    let stem = |schema: &str| schema.rsplit_once('/').map(|(stem, _)| stem.to_owned());
    let (Some(schema), Some(found)) = (member("schema"), member("fold")) else { return false };
    let is_ours = stem(&schema) == stem(SCHEMA) && stem(&found) == stem(fold);
    is_ours && (schema != SCHEMA || found != fold) && sealed::is_intact(bytes)
}
