//! Blobs that were erased on purpose, so that readers can tell them from lost ones and nothing stores them again.

use super::{Store, blob_path};
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The folder of the marks of erased blobs.
const FOLDER: &str = "erasures/blobs";
const SCHEMA: &str = "botops.erased_blob/1";

/// The mark of an erased blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedBlob {
    /// `botops.erased_blob/1`.
    pub schema: String,
    /// The digest of the bytes that are gone.
    pub digest: Digest,
    /// The erasure in the log of erasures.
    pub erasure: String,
    /// When it was erased.
    pub at: DateTime<Utc>,
}

fn path(digest: &Digest) -> String {
    format!("{FOLDER}/{}.json", digest.hex())
}

impl Store {
    /// Erases the blob `digest`: marks it as erased, then removes it. From then on a read of it says that it was erased, and
    /// it is not stored again. `erasure` is its id in the log of erasures.
    ///
    /// After an interruption, the mark may be there and the blob, too: the same call goes on.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub async fn erase_blob(
        &self,
        digest: &Digest,
        erasure: &str,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let (schema, erasure) = (SCHEMA.to_owned(), erasure.to_owned());
        let mark = ErasedBlob { schema, digest: *digest, erasure, at };
        self.create(&path(digest), canonical_json(&mark).into()).await?;
        self.remove(&blob_path(digest)).await
    }

    /// Returns the digests of all blobs that were erased.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn erased_blobs(&self) -> Result<BTreeSet<Digest>> {
        let listed = self.objects(FOLDER, None).await?;
        let digest = |path: &String| {
            let hex = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?;
            format!("sha256:{hex}").parse().ok()
        };
        Ok(listed.iter().filter_map(digest).collect())
    }

    /// Returns the mark of the blob `digest`, if it was erased.
    ///
    /// # Errors
    /// `BOT-5006` (exit 3) the mark is damaged; `BOT-5003`.
    pub async fn erased_blob(&self, digest: &Digest) -> Result<Option<ErasedBlob>> {
        let path = path(digest);
        let Some(bytes) = self.read(&path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let message = format!("the mark of the erased blob `{digest}` cannot be read: {error}");
            Fault::data("BOT-5006", message)
                .file(self.object_url(&path))
                .hint("restore the object from a backup")
        })
    }

    /// Returns the fault of a read of an erased blob; `None` if `digest` was not erased.
    ///
    /// # Errors
    /// Those of [`Self::erased_blob`].
    pub async fn erased_fault(&self, digest: &Digest) -> Result<Option<Fault>> {
        let Some(mark) = self.erased_blob(digest).await? else { return Ok(None) };
        let at = mark.at.format("%Y-%m-%d %H:%M:%S UTC");
        let message = format!("blob `{digest}` was erased at {at} and cannot be restored");
        Ok(Some(
            Fault::policy("BOT-5130", message).file(self.object_url(&blob_path(digest))).hint(
                "use another version; see which ones are erased: `botops registry list MODEL`",
            ),
        ))
    }

    /// Refuses to store a blob again that was erased.
    pub(super) async fn refuse_erased(&self, digest: &Digest) -> Result<()> {
        let Some(mark) = self.erased_blob(digest).await? else { return Ok(()) };
        let at = mark.at.format("%Y-%m-%d %H:%M:%S UTC");
        let message = format!(
            "blob `{digest}` was erased at {at}, so it is not stored again in `{}`",
            self.url
        );
        Err(Fault::policy("BOT-5131", message)
            .file(self.object_url(&blob_path(digest)))
            .hint("remove the erased utterance from the data, and train and push again"))
    }
}
