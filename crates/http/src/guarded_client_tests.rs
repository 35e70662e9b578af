//! Outgoing calls: where they may not go, and answers that cannot be used.

use crate::{CallAnswer, CallFailure, CallRules, GuardedClient, Lookup, Method, OutgoingCall};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A server that answers every connection with the same bytes, and counts them.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: impl Into<Vec<u8>>, repeat: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, heads) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::<String>::new())));
        let (counted, kept) = (Arc::clone(&connections), Arc::clone(&heads));
        let answer: Vec<u8> = answer.into();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (answer, kept) = (answer.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let mut head = vec![0; 4_096];
                    let n = stream.read(&mut head).await.unwrap_or(0);
                    kept.lock().unwrap().push(String::from_utf8_lossy(&head[..n]).into_owned());
                    if answer.is_empty() {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                    }
                    for _ in 0..repeat {
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, connections, heads }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn rules(allow: &[&str], allow_private: &[&str]) -> CallRules {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    CallRules { allow: texts(allow), allow_private: texts(allow_private), most_bytes: 1_000 }
}

fn call(client: &GuardedClient, url: &str) -> OutgoingCall {
    OutgoingCall {
        method: Method::POST,
        url: client.check(url).unwrap(),
        headers: vec![("idempotency-key", "turn-1".to_owned())],
        body: Some("{}".to_owned()),
        timeout: Duration::from_millis(500),
    }
}

/// Resolves the name to the next of `answers` at each look-up, to the last one again and again.
fn lookup(answers: &[&[&str]]) -> (Lookup, Arc<AtomicUsize>) {
    let answers: Vec<Vec<IpAddr>> = answers
        .iter()
        .map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect())
        .collect();
    let n = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n);
    let lookup: Lookup = Arc::new(move |_| {
        let i = counted.fetch_add(1, Ordering::SeqCst);
        let answer = answers[i.min(answers.len() - 1)].clone();
        Box::pin(async move { Ok(answer) })
    });
    (lookup, n)
}

async fn answer_of(answer: impl Into<Vec<u8>>, repeat: usize) -> Result<CallAnswer, CallFailure> {
    let server = Server::start(answer, repeat).await;
    let origin = format!("http://{}", server.address);
    let client = GuardedClient::new(&rules(&[&origin], &["127.0.0.1"])).unwrap();
    client.call(call(&client, &format!("{origin}/orders"))).await
}

#[tokio::test]
async fn a_name_with_an_address_that_is_not_public_is_never_connected_to() {
    let server = Server::start(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        1,
    )
    .await;
    let origin = format!("http://orders.example.com:{}", server.address.port());
    let addresses: [&[&str]; 12] = [
        &["127.0.0.1"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["100.64.0.1"],
        &["0.0.0.0"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["::127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::"],
        &["fe80::1"],
        // One bad address spoils the name, wherever it stands.
        &["1.1.1.1", "127.0.0.1"],
    ];
    for answer in addresses {
        let (lookup, n) = lookup(&[answer]);
        let client = GuardedClient::resolving(&rules(&[&origin], &[]), lookup).unwrap();
        let failure = client.call(call(&client, &origin)).await.unwrap_err();
        let reason = "its name has an address that is not allowed";
        assert_eq!(failure, CallFailure { is_unsent: true, reason }, "{answer:?}");
        assert_eq!(n.load(Ordering::SeqCst), 1, "{answer:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_connection_and_checked_each_time() {
    let server = Server::start(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        1,
    )
    .await;
    let origin = format!("http://orders.example.com:{}", server.address.port());
    // The name moves to another machine between the first and the second call.
    let (lookup, n) = lookup(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = GuardedClient::resolving(&rules(&[&origin], &["127.0.0.1"]), lookup).unwrap();
    let answer = client.call(call(&client, &origin)).await.unwrap();
    assert_eq!((answer.status, answer.body), (200, Ok(b"{}".to_vec())));
    assert_eq!((n.load(Ordering::SeqCst), server.connections()), (1, 1));
    let failure = client.call(call(&client, &origin)).await.unwrap_err();
    assert!(failure.is_unsent && failure.reason.contains("not allowed"), "{failure:?}");
    assert_eq!((n.load(Ordering::SeqCst), server.connections()), (2, 1));
    let head = server.heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.contains("idempotency-key: turn-1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
}

#[test]
fn only_listed_origins_and_public_literal_addresses_pass_the_check() {
    let allow = [
        "orders.example.com",
        "Orders.example.com:8443",
        "http://plain.example.com",
        "https://127.0.0.1",
        "https://[::ffff:127.0.0.1]",
        "https://1.1.1.1",
        "http://169.254.169.254",
    ];
    let client = GuardedClient::new(&rules(&allow, &[])).unwrap();
    for url in [
        "https://orders.example.com/status?id=1",
        "https://ORDERS.example.com:8443/",
        "http://plain.example.com:80/",
        "https://1.1.1.1/dns",
    ] {
        client.check(url).unwrap();
    }
    for url in [
        "http://orders.example.com/secret-path",
        "https://orders.example.com:444/secret-path",
        "https://orders.example.com./secret-path",
        "https://orders.example.com.evil.example/secret-path",
        "https://orders.example.com@evil.example/secret-path",
        "https://ada:pass@orders.example.com/secret-path",
        "https://evil.example/secret-path#orders.example.com",
        "ftp://orders.example.com/secret-path",
        "file:///secret-path",
        "//orders.example.com/secret-path",
        "secret-path",
        "https://127.0.0.1/secret-path",
        "https://0x7f.1/secret-path",
        "https://2130706433/secret-path",
        "https://[::ffff:127.0.0.1]/secret-path",
        "https://[::ffff:7f00:1]/secret-path",
        "http://169.254.169.254/latest/secret-path",
    ] {
        let fault = client.check(url).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6151", 6), "{url}");
        let shown = format!("{fault:?}");
        assert!(!shown.contains("secret-path") && !shown.contains("pass@"), "{shown}");
    }
    let named =
        GuardedClient::new(&rules(&["https://127.0.0.1", "https://0.0.0.0"], &["0.0.0.0/0"]));
    let named = named.unwrap();
    named.check("https://127.0.0.1/").unwrap();
    named.check("https://0.0.0.0/").unwrap_err();
    for wrong in
        ["", "*.example.com", "a.example/path", "https://ada@a.example", "ftp://a.example", "a b"]
    {
        let fault = GuardedClient::new(&rules(&[wrong], &[])).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6150", 2), "{wrong}");
    }
    let fault = GuardedClient::new(&rules(&[], &["10.0.0.1/8"])).unwrap_err();
    assert!(fault.message().contains("allow_private"), "{fault}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let inside = Server::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 1).await;
    let moved = format!(
        "HTTP/1.1 307 Moved\r\nlocation: http://{}/admin\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
        inside.address
    );
    let answer = answer_of(moved, 1).await.unwrap();
    assert_eq!(answer.status, 307);
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_told_apart() {
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\n";
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    assert_eq!(answer_of(html, 1).await.unwrap().body, Err("the answer is not JSON"));
    let zipped = format!("{json}content-encoding: gzip\r\ncontent-length: 1\r\n\r\nx");
    assert_eq!(answer_of(zipped, 1).await.unwrap().body, Err("the answer is compressed"));
    let large = format!("{json}content-length: 10485760\r\n\r\n");
    assert_eq!(answer_of(large, 1).await.unwrap().body, Err("the answer is too large"));
    // Without a length, and far more than fits: it is read no further than the limit.
    let endless = format!("{json}connection: close\r\n\r\n{}", "x".repeat(64 << 10));
    assert_eq!(answer_of(endless, 200).await.unwrap().body, Err("the answer is too large"));
    let failed = "HTTP/1.1 500 Oops\r\ncontent-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(
        answer_of(failed, 1).await.unwrap(),
        CallAnswer { status: 500, body: Ok(b"{}".to_vec()) }
    );
    let empty = "HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(answer_of(empty, 1).await.unwrap().body, Ok(Vec::new()));
    let cut = format!("{json}content-length: 100\r\nconnection: close\r\n\r\n{{");
    assert!(!answer_of(cut, 1).await.unwrap_err().is_unsent);
}

#[tokio::test]
async fn a_server_that_hangs_may_have_the_call_and_one_that_is_gone_has_not() {
    let begun = Instant::now();
    let failure = answer_of("", 1).await.unwrap_err();
    assert_eq!(failure, CallFailure { is_unsent: false, reason: "it does not answer in time" });
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // The head comes, and the body never does.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    let failure = answer_of(head, 1).await.unwrap_err();
    assert!(!failure.is_unsent, "{failure:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = GuardedClient::new(&rules(&[&origin], &["127.0.0.1"])).unwrap();
    let failure = client.call(call(&client, &origin)).await.unwrap_err();
    assert_eq!(failure, CallFailure { is_unsent: true, reason: "no connection could be made" });
}
