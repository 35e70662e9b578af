//! Versions of the tables.

use super::{conversations, racing::say};
use crate::Location;
use sqlx::{Connection as _, sqlite::SqliteConnection};

#[tokio::test]
async fn sqlite_goes_up_and_back_and_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse("store", folder.path()).unwrap();
    let status = location.schema().await.unwrap();
    assert_eq!((status.version, status.newest, status.steps.len()), (0, 1, 1));
    assert_eq!(location.open(false).await.err().unwrap().code(), "BOT-6126");
    let planned = location.migrate(true).await.unwrap();
    assert_eq!((planned.version, &*planned.steps), (0, &["1 turns".to_owned()][..]));
    assert!(!folder.path().join("store").exists(), "a dry run makes nothing");
    assert_eq!(location.migrate(false).await.unwrap().version, 1);
    assert_eq!(location.migrate(false).await.unwrap().steps, [""; 0], "again is harmless");
    say(&conversations(location.open(false).await.unwrap(), None), "c", "hello", None).await;
    let fault = location.rollback(0, false, true).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6127", 6));
    assert_eq!(location.rollback(0, false, false).await.unwrap_err().code(), "BOT-6127");
    assert_eq!(location.rollback(0, true, true).await.unwrap().erases, Some(1));
    assert_eq!(location.schema().await.unwrap().version, 1, "a dry run changes nothing");
    assert_eq!(location.rollback(0, true, false).await.unwrap().version, 0);
    assert_eq!(super::files_with(folder.path(), "hello"), [""; 0]);
    assert_eq!(location.schema().await.unwrap().version, 0);
    assert_eq!(location.open(false).await.err().unwrap().code(), "BOT-6119");
    assert_eq!(location.rollback(0, false, false).await.unwrap().steps, [""; 0]);
    assert_eq!(location.migrate(false).await.unwrap().version, 1);
    say(&conversations(location.open(false).await.unwrap(), None), "c", "hello", None).await;
}

#[tokio::test]
async fn newer_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse("store", folder.path()).unwrap();
    drop(location.open(true).await.unwrap());
    for file in ["keys.sqlite", "turns.sqlite"] {
        let url = format!("sqlite:{}", folder.path().join("store").join(file).display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let statement = "INSERT INTO botops_schema (version, name) VALUES (2, 'later')";
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let faults = [
            location.open(true).await.err().unwrap(),
            location.open(false).await.err().unwrap(),
            location.migrate(false).await.unwrap_err(),
            location.rollback(0, true, false).await.unwrap_err(),
        ];
        for fault in faults {
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6118", 6), "{file}");
        }
        assert_eq!(location.schema().await.unwrap().version, 2);
    }
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse("store", folder.path()).unwrap();
    say(&conversations(location.open(true).await.unwrap(), None), "c", "hello", None).await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("store")), 0o700);
    for entry in std::fs::read_dir(folder.path().join("store")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
