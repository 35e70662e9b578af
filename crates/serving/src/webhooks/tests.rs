//! Webhooks against a receiver on this machine that hangs, fails, redirects, and drops connections.

use super::{EventSource, Pace, Webhooks, check};
use crate::{
    RequestLog, ServerSettings, WebhookSpec, app::App, clock::WallClock, server::new_app, shadow,
    tests::settings,
};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use botops_access::{Identity, IdentityKind};
use botops_findings::Result;
use botops_registry::{Change, Deployment, deployment_log};
use botops_store::{Appended, Entry, Store};
use botops_workspace::Secret;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::watch,
};

/// All waits are this much shorter: an attempt ends after 500 ms, and a claim is replaced after 1.5 s.
const TIMES: u32 = 20;

const SECRET: &str = "the secret of the receiver, long enough";
const OLD_SECRET: &str = "the secret before, which is long enough";

/// The answer of a receiver to a request that it has read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Accept,
    Fail(u16),
    Redirect,
    Hang,
    Drop,
}

/// A request that a receiver has read in full.
#[derive(Debug, Clone)]
struct Received {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Received {
    fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Checks the signatures with another implementation of HMAC than the one that made them.
    fn verify(&self, secrets: &[&str]) {
        let sent = &self.headers["webhook-timestamp"];
        let at = DateTime::from_timestamp(sent.parse().unwrap(), 0).unwrap();
        assert!((Utc::now() - at).num_seconds().abs() < 60, "{at}");
        let signed = format!("{}.{sent}.{}", self.id(), self.body);
        let signatures: Vec<&str> = self.headers["webhook-signature"].split(' ').collect();
        assert_eq!(signatures.len(), secrets.len());
        for (signature, secret) in signatures.into_iter().zip(secrets) {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
            let mac = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            ring::hmac::verify(&key, signed.as_bytes(), &mac).unwrap();
        }
    }
}

/// A receiver on this machine.
struct Hook {
    url: String,
    seen: Arc<Mutex<Vec<Received>>>,
    does: Arc<Mutex<Does>>,
}

impl Hook {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (seen, does) = (Arc::default(), Arc::new(Mutex::new(Does::Accept)));
        let hook = Self { url, seen, does };
        let (seen, does) = (Arc::clone(&hook.seen), Arc::clone(&hook.does));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&seen), Arc::clone(&does)));
            }
        });
        hook
    }

    fn spec(&self) -> WebhookSpec {
        let secrets = vec![Secret::new(SECRET)];
        WebhookSpec { url: self.url.clone(), secrets, events: Vec::new() }
    }

    fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn seen(&self) -> Vec<Received> {
        self.seen.lock().unwrap().clone()
    }

    fn ids(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.id().to_owned()).collect()
    }

    /// Waits until `n` requests were read.
    async fn wait_for(&self, n: usize) {
        let begun = Instant::now();
        while self.seen.lock().unwrap().len() < n {
            assert!(begun.elapsed().as_secs() < 20, "{n} of {:?}", self.ids());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Reads requests from a connection, and does with each what the receiver does then.
async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<Received>>>, does: Arc<Mutex<Does>>) {
    let mut read = Vec::new();
    loop {
        let Some(request) = next_request(&mut stream, &mut read).await else { return };
        seen.lock().unwrap().push(request);
        let does = *does.lock().unwrap();
        let answer = match does {
            Does::Accept => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
            Does::Fail(status) => format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n"),
            Does::Redirect => {
                "HTTP/1.1 307 Elsewhere\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
                    .to_owned()
            }
            Does::Hang => return tokio::time::sleep(Duration::from_secs(60)).await,
            Does::Drop => return,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads one request with its body; `None` at the end of the connection.
async fn next_request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Received> {
    loop {
        let text = String::from_utf8_lossy(read).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let path = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length: usize = headers["content-length"].parse().unwrap();
            if rest.len() >= length {
                let body = rest[..length].to_owned();
                read.drain(..head.len() + 4 + length);
                return Some(Received { path, headers, body });
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => read.extend_from_slice(&buffer[..n]),
        }
    }
}

/// The deployment log of a store, without a server behind it.
struct TestLog {
    store: Store,
    tip: watch::Sender<u64>,
}

impl TestLog {
    async fn open(store: &Store) -> Arc<Self> {
        let tip = deployment_log(store, "production").entries().await.unwrap().len() as u64;
        Arc::new(Self { store: store.clone(), tip: watch::Sender::new(tip) })
    }

    /// Appends a change, and tells the receivers of `also`, too.
    async fn change(&self, change: Change, also: &[&Self]) {
        let log = deployment_log(&self.store, "production");
        let last = log.entries().await.unwrap().pop();
        let by = Identity::new(IdentityKind::Key, "ada");
        let entry = Deployment::new((by, "a test"), Utc::now(), "", change);
        let Appended::Written(entry) = log.append(last.as_ref(), entry).await.unwrap() else {
            panic!("nobody else writes")
        };
        for log in also.iter().copied().chain([self]) {
            log.tip.send_replace(entry.seq);
        }
    }

    async fn freeze(&self) {
        self.change(Change::Frozen { until: None }, &[]).await;
    }
}

#[async_trait]
impl EventSource for TestLog {
    fn environment(&self) -> &'static str {
        "production"
    }
    fn newest(&self) -> watch::Receiver<u64> {
        self.tip.subscribe()
    }
    async fn after(&self, since: u64, limit: usize) -> Result<Vec<Entry<Deployment>>> {
        let entries = deployment_log(&self.store, "production").entries().await?;
        Ok(entries.into_iter().filter(|entry| entry.seq > since).take(limit).collect())
    }
    fn is_second(&self) -> bool {
        false
    }
}

/// A server that delivers.
struct Server {
    app: Arc<App>,
    log: Arc<TestLog>,
    webhooks: Arc<Webhooks>,
    stop: watch::Sender<bool>,
}

impl Server {
    async fn start(store: &Store, specs: &[WebhookSpec]) -> Self {
        Self::logging(store, specs, RequestLog::Off).await
    }

    async fn logging(store: &Store, specs: &[WebhookSpec], request_log: RequestLog) -> Self {
        let settings = ServerSettings { request_log, ..settings() };
        let clock = Arc::new(WallClock::start());
        let app = new_app("m", &settings, clock, shadow::CAPACITY).unwrap();
        let log = TestLog::open(store).await;
        let (stop, stopped) = watch::channel(false);
        let webhooks = Arc::new(Webhooks::new(
            Arc::clone(&app),
            (Arc::clone(&log) as Arc<dyn EventSource>, store.clone()),
            (Handle::current(), Pace::default().times(TIMES)),
            stopped,
        ));
        webhooks.replace(check(specs).unwrap()).unwrap();
        let server = Self { app, log, webhooks, stop };
        server.settle(store, specs.len()).await;
        server
    }

    /// Waits until every receiver has a position.
    async fn settle(&self, store: &Store, n: usize) {
        let begun = Instant::now();
        loop {
            let paths = store.objects("deployments/production/webhooks", None).await.unwrap();
            if paths.iter().filter(|path| path.contains("/passed/")).count() >= n {
                return;
            }
            assert!(begun.elapsed().as_secs() < 20, "{paths:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.webhooks.until_stopped().await;
    }
}

fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("production-{n}")).collect()
}

#[tokio::test]
async fn a_new_receiver_gets_every_later_event_once_in_order_and_signed_by_both_secrets() {
    let (store, hook) = (Store::in_memory(), Hook::start().await);
    let log = TestLog::open(&store).await;
    log.freeze().await;
    log.freeze().await;
    let secrets = vec![Secret::new(SECRET), Secret::new(OLD_SECRET)];
    let server = Server::start(&store, &[WebhookSpec { secrets, ..hook.spec() }]).await;
    server.log.freeze().await;
    server.log.change(Change::Lease { identity: None, token_keys: Vec::new() }, &[]).await;
    server.log.change(Change::Unfrozen, &[]).await;
    hook.wait_for(2).await;
    server.log.freeze().await;
    hook.wait_for(3).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(hook.ids(), numbered([3, 5, 6]), "not those before it, and not the lease");
    for seen in hook.seen() {
        seen.verify(&[SECRET, OLD_SECRET]);
        assert_eq!(seen.headers["content-type"], "application/json");
        assert!(!format!("{seen:?}").contains("secret"), "{seen:?}");
    }
    let body: Value = serde_json::from_str(&hook.seen()[1].body).unwrap();
    let expected = serde_json::json!({
        "schema": "botops.event/1", "number": 5, "environment": "production", "model": "",
        "kind": "unfreeze", "actor": "ada", "reason": "a test", "at": body["at"],
    });
    assert_eq!(body, expected);
    let metrics = server.app.metrics.text();
    assert!(metrics.contains("outcome=\"delivered\"} 3"), "{metrics}");
    server.stop().await;
}

static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to [`LOGGED`].
struct Logged;

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_receiver_in_trouble_gets_the_event_again_with_its_id_and_then_those_after_it() {
    let (store, hook) = (Store::in_memory(), Hook::start().await);
    let to = RequestLog::To(|| Box::new(Logged));
    let server = Server::logging(&store, &[hook.spec()], to).await;
    let cases = [Does::Fail(500), Does::Fail(404), Does::Redirect, Does::Hang, Does::Drop];
    for (number, does) in (1..).step_by(2).zip(cases) {
        let before = hook.seen().len();
        hook.now(does);
        server.log.freeze().await;
        server.log.freeze().await;
        hook.wait_for(before + 2).await;
        hook.now(Does::Accept);
        let begun = Instant::now();
        while hook.ids().last() != numbered([number + 1]).last() {
            assert!(begun.elapsed().as_secs() < 20, "{does:?}: {:?}", hook.ids());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut ids = hook.ids().split_off(before);
        assert_eq!(ids.pop(), numbered([number + 1]).pop(), "{does:?}");
        assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "{does:?}: {ids:?}");
        assert_eq!(ids[0], numbered([number])[0], "{does:?}");
    }
    hook.seen().iter().for_each(|seen| seen.verify(&[SECRET]));
    assert!(hook.seen().iter().all(|seen| seen.path == "/hook"), "a redirect is not followed");
    let metrics = server.app.metrics.text();
    assert!(metrics.contains("outcome=\"delivered\"} 10"), "{metrics}");
    assert!(metrics.contains("outcome=\"failed\"}"), "{metrics}");
    server.app.log.flush();
    let text = String::from_utf8(LOGGED.lock().unwrap().clone()).unwrap();
    let begins: Vec<&str> = text.lines().filter(|line| line.contains("\"error\"")).collect();
    let ends = text.lines().filter(|line| line.contains("events are delivered again")).count();
    assert_eq!((begins.len(), ends), (5, 5), "{text}");
    assert!(begins[0].contains("production-1 is not delivered: it answers 500"), "{text}");
    assert!(begins[2].contains("redirect"), "{text}");
    assert!(begins[3].contains("it does not answer in time"), "{text}");
    assert!(!text.contains(SECRET) && !text.contains("/hook"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn another_server_continues_where_a_stopped_or_killed_one_was() {
    let (store, hook) = (Store::in_memory(), Hook::start().await);
    let first = Server::start(&store, &[hook.spec()]).await;
    first.log.freeze().await;
    hook.wait_for(1).await;
    let log = Arc::clone(&first.log);
    first.stop().await;
    log.freeze().await;
    log.freeze().await;
    let second = Server::start(&store, &[hook.spec()]).await;
    hook.wait_for(3).await;
    // It is killed: its claim stays, and its tasks end without a word.
    let killed: Vec<_> =
        second.webhooks.running.lock().unwrap().values().map(|it| it.task.abort_handle()).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    killed.iter().for_each(tokio::task::AbortHandle::abort);
    log.freeze().await;
    let begun = Instant::now();
    let third = Server::start(&store, &[hook.spec()]).await;
    hook.wait_for(4).await;
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(1), "the claim of the killed server holds: {waited:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(hook.ids(), numbered(1..=4));
    third.stop().await;
    drop(second);
}

#[tokio::test]
async fn servers_take_turns_and_a_healthy_receiver_gets_no_event_twice() {
    let (store, hook) = (Store::in_memory(), Hook::start().await);
    let a = Server::start(&store, &[hook.spec()]).await;
    let b = Server::start(&store, &[hook.spec()]).await;
    let c = Server::start(&store, &[hook.spec()]).await;
    for _ in 0..30 {
        a.log.change(Change::Unfrozen, &[&b.log, &c.log]).await;
    }
    hook.wait_for(30).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(hook.ids(), numbered(1..=30));
    // The store keeps one position and one claim.
    let paths = store.objects("deployments/production/webhooks", None).await.unwrap();
    assert!(paths.len() <= 3, "{paths:?}");
    for server in [a, b, c] {
        server.stop().await;
    }
}

#[tokio::test]
async fn a_receiver_gets_the_events_that_it_asks_for_until_the_settings_drop_it() {
    let (store, all, some) = (Store::in_memory(), Hook::start().await, Hook::start().await);
    let events = vec!["unfreeze".to_owned(), "promoted".to_owned()];
    let only = WebhookSpec { events, ..some.spec() };
    let server = Server::start(&store, &[all.spec(), only.clone()]).await;
    server.log.freeze().await;
    server.log.change(Change::Unfrozen, &[]).await;
    all.wait_for(2).await;
    some.wait_for(1).await;
    assert_eq!((all.ids(), some.ids()), (numbered(1..=2), numbered([2])));
    server.webhooks.replace(check(&[only]).unwrap()).unwrap();
    server.log.change(Change::Unfrozen, &[]).await;
    some.wait_for(2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(all.ids(), numbered(1..=2));
    server.stop().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other() {
    let (store, slow, quick) = (Store::in_memory(), Hook::start().await, Hook::start().await);
    let server = Server::start(&store, &[slow.spec(), quick.spec()]).await;
    slow.now(Does::Hang);
    let begun = Instant::now();
    for _ in 0..5 {
        server.log.freeze().await;
    }
    quick.wait_for(5).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(quick.ids(), numbered(1..=5));
    let metrics = server.app.metrics.text();
    assert!(metrics.contains("botops_webhook_behind{"), "{metrics}");
    server.stop().await;
}
