//! Full segments moved from the folder of a server to the store.

use crate::{
    layout::{self, SEGMENT},
    spool::full_segments,
};
use botops_findings::{Fault, Result};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use std::{fs, io, path::Path};

/// The segments that were moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shipped {
    /// The number of segments.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Moves the full segments of `folder` to the store of `environment`, the oldest first.
///
/// A segment is removed from the folder only once it is in the store. After a crash between the two it is found there, and
/// removed then.
///
/// # Errors
/// Those of the store, and `BOT-6204` (exit 1) of the folder; what was moved before stays moved.
pub async fn ship(store: &Store, environment: &str, folder: &Path) -> Result<Shipped> {
    let unusable = |error: io::Error| {
        Fault::internal("BOT-6204", format!("the predictions cannot be moved: {error}"))
            .file(folder)
            .caused_by(error)
    };
    let mut shipped = Shipped::default();
    let found = {
        let folder = folder.to_owned();
        blocking(move || full_segments(&folder)).await.map_err(unusable)?
    };
    for (path, hour, name) in found {
        let bytes = {
            let path = path.clone();
            blocking(move || fs::read(path)).await.map_err(unusable)?
        };
        let n = bytes.len() as u64;
        // The name has a random part, so an object of this name is this segment.
        let object = format!("{}/{name}", layout::hour(environment, hour));
        store.create(&object, bytes.into()).await?;
        blocking(move || fs::remove_file(path)).await.map_err(unusable)?;
        shipped.segments += 1;
        shipped.bytes += n;
    }
    Ok(shipped)
}

/// Returns how long the oldest full segment of `folder` has waited at `now` since it was begun; zero if none waits.
///
/// # Errors
/// Those of the file system.
pub async fn oldest_waiting(folder: &Path, now: DateTime<Utc>) -> io::Result<TimeDelta> {
    let folder = folder.to_owned();
    let found = blocking(move || full_segments(&folder)).await?;
    let begun = found.iter().filter_map(|(.., name)| begun_at(name)).min();
    Ok(begun.map_or(TimeDelta::zero(), |begun| (now - begun).max(TimeDelta::zero())))
}

/// Returns the time at which the segment `name` was begun: its name ends with an id that holds it.
fn begun_at(name: &str) -> Option<DateTime<Utc>> {
    let (_, id) = name.strip_suffix(SEGMENT)?.rsplit_once('-')?;
    let id: ulid::Ulid = id.parse().ok()?;
    DateTime::from_timestamp_millis(i64::try_from(id.timestamp_ms()).ok()?)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hour::hours,
        prediction_log::{
            PredictionLog,
            tests::{raw, settings},
        },
    };

    #[tokio::test]
    async fn segments_are_moved_once_also_after_a_crash_between_the_store_and_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 1 << 20);
        let log = PredictionLog::start(&settings, |_| {}).unwrap();
        for i in [0, 1, 2, 3_700, 3_701] {
            log.add(raw(i));
        }
        log.flush(true);
        // The names have the times at which the segments were begun: just now.
        let now = Utc::now();
        let hour = TimeDelta::hours(1);
        let waiting = oldest_waiting(log.folder(), now + hour).await.unwrap();
        assert!(waiting >= hour && waiting < hour * 2, "{waiting}");
        let earlier = oldest_waiting(log.folder(), now - hour).await.unwrap();
        assert_eq!(earlier, TimeDelta::zero(), "a clock that was moved back is no wait");
        let copies: Vec<_> = full_segments(log.folder())
            .unwrap()
            .into_iter()
            .map(|(path, ..)| (path.clone(), fs::read(path).unwrap()))
            .collect();
        let store = Store::in_memory();
        let shipped = ship(&store, "production", log.folder()).await.unwrap();
        assert_eq!(shipped.segments, 2);
        let none = oldest_waiting(log.folder(), now + hour).await.unwrap();
        assert_eq!(none, TimeDelta::zero());
        assert_eq!(ship(&store, "production", log.folder()).await.unwrap(), Shipped::default());
        copies.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        assert_eq!(ship(&store, "production", log.folder()).await.unwrap().segments, 2);
        let hours = hours(&store, "production", None, None).await.unwrap();
        let names: Vec<String> = hours.iter().map(|hour| hour.key.to_string()).collect();
        assert_eq!(names, ["date=2026-11-30/hour=01", "date=2026-11-30/hour=02"]);
        let mut read = Vec::new();
        for hour in &hours {
            hour.each(&store, &crate::columns::COLUMNS, |it| read.push(it.request_id))
                .await
                .unwrap();
        }
        assert_eq!(read, ["r-0", "r-1", "r-2", "r-3700", "r-3701"]);
    }
}
