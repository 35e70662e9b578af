//! Every endpoint of the public API, by every scope and every kind of identity.
//!
//! The tokens are signed with HMAC-SHA256 under the secret that stands beside them, and valid until 2100.

use super::{
    AccessSettings, ClientAccess, ListenerSettings, Message, MetricsAccess, PublicSettings,
    ReplayTarget, Running, ServerSettings, Source, WebSocketSettings,
    champion_tests::Bench,
    public_endpoints::{ENDPOINTS, PublicCall, PublicEndpoint},
    server::start,
    tests::settings,
};
use botops_access::{
    Grants, Identity, IdentityKind, IssuerKeys, IssuerSpec, KeyAct, KeyLog, KeySpec, Lifetime,
    NewKey, Scope, TokenSecret, Writing,
};
use botops_findings::Result;
use botops_http::PlainHttp;
use botops_registry::Registry;
use botops_workspace::Secret;
use chrono::{TimeDelta, Utc};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message as WsMessage, client::IntoClientRequest as _},
};

const TOKEN: &str = "the shared token of these tests, long enough";

/// A secret, and tokens that it signs: one for each scope, and some that are refused.
const TOKENS: &str = include_str!("client_test_tokens.json");

fn tokens() -> Value {
    serde_json::from_str(TOKENS).unwrap()
}

fn act() -> KeyAct {
    let by = Identity::new(IdentityKind::Claimed, "ada@laptop");
    KeyAct { by, reason: "a test".to_owned(), at: Utc::now() }
}

fn key_log(registry: &Registry) -> KeyLog {
    KeyLog::open(registry.store(), &settings().environment).unwrap()
}

/// Makes a key with `scopes`.
async fn key(log: &mut KeyLog, name: &str, scopes: &[Scope]) -> NewKey {
    let spec = KeySpec { name: name.to_owned(), scopes: scopes.to_vec(), lifetime: None };
    log.create(&spec, &act(), Writing::Real).await.unwrap().1.unwrap()
}

/// An issuer that shares the secret of the test.
fn issuer() -> IssuerSpec {
    IssuerSpec {
        issuer: "https://clients.test".to_owned(),
        audience: "botops".to_owned(),
        keys: IssuerKeys::Secret(TokenSecret::new(tokens()["secret"].as_str().unwrap())),
        algorithms: Vec::new(),
        leeway: IssuerSpec::LEEWAY,
        grants: Grants::Claim("scope".to_owned()),
    }
}

async fn serve(registry: &Registry, clients: ClientAccess) -> Running {
    let settings = ServerSettings {
        admin_token: Some(Secret::new(TOKEN)),
        access: AccessSettings { clients, ..AccessSettings::default() },
        listeners: ListenerSettings {
            metrics: MetricsAccess::Open,
            chat_page: true,
            ..ListenerSettings::default()
        },
        public: PublicSettings {
            cors_origins: vec!["https://shop.example".parse().unwrap()],
            ..PublicSettings::default()
        },
        ..settings()
    };
    let source =
        Source::Registry { registry: registry.clone(), model: "support".to_owned(), pinned: None };
    start(settings, source).await.unwrap()
}

fn restricted() -> ClientAccess {
    ClientAccess::Restricted { keys: true, issuers: vec![issuer()] }
}

/// Returns whether an endpoint is one of channels, which this server has not: they look at signatures, and not at callers.
fn is_of_channels(endpoint: &PublicEndpoint) -> bool {
    matches!(endpoint.call, PublicCall::Channel | PublicCall::ChannelChallenge)
}

/// The answer to a request.
struct Answer {
    status: u16,
    challenge: String,
    shows_versions: bool,
    body: Value,
}

/// Sends a request that the endpoint can answer.
async fn call(running: &Running, endpoint: &PublicEndpoint, bearer: Option<&str>) -> Answer {
    let path = endpoint.path.replace("{model}", "support");
    let url = format!("http://{}{path}", running.address());
    let method = botops_http::Method::from_bytes(endpoint.method.as_str().as_bytes()).unwrap();
    let mut request = super::client::http().unwrap().request(method, url);
    request = match endpoint.call {
        PublicCall::Predict | PublicCall::Chat => request.body(r#"{"text": "red apple"}"#),
        PublicCall::Feedback => request.body(r#"{"conversation_id": "c", "intent": "fruit"}"#),
        PublicCall::Search => request.body(r#"{"query": "red apple"}"#),
        PublicCall::RasaWebhook => {
            request.body(r#"{"sender": "c", "message": "red apple"}"#)
        }
        PublicCall::RasaParse => request.body(r#"{"text": "red apple"}"#),
        PublicCall::V2Infer => request.body(
            r#"{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["red apple"]}]}"#,
        ),
        _ => request,
    };
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    let answer = request.send().await.unwrap();
    let header = |name| answer.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
    let (status, challenge) = (answer.status().as_u16(), header("www-authenticate"));
    let in_header = ["x-botops-model", "x-botops-digest", "x-botops-arm"].map(header);
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let in_body = ["model", "digest"].map(|name| body.get(name).is_some());
    let shown = in_header.iter().any(Option::is_some) || in_body.contains(&true);
    Answer { status, challenge: challenge.unwrap_or_default(), shows_versions: shown, body }
}

fn endpoint(call: PublicCall) -> PublicEndpoint {
    ENDPOINTS.into_iter().find(|endpoint| endpoint.call == call).unwrap()
}

/// Checks the answer to a caller with `scope` alone.
async fn check(running: &Running, endpoint: &PublicEndpoint, bearer: &str, scope: Option<Scope>) {
    let answer = call(running, endpoint, Some(bearer)).await;
    let case = format!("{} with {scope:?}: {}", endpoint.path, answer.body);
    let may = endpoint.any_of.is_empty() || scope.is_some_and(|it| endpoint.any_of.contains(&it));
    // A plain request is no handshake of a WebSocket, and the version of the bench has no knowledge.
    let is_taken = answer.status < 300 || answer.status == 426 || answer.body["code"] == "BOT-6177";
    assert_eq!(is_taken, may, "{case}");
    if may {
        let is_ready = endpoint.call == PublicCall::Readiness;
        // The scope `read` alone reaches no endpoint that needs a scope of clients.
        assert_eq!(answer.shows_versions, is_ready && scope == Some(Scope::Read), "{case}");
        return;
    }
    assert_eq!((answer.status, &answer.body["code"]), (403, &"BOT-1046".into()), "{case}");
    let needed: Vec<&str> = endpoint.any_of.iter().map(|it| it.name()).collect();
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", needed.join(" "));
    assert_eq!(answer.challenge, challenge, "{case}");
    assert!(answer.body["detail"].as_str().unwrap().contains(&format!("`{}`", needed[0])));
    assert!(!answer.shows_versions, "{case}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_takes_the_callers_that_have_a_scope_of_its_row_and_no_others() {
    let registry = Bench::new().await.registry;
    let mut log = key_log(&registry);
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((scope, key(&mut log, &format!("only-{scope}"), &[scope]).await));
    }
    let running = serve(&registry, restricted()).await;
    let tokens = tokens();
    for endpoint in
        ENDPOINTS.iter().filter(|it| !it.path.contains("{version}") && !is_of_channels(it))
    {
        for (scope, key) in &keys {
            // The scope `admin` stands for `read`, and for none of clients.
            let held = if *scope == Scope::Admin { Scope::Read } else { *scope };
            check(&running, endpoint, key.expose(), Some(held)).await;
            // A token gives no scope of administrators besides `read`.
            let is_for_clients = scope.is_of_clients() || *scope == Scope::Read;
            let token = tokens["tokens"][scope.name()].as_str().unwrap();
            check(&running, endpoint, token, is_for_clients.then_some(*scope)).await;
        }
        check(&running, endpoint, TOKEN, Some(Scope::Read)).await;
        let answer = call(&running, endpoint, None).await;
        match endpoint.any_of.is_empty() {
            true => assert!(answer.status < 300 && !answer.shows_versions, "{}", endpoint.path),
            false => {
                let found = (answer.status, answer.challenge.as_str(), &answer.body["code"]);
                assert_eq!(found, (401, "Bearer", &"BOT-1081".into()), "{}", endpoint.path);
            }
        }
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_scope_read_shows_which_version_answers() {
    let registry = Bench::new().await.registry;
    let mut log = key_log(&registry);
    let plain = key(&mut log, "shop", &[Scope::Chat, Scope::Predict]).await;
    let seeing = key(&mut log, "monitor", &[Scope::Chat, Scope::Predict, Scope::Read]).await;
    let several = tokens()["several"].as_str().unwrap().to_owned();
    let running = serve(&registry, restricted()).await;
    let chat = endpoint(PublicCall::Chat);
    for (bearer, shown) in [(plain.expose(), false), (seeing.expose(), true), (&several, true)] {
        let answer = call(&running, &chat, Some(bearer)).await;
        assert_eq!((answer.status, answer.shows_versions), (200, shown), "{}", answer.body);
        assert_eq!(answer.body.get("arm").is_some(), shown, "{}", answer.body);
    }
    let predict = endpoint(PublicCall::Predict);
    let answer = call(&running, &predict, Some(plain.expose())).await;
    assert!(answer.body.get("sticky").is_none() && answer.body.get("arm").is_none());
    let answer = call(&running, &predict, Some(seeing.expose())).await;
    assert_eq!(answer.body["arm"], "primary");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_keys_that_are_not_accepted_are_refused_and_say_little() {
    let registry = Bench::new().await.registry;
    let mut log = key_log(&registry);
    let revoked = key(&mut log, "revoked", &[Scope::Chat]).await;
    log.revoke("revoked", &act(), Writing::Real).await.unwrap();
    let old = key(&mut log, "rotated", &[Scope::Chat]).await;
    let rotation = (Lifetime::AsBefore, TimeDelta::zero());
    log.rotate("rotated", rotation, &act(), Writing::Real).await.unwrap();
    let forged = format!("botops_{}_{}", revoked.id, "0".repeat(64));
    let running = serve(&registry, restricted()).await;
    let chat = endpoint(PublicCall::Chat);
    let tokens = tokens();
    let mut cases: Vec<(String, String, &str)> = vec![
        ("revoked".to_owned(), revoked.expose().to_owned(), "the key `revoked` was revoked"),
        ("rotated".to_owned(), old.expose().to_owned(), "the key `rotated` was rotated"),
        ("forged".to_owned(), forged, "the bearer token is wrong"),
        ("a part of the shared token".to_owned(), TOKEN[1..].to_owned(), "is wrong"),
    ];
    for (name, token) in tokens["refused"].as_object().unwrap() {
        let said = match name.as_str() {
            "expired" | "without expiry" => "expired",
            "not yet valid" => "not valid yet",
            "no subject" => "`sub`",
            "review and chat" => "`review`",
            _ => "the bearer token is wrong",
        };
        cases.push((name.clone(), token.as_str().unwrap().to_owned(), said));
    }
    for clients in [None, Some(ClientAccess::Open)] {
        let open = match &clients {
            Some(clients) => Some(serve(&registry, clients.clone()).await),
            None => None,
        };
        let running = open.as_ref().unwrap_or(&running);
        for (name, bearer, said) in &cases {
            let answer = call(running, &chat, Some(bearer)).await;
            let found = (answer.status, answer.challenge.as_str(), &answer.body["code"]);
            let expected = (401, "Bearer error=\"invalid_token\"", &"BOT-1081".into());
            assert_eq!(found, expected, "{name}: {}", answer.body);
            // An open server knows no issuer.
            let said = if open.is_some() && bearer.starts_with("eyJ") { "is wrong" } else { said };
            assert!(answer.body["detail"].as_str().unwrap().contains(said), "{name}");
            assert!(!answer.body.to_string().contains(bearer.as_str()), "{name}");
            // Monitoring is not kept from asking.
            let ready = call(running, &endpoint(PublicCall::Readiness), Some(bearer)).await;
            assert_eq!((ready.status, ready.shows_versions), (200, false), "{name}");
        }
        if let Some(open) = open {
            open.shutdown().await;
        }
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_by_another_server_within_5_seconds() {
    let registry = Bench::new().await.registry;
    let mut log = key_log(&registry);
    let shop = key(&mut log, "shop", &[Scope::Chat]).await;
    let servers = [serve(&registry, restricted()).await, serve(&registry, restricted()).await];
    let chat = endpoint(PublicCall::Chat);
    for server in &servers {
        assert_eq!(call(server, &chat, Some(shop.expose())).await.status, 200);
    }
    log.revoke("shop", &act(), Writing::Real).await.unwrap();
    let begun = Instant::now();
    for server in servers {
        while call(&server, &chat, Some(shop.expose())).await.status != 401 {
            assert!(begun.elapsed() < Duration::from_secs(5), "it is still accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_is_closed_when_its_key_is_revoked() {
    let registry = Bench::new().await.registry;
    let mut log = key_log(&registry);
    let shop = key(&mut log, "shop", &[Scope::Chat]).await;
    let websockets =
        WebSocketSettings { check: Duration::from_millis(100), ..WebSocketSettings::default() };
    let public = PublicSettings { websockets, ..PublicSettings::default() };
    let access = AccessSettings { clients: restricted(), ..AccessSettings::default() };
    let settings = ServerSettings { access, public, ..settings() };
    let source =
        Source::Registry { registry: registry.clone(), model: "support".to_owned(), pinned: None };
    let running = start(settings, source).await.unwrap();
    let mut request = format!("ws://{}/v1/ws", running.address()).into_client_request().unwrap();
    assert!(connect_async(request.clone()).await.is_err(), "without a key");
    let offered = format!("botops.v1, botops.bearer.{}", shop.expose());
    request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
    let (mut client, _) = connect_async(request).await.unwrap();
    client.send(WsMessage::text(r#"{"type": "hello"}"#)).await.unwrap();
    assert!(client.next().await.unwrap().unwrap().to_text().unwrap().contains("ready"));
    log.revoke("shop", &act(), Writing::Real).await.unwrap();
    // Nothing is sent, and the client learns of it.
    let error = tokio::time::timeout(Duration::from_secs(10), client.next()).await.unwrap();
    assert!(error.unwrap().unwrap().to_text().unwrap().contains("BOT-1081"));
    match client.next().await.unwrap().unwrap() {
        WsMessage::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1008),
        other => panic!("{other:?}"),
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_an_open_server_everyone_calls_and_nobody_reviews() {
    let registry = Bench::new().await.registry;
    let mut log = key_log(&registry);
    let reviewer = key(&mut log, "ben", &[Scope::Review]).await;
    let seeing = key(&mut log, "monitor", &[Scope::Read]).await;
    let running = serve(&registry, ClientAccess::Open).await;
    let is_plain = |it: &&PublicEndpoint| {
        let is_socket = it.call == PublicCall::WebSocket;
        !it.path.contains("{version}") && !is_socket && !is_of_channels(it)
    };
    for endpoint in ENDPOINTS.iter().filter(is_plain) {
        // The version of the bench has no knowledge.
        let is_taken = |answer: &Answer| answer.status < 300 || answer.body["code"] == "BOT-6177";
        let answer = call(&running, endpoint, None).await;
        assert!(is_taken(&answer) && !answer.shows_versions, "{}", endpoint.path);
        let answer = call(&running, endpoint, Some(seeing.expose())).await;
        assert!(is_taken(&answer), "{}", endpoint.path);
        // Who judges messages sends none.
        let sends = !endpoint.any_of.is_empty() && endpoint.call != PublicCall::Feedback;
        let answer = call(&running, endpoint, Some(reviewer.expose())).await;
        assert_eq!(answer.status == 403, sends, "{}", endpoint.path);
    }
    let answer = call(&running, &endpoint(PublicCall::Chat), Some(seeing.expose())).await;
    assert!(answer.shows_versions);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_needs_a_key_that_the_server_accepts() {
    let registry = Bench::new().await.registry;
    let mut log = key_log(&registry);
    let fit = key(&mut log, "replay", &[Scope::Chat, Scope::Feedback]).await;
    let unfit = key(&mut log, "predicts", &[Scope::Predict]).await;
    let running = serve(&registry, restricted()).await;
    let message = Message {
        at: Utc::now(),
        conversation_id: "c".to_owned(),
        text: "red apple".to_owned(),
        truth: Some("fruit".to_owned()),
    };
    let replay = async |key: Option<&NewKey>| {
        let target = ReplayTarget {
            url: format!("http://{}", running.address()),
            key: key.map(|key| Secret::new(key.expose())),
            plain_http: PlainHttp::Loopback,
        };
        super::replay(&target, std::slice::from_ref(&message), &|_, _| {}).await
    };
    replay(Some(&fit)).await.unwrap();
    for (key, said) in [(None, "asks for"), (Some(&unfit), "refused")] {
        let fault = replay(key).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1081", 6), "{fault}");
        assert!(fault.message().contains(said), "{fault}");
    }
    let url = "http://192.0.2.1:1".to_owned();
    let key = Some(Secret::new(fit.expose()));
    let elsewhere = ReplayTarget { url, key, plain_http: PlainHttp::Loopback };
    let fault = super::replay(&elsewhere, &[], &|_, _| {}).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-1032", "a key is not sent unprotected");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_two_authorization_headers_is_refused() {
    let registry = Bench::new().await.registry;
    let shop = key(&mut key_log(&registry), "shop", &[Scope::Chat]).await;
    let running = serve(&registry, restricted()).await;
    let url = format!("http://{}/v1/chat", running.address());
    let request = super::client::http().unwrap().post(url).body(r#"{"text": "red apple"}"#);
    let request = request.bearer_auth("wrong").bearer_auth(shop.expose());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("BOT-1037"));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitoring_needs_no_credentials_on_the_admin_listener_either() {
    let registry = Bench::new().await.registry;
    let running = serve(&registry, restricted()).await;
    let admin = running.admin_address().unwrap();
    for path in ["/health", "/livez", "/readiness", "/readyz"] {
        let url = format!("http://{admin}{path}");
        let answer = super::client::http().unwrap().get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let body = answer.text().await.unwrap();
        assert!(!body.contains("digest"), "{path}: {body}");
    }
    for path in ["/v1/chat", "/admin/v1/models"] {
        let url = format!("http://{admin}{path}");
        let answer = super::client::http().unwrap().get(url).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn nobody_is_let_in_by_accident() {
    let registry = Bench::new().await.registry;
    let source = || Source::Registry {
        registry: registry.clone(),
        model: "support".to_owned(),
        pinned: None,
    };
    let check = |listen: &str, clients: ClientAccess, source: &Source| -> Result<()> {
        let access = AccessSettings { clients, ..AccessSettings::default() };
        let listen: SocketAddr = listen.parse().unwrap();
        super::check_access(&ServerSettings { listen, access, ..settings() }, source)
    };
    let only_keys = || ClientAccess::Restricted { keys: true, issuers: Vec::new() };
    let nobody = || ClientAccess::Restricted { keys: false, issuers: Vec::new() };
    for here in ["127.0.0.1:0", "127.8.8.8:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        check(here, ClientAccess::Undecided, &source()).unwrap();
    }
    for beyond in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let fault = check(beyond, ClientAccess::Undecided, &source()).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1082", 2), "{beyond}");
        let hints = fault.hints().join("\n");
        assert!(hints.contains("access: open") && hints.contains("access: {keys: true}"));
        for clients in [ClientAccess::Open, only_keys(), restricted()] {
            check(beyond, clients, &source()).unwrap();
        }
    }
    let file = || {
        let model = super::tests::model();
        let digest = botops_digest::Digest::of(b"m");
        Source::File { model: Box::new(model), digest, name: "m.botops".to_owned() }
    };
    for (clients, source) in [(nobody(), source()), (only_keys(), file()), (nobody(), file())] {
        let fault = check("127.0.0.1:0", clients, &source).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1083", 2), "{fault}");
    }
    check("127.0.0.1:0", restricted(), &file()).unwrap();
    // What would start does so with the same checks.
    let listen = "0.0.0.0:0".parse().unwrap();
    let fault = start(ServerSettings { listen, ..settings() }, source()).await.err().unwrap();
    assert_eq!(fault.code(), "BOT-1082");
}
