//! The identity of a store, and the proof that it never overwrites an object.
//!
//! The first write to a store proves that the store supports put-if-absent, and writes the proof, which also names the
//! store. Later writers read it.
//!
//! - a store that overwrites objects is refused: two writers would lose entries of each other
//! - a local folder that vanished, or that was replaced by another one (an unmounted disk leaves an empty folder), is
//!   refused as well, and not created again

use super::{Store, guard::Guard, regular_files};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher as _, RandomState};

/// The object that the proof tries to overwrite.
const PROBE: &str = "probes/identity.json";
/// The proof. It is written after the probe was not overwritten.
pub(super) const PROOF: &str = "probes/proof.json";
const SCHEMA: &str = "botops.store/1";
/// The schema of the proof of a store that is being restored.
pub(super) const RESTORING: &str = "botops.restoring/1";

/// The content of both objects.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) schema: String,
    pub(super) id: String,
}

impl Store {
    /// Reads the identity of the store, or proves that the store supports put-if-absent and writes it.
    ///
    /// Every write does this first. A program that runs for a long time calls it when it starts, so that it notices if
    /// the store vanishes before its first write.
    ///
    /// # Errors
    /// `BOT-5030` (exit 1) the store overwrites objects; `BOT-6062` (exit 7) the store vanished; `BOT-5006` (exit 3) the
    /// proof is damaged; `BOT-5002`, `BOT-5003`.
    pub async fn identify(&self) -> Result<()> {
        let Some(guard) = &self.guard else { return Ok(()) };
        let known = {
            let mut id = guard.id.lock().await;
            match &*id {
                Some(known) => known.clone(),
                None => {
                    let found = match self.stored_identity().await? {
                        Some(found) => found,
                        None => self.prove(guard).await?,
                    };
                    *id = Some(found);
                    self.sweep_unfinished(guard).await;
                    return Ok(());
                }
            }
        };
        self.check_known(guard, known).await
    }

    /// Returns the stored identity of the store, the same wherever it is opened; `None` before its first write.
    ///
    /// # Errors
    /// Those of [`Self::identify`] about the proof.
    pub async fn identity(&self) -> Result<Option<String>> {
        self.stored_identity().await
    }

    /// Checks that the store is there, if this process knows its identity.
    ///
    /// Called where an object is missing: without its folder, a store has none.
    ///
    /// # Errors
    /// `BOT-6062` (exit 7) the store vanished.
    pub(super) async fn check_present(&self) -> Result<()> {
        let Some(guard) = &self.guard else { return Ok(()) };
        let known = guard.id.lock().await.clone();
        match known {
            Some(known) => self.check_known(guard, known).await,
            None => Ok(()),
        }
    }

    async fn check_known(&self, guard: &Guard, known: String) -> Result<()> {
        // A prefix of a bucket does not vanish, and a request for each write would cost as much as the write.
        if guard.folder.is_none() || self.stored_identity().await? == Some(known) {
            return Ok(());
        }
        Err(self.vanished())
    }

    /// Proves that the store does not overwrite an object, writes the proof, and returns the identity.
    async fn prove(&self, guard: &Guard) -> Result<String> {
        if let Some((folder, true)) = &guard.folder
            && !folder.exists()
        {
            return Err(self.vanished());
        }
        self.put_if_absent(PROBE, encode(&new_id())).await?;
        if self.put_if_absent(PROBE, encode(&new_id())).await? {
            return Err(Fault::internal(
                "BOT-5030",
                format!("`{}` overwrites existing objects: nothing was written", self.url),
            )
            .file(self.object_url(PROBE))
            .hint("use a store that supports `If-None-Match: *`: a local disk, Amazon S3, MinIO, Cloudflare R2")
            .hint("check another one: `botops doctor --probe`"));
        }
        let id = self.identity_at(PROBE).await?.ok_or_else(|| self.vanished())?;
        self.put_if_absent(PROOF, encode(&id)).await?;
        Ok(id)
    }

    /// Removes the unfinished files of killed writers from a local store.
    async fn sweep_unfinished(&self, guard: &Guard) {
        if let Some((folder, _)) = guard.folder.clone() {
            // Leftovers are harmless, so a sweep that fails is no reason to refuse a write.
            let _ = tokio::task::spawn_blocking(move || regular_files::sweep(&folder)).await;
        }
    }

    async fn stored_identity(&self) -> Result<Option<String>> {
        self.identity_at(PROOF).await
    }

    async fn identity_at(&self, path: &str) -> Result<Option<String>> {
        let Some(bytes) = self.read(path).await? else { return Ok(None) };
        match serde_json::from_slice::<Identity>(&bytes) {
            Ok(identity) if identity.schema == SCHEMA => Ok(Some(identity.id)),
            Ok(identity) if identity.schema == RESTORING => Err(self.restored_by(&identity.id)),
            Ok(identity) => Err(Fault::policy(
                "BOT-5007",
                format!("the identity of `{}` has the format `{}`", self.url, identity.schema),
            )
            .file(self.object_url(path))
            .hint("install a newer botops")),
            Err(error) => Err(Fault::data(
                "BOT-5006",
                format!("the identity of `{}` cannot be read: {error}", self.url),
            )
            .file(self.object_url(path))
            .hint("delete the folder `probes` of the store: the next write makes it again")),
        }
    }

    /// The fault of a store that is not the one that was opened.
    fn vanished(&self) -> Fault {
        Fault::unreachable(
            "BOT-6062",
            format!(
                "`{}` vanished, or is not the store that was opened: nothing was written",
                self.url
            ),
        )
        .hint("check that its disk is mounted; if the folder was removed, restore it from a backup")
    }
}

fn encode(id: &str) -> Bytes {
    encode_as(SCHEMA, id)
}

pub(super) fn encode_as(schema: &str, id: &str) -> Bytes {
    let identity = Identity { schema: schema.to_owned(), id: id.to_owned() };
    botops_digest::canonical_json(&identity).into()
}

/// Returns a new identity. Its randomness is that of the hash maps of the standard library.
pub(super) fn new_id() -> String {
    let draws = [0_u8, 1].map(|draw| RandomState::new().hash_one(draw).to_le_bytes());
    Digest::of(draws.as_flattened()).hex()[..32].to_owned()
}
