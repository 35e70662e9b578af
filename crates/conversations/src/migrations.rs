//! The versions of the tables, each with its way back.

use botops_findings::{Fault, Result};
use serde::Serialize;

/// One step between two versions of the tables of a database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    /// The version after the step.
    pub(crate) version: i64,
    /// Its name.
    pub(crate) name: &'static str,
    /// The statements that lead there.
    pub(crate) up: &'static str,
    /// The statements that lead back.
    pub(crate) down: &'static str,
}

/// The migrations of the SQLite file with the turns.
pub(crate) const SQLITE_TURNS: &[Migration] = &[Migration {
    version: 1,
    name: "turns",
    up: include_str!("migrations/sqlite_1_turns.up.sql"),
    down: include_str!("migrations/sqlite_1_turns.down.sql"),
}];

/// The migrations of the SQLite file with the keys of persons.
pub(crate) const SQLITE_KEYS: &[Migration] = &[Migration {
    version: 1,
    name: "keys",
    up: include_str!("migrations/sqlite_1_keys.up.sql"),
    down: include_str!("migrations/sqlite_1_keys.down.sql"),
}];

/// The migrations of a PostgreSQL database.
pub(crate) const POSTGRES: &[Migration] = &[Migration {
    version: 1,
    name: "turns and keys",
    up: include_str!("migrations/postgres_1.up.sql"),
    down: include_str!("migrations/postgres_1.down.sql"),
}];

/// The newest version of the tables.
pub(crate) const NEWEST: i64 = 1;

/// The version of the tables of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaStatus {
    /// The store, without a password.
    pub store: String,
    /// The version; 0 for a store without tables.
    pub version: i64,
    /// The version that this botops reads and writes.
    pub newest: i64,
    /// The steps that a change applied or would apply, such as `1 turns`; in a status, those that are missing.
    pub steps: Vec<String>,
    /// The number of turns that a rollback erases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erases: Option<i64>,
}

/// Checks that the tables of `store` have the version that this botops reads and writes.
///
/// # Errors
/// `BOT-6118` (exit 6) if they are newer, `BOT-6119` (exit 2) if they are older.
pub(crate) fn check(version: i64, store: &str) -> Result<()> {
    refuse_newer(version, store)?;
    if version == NEWEST {
        return Ok(());
    }
    let message = match version {
        0 => format!("`{store}` has no tables for conversations"),
        _ => format!("the tables of `{store}` have version {version}, not {NEWEST}"),
    };
    Err(Fault::usage("BOT-6119", message).hint("run `botops db migrate`"))
}

/// Checks that the tables of `store` are not newer than this botops knows.
///
/// # Errors
/// `BOT-6118` (exit 6).
pub(crate) fn refuse_newer(version: i64, store: &str) -> Result<()> {
    if version <= NEWEST {
        return Ok(());
    }
    let message = format!(
        "the tables of `{store}` have version {version}, but this botops knows up to {NEWEST}"
    );
    Err(Fault::policy("BOT-6118", message)
        .hint("use a newer botops, or its `botops db rollback` to go back"))
}

/// Returns the migrations that lead from `version` up to `target`.
pub(crate) fn upwards(all: &[Migration], version: i64, target: i64) -> Vec<Migration> {
    all.iter().filter(|step| step.version > version && step.version <= target).copied().collect()
}

/// Returns the migrations whose ways back lead from `version` down to `target`, the last first.
pub(crate) fn downwards(all: &[Migration], version: i64, target: i64) -> Vec<Migration> {
    let passed = |step: &&Migration| step.version <= version && step.version > target;
    all.iter().rev().filter(passed).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_counts_up_to_the_newest_version() {
        for all in [SQLITE_TURNS, SQLITE_KEYS, POSTGRES] {
            let versions: Vec<i64> = all.iter().map(|step| step.version).collect();
            assert_eq!(versions, (1..=NEWEST).collect::<Vec<_>>());
            assert!(all.iter().all(|step| !step.up.is_empty() && !step.down.is_empty()));
        }
    }

    #[test]
    fn steps_lead_up_and_back() {
        let step = |version| Migration { version, name: "x", up: "up", down: "down" };
        let all = [step(1), step(2), step(3)];
        let versions =
            |steps: Vec<Migration>| steps.iter().map(|step| step.version).collect::<Vec<_>>();
        assert_eq!(versions(upwards(&all, 0, 3)), [1, 2, 3]);
        assert_eq!(versions(upwards(&all, 1, 2)), [2]);
        assert_eq!(versions(downwards(&all, 3, 1)), [3, 2]);
        assert_eq!(versions(downwards(&all, 0, 0)), [0; 0]);
    }
}
