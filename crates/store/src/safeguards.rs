//! The records of backups and drills in the store that they protect, from which servers show their ages.

use super::{Appended, Entry, KnownLogs, Log, Store};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The log of the backups of a store.
const BACKUP_LOG: &str = "backups/log";
/// The log of the drills.
const DRILL_LOG: &str = "drills/log";
/// How often an append is tried when others append too.
const TRIES: usize = 20;

/// A backup that was made of this store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// `botops.backup_record/1`.
    pub schema: String,
    /// The name of the backup.
    pub backup: String,
    /// The time as of which it can be restored.
    pub at: DateTime<Utc>,
    /// The number of objects.
    pub objects: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// A drill: the newest backup restored to a scratch folder, and verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillRecord {
    /// `botops.drill/1`.
    pub schema: String,
    /// The name of the backup.
    pub backup: String,
    /// The time when the drill began.
    pub at: DateTime<Utc>,
    /// Whether the copy is complete.
    pub passed: bool,
    /// The recovery time: how long the restore and its checks took, in seconds.
    pub rto_seconds: f64,
    /// The recovery point: the age of the backup when the drill began, in seconds. Later writes are lost.
    pub rpo_seconds: f64,
    /// The number of objects that were restored.
    pub objects: u64,
    /// The number of models that were opened.
    pub models: u64,
    /// The number of conversations that were counted.
    pub conversations: u64,
    /// The number of problems.
    pub problems: u64,
}

impl BackupRecord {
    /// The schema.
    pub const SCHEMA: &str = "botops.backup_record/1";
}

impl DrillRecord {
    /// The schema.
    pub const SCHEMA: &str = "botops.drill/1";
}

/// The newest records of a store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Safeguards {
    /// The newest backup.
    pub backup: Option<BackupRecord>,
    /// The newest drill that passed.
    pub drill: Option<DrillRecord>,
    /// Whether the newest drill failed.
    pub drill_failed: bool,
}

impl Store {
    /// Appends the record of a backup.
    ///
    /// # Errors
    /// `BOT-5107` (exit 5) others append again and again; those of [`Log::append`].
    pub async fn record_backup(&self, record: BackupRecord) -> Result<()> {
        append(&self.log(BACKUP_LOG), &record).await
    }

    /// Appends the record of a drill.
    ///
    /// # Errors
    /// As [`Self::record_backup`].
    pub async fn record_drill(&self, record: DrillRecord) -> Result<()> {
        append(&self.log(DRILL_LOG), &record).await
    }
}

impl Safeguards {
    /// Returns the newest of these records. The newest backup is that with the latest time.
    fn of(backups: &[Entry<BackupRecord>], drills: &[Entry<DrillRecord>]) -> Self {
        let passed = drills.iter().rfind(|drill| drill.payload.passed);
        let newest = backups.iter().max_by_key(|backup| backup.payload.at);
        Self {
            backup: newest.map(|backup| backup.payload.clone()),
            drill: passed.map(|drill| drill.payload.clone()),
            drill_failed: drills.last().is_some_and(|last| !last.payload.passed),
        }
    }
}

/// The records of a store, for a reader that asks again and again: two requests if nothing is new.
pub struct SafeguardLogs {
    backups: KnownLogs<BackupRecord>,
    drills: KnownLogs<DrillRecord>,
}

impl SafeguardLogs {
    /// Names the logs of `store`, and reads nothing.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self { backups: KnownLogs::new(store.clone()), drills: KnownLogs::new(store.clone()) }
    }

    /// Returns the newest records.
    ///
    /// # Errors
    /// Those of [`Log::entries`].
    pub async fn newest(&self) -> Result<Safeguards> {
        let backups = self.backups.entries(BACKUP_LOG).await?;
        let drills = self.drills.entries(DRILL_LOG).await?;
        Ok(Safeguards::of(&backups, &drills))
    }
}

async fn append<T: Serialize + DeserializeOwned + Clone>(log: &Log<T>, record: &T) -> Result<()> {
    for _ in 0..TRIES {
        let last = log.entries().await?.pop();
        if let Appended::Written(_) = log.append(last.as_ref(), record.clone()).await? {
            return Ok(());
        }
    }
    Err(Fault::conflict("BOT-5107", "others record backups again and again")
        .hint("run the command again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_records_count_and_a_failed_drill_is_no_recovery_time() {
        let store = Store::in_memory();
        let logs = SafeguardLogs::new(&store);
        assert_eq!(logs.newest().await.unwrap(), Safeguards::default());
        let at = |hour: u32| format!("2026-11-30T{hour:02}:00:00Z").parse().unwrap();
        for hour in [8, 9, 7] {
            let backup = BackupRecord {
                schema: BackupRecord::SCHEMA.to_owned(),
                backup: format!("b{hour}"),
                at: at(hour),
                objects: 1,
                bytes: 2,
            };
            store.record_backup(backup).await.unwrap();
        }
        for (hour, passed) in [(9, true), (10, false)] {
            let drill = DrillRecord {
                schema: DrillRecord::SCHEMA.to_owned(),
                backup: "b9".to_owned(),
                at: at(hour),
                passed,
                rto_seconds: 1.5,
                rpo_seconds: 60.0,
                objects: 1,
                models: 1,
                conversations: 0,
                problems: u64::from(!passed),
            };
            store.record_drill(drill).await.unwrap();
        }
        let found = logs.newest().await.unwrap();
        assert_eq!(found.backup.unwrap().backup, "b9");
        assert_eq!((found.drill.unwrap().at, found.drill_failed), (at(9), true));
    }
}
