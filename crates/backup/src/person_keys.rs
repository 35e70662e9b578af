//! The wrapped keys of persons. They are outside the chunks, so that an erased key can be removed from every backup.
//!
//! A backup needs the keys in its own file or in a later one. A file is removed only if the new one has all of its keys
//! except those that the log of erasures names. Beside each file are hashed names of its keys, so that this can be told
//! without an identity. Without one, a file with other keys stays as it is.

use crate::{
    chunk_reader::{headers, opened},
    erased::Erased,
    format::{Header, PERSON_KEY_NAMES, PERSON_KEYS},
    keys::Keys,
    rows::{Line as _, read_all},
};
use botops_conversations::{Id, WrappedKey};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::Store;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
};

/// The zstd level.
const LEVEL: i32 = 3;
/// The bytes of a hashed name.
const NAME: usize = 16;
/// The most bytes of one file, unpacked.
const MOST: u64 = 4 << 30;

type Name = [u8; NAME];

/// The keys for a new backup.
pub(crate) struct Collected {
    keys: Vec<WrappedKey>,
    /// The backups whose files have no other keys.
    covered: Vec<String>,
}

/// Collects the `live` keys, and those of the earlier files that are neither live nor erased. `newest` is the new backup.
///
/// # Errors
/// Those of the store.
pub(crate) async fn collect(
    target: &Store,
    keys: &Keys,
    live: Vec<WrappedKey>,
    (erased, newest): (&Erased, &str),
) -> Result<Collected> {
    let mut all = by_name(live);
    let erased_names = |names: &BTreeSet<String>| -> BTreeSet<Name> {
        names.iter().map(|name| hashed(name)).collect()
    };
    let conversations = erased_names(&erased.conversations);
    let persons = erased_names(&erased.persons);
    let mut covered = Vec::new();
    for id in files(target).await?.into_iter().filter(|id| id.as_str() < newest) {
        if let Some(names) = target.read(&format!("{PERSON_KEY_NAMES}/{id}")).await?
            && names.len() % (2 * NAME) == 0
        {
            let has = all.keys().map(|(c, p)| [name_of(c), name_of(p)].concat());
            let has: BTreeSet<Vec<u8>> = has.collect();
            let is_covered = |pair: &[u8]| {
                let (conversation, person) = pair.split_at(NAME);
                has.contains(pair)
                    || conversations.contains(conversation)
                    || persons.contains(person)
            };
            if names.chunks_exact(2 * NAME).all(is_covered) {
                covered.push(id);
                continue;
            }
        }
        let Some(stored) = target.read(&path(&id)).await? else { continue };
        // What was encrypted is not written again as plain text, and what cannot be opened stays.
        let is_sealed = stored.starts_with(b"age-encryption.org/");
        if is_sealed && !(keys.opens() && keys.encrypts()) {
            continue;
        }
        let Some(old) = opened(&stored, keys, false).ok().flatten().and_then(|it| unpack(&it))
        else {
            continue;
        };
        for (name, key) in by_name(old) {
            let is_erased = erased.conversations.contains(&name.0.to_string())
                || erased.persons.contains(&name.1.to_string());
            if !is_erased {
                all.entry(name).or_insert(key);
            }
        }
        covered.push(id);
    }
    Ok(Collected { keys: all.into_values().collect(), covered })
}

impl Collected {
    /// Stores the keys of the backup `id`.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn store(&self, target: &Store, keys: &Keys, id: &str) -> Result<()> {
        let (mut lines, mut names) = (Vec::new(), Vec::new());
        for key in &self.keys {
            key.write(&mut lines);
            names.extend(name_of(&key.conversation));
            names.extend(name_of(&key.person));
        }
        let packed = zstd::bulk::compress(&lines, LEVEL).map_err(|error| {
            Fault::internal("BOT-9001", "the keys of persons could not be packed").caused_by(error)
        })?;
        target.create(&path(id), keys.seal(packed)?.into()).await?;
        target.create(&format!("{PERSON_KEY_NAMES}/{id}"), names.into()).await?;
        Ok(())
    }

    /// Removes the earlier files that have no other keys.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn remove_covered(&self, target: &Store) -> Result<()> {
        for id in &self.covered {
            remove(target, id).await?;
        }
        Ok(())
    }
}

/// Removes the files that are older than every backup in `remaining`; without one, none.
///
/// # Errors
/// Those of the store.
pub(crate) async fn prune(target: &Store, remaining: &[String]) -> Result<()> {
    let Some(oldest) = remaining.iter().min() else { return Ok(()) };
    for id in files(target).await?.into_iter().filter(|id| id < oldest) {
        remove(target, &id).await?;
    }
    Ok(())
}

async fn remove(target: &Store, id: &str) -> Result<()> {
    target.remove(&path(id)).await?;
    target.remove(&format!("{PERSON_KEY_NAMES}/{id}")).await
}

/// Returns the keys that the backup `header` needs, with those of later backups.
///
/// # Errors
/// `BOT-5100` (exit 3) keys are missing or damaged; `BOT-5103` (exit 2) no identity opens them.
pub(crate) async fn read(from: &Store, keys: &Keys, header: &Header) -> Result<Vec<WrappedKey>> {
    let Some(copied) = header.conversations else { return Ok(Vec::new()) };
    let damaged = |id: &str, problem: &str| {
        Fault::data("BOT-5100", format!("the keys of persons in the backup {problem}"))
            .file(from.object_url(&path(id)))
            .hint("without them sealed texts cannot be read: bring the object back, for example from its earlier version in the bucket")
    };
    let all = headers(from).await?.into_iter().filter_map(|(_, header)| header.ok());
    let newest = all.filter(|it| it.conversations.is_some()).map(|it| it.id).max();
    let newest = newest.filter(|it| *it > header.id).unwrap_or_else(|| header.id.clone());
    // A backup that ends meanwhile replaces them.
    'again: for _ in 0..3 {
        let mut found: Vec<String> = files(from).await?;
        found.retain(|id| *id >= header.id);
        if found.last().is_none_or(|last| *last < newest) {
            return Err(damaged(&newest, "are missing"));
        }
        let mut all = BTreeMap::new();
        for id in found.into_iter().rev() {
            let Some(stored) = from.read(&path(&id)).await? else { continue 'again };
            let is_own = id == header.id;
            let plain = opened(&stored, keys, is_own && header.encrypted)?;
            let plain = plain.and_then(|it| unpack(&it));
            let plain = plain.ok_or_else(|| damaged(&id, "are damaged"))?;
            if is_own && (plain.len() as u64) < copied.keys {
                return Err(damaged(&id, "are fewer than were counted"));
            }
            for (name, key) in by_name(plain) {
                all.entry(name).or_insert(key);
            }
        }
        return Ok(all.into_values().collect());
    }
    Err(Fault::conflict("BOT-5107", "other backups end again and again")
        .hint("run the command again"))
}

fn path(id: &str) -> String {
    format!("{PERSON_KEYS}/{id}")
}

/// Returns the backups that have a file of keys, the oldest first.
async fn files(store: &Store) -> Result<Vec<String>> {
    let paths = store.objects(PERSON_KEYS, None).await?;
    let mut ids: Vec<String> =
        paths.iter().filter_map(|path| Some(path.rsplit('/').next()?.to_owned())).collect();
    ids.sort_unstable();
    Ok(ids)
}

fn unpack(packed: &[u8]) -> Option<Vec<WrappedKey>> {
    let mut plain = Vec::new();
    let reader = zstd::Decoder::new(packed).ok()?;
    reader.take(MOST).read_to_end(&mut plain).ok()?;
    read_all(&plain)
}

fn by_name(keys: Vec<WrappedKey>) -> BTreeMap<(Id, Id), WrappedKey> {
    keys.into_iter().map(|key| ((key.conversation, key.person), key)).collect()
}

fn name_of(id: &Id) -> Name {
    hashed(&id.to_string())
}

fn hashed(name: &str) -> Name {
    let mut short = [0; NAME];
    short.copy_from_slice(&Digest::of(name.as_bytes()).as_bytes()[..NAME]);
    short
}
