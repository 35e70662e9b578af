//! The state of the log in a period: whether it has changed since it was read.

use crate::{hour::hours, layout, layout::HourKey};
use botops_digest::Digest;
use botops_findings::Result;
use botops_store::Store;

/// Returns a digest of what the log of `environment` has from `since` and before `until`, and of all its verdicts; `None` if
/// it has no hour at all.
///
/// Only the names and sizes of its objects are read. A compaction changes the digest, although the records stay the same.
///
/// # Errors
/// Those of [`hours`].
pub async fn log_state(
    store: &Store,
    environment: &str,
    since: HourKey,
    until: HourKey,
) -> Result<Option<Digest>> {
    let root = layout::environment(environment);
    let dates = store.folders(&root).await?;
    if !dates.iter().any(|date| date.starts_with("date=")) {
        return Ok(None);
    }
    let found: Vec<_> = hours(store, environment, Some(since), Some(until))
        .await?
        .into_iter()
        .map(|hour| (hour.key.to_string(), hour.parquet, hour.segments, hour.segment_bytes))
        .collect();
    let mut verdicts: Vec<(String, u64)> = store
        .list(&format!("{root}/verdicts"))
        .await?
        .into_iter()
        .map(|stored| (stored.path, stored.size_bytes))
        .collect();
    verdicts.sort();
    Ok(Some(Digest::of_json(&(found, verdicts))))
}
