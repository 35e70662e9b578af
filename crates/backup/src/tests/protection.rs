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
