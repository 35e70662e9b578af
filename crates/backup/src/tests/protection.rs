//! Tests of what a later backup, a lost store, or a forged one must not do to the backups that are there.

use super::*;

/// Restores the backup `id` without the log of erasures, and returns the conversations that have a key.
async fn restored_keys(place: &Place, (id, into): (&str, &str), keys: &Keys) -> BTreeSet<Id> {
    let from = place.store("backups");
    let header = header(&from, Some(id)).await.unwrap();
    let wishes = Wishes { at: None, erasures: None, dry_run: false };
    let targets = place.targets(into, true);
    restore(&from, &header, keys, (&targets, &wishes), &mut Nothing).await.unwrap();
    persons(&place.conversations(&format!("{into}/conversations"))).await.1
}

#[tokio::test]
async fn a_backup_of_an_emptied_database_leaves_the_keys_of_earlier_backups() {
    let (identity, recipient) = new_identity();
    let recipients = Some(KeyText { source: "r", text: &recipient });
    let sealing = Keys::parse(recipients, None).unwrap();
    let both = keys_of(&identity);
    for (writing, reading) in
        [(&Keys::default(), &Keys::default()), (&sealing, &both), (&both, &both)]
    {
        let place = Place::new();
        fill(&place).await;
        let live = place.conversations("live-conversations");
        for n in 1..=3 {
            say(&live, n, 10 + n, 0, 8).await;
        }
        let old = place.create(10, writing).await.header;
        fs::remove_dir_all(place.path("live-conversations")).unwrap();
        say(&live, 4, 14, 0, 9).await;
        place.create(11, writing).await;
        let found = restored_keys(&place, (&old.id, "old"), reading).await;
        assert!(found.is_superset(&[id(1), id(2), id(3)].into()), "{found:?}");
        let backups = place.store("backups");
        assert_eq!(verify(&backups, &old, reading).await.unwrap().damaged, 0);
        // What is erased goes, as far as this command can open it, and the rest stays.
        erase(&place.store("live"), ErasureSubject::Person, id(12), Vec::new()).await;
        let last = place.create(12, writing).await.header;
        let found = restored_keys(&place, (&old.id, "again"), reading).await;
        assert!(found.is_superset(&[id(1), id(3)].into()), "{found:?}");
        if writing.opens() || !writing.encrypts() {
            assert!(!found.contains(&id(2)), "{found:?}");
        }
        // The files that no kept backup needs go with the backups.
        let pruned = headers(&backups).await.unwrap().into_iter().map(|(id, _)| id);
        let pruned: Vec<_> = pruned.filter(|id| *id != last.id).collect();
        prune(&backups, &pruned, ("p", false)).await.unwrap();
        assert_eq!(backups.objects("person_keys", None).await.unwrap().len(), 1);
        assert_eq!(verify(&backups, &last, reading).await.unwrap().damaged, 0);
    }
}

#[tokio::test]
async fn missing_or_damaged_keys_of_persons_are_damage() {
    let place = Place::new();
    fill(&place).await;
    say(&place.conversations("live-conversations"), 1, 11, 0, 8).await;
    let keys = Keys::default();
    let made = place.create(10, &keys).await.header;
    let path = place.path("backups/person_keys").join(&made.id);
    let bytes = fs::read(&path).unwrap();
    let none = zstd::bulk::compress(b"", 3).unwrap();
    for damaged in [None, Some(bytes[..bytes.len() / 2].to_vec()), Some(none)] {
        match damaged {
            Some(damaged) => fs::write(&path, damaged).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let backups = place.store("backups");
        assert_eq!(verify(&backups, &made, &keys).await.unwrap().damaged, 1);
        let fault = place.restore("new", &keys, None).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5100", 3));
        assert!(!place.path("new").exists(), "nothing was written");
    }
    fs::write(&path, bytes).unwrap();
    place.restore("new", &keys, None).await.unwrap();
}

#[tokio::test]
async fn a_lost_or_another_registry_and_a_missing_key_make_no_backup() {
    let place = Place::new();
    fill(&place).await;
    let (identity, _) = new_identity();
    let keys = keys_of(&identity);
    let first = place.create(10, &keys).await.header;
    assert_eq!(first.registry, place.store("live").identity().await.unwrap());
    let backups = place.store("backups");
    let sources = |new_registry: bool, unencrypted: bool| Sources {
        new_registry,
        unencrypted,
        ..place.sources(false)
    };
    let none = Keys::default();
    let fault = create(&backups, &sources(true, false), &none, (at(11), "x", false)).await;
    let fault = fault.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5116", 2));
    fs::rename(place.path("live"), place.path("kept")).unwrap();
    for step in 0..3 {
        let live = place.store("live");
        match step {
            0 => {}
            1 => live.identify().await.unwrap(),
            _ => append(&live, "models/bot/log", json!({"at": at(1)})).await,
        }
        for dry_run in [true, false] {
            let given = sources(false, true);
            let made = create(&backups, &given, &keys, (at(11), "x", dry_run)).await;
            let fault = made.unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5115", 5), "{step}");
        }
        assert_eq!(headers(&backups).await.unwrap().len(), 1);
    }
    create(&backups, &sources(true, false), &keys, (at(11), "x", false)).await.unwrap();
    // From now on this one is known.
    place.create(12, &keys).await;
    create(&backups, &sources(false, true), &none, (at(13), "x", false)).await.unwrap();
    let plain = crate::header(&backups, None).await.unwrap();
    assert!(!plain.encrypted);
    // Nothing of the plain one becomes part of the next encrypted one.
    place.create(14, &keys).await;
    let sealed = crate::header(&backups, None).await.unwrap();
    assert_eq!(verify(&backups, &sealed, &keys).await.unwrap().damaged, 0);
}

#[test]
fn names_and_paths_outside_a_store_are_refused() {
    use crate::format::{FileEntry, Header, StoreEntry, Table};
    let digest = botops_digest::Digest::of(b"x");
    let header = |stores: &[&str]| Header {
        id: "x".to_owned(),
        created_at: at(1),
        registry: None,
        encrypted: false,
        stores: stores.iter().map(|it| (*it).to_owned()).collect(),
        objects: 0,
        bytes: 0,
        conversations: None,
        damaged: 0,
        table: digest,
        table_chunks: Vec::new(),
        chunks: Vec::new(),
    };
    assert!(Header::decode(&header(&["registry", "experiments"]).encode(), "x").is_ok());
    for stores in [vec!["../../evil"], vec!["registry", "registry"], vec!["registry", ""]] {
        let fault = Header::decode(&header(&stores).encode(), "x").unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5100", 3), "{stores:?}");
    }
    let is_plain = |paths: &[&str]| {
        let file = |path: &&str| FileEntry {
            path: (*path).to_owned(),
            size: 0,
            digest,
            written_at: at(1),
            pieces: Vec::new(),
        };
        let files = paths.iter().map(file).collect();
        let stores = vec![StoreEntry { name: REGISTRY.to_owned(), files }];
        Table { stores, ..Table::default() }.is_plain(&[REGISTRY.to_owned()])
    };
    assert!(is_plain(&["models/a/log/1", "models/b"]));
    let bad: [&[&str]; 7] = [
        &["../x"],
        &["/x"],
        &["a//b"],
        &["a/./b"],
        &["probes/proof.json"],
        &["a", "a"],
        &["a", "a/b"],
    ];
    for paths in bad {
        assert!(!is_plain(paths), "{paths:?}");
    }
}

#[tokio::test]
async fn a_registry_that_was_made_anew_does_not_know_the_erasures() {
    let place = Place::new();
    fill(&place).await;
    let keys = Keys::default();
    place.create(10, &keys).await;
    fs::rename(place.path("live"), place.path("kept")).unwrap();
    place.store("live").identify().await.unwrap();
    let fault = place.restore("new", &keys, None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5111", 6));
    assert!(!place.path("new").exists());
    fs::remove_dir_all(place.path("live")).unwrap();
    fs::rename(place.path("kept"), place.path("live")).unwrap();
    place.restore("new", &keys, None).await.unwrap();
}

/// Makes the file at `path` 6 GB long without using the disk.
fn grow(path: &std::path::Path) {
    fs::File::options().write(true).open(path).unwrap().set_len(6 << 30).unwrap();
}

#[tokio::test]
async fn objects_that_grew_beyond_any_backup_are_damage_and_are_not_read() {
    let place = Place::new();
    fill(&place).await;
    let keys = Keys::default();
    let made = place.create(10, &keys).await.header;
    let backups = place.store("backups");
    let chunk = backups.objects("chunks", None).await.unwrap().remove(0);
    grow(&place.path("backups").join(&chunk));
    let found = match verify(&backups, &made, &keys).await {
        Ok(verified) => verified.problems[0].message.clone(),
        Err(fault) => fault.message().to_owned(),
    };
    assert!(found.contains("larger than any chunk"), "{found}");
    grow(&place.path("backups/backups").join(format!("{}.json", made.id)));
    let fault = header(&backups, None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5100", 3));
    assert!(fault.message().contains("16 MiB"), "{fault}");
}
