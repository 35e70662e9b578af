//! Pages of the web: their sizes, redirects, addresses and time limits.

use crate::{CallRules, FetchFailure, FetchedPage, GuardedClient, Lookup, Url};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const MOST_BYTES: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers each request with the same pieces, and leaves `pause` before each but the first.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(pieces: Vec<Vec<u8>>, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (counted, pieces) = (Arc::clone(&counted), pieces.clone());
                tokio::spawn(async move {
                    let n = stream.read(&mut [0; 4_096]).await.unwrap_or(0);
                    counted.fetch_add(usize::from(n > 0), Ordering::SeqCst);
                    for (index, piece) in pieces.iter().enumerate() {
                        if index > 0 {
                            tokio::time::sleep(pause).await;
                        }
                        if stream.write_all(piece).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn client(allow: &str, allow_private: &[&str]) -> GuardedClient {
    GuardedClient::new(&rules(allow, allow_private)).unwrap()
}

fn rules(allow: &str, allow_private: &[&str]) -> CallRules {
    CallRules {
        allow: vec![allow.to_owned()],
        allow_private: allow_private.iter().map(|&text| text.to_owned()).collect(),
        most_bytes: MOST_BYTES,
    }
}

/// Fetches `/page` from a server that answers with these bytes.
async fn fetched(answer: impl Into<Vec<u8>>) -> Result<FetchedPage, FetchFailure> {
    let server = Server::start(vec![answer.into()], Duration::ZERO).await;
    let origin = format!("http://{}", server.address);
    let url = Url::parse(&format!("{origin}/page")).unwrap();
    client(&origin, &["127.0.0.1"]).fetch(url, PATIENCE).await
}

fn with_body(head: &str, n: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + n, b'a');
    answer
}

#[tokio::test]
async fn a_page_of_the_most_bytes_is_read_and_one_byte_more_is_not() {
    let declared =
        |n| with_body(&format!("content-type: Text/HTML; charset=utf-8\r\ncontent-length: {n}"), n);
    let page = fetched(declared(MOST_BYTES)).await.unwrap();
    assert_eq!((page.status, &*page.media_type, page.location), (200, "text/html", None));
    assert_eq!(page.body, Ok(vec![b'a'; MOST_BYTES]));
    let larger = fetched(declared(MOST_BYTES + 1)).await.unwrap();
    assert_eq!(larger.body, Err("the answer is too large"));
    // Nor does a body of an undeclared length pass, which ends with the connection.
    assert_eq!(
        fetched(with_body("x-a: b", MOST_BYTES)).await.unwrap().body,
        Ok(vec![b'a'; MOST_BYTES])
    );
    let larger = fetched(with_body("x-a: b", MOST_BYTES + 1)).await.unwrap();
    assert_eq!((larger.body, &*larger.media_type), (Err("the answer is too large"), ""));
}

#[tokio::test]
async fn a_body_that_is_compressed_or_shorter_than_declared_is_not_read() {
    for coding in ["gzip", "br", "deflate, gzip"] {
        let head = format!("content-encoding: {coding}\r\ncontent-length: 3");
        let page = fetched(with_body(&head, 3)).await.unwrap();
        assert_eq!(page.body, Err("the answer is compressed"), "{coding}");
    }
    let plain = fetched(with_body("content-encoding: Identity\r\ncontent-length: 3", 3)).await;
    assert_eq!(plain.unwrap().body, Ok(b"aaa".to_vec()));
    let cut = fetched(with_body("content-length: 10", 3)).await.unwrap_err();
    assert!(!cut.is_refused, "{cut:?}");
    assert!(!fetched("HTTP/1.1 nonsense\r\n\r\n").await.unwrap_err().is_refused);
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let other = Server::start(vec![with_body("content-length: 1", 1)], Duration::ZERO).await;
    let target = format!("http://{}/secret", other.address);
    for status in [301, 302, 303, 307, 308] {
        let answer =
            format!("HTTP/1.1 {status} Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
        let page = fetched(answer).await.unwrap();
        assert_eq!((page.status, page.location.as_deref()), (status, Some(&*target)));
    }
    assert_eq!(other.requests(), 0);
    let nowhere = "HTTP/1.1 302 Found\r\nlocation: caf\u{e9}\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(fetched(nowhere).await.unwrap().location, None, "an address has ASCII characters");
}

#[tokio::test]
async fn private_addresses_and_hosts_that_are_not_listed_get_no_request() {
    let server = Server::start(vec![with_body("content-length: 1", 1)], Duration::ZERO).await;
    let origin = format!("http://{}", server.address);
    let port = server.address.port();
    let refused = FetchFailure { reason: "its address is not allowed", is_refused: true };
    for (allow, private, url) in [
        // Listed, and yet an address of this machine.
        (&*origin, &[][..], origin.clone()),
        (&*origin, &["10.0.0.0/8"][..], origin.clone()),
        // Not listed: another host, another scheme, another port, a user.
        ("https://shop.example", &["127.0.0.1"][..], origin.clone()),
        (&*origin, &["127.0.0.1"][..], format!("https://127.0.0.1:{port}")),
        (&*origin, &["127.0.0.1"][..], "http://127.0.0.1:1".to_owned()),
        (&*origin, &["127.0.0.1"][..], format!("http://ann:pass@127.0.0.1:{port}")),
    ] {
        let fetched = client(allow, private).fetch(Url::parse(&url).unwrap(), PATIENCE).await;
        assert_eq!(fetched, Err(refused), "{allow} {private:?} {url}");
    }
    // A listed name that resolves to an address of this machine, also beside one of the internet.
    let named = format!("http://shop.example:{port}");
    for addresses in [vec!["127.0.0.1"], vec!["1.1.1.1", "127.0.0.1"], vec!["::ffff:127.0.0.1"]] {
        let found: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let lookup: Lookup = Arc::new(move |_| {
            let found = found.clone();
            Box::pin(async move { Ok(found) })
        });
        let client = GuardedClient::resolving(&rules(&named, &[]), lookup).unwrap();
        let failure = client.fetch(Url::parse(&named).unwrap(), PATIENCE).await.unwrap_err();
        assert!(failure.is_refused, "{addresses:?}: {failure:?}");
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn the_time_limit_covers_the_whole_body() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n".to_vec();
    let slow = std::iter::once(head).chain(vec![b"a".to_vec(); 900]).collect();
    let silent = vec![Vec::new(), b"HTTP/1.1 200 OK\r\n\r\n".to_vec()];
    for (pieces, pause) in [(slow, Duration::from_millis(50)), (silent, Duration::from_secs(60))] {
        let server = Server::start(pieces, pause).await;
        let origin = format!("http://{}", server.address);
        let begun = Instant::now();
        let url = Url::parse(&origin).unwrap();
        let fetched = client(&origin, &["127.0.0.1"]).fetch(url, Duration::from_millis(300)).await;
        assert!(!fetched.unwrap_err().is_refused);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert_eq!(server.requests(), 1);
    }
}
