//! Keys over their life, and their log in a store.

use super::*;
use crate::{KeyAct, KeyLog, KeySpec, Lifetime, NewKey, Writing};
use botops_store::Store;
use std::str::FromStr as _;

fn day(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(n * 86_400, 0).unwrap()
}

fn act(at: DateTime<Utc>) -> KeyAct {
    let by = Identity::new(IdentityKind::Claimed, "ada@laptop");
    KeyAct { by, reason: "a test".to_owned(), at }
}

fn spec(name: &str, days: Option<i64>) -> KeySpec {
    let scopes = vec![Scope::Read, Scope::Operate];
    KeySpec { name: name.to_owned(), scopes, lifetime: days.map(TimeDelta::days) }
}

async fn created(log: &mut KeyLog, name: &str, days: Option<i64>) -> NewKey {
    log.create(&spec(name, days), &act(day(0)), Writing::Real).await.unwrap().1.unwrap()
}

#[tokio::test]
async fn a_key_is_accepted_from_its_creation_to_its_expiry() {
    let mut log = KeyLog::open(&Store::in_memory(), "test").unwrap();
    let key = created(&mut log, "ci", Some(90)).await;
    let found = log.keys().verify(key.expose(), day(89)).unwrap();
    assert_eq!(found.identity, Identity::new(IdentityKind::Key, "ci"));
    assert_eq!(found.scopes, Scopes::from([Scope::Read, Scope::Operate]));
    let expired = Refused::Expired { name: "ci".to_owned(), at: day(90) };
    assert_eq!(log.keys().verify(key.expose(), day(90)).unwrap_err(), expired);
    assert_eq!(log.keys().get("ci").unwrap().state(day(90)), KeyState::Expired);
    assert!(log.keys().has_administrator(day(1)) && !log.keys().has_administrator(day(90)));
}

#[tokio::test]
async fn another_secret_with_the_right_id_learns_nothing_of_the_key() {
    let mut log = KeyLog::open(&Store::in_memory(), "test").unwrap();
    let key = created(&mut log, "ci", Some(1)).await;
    let other = NewKey::random().unwrap();
    let secret = other.expose().rsplit_once('_').unwrap().1;
    let forged = format!("botops_{}_{secret}", key.id);
    for presented in [forged.as_str(), other.expose(), &key.id, ""] {
        // The key is expired by then, and only its holder learns that.
        assert_eq!(log.keys().verify(presented, day(5)), Err(Refused::WrongToken), "{presented}");
    }
}

#[tokio::test]
async fn after_a_rotation_the_old_secret_is_accepted_for_the_grace_period() {
    let mut log = KeyLog::open(&Store::in_memory(), "test").unwrap();
    let first = created(&mut log, "ci", Some(90)).await;
    let rotate = (Lifetime::AsBefore, TimeDelta::days(1));
    let (key, second) = log.rotate("ci", rotate, &act(day(80)), Writing::Real).await.unwrap();
    let second = second.unwrap();
    assert_eq!(
        key.newest().expires_at,
        Some(day(170)),
        "the new secret lives as long as the first"
    );
    log.keys().verify(first.expose(), day(80)).unwrap();
    log.keys().verify(second.expose(), day(100)).unwrap();
    let replaced = Refused::Replaced { name: "ci".to_owned(), at: day(81) };
    assert_eq!(log.keys().verify(first.expose(), day(81)), Err(replaced.clone()));
    // A second rotation does not lengthen the grace period of the first secret.
    let rotate = (Lifetime::Of(TimeDelta::days(5)), TimeDelta::days(30));
    log.rotate("ci", rotate, &act(day(81)), Writing::Real).await.unwrap();
    assert_eq!(log.keys().verify(first.expose(), day(82)), Err(replaced));
    log.keys().verify(second.expose(), day(100)).unwrap();
    assert_eq!(log.keys().get("ci").unwrap().newest().expires_at, Some(day(86)));
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_its_name_is_not_used_again() {
    let mut log = KeyLog::open(&Store::in_memory(), "test").unwrap();
    let key = created(&mut log, "ci", None).await;
    let rotate = (Lifetime::AsBefore, TimeDelta::days(1));
    let second = log.rotate("ci", rotate, &act(day(1)), Writing::Real).await.unwrap().1.unwrap();
    log.revoke("ci", &act(day(1)), Writing::Real).await.unwrap();
    for secret in [&key, &second] {
        let revoked = Refused::Revoked { name: "ci".to_owned(), at: day(1) };
        assert_eq!(log.keys().verify(secret.expose(), day(1)), Err(revoked));
    }
    let fault = log.create(&spec("ci", None), &act(day(2)), Writing::Real).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1042", 5));
    for name in ["ci", "other"] {
        let fault = log.revoke(name, &act(day(2)), Writing::Real).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1043", 2));
        let fault = log.rotate(name, rotate, &act(day(2)), Writing::Real).await.unwrap_err();
        assert_eq!(fault.code(), "BOT-1043");
    }
}

#[tokio::test]
async fn a_key_does_not_get_the_name_of_the_shared_token_the_socket_or_the_server() {
    let store = Store::in_memory();
    let mut log = KeyLog::open(&store, "test").unwrap();
    for name in ["admin", "root", "botops", "Admin", "BOTOPS"] {
        for writing in [Writing::Dry, Writing::Real] {
            let fault = log.create(&spec(name, None), &act(day(0)), writing).await.unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1041", 2), "{name}");
            assert!(fault.message().contains(&format!("`{name}`")), "{fault}");
            assert!(fault.hints()[0].contains("`admin`, `root`, `botops`"), "{fault}");
        }
    }
    assert!(log.last().is_none(), "nothing was written");
    created(&mut log, "admin-ada", None).await;

    // A key of a log that is older than the rule still works, and can be revoked.
    let key = NewKey::random().unwrap();
    let event = KeyEvent {
        schema: SCHEMA.to_owned(),
        at: day(0),
        by: Identity::new(IdentityKind::Claimed, "ada@laptop"),
        name: "admin".to_owned(),
        reason: String::new(),
        action: KeyAction::Created {
            id: key.id.clone(),
            hash: key.hash,
            scopes: BTreeSet::from(["read".to_owned()]),
            expires_at: None,
        },
    };
    store.log::<KeyEvent>("access/test/log").append(log.last(), event).await.unwrap();
    log.revoke("admin", &act(day(1)), Writing::Real).await.unwrap();
}

#[tokio::test]
async fn a_key_is_not_revoked_without_a_reason() {
    let mut log = KeyLog::open(&Store::in_memory(), "test").unwrap();
    let key = created(&mut log, "ci", None).await;
    for reason in ["", " \n"] {
        let act = KeyAct { reason: reason.to_owned(), ..act(day(1)) };
        for writing in [Writing::Dry, Writing::Real] {
            let fault = log.revoke("ci", &act, writing).await.unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1034", 2), "{reason:?}");
            assert!(fault.message().contains("needs a reason"), "{fault}");
        }
    }
    log.keys().verify(key.expose(), day(1)).unwrap();
}

#[tokio::test]
async fn a_dry_run_makes_the_same_checks_and_writes_nothing() {
    let store = Store::in_memory();
    let mut log = KeyLog::open(&store, "test").unwrap();
    let (key, secret) = log.create(&spec("ci", Some(1)), &act(day(0)), Writing::Dry).await.unwrap();
    assert!(secret.is_none() && key.newest().expires_at == Some(day(1)));
    assert!(store.objects("access", None).await.unwrap().is_empty());
    created(&mut log, "ci", None).await;
    for writing in [Writing::Dry, Writing::Real] {
        for (bad, code) in
            [("", "BOT-1041"), ("-a", "BOT-1041"), ("a b", "BOT-1041"), ("ci", "BOT-1042")]
        {
            let refused = log.create(&spec(bad, None), &act(day(0)), writing).await;
            assert_eq!(refused.unwrap_err().code(), code, "{bad:?}");
        }
        for days in [0, -1, i64::MAX / 90_000_000] {
            let spec = spec("other", Some(days));
            let refused = log.create(&spec, &act(day(0)), writing).await;
            assert_eq!(refused.unwrap_err().code(), "BOT-1041", "{days}");
        }
        let none = KeySpec { scopes: Vec::new(), ..spec("other", None) };
        assert_eq!(log.create(&none, &act(day(0)), writing).await.unwrap_err().code(), "BOT-1041");
    }
}

#[tokio::test]
async fn the_log_holds_no_secret_and_is_followed_by_others() {
    let store = Store::in_memory();
    let (mut ours, mut theirs) =
        (KeyLog::open(&store, "test").unwrap(), KeyLog::open(&store, "test").unwrap());
    assert!(!theirs.refresh().await.unwrap());
    let first = created(&mut ours, "ci", None).await;
    assert!(theirs.refresh().await.unwrap());
    theirs.keys().verify(first.expose(), day(1)).unwrap();
    let second = created(&mut theirs, "bot", None).await;
    // This append meets the entry of the other writer, reads it and goes after it.
    ours.revoke("ci", &act(day(1)), Writing::Real).await.unwrap();
    ours.keys().verify(second.expose(), day(1)).unwrap();
    theirs.refresh().await.unwrap();
    theirs.keys().verify(first.expose(), day(1)).unwrap_err();
    for path in store.objects("access", None).await.unwrap() {
        let bytes = store.read(&path).await.unwrap().unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        for key in [&first, &second] {
            let secret = key.expose().rsplit_once('_').unwrap().1;
            assert!(!text.contains(secret), "{path}");
        }
        assert!(text.contains("\"schema\":\"botops.access/1\""), "{text}");
    }
    let elsewhere = KeyLog::open(&store, "production").unwrap();
    assert!(elsewhere.keys().iter().next().is_none());
    for bad in ["", "..", "a/b", "a\\b"] {
        assert_eq!(KeyLog::open(&store, bad).err().unwrap().code(), "BOT-1041", "{bad}");
    }
}

#[tokio::test]
async fn entries_of_a_newer_botops_and_entries_that_contradict_each_other_are_refused() {
    let event = KeyEvent {
        schema: SCHEMA.to_owned(),
        at: day(0),
        by: Identity::new(IdentityKind::Claimed, "eve"),
        name: "ci".to_owned(),
        reason: String::new(),
        action: KeyAction::Revoked,
    };
    for (event, code, exit) in [
        (event.clone(), "BOT-1044", 3),
        (KeyEvent { schema: "botops.access/2".to_owned(), ..event.clone() }, "BOT-1045", 6),
        (KeyEvent { action: KeyAction::Unknown, ..event.clone() }, "BOT-1045", 6),
    ] {
        let store = Store::in_memory();
        let mut log = KeyLog::open(&store, "test").unwrap();
        let key = created(&mut log, "bot", None).await;
        store.log("access/test/log").append(log.last(), event).await.unwrap();
        let fault = log.refresh().await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), (code, exit), "{fault}");
        log.keys().verify(key.expose(), day(0)).unwrap();
    }
}

#[test]
fn a_scope_or_change_of_a_newer_botops_is_read_and_grants_nothing() {
    let hash = Digest::from_str(&Digest::of(b"x").to_string()).unwrap();
    let json = serde_json::json!({
        "schema": SCHEMA, "at": "2026-11-30T00:00:00Z", "name": "ci",
        "by": {"name": "ada", "kind": "claimed"},
        "action": {"action": "created", "id": "a", "hash": hash, "scopes": ["read", "fly"], "expires_at": null},
    });
    let event: KeyEvent = serde_json::from_value(json).unwrap();
    let mut keys = Keys::default();
    keys.apply(&event).unwrap();
    assert_eq!(keys.get("ci").unwrap().known_scopes(), Scopes::from([Scope::Read]));
    let action: KeyAction = serde_json::from_str(r#"{"action": "lent", "to": "bob"}"#).unwrap();
    assert_eq!(action, KeyAction::Unknown);
}
