//! Tests of whole backups, in stores on disk. A command that is killed is one whose future is dropped between two of its
//! steps; each read or write of a store is at least one.

mod killed;
mod protection;

use crate::{
    ApplyErasures, Created, EXPERIMENTS, Erased, KeyText, Keys, REGISTRY, Restored, Retention,
    Sources, Targets, Wishes, create, header, headers, live_erasures, new_identity, plan, prune,
    restore, verify,
};
use botops_conversations::{Id, Location, Row, WrappedKey};
use botops_findings::Result;
use botops_store::{Erasure, ErasureSubject, Store};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    future::Future,
    path::PathBuf,
    pin::pin,
    task::{Context, Poll},
};

/// No prediction log and no model.
struct Nothing;

impl ApplyErasures for Nothing {
    async fn predictions(&mut self, _: &Store, _: &Erased) -> Result<()> {
        Ok(())
    }

    async fn messages(&mut self, _: &Store, _: &Erased) -> Result<()> {
        Ok(())
    }

    async fn versions(&mut self, _: &Store, _: &Erasure) -> Result<()> {
        Ok(())
    }
}

/// A live store, a store of backups, and places to restore into.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self, name: &str) -> Store {
        Store::open(&self.path(name).display().to_string(), &BTreeMap::new()).unwrap()
    }

    fn conversations(&self, name: &str) -> Location {
        Location::parse(name, self.0.path()).unwrap()
    }

    fn sources(&self, conversations: bool) -> Sources {
        let mut stores = vec![(REGISTRY.to_owned(), self.store("live"))];
        if self.path("live-experiments").exists() {
            stores.push((EXPERIMENTS.to_owned(), self.store("live-experiments")));
        }
        Sources {
            stores,
            conversations: conversations.then(|| self.conversations("live-conversations")),
            new_registry: false,
            unencrypted: false,
        }
    }

    async fn create(&self, hour: u32, keys: &Keys) -> Created {
        let name = format!("{hour:08}");
        let has_turns = self.path("live-conversations").exists();
        let sources = self.sources(has_turns);
        create(&self.store("backups"), &sources, keys, (at(hour), &name, false)).await.unwrap()
    }

    fn targets(&self, name: &str, conversations: bool) -> Targets {
        let store = self.store(&format!("{name}/registry"));
        let mut stores = BTreeMap::from([(REGISTRY.to_owned(), store)]);
        if self.path("live-experiments").exists() {
            stores.insert(EXPERIMENTS.to_owned(), self.store(&format!("{name}/experiments")));
        }
        Targets {
            stores,
            conversations: conversations
                .then(|| self.conversations(&format!("{name}/conversations"))),
        }
    }

    async fn restore(&self, into: &str, keys: &Keys, as_of: Option<u32>) -> Result<Restored> {
        let from = self.store("backups");
        let header = header(&from, None).await?;
        let live = self.store("live");
        let erasures = Some((live.url().to_owned(), live_erasures(&live, Some(&header)).await?));
        let wishes = Wishes { at: as_of.map(at), erasures, dry_run: false };
        let targets = self.targets(into, header.conversations.is_some());
        restore(&from, &header, keys, (&targets, &wishes), &mut Nothing).await
    }
}

fn at(hour: u32) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(i64::from(hour))
}

/// Returns bytes that do not pack well and do not repeat.
fn noise(n: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Fills the live store: logs, blobs, a large one and an empty object.
async fn fill(place: &Place) {
    let store = place.store("live");
    for (n, hour) in [(1, 1), (2, 3), (3, 5)] {
        let model = json!({"at": at(hour), "action": {"action": "registered"}, "n": n});
        append(&store, "models/bot/log", model).await;
        append(&store, "deployments/production/log", json!({"at": at(hour), "n": n})).await;
    }
    store.put_blob(noise(3_000_000, 7).into()).await.unwrap();
    store.put_blob(noise(2_000, 8).into()).await.unwrap();
    store.create("heartbeats/empty", Vec::new().into()).await.unwrap();
}

async fn append(store: &Store, log: &str, payload: Value) {
    let log = store.log::<Value>(log);
    let last = log.entries().await.unwrap().pop();
    log.append(last.as_ref(), payload).await.unwrap();
}

/// Returns the objects of a store with their bytes, without its identity.
async fn content(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in store.objects("", None).await.unwrap() {
        if !path.starts_with("probes/") {
            let bytes = store.read(&path).await.unwrap().unwrap();
            found.insert(path, bytes.to_vec());
        }
    }
    found
}

fn keys_of(identity: &str) -> Keys {
    Keys::parse(None, Some(KeyText { source: "key", text: identity })).unwrap()
}

/// Polls `future` at most `steps` times while it waits, then drops it: `None`.
async fn killed_after<T>(steps: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = steps;
    std::future::poll_fn(move |context: &mut Context<'_>| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn a_backup_is_restored_byte_for_byte_and_the_next_one_stores_only_what_is_new() {
    let place = Place::new();
    fill(&place).await;
    let (identity, _) = new_identity();
    for keys in [Keys::default(), keys_of(&identity)] {
        let first = place.create(10, &keys).await;
        assert_eq!((first.header.objects, first.read), (9, 9));
        assert_eq!(first.header.encrypted, keys.encrypts());
        append(&place.store("live"), "models/bot/log", json!({"at": at(11)})).await;
        let second = place.create(11, &keys).await;
        assert_eq!((second.header.objects, second.read), (10, 1));
        assert!(second.new_bytes < 5_000, "{}", second.new_bytes);
        let (target, sources) = (place.store("backups"), place.sources(false));
        let dry = create(&target, &sources, &keys, (at(12), "dry", true));
        assert_eq!(dry.await.unwrap().read, 0);
        let found = headers(&place.store("backups")).await.unwrap();
        assert_eq!(found.len(), 2, "a dry run stores nothing");
        let restored = place.restore("new", &keys, None).await.unwrap();
        assert_eq!((restored.objects, restored.erasures), (10, 0));
        assert_eq!(
            content(&place.store("new/registry")).await,
            content(&place.store("live")).await
        );
        place.store("new/registry").identify().await.unwrap();
        let again = place.restore("new", &keys, None).await.unwrap_err();
        assert_eq!((again.code(), again.kind().exit_code()), ("BOT-5110", 5));
        for name in ["new", "backups"] {
            fs::remove_dir_all(place.path(name)).unwrap();
        }
        let last = place.path("live/models/bot/log/00000000000000000004.json");
        fs::remove_file(last).unwrap();
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_newer_format_change_nothing() {
    let place = Place::new();
    fill(&place).await;
    let ((identity, _), (other, _)) = (new_identity(), new_identity());
    let made = place.create(10, &keys_of(&identity)).await;
    for (keys, code) in [(keys_of(&other), "BOT-5103"), (Keys::default(), "BOT-5103")] {
        let fault = place.restore("new", &keys, None).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), (code, 2));
        let header = header(&place.store("backups"), None).await.unwrap();
        assert_eq!(verify(&place.store("backups"), &header, &keys).await.unwrap_err().code(), code);
        assert!(!place.path("new").exists());
    }
    let path = place.path("backups/backups").join(format!("{}.json", made.header.id));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("botops.backup/1", "botops.backup/9")).unwrap();
    let fault = place.restore("new", &keys_of(&identity), None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5101", 6));
    let all = headers(&place.store("backups")).await.unwrap();
    assert!(all[0].1.is_err());
    // Nobody knows which chunks it needs, so none is removed.
    let before = content(&place.store("backups")).await;
    let fault = prune(&place.store("backups"), &[], ("p", false)).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5101");
    assert_eq!(content(&place.store("backups")).await, before);
}

#[tokio::test]
async fn every_damaged_or_missing_chunk_is_reported_and_nothing_of_it_is_served() {
    let place = Place::new();
    fill(&place).await;
    let keys = Keys::default();
    place.create(10, &keys).await;
    let backups = place.store("backups");
    let header = header(&backups, None).await.unwrap();
    assert_eq!(verify(&backups, &header, &keys).await.unwrap().damaged, 0);
    for chunk in backups.objects("chunks", None).await.unwrap() {
        let path = place.path("backups").join(&chunk);
        let bytes = fs::read(&path).unwrap();
        for damage in 0..3 {
            let mut damaged = bytes.clone();
            match damage {
                0 => damaged[bytes.len() / 2] ^= 1,
                1 => damaged.truncate(bytes.len() / 2),
                _ => {}
            }
            fs::remove_file(&path).unwrap();
            if damage < 2 {
                fs::write(&path, &damaged).unwrap();
            }
            match verify(&backups, &header, &keys).await {
                Ok(verified) => {
                    assert!(verified.damaged > 0 && !verified.problems.is_empty(), "{chunk}");
                }
                Err(fault) => assert_eq!(fault.code(), "BOT-5100", "{chunk}"),
            }
            let fault = place.restore("new", &keys, None).await.unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5100", 3), "{chunk}");
            if place.path("new/registry").exists() {
                let refused = place.store("new/registry").complete().await.err().unwrap();
                assert_eq!(refused.code(), "BOT-5113");
                fs::remove_dir_all(place.path("new")).unwrap();
            }
            fs::write(&path, &bytes).unwrap();
        }
    }
    place.restore("new", &keys, None).await.unwrap();
    // A chunk that was removed is stored again by the next backup.
    let chunk = backups.objects("chunks", None).await.unwrap().remove(0);
    fs::remove_file(place.path("backups").join(chunk)).unwrap();
    place.create(11, &keys).await;
    let header = crate::header(&backups, None).await.unwrap();
    assert_eq!(verify(&backups, &header, &keys).await.unwrap().damaged, 0);
}

/// Returns a name that stands for `n`.
fn id(n: u128) -> Id {
    Id::from_bytes(&n.to_be_bytes()).unwrap()
}

/// Stores a turn of a conversation, with the key of its person.
async fn say(location: &Location, conversation: u128, person: u128, number: i64, hour: u32) {
    let store = location.open(true).await.unwrap();
    let turn = |number: i64| id(conversation * 1_000 + number.unsigned_abs() as u128);
    let row = Row {
        conversation: id(conversation),
        number,
        turn: turn(number),
        message: turn(number),
        person: Some(id(person)),
        at: at(hour).timestamp_millis(),
        open: false,
        body: format!("{{\"turn\":{number}}}").into_bytes(),
    };
    store.append(&row, (number > 0).then(|| turn(number - 1))).await.unwrap();
    let key = WrappedKey {
        person: id(person),
        conversation: id(conversation),
        key_id: "k".to_owned(),
        wrapped: vec![7; 60],
        at: row.at,
    };
    store.keep_key(&key).await.unwrap();
}

async fn erase(
    store: &Store,
    subject: ErasureSubject,
    name: Id,
    blobs: Vec<botops_digest::Digest>,
) {
    let erasure = Erasure {
        id: "ab".to_owned(),
        done: true,
        subject,
        names: vec![name.to_string()],
        conversations: Vec::new(),
        n_conversations: 1,
        turns: 1,
        keys: 1,
        predictions: 0,
        blobs,
        by: "ana".to_owned(),
        reason: "asked".to_owned(),
        at: at(12),
    };
    store.record_erasure(&erasure).await.unwrap();
}

/// Returns the conversations that have a turn, those that have a key, and the number of turns.
async fn persons(location: &Location) -> (BTreeSet<Id>, BTreeSet<Id>, usize) {
    let (mut turns, mut keys, mut n) = (BTreeSet::new(), BTreeSet::new(), 0);
    location
        .export(async |rows| {
            match rows {
                botops_conversations::Rows::Turns(rows) => {
                    n += rows.len();
                    turns.extend(rows.iter().map(|row| row.conversation));
                }
                botops_conversations::Rows::Keys(found) => {
                    keys.extend(found.iter().map(|key| key.conversation));
                }
            }
            Ok(())
        })
        .await
        .unwrap();
    (turns, keys, n)
}

#[tokio::test]
async fn what_was_erased_after_the_backup_does_not_come_back() {
    let place = Place::new();
    fill(&place).await;
    let live = place.conversations("live-conversations");
    for (conversation, person) in [(1, 11), (2, 12), (3, 13)] {
        for number in 0..3 {
            say(&live, conversation, person, number, 8 + number as u32).await;
        }
    }
    // The first turn of this conversation is of another person than the second one.
    say(&live, 4, 14, 0, 8).await;
    say(&live, 4, 12, 1, 9).await;
    erase(&place.store("live"), ErasureSubject::Conversation, id(99), Vec::new()).await;
    let keys = Keys::default();
    let made = place.create(10, &keys).await;
    let copied = made.header.conversations.unwrap();
    assert_eq!((copied.conversations, copied.turns, copied.keys), (4, 11, 5));
    let blob = botops_digest::Digest::of(&noise(2_000, 8));
    erase(&place.store("live"), ErasureSubject::Conversation, id(1), Vec::new()).await;
    erase(&place.store("live"), ErasureSubject::Person, id(12), Vec::new()).await;
    erase(&place.store("live"), ErasureSubject::Utterance, id(98), vec![blob]).await;

    let restored = place.restore("new", &keys, None).await.unwrap();
    assert_eq!(restored.erasures, 3);
    let (turns, found_keys, n) = persons(&place.conversations("new/conversations")).await;
    assert_eq!((turns, n), ([id(3)].into(), 3));
    assert_eq!(found_keys, [id(3)].into());
    let store = place.store("new/registry");
    assert_eq!(store.blob(&blob).await.unwrap_err().code(), "BOT-5130", "erased, not missing");
    let again = store.put_blob(noise(2_000, 8).into()).await.unwrap_err();
    assert_eq!(again.code(), "BOT-5131");
    assert_eq!(store.erasures().await.unwrap().len(), 4, "the log goes on");

    // A log that is lost, shorter than that of the backup, or of another store.
    fs::rename(place.path("live"), place.path("gone")).unwrap();
    let fault = place.restore("other", &keys, None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5111", 6));
    append(&place.store("live"), "models/bot/log", json!({"at": at(1)})).await;
    let fault = place.restore("other", &keys, None).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5111");
    assert!(!place.path("other").exists());
}

#[tokio::test]
async fn a_key_that_was_erased_opens_no_older_backup() {
    let place = Place::new();
    fill(&place).await;
    let live = place.conversations("live-conversations");
    say(&live, 1, 11, 0, 8).await;
    say(&live, 2, 12, 0, 8).await;
    let keys = Keys::default();
    let old = place.create(10, &keys).await;
    let store = live.open(false).await.unwrap();
    store.erase(&[id(1)]).await.unwrap();
    erase(&place.store("live"), ErasureSubject::Conversation, id(1), Vec::new()).await;
    place.create(11, &keys).await;
    let backups = place.store("backups");
    assert_eq!(backups.objects("person_keys", None).await.unwrap().len(), 1);
    let wishes = Wishes { at: None, erasures: None, dry_run: false };
    let targets = place.targets("old", true);
    restore(&backups, &old.header, &keys, (&targets, &wishes), &mut Nothing).await.unwrap();
    let (turns, found_keys, _) = persons(&place.conversations("old/conversations")).await;
    assert_eq!(turns.len(), 2, "its turns are sealed for good");
    assert_eq!(found_keys, [id(2)].into());
}

#[tokio::test]
async fn a_store_is_restored_as_it_was_at_a_time() {
    let place = Place::new();
    fill(&place).await;
    let live = place.conversations("live-conversations");
    for number in 0..4 {
        say(&live, 1, 11, number, 1 + number as u32).await;
    }
    append(&place.store("live"), "access/production/log", json!({"at": at(9)})).await;
    let keys = Keys::default();
    place.create(10, &keys).await;
    let restored = place.restore("new", &keys, Some(3)).await.unwrap();
    assert_eq!(restored.logs_cut, 2);
    let store = place.store("new/registry");
    for log in ["models/bot/log", "deployments/production/log"] {
        assert_eq!(store.log::<Value>(log).entries().await.unwrap().len(), 2, "{log}");
    }
    let access = store.log::<Value>("access/production/log").entries().await.unwrap();
    assert_eq!(access.len(), 1, "a key that was revoked since stays revoked");
    assert_eq!(persons(&place.conversations("new/conversations")).await.2, 3);
}

#[tokio::test]
async fn old_backups_are_removed_with_the_chunks_that_no_other_needs() {
    let place = Place::new();
    fill(&place).await;
    let keys = Keys::default();
    let live = place.store("live");
    for day in 0..10 {
        live.put_blob(noise(20_000, 100 + day).into()).await.unwrap();
        place.create(24 * day as u32, &keys).await;
        place.create(24 * day as u32 + 1, &keys).await;
    }
    let backups = place.store("backups");
    let all: Vec<_> =
        headers(&backups).await.unwrap().into_iter().map(|(_, it)| it.unwrap()).collect();
    let none = Retention { daily: 0, weekly: 0, monthly: 0 };
    assert_eq!(plan(&all, none).unwrap_err().code(), "BOT-5114");
    let planned = plan(&all, Retention { daily: 3, weekly: 2, monthly: 1 }).unwrap();
    let kept: Vec<_> = planned.keep.iter().map(|kept| &*kept.because).collect();
    assert_eq!(planned.keep.len() + planned.remove.len(), 20);
    assert_eq!(*kept.last().unwrap(), ["newest", "daily", "weekly", "monthly"]);
    assert!((3..=5).contains(&kept.len()), "{kept:?}");

    let before = content(&backups).await;
    let dry = prune(&backups, &planned.remove, ("p", true)).await.unwrap();
    assert_eq!(content(&backups).await, before, "a dry run removes nothing");
    // A backup that is being made keeps everything.
    backups.create("creating/x-000000", "x".into()).await.unwrap();
    let fault = prune(&backups, &planned.remove, ("p", false)).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5107", 5));
    backups.remove("creating/x-000000").await.unwrap();
    assert_eq!(content(&backups).await, before);
    // One that is killed has removed whole backups only.
    let mut steps = 0;
    while killed_after(steps, prune(&backups, &planned.remove, ("p", false))).await.is_none() {
        for (_, header) in headers(&backups).await.unwrap() {
            let header = header.unwrap();
            if planned.keep.iter().any(|kept| kept.id == header.id) {
                assert_eq!(verify(&backups, &header, &keys).await.unwrap().damaged, 0);
            }
        }
        for mark in backups.objects("pruning", None).await.unwrap() {
            backups.remove(&mark).await.unwrap();
        }
        steps += 40;
    }
    assert!(dry.chunks > 0 && dry.backups == planned.remove.len() as u64);
    let left: Vec<_> =
        headers(&backups).await.unwrap().into_iter().map(|(_, it)| it.unwrap()).collect();
    assert_eq!(left.len(), planned.keep.len());
    for header in &left {
        assert_eq!(verify(&backups, header, &keys).await.unwrap().damaged, 0);
    }
    let nothing = prune(&backups, &[], ("p", false)).await.unwrap();
    assert_eq!((nothing.backups, nothing.chunks), (0, 0));
}

#[tokio::test]
async fn a_backup_beside_writers_has_every_blob_that_its_logs_name() {
    let place = Place::new();
    fill(&place).await;
    let keys = Keys::default();
    let live = place.store("live");
    let writing = async {
        for n in 0..60_u64 {
            let blob = live.put_blob(noise(3_000, 1_000 + n).into()).await.unwrap();
            append(&live, "models/bot/log", json!({"at": at(2), "blob": blob})).await;
        }
    };
    let backing_up = async {
        for hour in 20..24 {
            place.create(hour, &keys).await;
        }
    };
    tokio::join!(writing, backing_up);
    let from = place.store("backups");
    for (n, (_, header)) in headers(&from).await.unwrap().into_iter().enumerate() {
        let into = format!("new{n}");
        let wishes = Wishes { at: None, erasures: None, dry_run: false };
        let targets = place.targets(&into, false);
        restore(&from, &header.unwrap(), &keys, (&targets, &wishes), &mut Nothing).await.unwrap();
        let store = place.store(&format!("{into}/registry"));
        for entry in store.log::<Value>("models/bot/log").entries().await.unwrap() {
            if let Some(blob) = entry.payload["blob"].as_str() {
                store.blob(&blob.parse().unwrap()).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_blob_of_the_live_store_is_named_and_left_out() {
    let place = Place::new();
    fill(&place).await;
    let blob = botops_store::blob_path(&botops_digest::Digest::of(&noise(2_000, 8)));
    fs::write(place.path("live").join(&blob), noise(2_000, 10)).unwrap();
    let made = place.create(10, &Keys::default()).await;
    assert_eq!((made.damaged, made.header.damaged, made.header.objects), (vec![blob], 1, 8));
}
