//! The erasures that a restored backup does not know, and the names and blobs that they erase.

use crate::format::Header;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::{Entry, Erasure, ErasureSubject, Store};
use std::collections::BTreeSet;

/// Erasures to apply to a restored backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// The names of conversations.
    pub conversations: BTreeSet<String>,
    /// The names of persons.
    pub persons: BTreeSet<String>,
    /// Blobs.
    pub blobs: BTreeSet<Digest>,
}

impl Erased {
    /// Collects the names and blobs of `entries`. An erasure that was begun counts as one that is done.
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = &'a Entry<Erasure>>) -> Self {
        let mut erased = Self::default();
        for Entry { payload, .. } in entries {
            erased.conversations.extend(payload.conversations.iter().cloned());
            erased.blobs.extend(payload.blobs.iter().copied());
            let names = payload.names.iter().cloned();
            match payload.subject {
                ErasureSubject::Conversation => erased.conversations.extend(names),
                ErasureSubject::Person => erased.persons.extend(names),
                ErasureSubject::Utterance => {}
            }
        }
        erased
    }
}

/// Returns the entries of the live log that follow the `known` ones of the backup.
///
/// # Errors
/// `BOT-5111` (exit 6) the live log is not a continuation of that of the backup.
pub(crate) fn newer(
    live: Vec<Entry<Erasure>>,
    known: &[Entry<Erasure>],
    place: &str,
) -> Result<Vec<Entry<Erasure>>> {
    let is_same = |a: &Entry<Erasure>, b: &Entry<Erasure>| {
        a.seq == b.seq && a.previous == b.previous && a.payload == b.payload
    };
    let continues = live.len() >= known.len()
        && live.iter().zip(known).all(|(live, known)| is_same(live, known));
    if !continues {
        let message = format!(
            "the log of erasures in `{place}` has {} entries and does not continue that of the backup, which has {}",
            live.len(),
            known.len()
        );
        return Err(Fault::policy("BOT-5111", message)
            .hint("name the store with the newest log: `--erasures STORE`")
            .hint("if it is lost: `--without-newer-erasures`, then erase again by hand"));
    }
    Ok(live.into_iter().skip(known.len()).collect())
}

/// Returns the erasures of blobs among `entries`, each once.
pub(crate) fn of_blobs<'a>(
    entries: impl IntoIterator<Item = &'a Entry<Erasure>>,
) -> Vec<&'a Erasure> {
    let mut found: Vec<&Erasure> = Vec::new();
    for Entry { payload, .. } in entries {
        let is_new = !found.iter().any(|it| it.id == payload.id && it.blobs == payload.blobs);
        if is_new && !payload.blobs.is_empty() {
            found.push(payload);
        }
    }
    found
}

/// Returns the erasures that were begun and not done when the backup was made: it may have some of their turns.
pub(crate) fn unfinished(mut known: Vec<Entry<Erasure>>) -> Vec<Entry<Erasure>> {
    let done: BTreeSet<String> =
        known.iter().filter(|it| it.payload.done).map(|it| it.payload.id.clone()).collect();
    known.retain(|entry| !done.contains(&entry.payload.id));
    known
}

/// Reads the log of erasures of the live store. With `of`, the store must be the registry of that backup: one that was made
/// anew has an empty log.
///
/// # Errors
/// `BOT-5111` (exit 6) it cannot be read, or the store has nothing at all, or is another one.
pub async fn live_erasures(live: &Store, of: Option<&Header>) -> Result<Vec<Entry<Erasure>>> {
    let unknown = |why: String| {
        Fault::policy(
            "BOT-5111",
            format!("the erasures made after the backup are not known: {why}"),
        )
        .hint("name the store with the newest log: `--erasures STORE`")
        .hint("if it is lost: `--without-newer-erasures`, then erase again by hand")
    };
    // A folder that is gone, or a disk that is not mounted, has no log either.
    let read = async {
        let is_empty = live.folders("").await?.is_empty();
        Ok::<_, Fault>((is_empty, live.identity().await?, live.erasures().await?))
    };
    match read.await {
        Ok((false, identity, entries)) => match of.and_then(|of| of.registry.as_ref()) {
            Some(known) if identity.as_ref() != Some(known) => Err(unknown(format!(
                "`{}` is not the registry that the backup was made of",
                live.url()
            ))),
            _ => Ok(entries),
        },
        Ok((true, ..)) => Err(unknown(format!("`{}` holds nothing", live.url()))),
        Err(fault) => {
            let message = format!("`{}`: {}", live.url(), fault.message());
            Err(unknown(message).caused_by(fault))
        }
    }
}
