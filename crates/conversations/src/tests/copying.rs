//! Copies of whole stores: from SQLite to PostgreSQL and back, while turns are written, and never over another store.

use super::{
    conversations, data_key,
    racing::{all, say},
    servers::Postgres,
};
use crate::{Copied, Location, RowSource, Rows};
use botops_findings::{Fault, Result};
use std::{collections::VecDeque, path::Path};

/// Rows in memory; with a fault at the end if `is_cut`.
struct Held {
    rows: VecDeque<Rows>,
    is_cut: bool,
}

impl RowSource for Held {
    async fn next(&mut self) -> Result<Option<Rows>> {
        match (self.rows.pop_front(), self.is_cut) {
            (None, true) => Err(Fault::data("BOT-5100", "the backup ends here")),
            (rows, _) => Ok(rows),
        }
    }
}

async fn exported(location: &Location) -> (VecDeque<Rows>, Copied) {
    let mut rows = VecDeque::new();
    let copied = location
        .export(async |batch| {
            rows.push_back(batch);
            Ok(())
        })
        .await
        .unwrap();
    (rows, copied)
}

/// Stores turns of some conversations, and returns what a copy of them has.
async fn filled(location: &Location, key: &str) -> Copied {
    let of = conversations(location.open(true).await.unwrap(), Some(key));
    for turn in 0..7 {
        for conversation in ["c1", "c2", "c3"] {
            say(&of, conversation, &format!("message {turn}"), None).await;
        }
    }
    Copied { conversations: 3, turns: 21, keys: 3 }
}

/// Checks that a copy of `from` in `to` has the same turns, readable with the same keys, and that `to` is not written again.
async fn copy(from: &Location, to: &Location, key: &str) {
    let (rows, copied) = exported(from).await;
    let cut = to.import(&mut Held { rows: rows.clone(), is_cut: true }).await.unwrap_err();
    assert_eq!(cut.code(), "BOT-5100");
    to.check_empty().await.expect("nothing of a copy that was cut is there");
    assert_eq!(to.import(&mut Held { rows: rows.clone(), is_cut: false }).await.unwrap(), copied);
    assert_eq!(exported(to).await, (rows.clone(), copied));
    let again = to.import(&mut Held { rows, is_cut: false }).await.unwrap_err();
    assert_eq!((again.code(), again.kind().exit_code()), ("BOT-5110", 5));
    let [a, b] = [from, to].map(|location| location.open(false));
    let a = conversations(a.await.unwrap(), Some(key));
    let b = conversations(b.await.unwrap(), Some(key));
    assert_eq!(all(&a, "c2").await, all(&b, "c2").await);
    assert_eq!(all(&b, "c2").await.len(), 7);
}

#[tokio::test]
async fn a_copy_of_files_has_every_turn_of_one_moment_and_no_store_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| Location::parse(name, folder.path()).unwrap();
    let key = data_key("k", 7);
    let expected = filled(&at("a"), &key).await;
    assert_eq!(exported(&at("a")).await.1, expected);
    copy(&at("a"), &at("b"), &key).await;
    assert!(!folder.path().join(".b.restoring").exists());
    // What a killed restore left beside it does not count.
    std::fs::create_dir(folder.path().join(".c.restoring")).unwrap();
    std::fs::write(folder.path().join(".c.restoring/turns.sqlite"), "x").unwrap();
    copy(&at("a"), &at("c"), &key).await;
    // Turns that are written while the rows are read are not in the copy.
    let of = conversations(at("a").open(false).await.unwrap(), Some(&key));
    let mut turns = 0;
    at("a")
        .export(async |rows| {
            if let Rows::Turns(rows) = rows {
                turns += rows.len();
                say(&of, "c9", "meanwhile", None).await;
            }
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(turns, 21);
    for (other, code) in [("memory", "BOT-5112"), ("missing", "BOT-6126")] {
        let location = Location::parse(other, folder.path()).unwrap();
        assert_eq!(location.export(async |_| Ok(())).await.unwrap_err().code(), code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_from_files_to_a_database_and_back() {
    let Some(server) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| Location::parse(name, folder.path()).unwrap();
    let database = Location::parse(&server.url(), Path::new("/")).unwrap();
    let key = data_key("k", 7);
    filled(&at("a"), &key).await;
    assert_eq!(database.check_empty().await.unwrap_err().code(), "BOT-6119", "without tables");
    database.migrate(false).await.unwrap();
    copy(&at("a"), &database, &key).await;
    copy(&database, &at("b"), &key).await;
}
