//! Records of backups and of drills: each success leaves its times, so that servers show them and a missing backup is noticed.
//!
//! As with heartbeats, the numbers are in the names of objects: a listing of each folder finds the newest, and nothing is read.

use crate::history::folder;
use botops_findings::Result;
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// The schema of a record.
const SCHEMA: &str = "botops.backup_record/1";
/// The records of one kind that are kept.
const KEPT: usize = 32;
/// The lead of a clock over ours that is no skew.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// A drill that succeeded: a backup was restored to scratch and verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DrillRecord {
    /// The time of its end.
    pub at: DateTime<Utc>,
    /// The time to restore and verify (RTO), in milliseconds.
    pub rto_millis: u64,
    /// The age of the newest data in the backup when the drill began (RPO), in milliseconds.
    pub rpo_millis: u64,
}

/// The newest records of an environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupState {
    /// The time of the newest backup that succeeded; `None` if none is known.
    pub backup: Option<DateTime<Utc>>,
    /// The newest drill; `None` if none is known.
    pub drill: Option<DrillRecord>,
}

fn backups(environment: &str) -> String {
    format!("{}/backups", folder(environment))
}

fn drills(environment: &str) -> String {
    format!("{}/drills", folder(environment))
}

/// Records in `store`, which servers of `environment` read, that a backup succeeded. Old records are removed.
///
/// # Errors
/// Those of the store.
pub async fn record_backup(store: &Store, environment: &str, at: DateTime<Utc>) -> Result<()> {
    let record = serde_json::json!({"schema": SCHEMA, "at": at});
    let name = format!("{:012}.json", at.timestamp().max(0));
    leave(store, &backups(environment), &name, record).await
}

/// Records in `store`, which servers of `environment` read, that a drill succeeded. Old records are removed.
///
/// # Errors
/// Those of the store.
pub async fn record_drill(store: &Store, environment: &str, drill: &DrillRecord) -> Result<()> {
    let DrillRecord { at, rto_millis, rpo_millis } = drill;
    let record = serde_json::json!({
        "schema": SCHEMA, "at": at, "rto_millis": rto_millis, "rpo_millis": rpo_millis
    });
    let name = format!("{:012}-{rto_millis}-{rpo_millis}.json", at.timestamp().max(0));
    leave(store, &drills(environment), &name, record).await
}

async fn leave(store: &Store, root: &str, name: &str, record: serde_json::Value) -> Result<()> {
    store.create(&format!("{root}/{name}"), record.to_string().into_bytes().into()).await?;
    let old = store.objects(root, None).await?;
    for path in old.iter().rev().skip(KEPT) {
        store.remove(path).await?;
    }
    Ok(())
}

/// Returns the newest records of `environment`. Records that a clock ahead of ours left do not count.
///
/// # Errors
/// Those of the store.
pub async fn backup_state(
    store: &Store,
    environment: &str,
    now: DateTime<Utc>,
) -> Result<BackupState> {
    let newest = async |root: String| -> Result<Option<Vec<u64>>> {
        let paths = store.objects(&root, None).await?;
        let numbers = paths.iter().rev().filter_map(|path| numbers(path.strip_prefix(&root)?));
        let is_past = |times: &Vec<u64>| time(times).is_some_and(|at| at <= now + SKEW);
        Ok(numbers.filter(is_past).max())
    };
    let backup = newest(backups(environment)).await?.as_deref().and_then(time);
    let drill = newest(drills(environment)).await?.and_then(|found| match found[..] {
        [_, rto_millis, rpo_millis] => {
            Some(DrillRecord { at: time(&found)?, rto_millis, rpo_millis })
        }
        _ => None,
    });
    Ok(BackupState { backup, drill })
}

/// Reads the numbers of a name such as `/001779321600-1500-60000.json`.
fn numbers(name: &str) -> Option<Vec<u64>> {
    let name = name.strip_prefix('/')?.strip_suffix(".json")?;
    name.split('-').map(|part| part.parse().ok()).collect()
}

fn time(numbers: &[u64]) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(*numbers.first()?).ok()?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_record_counts_unless_it_is_of_the_future() {
        let store = Store::in_memory();
        let begin: DateTime<Utc> = "2026-11-02T06:00:00Z".parse().unwrap();
        let now = begin + TimeDelta::days(40);
        let state = backup_state(&store, "production", now).await.unwrap();
        assert_eq!(state, BackupState::default());
        for day in 0..40 {
            record_backup(&store, "production", begin + TimeDelta::days(day)).await.unwrap();
        }
        // The same second twice is one record.
        record_backup(&store, "production", begin + TimeDelta::days(39)).await.unwrap();
        record_backup(&store, "production", now + TimeDelta::days(1)).await.unwrap();
        let drill = |days, rto_millis| DrillRecord {
            at: begin + TimeDelta::days(days),
            rto_millis,
            rpo_millis: 60_000,
        };
        for (days, rto) in [(1, 9_000), (20, 1_500), (7, 12_000)] {
            record_drill(&store, "production", &drill(days, rto)).await.unwrap();
        }
        store.create("monitoring/production/drills/notes.txt", Vec::new().into()).await.unwrap();
        let state = backup_state(&store, "production", now).await.unwrap();
        let newest = begin + TimeDelta::days(39);
        assert_eq!(state, BackupState { backup: Some(newest), drill: Some(drill(20, 1_500)) });
        assert_eq!(store.objects("monitoring/production/backups", None).await.unwrap().len(), KEPT);
        assert_eq!(
            backup_state(&store, "staging", now).await.unwrap(),
            BackupState::default(),
            "environments are apart"
        );
    }
}
