//! The markers of open jobs, and the keys of requests.

use crate::{RequestKey, faults::other_request};
use botops_digest::canonical_json;
use botops_findings::{Fault, Result};
use botops_store::Store;
use serde::{Deserialize, Serialize};

/// The folder of the markers.
pub(crate) const OPEN: &str = "jobs/open";
/// The folder of the keys.
pub(crate) const KEYS: &str = "jobs/keys";

/// The content of a marker and of a key.
#[derive(Debug, Serialize, Deserialize)]
struct Pointer {
    /// `botops.job-pointer/1`.
    schema: String,
    /// The id of the job.
    job: String,
    /// The digest of the request, for a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<RequestKey>,
}

const SCHEMA: &str = "botops.job-pointer/1";

/// Returns whether a text is the id of a job.
pub(crate) fn is_id(text: &str) -> bool {
    text.parse::<ulid::Ulid>().is_ok_and(|id| id.to_string() == text)
}

/// Returns the path of the log of a job.
pub(crate) fn log_path(id: &str) -> String {
    format!("jobs/{id}/log")
}

/// Marks a job as open. To mark it again is harmless.
pub(crate) async fn mark_open(store: &Store, id: &str) -> Result<()> {
    let pointer = Pointer { schema: SCHEMA.to_owned(), job: id.to_owned(), request: None };
    store.create(&format!("{OPEN}/{id}"), canonical_json(&pointer).into()).await.map(|_| ())
}

/// Removes the mark of a job.
pub(crate) async fn unmark(store: &Store, id: &str) -> Result<()> {
    store.remove(&format!("{OPEN}/{id}")).await
}

/// Returns the ids of the jobs that are marked as open, the oldest first.
pub(crate) async fn open_ids(store: &Store) -> Result<Vec<String>> {
    let paths = store.objects(OPEN, None).await?;
    let ids = paths.iter().filter_map(|path| path.rsplit('/').next());
    Ok(ids.filter(|id| is_id(id)).map(str::to_owned).collect())
}

/// Returns the id of the job that `request` makes: `proposed`, or that of an earlier request with the same key.
///
/// # Errors
/// `BOT-7405` (exit 5) the key was used for another request; `BOT-7401` (exit 3) its record is damaged; those of the store.
pub(crate) async fn id_of(store: &Store, request: RequestKey, proposed: String) -> Result<String> {
    let path = format!("{KEYS}/{}", request.key.hex());
    let pointer = Pointer { schema: SCHEMA.to_owned(), job: proposed, request: Some(request) };
    if store.create(&path, canonical_json(&pointer).into()).await? {
        return Ok(pointer.job);
    }
    let bytes = store.read(&path).await?.unwrap_or_default();
    let found: Option<Pointer> = serde_json::from_slice(&bytes).ok();
    match found.filter(|found| found.schema == SCHEMA && is_id(&found.job)) {
        Some(found) if found.request == Some(request) => Ok(found.job),
        Some(found) => Err(other_request(&found.job)),
        None => Err(Fault::data("BOT-7401", "the record of a request's key cannot be read")
            .file(store.object_url(&path))
            .hint("repeat the request with another key")),
    }
}
