//! Every endpoint of the admin API, by every scope and every kind of identity. Secrets are in no answer and no log.

use super::{
    AccessSettings, AdminClient, ClientAccess, RequestLog, Running, ServerSettings, Source,
    authorization::ENDPOINTS, champion_tests::Bench, server::start, tests::settings,
};
use botops_access::{
    Grants, Identity, IdentityKind, IssuerKeys, IssuerSpec, KeyAct, KeyLog, KeySpec, Lifetime,
    NewKey, Role, Scope, Writing,
};
use botops_workspace::Secret;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Mutex,
};

const TOKEN: &str = "the shared token of these tests, long enough";

/// Public keys of an issuer, and a token for each role until 2100. Their private key was not kept.
const TOKENS: &str = include_str!("oidc_test_tokens.json");

/// The request log of this test.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn act(at: chrono::DateTime<Utc>) -> KeyAct {
    let by = Identity::new(IdentityKind::Claimed, "ada@laptop");
    KeyAct { by, reason: "a test".to_owned(), at }
}

/// Makes a key with `scopes`.
async fn key(log: &mut KeyLog, name: &str, scopes: Vec<Scope>) -> NewKey {
    let spec = KeySpec { name: name.to_owned(), scopes, lifetime: None };
    log.create(&spec, &act(Utc::now()), Writing::Real).await.unwrap().1.unwrap()
}

/// Returns a key with the id of `key` and another secret.
fn forged(key: &NewKey) -> String {
    format!("botops_{}_{}", key.id, "0".repeat(64))
}

/// The answer to a request.
struct Answer {
    status: u16,
    code: String,
    text: String,
}

impl Answer {
    fn of(status: u16, text: String) -> Self {
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        Self { status, code, text }
    }

    /// Returns whether the caller was let in and had the right, whatever the handler answered.
    fn is_let_in(&self) -> bool {
        !matches!(self.status, 401 | 403)
    }
}

/// Returns the path of an endpoint with values that name nothing, so that a request changes nothing.
fn concrete(path: &str) -> String {
    path.replace("{model}", "other").replace("{id}", "none").replace("{command}", "fly")
}

async fn call(running: &Running, method: &str, path: &str, bearer: Option<&str>) -> Answer {
    let url = format!("http://{}{}", running.admin_address().unwrap(), concrete(path));
    let method = botops_http::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = super::client::http().unwrap().request(method, url).json(&json!({}));
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    let answer = request.send().await.unwrap();
    Answer::of(answer.status().as_u16(), answer.text().await.unwrap())
}

/// Sends a request to the admin socket, without credentials.
fn call_socket(path_of_socket: &Path, method: &str, path: &str, bearer: Option<&str>) -> Answer {
    let mut stream = UnixStream::connect(path_of_socket).unwrap();
    let authorization =
        bearer.map_or(String::new(), |it| format!("authorization: Bearer {it}\r\n"));
    write!(
        stream,
        "{method} {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{authorization}content-length: 2\r\nconnection: close\r\n\r\n{{}}",
        concrete(path)
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    Answer::of(status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// Returns settings with an issuer whose keys are in `folder`, and a socket there.
fn access(folder: &Path) -> AccessSettings {
    let issuer = IssuerSpec {
        issuer: "https://issuer.test".to_owned(),
        audience: "botops".to_owned(),
        keys: IssuerKeys::Jwks("keys.json".to_owned()),
        algorithms: Vec::new(),
        leeway: IssuerSpec::LEEWAY,
        grants: Grants::Roles {
            claim: "groups".to_owned(),
            roles: Role::ALL.into_iter().map(|role| (role.name().to_owned(), role)).collect(),
        },
    };
    AccessSettings {
        issuers: vec![issuer],
        root: folder.to_owned(),
        socket: Some(folder.join("admin.sock")),
        socket_users: [].into(),
        clients: ClientAccess::Undecided,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_takes_the_identities_that_have_a_scope_of_its_row_and_no_others() {
    let registry = Bench::new().await.registry;
    let store = registry.store().clone();
    let mut log = KeyLog::open(&store, &settings().environment).unwrap();
    let mut holders = Vec::new();
    for scope in Scope::ALL {
        let name = format!("only-{scope}");
        holders.push((scope, key(&mut log, &name, vec![scope]).await));
    }
    let day = TimeDelta::days(1);
    let expired =
        KeySpec { name: "expired".to_owned(), scopes: vec![Scope::Admin], lifetime: Some(day) };
    let long_ago = act(Utc::now() - day * 2);
    let expired = log.create(&expired, &long_ago, Writing::Real).await.unwrap().1.unwrap();
    let revoked = key(&mut log, "revoked", vec![Scope::Admin]).await;
    log.revoke("revoked", &act(Utc::now()), Writing::Real).await.unwrap();
    let replaced = key(&mut log, "rotated", vec![Scope::Admin]).await;
    let rotation = (Lifetime::AsBefore, TimeDelta::zero());
    let rotated = log.rotate("rotated", rotation, &act(Utc::now()), Writing::Real).await;
    let rotated = rotated.unwrap().1.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    fs::write(folder.path().join("keys.json"), TOKENS).unwrap();
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let tokens = &tokens["tokens"];
    let access = access(folder.path());
    let settings = ServerSettings {
        admin_token: Some(Secret::new(TOKEN)),
        request_log: RequestLog::To(|| Box::new(Log)),
        access,
        ..settings()
    };
    let source = Source::Registry { registry, model: "support".to_owned(), pinned: None };
    let running = start(settings, source).await.unwrap();
    assert_eq!(running.admin_socket(), Some(socket.as_path()));

    let mut bodies = String::new();
    let mut refusals = 0;
    for endpoint in &ENDPOINTS {
        let (method, path) = (endpoint.method.as_str(), endpoint.path);
        for (scope, key) in &holders {
            let answer = call(&running, method, path, Some(key.expose())).await;
            let may = *scope == Scope::Admin || endpoint.any_of.contains(scope);
            assert_eq!(answer.is_let_in(), may, "{method} {path} with `{scope}`: {}", answer.text);
            if !may {
                refusals += 1;
                assert_eq!((answer.status, answer.code.as_str()), (403, "BOT-1046"));
                let needed = format!("`{}`", endpoint.any_of[0]);
                assert!(answer.text.contains(&needed), "{}", answer.text);
                assert!(
                    answer.text.contains(&format!("`only-{scope}` needs the scope")),
                    "the name"
                );
            }
            bodies += &answer.text;
        }
        for role in Role::ALL {
            let token = tokens[role.name()].as_str().unwrap();
            let answer = call(&running, method, path, Some(token)).await;
            let may = endpoint.any_of.iter().any(|scope| scope.is_in(&role.scopes()));
            assert_eq!(answer.is_let_in(), may, "{method} {path} as `{role}`: {}", answer.text);
            assert!(may || answer.text.contains(&format!("`{role}@issuer.test` needs the scope")));
            bodies += &answer.text;
        }
        let stranger = tokens["stranger"].as_str().unwrap();
        let answer = call(&running, method, path, Some(stranger)).await;
        assert_eq!((answer.status, answer.code.as_str()), (403, "BOT-1046"), "{}", answer.text);
        for admin in [TOKEN, rotated.expose()] {
            let answer = call(&running, method, path, Some(admin)).await;
            assert!(answer.is_let_in(), "{method} {path}: {}", answer.text);
            bodies += &answer.text;
        }
        let answer = call_socket(&socket, method, path, None);
        assert!(answer.is_let_in(), "{method} {path} on the socket: {}", answer.text);
        // A bearer token decides, also on the socket.
        let answer = call_socket(&socket, method, path, Some(holders[4].1.expose()));
        let is_refused = !endpoint.any_of.contains(&Scope::Audit);
        assert_eq!(answer.status == 403, is_refused, "{method} {path} with `audit` on the socket");
    }
    assert!(refusals > 50, "{refusals}");
    let url = format!("unix://{}", socket.display());
    AdminClient::new(&url, None).unwrap().check_access().await.unwrap();
    let wrong = AdminClient::new(&url, Some(&Secret::new(forged(&holders[6].1)))).unwrap();
    assert_eq!(wrong.check_access().await.unwrap_err().code(), "BOT-6033");

    // Failed logins are answered slowly, so a few endpoints stand for all: the login comes before the routes.
    let forged = forged(&holders[6].1);
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.";
    for (bearer, said) in [
        (None, "missing or wrong"),
        (Some(&TOKEN[1..]), "missing or wrong"),
        (Some(forged.as_str()), "missing or wrong"),
        (Some(jwt), "missing or wrong"),
        (Some(expired.expose()), "the key `expired` expired at"),
        (Some(revoked.expose()), "the key `revoked` was revoked at"),
        (Some(replaced.expose()), "the key `rotated` was rotated"),
    ] {
        let path = if bearer.is_none() { "/admin/v1/nowhere" } else { "/admin/v1/models" };
        let answer = call(&running, "GET", path, bearer).await;
        assert_eq!((answer.status, answer.code.as_str()), (401, "BOT-6033"), "{}", answer.text);
        assert!(answer.text.contains(said), "{}", answer.text);
        bodies += &answer.text;
    }
    running.shutdown().await;
    assert!(!socket.exists(), "the file of the socket is removed");
    let gone = AdminClient::new(&url, None).unwrap().check_access().await.unwrap_err();
    assert_eq!(gone.code(), "BOT-6031");
    assert!(gone.message().contains("unix://"), "{gone}");

    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(log.contains("failed login") && log.contains("BOT-1046"), "{log}");
    let keys = holders.iter().map(|(_, key)| key);
    for key in keys.chain([&expired, &revoked, &replaced, &rotated]) {
        let secret = key.expose().rsplit_once('_').unwrap().1;
        assert!(!log.contains(secret) && !bodies.contains(secret), "{}", key.id);
    }
    let tokens = tokens.as_object().unwrap().values().map(|token| token.as_str().unwrap());
    for secret in tokens.chain([TOKEN, &TOKEN[1..], jwt]) {
        assert!(!log.contains(secret) && !bodies.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_credential_is_closed_until_a_key_is_made() {
    let registry = Bench::new().await.registry;
    let store = registry.store().clone();
    let source = |pinned: Option<&str>| Source::Registry {
        registry: registry.clone(),
        model: "support".to_owned(),
        pinned: pinned.map(str::to_owned),
    };
    let metrics = crate::MetricsAccess::Admin;
    let listeners = crate::ListenerSettings { metrics, ..settings().listeners };
    let closed = ServerSettings { admin_token: None, listeners, ..settings() };
    let running = start(closed.clone(), source(None)).await.unwrap();
    let at = running.admin_address().unwrap();
    let note = running.notes().join("\n");
    assert!(note.contains("nobody can log in to the admin API yet"), "{note}");
    for (method, path, bearer) in [
        ("GET", "/admin/v1/models", None),
        ("POST", "/admin/v1/models/support/rollback", Some("")),
        ("GET", "/metrics", Some(TOKEN)),
    ] {
        let answer = call(&running, method, path, bearer).await;
        assert_eq!((answer.status, answer.code.as_str()), (401, "BOT-6033"), "{}", answer.text);
    }
    let mut log = KeyLog::open(&store, &closed.environment).unwrap();
    let key = key(&mut log, "late", vec![Scope::Read]).await;
    let begun = std::time::Instant::now();
    loop {
        let answer = call(&running, "GET", "/admin/v1/models", Some(key.expose())).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.status, 401, "{}", answer.text);
        assert!(begun.elapsed().as_secs() < 12, "refusals are answered later and later");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let beyond = call(&running, "POST", "/admin/v1/models/support/rollback", Some(key.expose()));
    assert_eq!(beyond.await.status, 403, "a key has its scopes and no more");

    // Another server for whose address somebody else was first runs without one, unless somebody could log in.
    let nobody = ServerSettings { admin_listen: at, environment: "other".to_owned(), ..closed };
    let second = start(nobody.clone(), source(Some("support@1"))).await.unwrap();
    assert_eq!(second.admin_address(), None);
    assert!(second.notes().iter().any(|note| note.contains("no admin API: the address")));
    let somebody = ServerSettings { admin_token: Some(Secret::new(TOKEN)), ..nobody };
    let fault = start(somebody, source(Some("support@1"))).await.err().unwrap();
    assert_eq!(fault.code(), "BOT-6010");
}

#[test]
fn the_table_has_a_row_for_each_path_that_the_hint_names() {
    let hint = super::problem::no_such_path(super::problem::Listener::Admin, "/x");
    let hint = hint.fault.hints()[0].clone();
    let named: BTreeSet<&str> = hint.split('`').filter(|it| it.starts_with("/admin")).collect();
    let paths: BTreeSet<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    assert!(named.is_subset(&paths), "{named:?} {paths:?}");
}
