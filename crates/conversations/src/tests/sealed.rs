//! Texts under keys of persons.

use super::{
    conversations, data_key, files_with,
    racing::{all, say},
    sqlite,
};
use std::path::Path;

/// Copies the files of a folder, as a backup does.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasing_a_key_makes_the_copies_in_older_backups_unreadable() {
    let (live, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = data_key("k", 7);
    let of = conversations(sqlite(live.path()).await, Some(&key));
    say(&of, "c", "my secret order is 20447", None).await;
    say(&of, "d", "another conversation", None).await;
    of.store.scrub().await.unwrap();
    assert_eq!(files_with(live.path(), "secret order"), [""; 0], "sealed");
    // Turns are backed up; keys are backed up in their newest state only.
    copy(&live.path().join("store"), &backup.path().join("store"));
    of.store.erase(&[of.named("c", None).conversation]).await.unwrap();
    of.store.scrub().await.unwrap();
    for file in ["keys.sqlite", "keys.sqlite-wal", "keys.sqlite-shm"] {
        let _ = std::fs::remove_file(backup.path().join("store").join(file));
    }
    std::fs::copy(live.path().join("store/keys.sqlite"), backup.path().join("store/keys.sqlite"))
        .unwrap();
    let restored = conversations(sqlite(backup.path()).await, Some(&key));
    let conversation = restored.named("c", None).conversation;
    let row = restored.store.last(conversation).await.unwrap().expect("the turn is in the copy");
    assert!(restored.read(row).await.unwrap().turn.is_none(), "and nobody can read it");
    assert_eq!(all(&restored, "d").await.len(), 1, "the others can be read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_does_not_write_under_a_key_that_another_erased() {
    let folder = tempfile::tempdir().unwrap();
    let key = data_key("k", 7);
    let a = conversations(sqlite(folder.path()).await, Some(&key));
    let b = conversations(sqlite(folder.path()).await, Some(&key));
    say(&a, "c", "one", None).await;
    say(&a, "c", "two", None).await;
    b.store.erase(&[b.named("c", None).conversation]).await.unwrap();
    // As many turns as the other replica remembers, under a new key.
    say(&b, "c", "three", None).await;
    say(&b, "c", "four", None).await;
    let five = say(&a, "c", "five", None).await;
    assert_eq!(five.slots["count"], 3);
    let texts: Vec<String> = all(&b, "c").await.into_iter().map(|turn| turn.text).collect();
    assert_eq!(texts, ["three", "four", "five"], "all of it can be read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_data_key_wraps_the_keys_of_persons_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(folder.path()).await;
    let (one, two) = (data_key("k1", 7), data_key("k2", 8));
    say(&conversations(store.clone(), Some(&one)), "c", "hello", None).await;
    let only_new = conversations(store.clone(), Some(&two));
    let named = only_new.named("c", None);
    assert_eq!(only_new.head(&named).await.unwrap_err().code(), "BOT-6117");
    assert_eq!(only_new.rewrap(false).await.unwrap_err().code(), "BOT-6117");
    assert_eq!(only_new.check_keys().await.unwrap_err().code(), "BOT-6117");
    let same_id = conversations(store.clone(), Some(&data_key("k1", 9)));
    assert_eq!(same_id.check_keys().await.unwrap_err().code(), "BOT-6123");
    let none = conversations(store.clone(), None);
    assert_eq!(none.check_keys().await.unwrap_err().code(), "BOT-6117");
    let both = conversations(store.clone(), Some(&format!("{two},{one}")));
    both.check_keys().await.unwrap();
    say(&both, "c", "again", None).await;
    assert_eq!(both.rewrap(true).await.unwrap(), 1);
    assert_eq!(both.rewrap(false).await.unwrap(), 1);
    assert_eq!(both.rewrap(false).await.unwrap(), 0);
    assert_eq!(all(&conversations(store.clone(), Some(&two)), "c").await.len(), 2);
    let fault = conversations(store, None).head(&named).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6117", 2));
}
