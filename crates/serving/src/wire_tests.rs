//! The wire: requests that two programs could read in two ways, slow and greedy clients, and limits.

use super::{
    ConnectionLimits, ListenerSettings, MetricsAccess, Running, ServerSettings, Source,
    clock::WallClock,
    public_gate::PublicGate,
    server::{listen, new_app, start},
    shadow,
    tests::{model, settings},
};
use botops_connections::bind;
use botops_digest::Digest;
use botops_workspace::Secret;
use bytes::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

const TOKEN: &str = "a token of these tests, long enough for any rule";

/// Limits that a test reaches.
fn limits() -> ConnectionLimits {
    ConnectionLimits {
        headers_timeout: Duration::from_millis(500),
        request_timeout: Some(Duration::from_millis(700)),
        idle_timeout: Duration::from_millis(900),
        write_timeout: Duration::from_millis(600),
        ..ConnectionLimits::default()
    }
}

async fn serve(limits: ConnectionLimits, metrics: MetricsAccess, token: Option<&str>) -> Running {
    let listeners = ListenerSettings { limits, metrics, ..ListenerSettings::default() };
    let settings = ServerSettings { listeners, admin_token: token.map(Secret::new), ..settings() };
    let model = model();
    let digest = Digest::of(&model.to_bytes());
    let source = Source::File { model: Box::new(model), digest, name: "support".to_owned() };
    start(settings, source).await.unwrap()
}

/// Serves with the default limits, without a model.
async fn serve_plain() -> Running {
    let settings = settings();
    let app =
        new_app("support", &settings, Arc::new(WallClock::start()), shadow::CAPACITY).unwrap();
    let listener = bind(settings.listen).await.unwrap();
    let gate = PublicGate::open(&app);
    listen(Arc::clone(&app), (listener, None), &settings, gate).unwrap()
}

/// Sends `bytes` and returns all that the server sends until it closes the connection, or `None` if it keeps it for 5 s.
async fn send(address: SocketAddr, bytes: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before all is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    match timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await {
        Ok(_) => Some(String::from_utf8_lossy(&answer).into_owned()),
        Err(_) => None,
    }
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).map(|one| &one[..3]).collect()
}

#[tokio::test]
async fn a_request_that_two_programs_read_differently_is_refused_with_all_that_follows() {
    let running = serve_plain().await;
    const SMUGGLED: &str = "GET /readiness HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, head) in [
        (
            "both lengths",
            "POST /v1/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "both lengths, turned",
            "POST /v1/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        ),
        (
            "one length twice",
            "POST /v1/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "two lengths in a line",
            "POST /v1/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n",
        ),
        ("a length with a sign", "POST /v1/chat HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n"),
        (
            "another encoding",
            "POST /v1/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "an unknown encoding",
            "POST /v1/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "an encoding twice",
            "POST /v1/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a space before the colon",
            "POST /v1/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "an encoding in HTTP/1.0",
            "POST /v1/chat HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("bare LF", "GET /health HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
        ("bare LF everywhere", "GET /health HTTP/1.1\nHost: a\n\n"),
        ("bare CR", "GET /health HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
        ("NUL", "GET /health HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
        ("a folded line", "GET /health HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"),
    ] {
        let answer = send(running.address(), format!("{head}{SMUGGLED}").as_bytes()).await;
        let answer = answer.unwrap_or_else(|| panic!("{name}: the connection stays open"));
        assert_eq!(statuses(&answer), ["400"], "{name}: {answer}");
    }
    for (name, body) in [
        ("a size with bare LF", "1\nx\r\n0\r\n\r\n"),
        ("an extension with bare LF", "1;a\nx\r\n0\r\n\r\n"),
        ("no end of a chunk", "1\r\nxx0\r\n\r\n"),
        ("a size in another form", "0x1\r\nx\r\n0\r\n\r\n"),
    ] {
        let head = "POST /v1/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = send(running.address(), format!("{head}{body}{SMUGGLED}").as_bytes()).await;
        let answer = answer.unwrap_or_else(|| panic!("{name}: the connection stays open"));
        assert!(statuses(&answer).iter().all(|status| *status == "400"), "{name}: {answer}");
        assert!(!answer.contains("BOT-6019"), "{name}: the hidden request was answered: {answer}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn sound_requests_are_answered_one_after_the_other_on_one_connection() {
    let running = serve(ConnectionLimits::default(), MetricsAccess::Admin, None).await;
    let body = "{\"text\": \"red apple\"}";
    let requests = format!(
        "GET /health HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}\
         POST /v1/predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{body}\r\n0\r\nT: 1\r\n\r\n\
         GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        body.len(),
        body.len(),
    );
    let answer = send(running.address(), requests.as_bytes()).await.unwrap();
    assert_eq!(statuses(&answer), ["200"; 4], "{answer}");
    let one_by_one = requests.as_bytes();
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    for byte in one_by_one {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(statuses(&answer), ["200"; 4], "{answer}");
    running.shutdown().await;
}

#[tokio::test]
async fn heads_have_limits_and_a_request_names_one_host() {
    let running = serve_plain().await;
    let many = "X: y\r\n".repeat(70);
    let large = format!("X: {}\r\n", "y".repeat(20 << 10));
    let several = format!("X: {}\r\n", "y".repeat(3 << 10)).repeat(8);
    let uri = "a".repeat(5 << 10);
    for (name, request, status, code) in [
        ("many lines", format!("GET /health HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431", ""),
        ("a large line", format!("GET /health HTTP/1.1\r\nHost: a\r\n{large}\r\n"), "4", ""),
        ("large lines", format!("GET /health HTTP/1.1\r\nHost: a\r\n{several}\r\n"), "431", ""),
        ("a long URI", format!("GET /{uri} HTTP/1.1\r\nHost: a\r\n\r\n"), "414", "BOT-6098"),
        ("no host", "GET /health HTTP/1.1\r\n\r\n".to_owned(), "400", "BOT-6098"),
        (
            "two hosts",
            "GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(),
            "400",
            "BOT-1037",
        ),
        (
            "another host",
            "GET http://b/health HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "400",
            "BOT-6098",
        ),
        ("the same host", "GET http://a/health HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "200", ""),
        ("HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n".to_owned(), "200", ""),
        ("HTTP/0.9", "GET /health\r\n\r\n".to_owned(), "400", ""),
        ("HTTP/3.0", "GET /health HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), "400", ""),
        ("a tunnel", "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n".to_owned(), "4", ""),
        ("no HTTP", "\x16\x03\x01\x02\0\x01\0\x01\x7c".to_owned(), "400", ""),
    ] {
        let mut request = request.into_bytes();
        let head = request.len() - 2;
        if request.ends_with(b"\r\n\r\n") {
            request.splice(head..head, *b"Connection: close\r\n");
        }
        let answer = send(running.address(), &request).await;
        let answer = answer.unwrap_or_else(|| panic!("{name}: the connection stays open"));
        let of_one = answer.strip_prefix("HTTP/1.").map(|it| &it[2..]).unwrap_or_default();
        assert!(of_one.starts_with(status), "{name}: {answer}");
        assert!(answer.contains(code), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{name}: {answer}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_path_is_served_in_one_form_only() {
    let running = serve(ConnectionLimits::default(), MetricsAccess::Admin, Some(TOKEN)).await;
    for path in [
        "//health",
        "/health/",
        "/./health",
        "/v1/../health",
        "/%68ealth",
        "/health%00",
        "/health;a=b",
        "/HEALTH",
        "/health%2f",
        "/..%2f..%2fetc%2fpasswd",
        "/admin/v1/models",
        "/metrics",
        "/v1/predict/../../metrics",
        "/%6detrics",
        "*",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = send(running.address(), request.as_bytes()).await.unwrap();
        assert_eq!(statuses(&answer), ["404"], "{path}: {answer}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn metrics_are_for_administrators_unless_they_are_open_and_health_is_for_everyone() {
    let authorized = format!("Authorization: Bearer {TOKEN}\r\n");
    let get = async |address: SocketAddr, path: &str, header: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n");
        let answer = send(address, request.as_bytes()).await.unwrap();
        (statuses(&answer)[0].to_owned(), answer)
    };
    for (metrics, of_public, of_strangers) in
        [(MetricsAccess::Admin, "404", "401"), (MetricsAccess::Open, "200", "200")]
    {
        let running = serve(ConnectionLimits::default(), metrics, Some(TOKEN)).await;
        let (public, admin) = (running.address(), running.admin_address().unwrap());
        let (status, answer) = get(public, "/metrics", "").await;
        assert_eq!(status, of_public, "{answer}");
        assert_eq!(get(public, "/metrics", &authorized).await.0, of_public);
        assert_eq!(get(admin, "/metrics", "").await.0, of_strangers);
        let (status, answer) = get(admin, "/metrics", &authorized).await;
        assert_eq!(status, "200", "{answer}");
        for line in ["botops_connections{listener=\"admin\"} 1", "openmetrics-text", "# EOF"] {
            assert!(answer.contains(line), "{line}: {answer}");
        }
        for path in ["/health", "/readiness"] {
            for address in [public, admin] {
                assert_eq!(get(address, path, "").await.0, "200", "{path}");
            }
        }
        let note = running.metrics_note();
        let words = if metrics == MetricsAccess::Open { "for everyone" } else { "scope `read`" };
        assert!(note.contains(words), "{note}");
        running.shutdown().await;
    }
}

/// Returns how long the server keeps a connection on which `bytes` come, with `pause` between them, and what it sends.
async fn kept(address: SocketAddr, bytes: &[u8], pause: Duration) -> (Duration, String) {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let (begun, bytes) = (Instant::now(), bytes.to_owned());
    let sender = tokio::spawn(async move {
        for byte in bytes {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(pause).await;
        }
        sleep(Duration::from_secs(10)).await;
    });
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(8), reader.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection is kept");
    sender.abort();
    (begun.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_off_and_counted() {
    let running = serve(limits(), MetricsAccess::Open, None).await;
    let address = running.address();
    let millis = Duration::from_millis;
    let head = format!("GET /health HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(1_000));
    let (time, answer) = kept(address, head.as_bytes(), millis(20)).await;
    assert!((millis(450)..millis(2_500)).contains(&time), "{time:?}: a slow head");
    assert_eq!(answer, "");
    let (time, _) = kept(address, b"", millis(20)).await;
    assert!((millis(450)..millis(2_500)).contains(&time), "{time:?}: no head");
    let (time, _) = kept(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", millis(0)).await;
    assert!((millis(450)..millis(2_500)).contains(&time), "{time:?}: HTTP/2 without a request");
    let body = "POST /v1/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{";
    let (time, answer) = kept(address, body.as_bytes(), millis(0)).await;
    assert!((millis(650)..millis(2_500)).contains(&time), "{time:?}: a slow body");
    assert_eq!(statuses(&answer), ["408"], "{answer}");
    assert!(answer.contains("BOT-6012"), "{answer}");
    let idle = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    let (time, answer) = kept(address, idle.as_bytes(), millis(0)).await;
    assert!((millis(850)..millis(3_000)).contains(&time), "{time:?}: idle");
    assert_eq!(statuses(&answer), ["200"], "{answer}");
    let client = super::client::http().unwrap();
    let metrics = client.get(format!("http://{address}/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for (reason, n) in [("headers", 3), ("idle", 1)] {
        let line =
            format!("botops_connections_cut_total{{listener=\"public\",reason=\"{reason}\"}} {n}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_no_answers_is_cut_off() {
    let running = serve(limits(), MetricsAccess::Open, None).await;
    let (mut reader, mut writer) =
        TcpStream::connect(running.address()).await.unwrap().into_split();
    // The answers fill the buffers of both systems, and then that of the server.
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    let begun = Instant::now();
    let cut = timeout(Duration::from_secs(20), async {
        while writer.write_all(&request).await.is_ok() {}
    });
    cut.await.expect("the server goes on writing to a client that does not read");
    assert!(begun.elapsed() >= limits().write_timeout, "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest).await;
    let client = super::client::http().unwrap();
    let metrics = client.get(format!("http://{}/metrics", running.address())).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    assert!(metrics.contains("reason=\"write\"} 1"), "{metrics}");
    running.shutdown().await;
}

#[tokio::test]
async fn a_connection_without_a_place_is_told_so_and_a_place_is_free_again() {
    let limits = ConnectionLimits { connections: 3, ..ConnectionLimits::default() };
    let running = serve(limits, MetricsAccess::Open, Some(TOKEN)).await;
    let address = running.address();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 4 << 10]).await.unwrap() > 0);
        held.push(stream);
    }
    let answer = send(address, b"").await.unwrap();
    assert_eq!(statuses(&answer), ["503"], "{answer}");
    for part in ["retry-after: 1\r\n", "connection: close\r\n", "\"code\":\"BOT-6097\""] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    // The admin listener has places of its own.
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let metrics = send(running.admin_address().unwrap(), request).await.unwrap();
    let line = "botops_connections_refused_total{listener=\"public\",reason=\"full\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    drop(held);
    for _ in 0..100 {
        let answer = send(address, request).await.unwrap();
        if statuses(&answer) == ["200"] {
            running.shutdown().await;
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("no place is free");
}

#[tokio::test]
async fn http2_is_spoken_without_tls_too_and_ends_with_the_server() {
    let running = serve(ConnectionLimits::default(), MetricsAccess::Open, None).await;
    let stream = TcpStream::connect(running.address()).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    for (uri, status) in [("http://a/health", 200), ("http://a/none", 404)] {
        let request = hyper::Request::get(uri).body(axum::body::Body::empty()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.version(), hyper::Version::HTTP_2);
    }
    let long = format!("http://a/{}", "a".repeat(5 << 10));
    let request = hyper::Request::get(long).body(axum::body::Body::empty()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 414);
    let large = hyper::Request::get("http://a/health").header("x", "y".repeat(20 << 10));
    let large = large.body(axum::body::Body::from(Bytes::new())).unwrap();
    let refused = sender.send_request(large).await;
    assert!(refused.is_err() || refused.unwrap().status() == 431, "a large head is refused");
    let shutdown = tokio::spawn(running.shutdown());
    timeout(Duration::from_secs(5), driver).await.unwrap().unwrap().ok();
    timeout(Duration::from_secs(5), shutdown).await.unwrap().unwrap();
}

/// Sends a POST over HTTP/2 whose body has `chunks` parts of 16 KiB, and does not end before the answer came. Returns the
/// status, and whether the server took the whole body.
async fn post_slowly(address: SocketAddr, path: &str, chunks: usize) -> (u16, bool) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let (parts, taken) = tokio::sync::mpsc::channel::<Bytes>(1);
    let body = futures::stream::unfold(taken, |mut taken| async {
        let part = taken.recv().await?;
        Some((Ok::<_, std::io::Error>(part), taken))
    });
    let request = hyper::Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/json")
        .body(axum::body::Body::from_stream(body))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    // The answer is read to its end, after which nothing keeps the server from a reset.
    axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 1 << 20).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let mut is_taken = true;
    for _ in 0..chunks {
        let sent = parts.send(Bytes::from(vec![b' '; 16 << 10]));
        is_taken &= matches!(timeout(Duration::from_secs(2), sent).await, Ok(Ok(())));
    }
    drop((parts, sender));
    connection.abort();
    (status, is_taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_post_over_http2_is_not_reset_while_its_client_sends_a_small_rest() {
    let running = serve(ConnectionLimits::default(), MetricsAccess::Open, None).await;
    let (status, is_taken) = post_slowly(running.address(), "/v1/nothing", 12).await;
    assert_eq!((status, is_taken), (404, true));
    let (status, is_taken) = post_slowly(running.address(), "/v1/nothing", 64).await;
    assert_eq!((status, is_taken), (404, false), "the rest that is read is bounded");
    running.shutdown().await;
}

#[tokio::test]
async fn a_body_that_is_announced_too_long_is_refused_before_any_of_it_is_read() {
    let running = serve_plain().await;
    let head = |path: &str, length: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    for (path, length) in
        [("/v1/predict", "65537"), ("/v1/chat", "10000000000"), ("/v1/feedback", "9000000000")]
    {
        let answer = send(running.address(), head(path, length).as_bytes()).await.unwrap();
        assert_eq!(statuses(&answer), ["413"], "{path}: {answer}");
        assert!(answer.contains("BOT-6014"), "{path}: {answer}");
    }
    let whole = head("/v1/predict", "2") + "{}";
    let answer = timeout(Duration::from_secs(5), async {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        stream.write_all(whole.as_bytes()).await.unwrap();
        let mut answer = vec![0; 512];
        let n = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..n]).into_owned()
    });
    let answer = answer.await.unwrap();
    assert!(!answer.starts_with("HTTP/1.1 413"), "{answer}");
    running.shutdown().await;
}
