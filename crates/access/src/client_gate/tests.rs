//! Keys, tokens and the shared token at the gate, without a server.

use super::*;
use crate::{
    Grants, Identity, IdentityKind, IssuerKeys, IssuerSpec, KeyAct, KeyLog, KeySpec, Keys,
    Lifetime, NewKey, TokenSecret, Writing,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use botops_store::Store;
use chrono::TimeDelta;
use serde_json::json;
use std::{path::Path, time::Duration};

const SECRET: &str = "the secret of the issuer, at least 256 bits";
const SHARED: &str = "the shared token of these tests, long enough";
/// The time of the tests, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

fn act(at: DateTime<Utc>) -> KeyAct {
    let by = Identity::new(IdentityKind::Claimed, "ada@laptop");
    KeyAct { by, reason: "a test".to_owned(), at }
}

async fn created(log: &mut KeyLog, name: &str, scopes: &[Scope], days: Option<i64>) -> NewKey {
    let lifetime = days.map(TimeDelta::days);
    let spec = KeySpec { name: name.to_owned(), scopes: scopes.to_vec(), lifetime };
    log.create(&spec, &act(now()), Writing::Real).await.unwrap().1.unwrap()
}

/// Signs a token of `claims` under `secret`.
fn token(claims: &serde_json::Value, secret: &str) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"alg":"HS256"}"#);
    let signed = format!("{header}.{}", encode(claims.to_string().as_bytes()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    format!("{signed}.{}", encode(ring::hmac::sign(&key, signed.as_bytes()).as_ref()))
}

fn claims(scope: &str) -> serde_json::Value {
    json!({"iss": "shop", "aud": "botops", "sub": "u-7", "exp": NOW + 600, "scope": scope})
}

fn gate(keys: &Keys, is_open: bool) -> ClientGate {
    let spec = IssuerSpec {
        issuer: "shop".to_owned(),
        audience: "botops".to_owned(),
        keys: IssuerKeys::Secret(TokenSecret::new(SECRET)),
        algorithms: Vec::new(),
        leeway: IssuerSpec::LEEWAY,
        grants: Grants::Claim("scope".to_owned()),
    };
    let live = LiveKeys::default();
    live.publish(Some(keys.clone()), Instant::now());
    ClientGate {
        is_open,
        keys: Some(Arc::new(live)),
        issuers: Some(Issuers::new("access.jwt", vec![spec], Path::new("/")).unwrap()),
        shared_token: Some(Digest::of(SHARED.as_bytes())),
        verified: TokenCache::default(),
    }
}

/// Checks a token as a server does.
async fn check(gate: &ClientGate, token: &str) -> Result<PublicCaller, Refused> {
    let sent = bearer(token);
    match gate.look(Some(&sent), now(), Instant::now())? {
        Looked::Caller(caller) => Ok(caller),
        Looked::Token(token) => gate.verify(token, now(), Instant::now()).await,
    }
}

#[tokio::test]
async fn a_key_is_checked_as_its_log_says() {
    let mut log = KeyLog::open(&Store::in_memory(), "test").unwrap();
    let shop = created(&mut log, "shop", &[Scope::Chat, Scope::Read], None).await;
    let short = created(&mut log, "short", &[Scope::Chat], Some(1)).await;
    let lost = created(&mut log, "lost", &[Scope::Chat], None).await;
    let first = created(&mut log, "turned", &[Scope::Predict], None).await;
    log.revoke("lost", &act(now()), Writing::Real).await.unwrap();
    let rotation = (Lifetime::AsBefore, TimeDelta::days(1));
    let (_, second) = log.rotate("turned", rotation, &act(now()), Writing::Real).await.unwrap();
    let second = second.unwrap();
    let gate = gate(log.keys(), false);
    let at = |key: &NewKey, days: i64| {
        let sent = bearer(key.expose());
        gate.look(Some(&sent), now() + TimeDelta::days(days), Instant::now()).map(|looked| {
            match looked {
                Looked::Caller(caller) => caller,
                Looked::Token(_) => panic!("a key is no token"),
            }
        })
    };
    let caller = at(&shop, 0).unwrap();
    assert_eq!((&*caller.id, caller.kind), ("shop", CallerKind::Key));
    assert_eq!(caller.scopes, ScopeSet::of(&[Scope::Chat, Scope::Read]));
    assert_eq!(&*at(&first, 0).unwrap().id, "turned");
    assert_eq!(&*at(&second, 9).unwrap().id, "turned");
    assert!(matches!(at(&first, 1), Err(Refused::Replaced { .. })));
    assert!(matches!(at(&short, 1), Err(Refused::Expired { .. })));
    assert!(matches!(at(&lost, 0), Err(Refused::Revoked { .. })));
    // The same check as that of the admin API, for every key at every time.
    for key in [&shop, &short, &lost, &first, &second] {
        for days in [0, 1, 9] {
            let admin = log.keys().verify(key.expose(), now() + TimeDelta::days(days));
            assert_eq!(at(key, days).err(), admin.err(), "{}", key.id);
        }
    }
    let forged = format!("botops_{}_{}", shop.id, "0".repeat(64));
    assert_eq!(check(&gate, &forged).await, Err(Refused::WrongToken));
}

#[tokio::test]
async fn keys_that_were_not_read_for_long_are_marked() {
    let mut log = KeyLog::open(&Store::in_memory(), "test").unwrap();
    let shop = created(&mut log, "shop", &[Scope::Chat], None).await;
    let (live, begun) = (LiveKeys::default(), Instant::now());
    let caller = |after: Duration| live.caller(shop.expose(), now(), begun + after);
    assert_eq!(caller(Duration::ZERO), Err(Refused::KeysUnread));
    assert!(live.is_unread() && live.is_old(begun));
    live.publish(Some(log.keys().clone()), begun);
    assert!(!caller(LiveKeys::STALE_AFTER - Duration::from_secs(1)).unwrap().by_old_key);
    assert!(caller(LiveKeys::STALE_AFTER).unwrap().by_old_key);
    // A read without news keeps the keys, and a read that began before the last one changes nothing.
    let later = begun + Duration::from_secs(100);
    live.publish(None, later);
    live.publish(Some(Keys::default()), begun);
    assert!(!caller(LiveKeys::STALE_AFTER).unwrap().by_old_key);
    assert!(!live.is_old(later + LiveKeys::OLD_AFTER - Duration::from_millis(1)));
    assert!(live.is_old(later + LiveKeys::OLD_AFTER));
}

#[tokio::test]
async fn a_token_is_verified_once_and_no_longer_than_it_lives() {
    let gate = gate(&Keys::default(), false);
    let good = token(&claims("openid chat read"), SECRET);
    let caller = check(&gate, &good).await.unwrap();
    assert_eq!((&*caller.id, caller.kind), ("shop#u-7", CallerKind::Token));
    assert_eq!(caller.scopes, ScopeSet::of(&[Scope::Chat, Scope::Read]));
    let sent = bearer(&good);
    let look =
        |seconds| gate.look(Some(&sent), now() + TimeDelta::seconds(seconds), Instant::now());
    assert_eq!(look(59).unwrap(), Looked::Caller(caller));
    assert_eq!(look(60).unwrap(), Looked::Token(&good));
    let mut short = claims("chat");
    short["exp"] = (NOW - 50).into();
    let short = token(&short, SECRET);
    check(&gate, &short).await.unwrap();
    let sent = bearer(&short);
    let later = now() + TimeDelta::seconds(10);
    assert_eq!(gate.look(Some(&sent), later, Instant::now()).unwrap(), Looked::Token(&short));
    let refused = gate.verify(&short, later, Instant::now()).await.unwrap_err();
    assert_eq!(refused, Refused::Token(TokenProblem::Expired));
    // A refused token is not remembered.
    let forged = token(&claims("chat"), &SECRET[1..]);
    for _ in 0..2 {
        let refused = check(&gate, &forged).await.unwrap_err();
        assert_eq!(refused, Refused::Token(TokenProblem::Signature));
    }
    let together = token(&claims("review predict"), SECRET);
    let refused = check(&gate, &together).await.unwrap_err();
    assert_eq!(refused, Refused::Token(TokenProblem::Scopes));
    let long = "x".repeat(LONGEST_TOKEN + 1);
    assert_eq!(check(&gate, &long).await, Err(Refused::Token(TokenProblem::TooLong)));
}

#[tokio::test]
async fn an_open_gate_knows_who_says_so_and_refuses_who_is_mistaken() {
    let mut log = KeyLog::open(&Store::in_memory(), "test").unwrap();
    let seeing = created(&mut log, "monitor", &[Scope::Read], None).await;
    let reviewer = created(&mut log, "ben", &[Scope::Review], None).await;
    let gate = gate(log.keys(), true);
    let everyone = ScopeSet::of(&PublicCaller::OF_EVERYONE);
    for none in [None, Some(&b"Basic YTpi"[..]), Some(b"")] {
        let looked = gate.look(none, now(), Instant::now()).unwrap();
        assert_eq!(looked, Looked::Caller(PublicCaller::anonymous(everyone)));
    }
    let caller = check(&gate, seeing.expose()).await.unwrap();
    assert_eq!(caller.scopes, everyone.with(ScopeSet::of(&[Scope::Read])));
    assert!(caller.sees_versions());
    let caller = check(&gate, reviewer.expose()).await.unwrap();
    assert_eq!(caller.scopes, ScopeSet::of(&[Scope::Review]), "who judges sends no messages");
    let caller = check(&gate, SHARED).await.unwrap();
    assert!(caller.sees_versions() && caller.scopes.has(Scope::Chat));
    assert!(!caller.scopes.has(Scope::Review));
    for mistaken in ["x", &SHARED[1..], "botops_", ""] {
        assert!(check(&gate, mistaken).await.is_err(), "{mistaken}");
    }
    let closed = ClientGate { is_open: false, ..ClientGate::default() };
    assert_eq!(closed.look(None, now(), Instant::now()), Err(Refused::NoToken));
    assert_eq!(check(&closed, SHARED).await, Err(Refused::WrongToken));
}
