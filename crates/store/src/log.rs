//! A log of numbered entries, each written with put-if-absent and containing the digest of the entry before it.
//!
//! An entry is canonical JSON whose first member is the digest of the rest, so that a change to the newest entry is
//! detected, too: `{"digest":"sha256:…","payload":…,"previous":"sha256:…","schema":"botops.log/1","seq":7}`.
//! The deletion of the newest entries cannot be detected by the chain; use versioning or object lock of the store.
//!
//! A whole log is listed and read ([`Log::entries`], [`Log::inspect`]), which finds every gap. A reader that knows an entry
//! probes the numbers after it ([`Log::poll`]), which costs one request if nothing was appended.

use super::{
    Store,
    sealed::{is_intact, seal},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    marker::PhantomData,
    sync::{Mutex, PoisonError},
};

const SCHEMA: &str = "botops.log/1";
/// The number of concurrent reads: enough to hide the latency of a bucket, and few enough for the disk of a laptop.
const CONCURRENT_READS: usize = 16;

/// A log of numbered JSON entries, each written with put-if-absent and containing the digest of the entry before it.
pub struct Log<T> {
    store: Store,
    path: String,
    /// The number of the last read or written entry, and the digest of its stored bytes.
    tip: Mutex<Option<(u64, Digest)>>,
    payload: PhantomData<fn() -> T>,
}

/// One entry of a log as stored.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entry<T> {
    /// `botops.log/1`.
    pub schema: String,
    /// The number, from 1 without gaps.
    pub seq: u64,
    /// The digest of the bytes of entry `seq - 1`; `None` for the first entry.
    pub previous: Option<Digest>,
    /// The content.
    pub payload: T,
}

/// The result of an append.
#[derive(Debug)]
pub enum Appended<T> {
    /// This call wrote the entry, possibly in an earlier try whose response was lost.
    Written(Entry<T>),
    /// Another writer was first: the entry can be read, and nothing was written. Read the log, check again, then retry or report the conflict.
    Conflict,
}

/// The entries of a log, and all its problems.
#[derive(Debug)]
pub struct Inspection<T> {
    /// The readable entries, in order.
    pub entries: Vec<Entry<T>>,
    /// The number of the first of them that are verified: those before the first problem.
    pub verified: usize,
    /// The problems, in order; empty for an intact log.
    pub problems: Vec<Fault>,
}

impl<T: Serialize + DeserializeOwned> Log<T> {
    pub(super) fn new(store: Store, path: String) -> Self {
        Self { store, path, tip: Mutex::new(None), payload: PhantomData }
    }

    /// Returns all entries in order, after verifying the chain.
    ///
    /// # Errors
    /// `BOT-5006` (exit 3) for a broken chain, a gap, or an unreadable entry; `BOT-5007` (exit 6) for an entry with a
    /// newer schema; `BOT-5003`.
    pub async fn entries(&self) -> Result<Vec<Entry<T>>> {
        self.verified(self.inspect().await?)
    }

    /// Returns the entries after `known`, an entry that this log returned, after verifying the chain from it on.
    ///
    /// As [`Self::poll`], so cheap enough to be called every second.
    ///
    /// # Errors
    /// Those of [`Self::poll`].
    pub async fn entries_after(&self, known: &Entry<T>) -> Result<Vec<Entry<T>>> {
        self.poll(Some(known)).await
    }

    /// Returns the entries after `known`, or all if it is `None`, after verifying the chain from `known` on.
    ///
    /// It lists nothing: it reads the next number, and while an entry is there, the numbers after it. If nothing was
    /// appended, that is one request; for one new entry it is two, and one more if another [`Log`] read `known`.
    ///
    /// A missing entry is the end of the log. So if the entry directly after `known` was deleted, it and all after it are not
    /// noticed, until an append fills the gap with an entry that the next one contradicts. A gap further on is noticed if
    /// one of the numbers that are read together with it exists. [`Self::entries`] and [`Self::inspect`] list the log and
    /// find every gap.
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub async fn poll(&self, known: Option<&Entry<T>>) -> Result<Vec<Entry<T>>> {
        let stored = self.probe(known.map_or(0, |known| known.seq), false).await?;
        if stored.is_empty() {
            // A folder that was unmounted has no next entry either, and says nothing about the log.
            self.store.check_present().await?;
        }
        self.verified(self.check(known, stored).await?)
    }

    /// Returns the entries after `known`, as [`Self::poll`], for a reader that has not read the log before.
    ///
    /// It reads 16 numbers beyond the end, so that it notices the loss of fewer than 16 entries in a row.
    pub(super) async fn entries_from(&self, known: &Entry<T>) -> Result<Vec<Entry<T>>> {
        let stored = self.probe(known.seq, true).await?;
        self.verified(self.check(Some(known), stored).await?)
    }

    /// Returns entry `seq`, which is known to be in the log.
    ///
    /// # Errors
    /// Those of [`Self::entries`].
    pub async fn entry(&self, seq: u64) -> Result<Entry<T>> {
        let stored = self.entry_with_digest(seq).await?;
        stored.map(|(entry, _)| entry).ok_or_else(|| self.missing(seq, seq))
    }

    /// Returns entry `seq` with the digest of its bytes; `None` if it is absent.
    ///
    /// # Errors
    /// Those of [`Self::entries`].
    pub(super) async fn entry_with_digest(&self, seq: u64) -> Result<Option<(Entry<T>, Digest)>> {
        let Some(bytes) = self.store.read(&self.path_of(seq)).await? else { return Ok(None) };
        let entry = decode(&bytes, seq).map_err(|problem| self.unreadable(seq, problem))?;
        Ok(Some((entry, Digest::of(&bytes))))
    }

    /// Returns whether the log has no entries, without reading any.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn is_empty(&self) -> Result<bool> {
        if self.store.size(&self.path_of(1)).await?.is_some() {
            return Ok(false);
        }
        // The first entry may be missing from a damaged log.
        let listed = self.store.objects(&self.path, None).await?;
        Ok(!listed.iter().any(|path| self.number(path).is_some()))
    }

    /// Reads the whole log and returns all its problems.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003` if the log cannot be listed or read.
    pub async fn inspect(&self) -> Result<Inspection<T>> {
        let listed = self.store.objects(&self.path, None).await?;
        let mut numbers: Vec<u64> = listed.iter().filter_map(|path| self.number(path)).collect();
        numbers.sort_unstable();
        let stored = self.read_each(numbers).await?;
        self.check(None, stored).await
    }

    /// Appends `payload` after entry `last`, as returned by [`Self::entries`]; `None` for an empty log.
    ///
    /// # Errors
    /// `BOT-5002`, also if something that is not a file is in the place of the entry; `BOT-5003`; `BOT-5006` if `last` is not
    /// in the log; `BOT-5019` if the written `payload` could not be read back.
    pub async fn append(&self, last: Option<&Entry<T>>, payload: T) -> Result<Appended<T>> {
        let seq = last.map_or(0, |last| last.seq) + 1;
        let previous = match last {
            Some(last) => Some(self.digest_of(last.seq).await?),
            None => None,
        };
        let entry = Entry { schema: SCHEMA.to_owned(), seq, previous, payload };
        let bytes = seal(&entry);
        // A payload that cannot be read back (NaN becomes null) would break the log permanently.
        if let Err(problem) = decode::<T>(&bytes, seq) {
            let message = format!("an entry of `{}` could not be read back: {problem}", self.path);
            return Err(Fault::internal("BOT-5019", message).file(self.url_of(seq)));
        }
        let digest = Digest::of(&bytes);
        if self.store.create(&self.path_of(seq), bytes.into()).await? {
            self.remember(seq, digest);
            Ok(Appended::Written(entry))
        } else {
            self.check_occupied(seq).await?;
            Ok(Appended::Conflict)
        }
    }

    /// Checks that the object in the place of entry `seq` can be read. A folder or a dangling link can neither be read nor
    /// replaced, so every later append would be a conflict with an entry that nobody sees.
    async fn check_occupied(&self, seq: u64) -> Result<()> {
        if self.store.read(&self.path_of(seq)).await?.is_some() {
            return Ok(());
        }
        let message = format!(
            "entry {seq} of `{}` cannot be written: something that is not a file is in its place",
            self.path
        );
        Err(Fault::internal("BOT-5002", message)
            .file(self.url_of(seq))
            .hint("move it out of the store, then run the command again"))
    }

    fn verified(&self, mut inspection: Inspection<T>) -> Result<Vec<Entry<T>>> {
        if inspection.problems.is_empty() {
            Ok(inspection.entries)
        } else {
            Err(inspection.problems.swap_remove(0))
        }
    }

    /// Reads the entries `numbers`, some at a time; `None` for an absent one.
    async fn read_each(
        &self,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<(u64, Option<Bytes>)>> {
        futures::stream::iter(numbers)
            .map(|seq| async move { self.store.read(&self.path_of(seq)).await.map(|b| (seq, b)) })
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }

    /// Reads the entries after number `known` up to the first absent one that no other follows.
    ///
    /// The number of entries that are read at a time grows with those that were found. With `far`, it is always
    /// [`CONCURRENT_READS`], and the last read finds none.
    async fn probe(&self, known: u64, far: bool) -> Result<Vec<(u64, Option<Bytes>)>> {
        let mut stored = Vec::new();
        let mut next = known + 1;
        loop {
            let most = CONCURRENT_READS as u64;
            let width = if far { most } else { (next - known - 1).clamp(1, most) };
            let mut read = self.read_each(next..next + width).await?;
            let found = read.iter().rposition(|(_, bytes)| bytes.is_some()).map_or(0, |at| at + 1);
            read.truncate(found);
            for (seq, bytes) in &mut read {
                if bytes.is_none() {
                    // It may have been written between its read and that of a later entry. Now it is there, or missing.
                    *bytes = self.store.read(&self.path_of(*seq)).await?;
                }
            }
            stored.extend(read);
            next += found as u64;
            if found == 0 || (!far && (found as u64) < width) {
                return Ok(stored);
            }
        }
    }

    /// Verifies the chain of `stored`, which are in order and come after `known`.
    async fn check(
        &self,
        known: Option<&Entry<T>>,
        stored: Vec<(u64, Option<Bytes>)>,
    ) -> Result<Inspection<T>> {
        let mut inspection = Inspection { entries: Vec::new(), verified: 0, problems: Vec::new() };
        let mut before = match known {
            Some(known) if !stored.is_empty() => {
                Some((known.seq, Some(self.digest_of(known.seq).await?)))
            }
            known => known.map(|known| (known.seq, None)),
        };
        for (seq, bytes) in stored {
            let expected = before.map_or(0, |(seq, _)| seq) + 1;
            if inspection.problems.is_empty() {
                inspection.verified = inspection.entries.len();
            }
            if seq != expected {
                inspection.problems.push(self.missing(expected, seq - 1));
                before = None;
            }
            let Some(bytes) = bytes else {
                inspection.problems.push(self.missing(seq, seq));
                before = Some((seq, None));
                continue;
            };
            let digest = Digest::of(&bytes);
            match decode::<T>(&bytes, seq) {
                Ok(entry) => {
                    // After a gap, the digest of the entry before is unknown.
                    let link_is_known = seq == 1 || matches!(before, Some((_, Some(_))));
                    let previous = before.and_then(|(_, digest)| digest);
                    if link_is_known && entry.previous != previous {
                        if inspection.problems.is_empty() {
                            // The entry before may be the forged one.
                            inspection.verified = inspection.entries.len().saturating_sub(1);
                        }
                        inspection.problems.push(self.broken(seq));
                    }
                    inspection.entries.push(entry);
                    before = Some((seq, Some(digest)));
                }
                Err(problem) => {
                    inspection.problems.push(self.unreadable(seq, problem));
                    // The next entry is not checked against it, which would report the same problem twice.
                    before = Some((seq, None));
                }
            }
        }
        if let Some((seq, Some(digest))) = before {
            self.remember(seq, digest);
        }
        if inspection.problems.is_empty() {
            inspection.verified = inspection.entries.len();
        }
        Ok(inspection)
    }

    /// Returns the digest of the stored bytes of entry `seq`. A parsed entry that is serialized again could have other
    /// bytes (an unknown member, a float).
    pub(super) async fn digest_of(&self, seq: u64) -> Result<Digest> {
        if let Some((known, digest)) = *self.tip.lock().unwrap_or_else(PoisonError::into_inner)
            && known == seq
        {
            return Ok(digest);
        }
        let bytes = self.store.read(&self.path_of(seq)).await?;
        bytes.map(|bytes| Digest::of(&bytes)).ok_or_else(|| self.missing(seq, seq))
    }

    fn remember(&self, seq: u64, digest: Digest) {
        *self.tip.lock().unwrap_or_else(PoisonError::into_inner) = Some((seq, digest));
    }

    fn path_of(&self, seq: u64) -> String {
        format!("{}/{seq:020}.json", self.path)
    }

    fn url_of(&self, seq: u64) -> String {
        self.store.object_url(&self.path_of(seq))
    }

    /// Returns the number of the entry at `path`; `None` for other files in the folder.
    fn number(&self, path: &str) -> Option<u64> {
        let name = path.strip_prefix(&self.path)?.strip_prefix('/')?.strip_suffix(".json")?;
        let digits = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| name.parse().ok()).flatten().filter(|&seq| seq > 0)
    }

    fn missing(&self, first: u64, last: u64) -> Fault {
        let message = if first == last {
            format!("entry {first} of `{}` is missing", self.path)
        } else {
            format!("entries {first} to {last} of `{}` are missing", self.path)
        };
        self.chain_fault(message, first)
    }

    fn broken(&self, seq: u64) -> Fault {
        let message = format!(
            "entry {seq} of `{}` does not match the entry before it: one of them was altered",
            self.path
        );
        self.chain_fault(message, seq)
    }

    fn unreadable(&self, seq: u64, problem: Unreadable) -> Fault {
        match problem {
            Unreadable::Newer(schema) => Fault::policy(
                "BOT-5007",
                format!(
                    "entry {seq} of `{}` has the format `{schema}`, which is newer than this botops",
                    self.path
                ),
            )
            .file(self.url_of(seq))
            .hint("install a newer botops"),
            problem => self.chain_fault(format!("entry {seq} of `{}` {problem}", self.path), seq),
        }
    }

    fn chain_fault(&self, message: String, seq: u64) -> Fault {
        Fault::data("BOT-5006", message)
            .file(self.url_of(seq))
            .hint("list all problems: `botops registry verify`")
            .hint("restore the object from a backup or an earlier version of it in the bucket")
    }
}

/// The reason why an entry cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("was altered: its bytes do not match its digest")]
    Altered,
    #[error("has the number {0}")]
    Misplaced(u64),
    #[error("has the unknown format `{0}`")]
    Foreign(String),
    #[error("has the newer format `{0}`")]
    Newer(String),
    #[error("cannot be read: {0}")]
    Malformed(serde_json::Error),
}

/// Returns the problem that a payload reports while it is read if its own `schema` is newer than this program. The log then
/// reports the entry as one of a newer format, and not as a damaged one.
#[must_use]
pub fn newer_payload(schema: &str) -> String {
    format!("{NEWER}`{schema}`")
}

/// The words of [`newer_payload`] before the schema.
const NEWER: &str = "written in the newer format ";

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let schema = text.split_once(NEWER).and_then(|(_, rest)| rest.split('`').nth(1));
        match schema {
            Some(schema) => Self::Newer(schema.to_owned()),
            None => Self::Malformed(error),
        }
    }
}

/// Reads an entry of any payload without a log, for a repair: `None` if its bytes were altered, its number is not `seq`, or
/// its format is another one; else the digest of the entry before it, which it names.
#[must_use]
pub fn intact_entry(bytes: &[u8], seq: u64) -> Option<Option<Digest>> {
    decode::<serde_json::Value>(bytes, seq).ok().map(|entry| entry.previous)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], seq: u64) -> Result<Entry<T>, Unreadable> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
        seq: u64,
    }
    let head: Head = serde_json::from_slice(bytes)?;
    if head.schema != SCHEMA {
        let version = head.schema.strip_prefix("botops.log/").map(str::parse::<u32>);
        return Err(match version {
            Some(Ok(version)) if version > 1 => Unreadable::Newer(head.schema),
            _ => Unreadable::Foreign(head.schema),
        });
    }
    if !is_intact(bytes) {
        return Err(Unreadable::Altered);
    }
    if head.seq != seq {
        return Err(Unreadable::Misplaced(head.seq));
    }
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::canonical_json;

    #[test]
    fn an_entry_is_canonical_json_that_begins_with_its_digest() {
        let previous = Some(Digest::of(b"before"));
        let entry = Entry { schema: SCHEMA.to_owned(), seq: 7, previous, payload: vec![1.5, 2.0] };
        let bytes = seal(&entry);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(canonical_json(&value), bytes);
        let read: Entry<Vec<f64>> = decode(&bytes, 7).unwrap();
        assert_eq!((read.seq, read.previous, read.payload), (7, previous, vec![1.5, 2.0]));
    }

    #[test]
    fn every_altered_byte_of_an_entry_is_detected() {
        let entry =
            Entry { schema: SCHEMA.to_owned(), seq: 1, previous: None, payload: "a".to_owned() };
        let bytes = seal(&entry);
        for i in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[i] ^= 1;
            assert!(decode::<String>(&altered, 1).is_err(), "byte {i}");
            assert!(decode::<String>(&bytes[..i], 1).is_err(), "cut at {i}");
        }
        assert!(matches!(decode::<String>(&bytes, 2), Err(Unreadable::Misplaced(1))));
    }

    #[test]
    fn a_newer_format_is_distinguished_from_an_unknown_one() {
        let of = |schema: &str| {
            let entry = Entry { schema: schema.to_owned(), seq: 1, previous: None, payload: () };
            decode::<()>(&seal(&entry), 1).unwrap_err().to_string()
        };
        assert_eq!(of("botops.log/2"), "has the newer format `botops.log/2`");
        assert_eq!(of("other/9"), "has the unknown format `other/9`");
    }
}
