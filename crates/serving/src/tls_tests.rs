//! TLS with real certificates: versions, protocols, files that are wrong, and a reload under load.

use super::{
    ConnectionLimits, ListenerSettings, MetricsAccess, Running, ServerSettings, Source,
    TlsSettings, TlsVersion,
    app::App,
    clock::WallClock,
    server::{new_app, start},
    shadow,
    tests::{model, settings},
};
use axum::{Extension, Router, body::Body, extract::ConnectInfo, routing::get};
use botops_connections::{Certificates, OverTls, Places, address, bind, serve};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use hyper::{
    Request,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Handle,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Writes a certificate of `localhost`, valid from one year to another, and its key. Returns it.
fn write_certificate(folder: &Path, (from, to): (i32, i32)) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.not_before = date_time_ymd(from, 1, 1);
    parameters.not_after = date_time_ymd(to, 1, 1);
    let certificate = parameters.self_signed(&key).unwrap();
    fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

fn tls_of(folder: &Path) -> TlsSettings {
    TlsSettings {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
        min_version: TlsVersion::default(),
    }
}

async fn start_with(tls: TlsSettings, limits: ConnectionLimits) -> Result<Running> {
    let metrics = MetricsAccess::Open;
    let listeners =
        ListenerSettings { limits, metrics, tls: Some(tls), ..ListenerSettings::default() };
    let model = model();
    let digest = Digest::of(&model.to_bytes());
    let source = Source::File { model: Box::new(model), digest, name: "support".to_owned() };
    start(ServerSettings { listeners, ..settings() }, source).await
}

/// A client that trusts `roots` and speaks `protocol`.
fn client(
    roots: &[CertificateDer<'static>],
    protocol: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsConnector {
    let mut store = RootCertStore::empty();
    roots.iter().for_each(|root| store.add(root.clone()).unwrap());
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    // A session that goes on shows the certificate with which it began.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(
    connector: &TlsConnector,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    Ok(stream)
}

fn certificate_of(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn request() -> Request<Body> {
    Request::get("https://localhost/health")
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn http2_and_http1_are_negotiated_over_both_versions_of_tls() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_certificate(folder.path(), (2000, 2100));
    let running = start_with(tls_of(folder.path()), ConnectionLimits::default()).await.unwrap();
    assert!(running.url().starts_with("https://") && running.notes().is_empty());
    for version in [&TLS12, &TLS13] {
        let connector = client(std::slice::from_ref(&root), "h2", &[version]);
        let stream = connect(&connector, running.address()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request()).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, hyper::Version::HTTP_2));
        let hsts = answer.headers()["strict-transport-security"].to_str().unwrap().to_owned();
        assert!(hsts.starts_with("max-age="), "{hsts}");

        let connector = client(std::slice::from_ref(&root), "http/1.1", &[version]);
        let stream = connect(&connector, running.address()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/health").header("host", "localhost");
        let answer = sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, hyper::Version::HTTP_11));
        assert_eq!(answer.headers()["strict-transport-security"], hsts.as_str());
    }
    let connector = client(std::slice::from_ref(&root), "spdy/3", &[&TLS13]);
    assert!(connect(&connector, running.address()).await.is_err(), "no common protocol");
    running.shutdown().await;

    // Without TLS, a browser would ignore it, and a proxy in front decides.
    let running = start(settings(), {
        let model = model();
        let digest = Digest::of(&model.to_bytes());
        Source::File { model: Box::new(model), digest, name: "support".to_owned() }
    });
    let running = running.await.unwrap();
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 200 ") && !answer.contains("strict-transport"),
        "{answer}"
    );
    running.shutdown().await;
}

#[tokio::test]
async fn a_request_says_whether_it_came_over_tls_and_from_where() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_certificate(folder.path(), (2000, 2100));
    let shown = async |tls: Option<Extension<OverTls>>, from: ConnectInfo<SocketAddr>| {
        format!("{} {}", tls.is_some(), from.0)
    };
    let app = new_app("m", &settings(), Arc::new(WallClock::start()), shadow::CAPACITY).unwrap();
    let (_stop, stopped) = watch::channel(false);
    for is_tls in [false, true] {
        let listener = bind(settings().listen).await.unwrap();
        let at = address(&listener).unwrap();
        let places = Places::new(Arc::<App>::clone(&app), "public", ConnectionLimits::default());
        let tls = is_tls.then(|| Certificates::open(tls_of(folder.path()), "public").unwrap());
        let routes = Router::new().route("/", get(shown));
        serve(&Handle::current(), listener, routes, places, tls, stopped.clone());
        let ask = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let mut answer = String::new();
        let from = if is_tls {
            let connector = client(std::slice::from_ref(&root), "http/1.1", &[&TLS13]);
            let mut stream = connect(&connector, at).await.unwrap();
            stream.write_all(ask).await.unwrap();
            stream.read_to_string(&mut answer).await.unwrap();
            stream.get_ref().0.local_addr()
        } else {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(ask).await.unwrap();
            stream.read_to_string(&mut answer).await.unwrap();
            stream.local_addr()
        };
        let expected = format!("\r\n\r\n{is_tls} {}", from.unwrap());
        assert!(answer.ends_with(&expected), "{expected}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_certificate(folder.path(), (2000, 2100));
    let running = start_with(tls_of(folder.path()), ConnectionLimits::default()).await.unwrap();
    let address = running.address();
    // The clients trust all three, so the files of the next two are made now and written later.
    let [second, third] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let roots = [
        first.clone(),
        write_certificate(second.path(), (2000, 2101)),
        write_certificate(third.path(), (2000, 2102)),
    ];
    let replace = |with: &Path| {
        for name in ["server.pem", "server.key"] {
            fs::copy(with.join(name), folder.path().join(name)).unwrap();
        }
    };
    let connector = client(&roots, "h2", &[&TLS12, &TLS13]);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|i| {
            let (connector, stop, answered) =
                (connector.clone(), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let stream = connect(&connector, address).await.unwrap();
                    let (mut sender, connection) =
                        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
                    tokio::spawn(connection);
                    // Half of them keep one connection.
                    while !stop.load(Ordering::Relaxed) {
                        let answer = sender.send_request(request()).await.unwrap();
                        assert_eq!(answer.status(), 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                        if i % 2 == 0 {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    let wait_for_answers = async |n: u64| {
        let before = answered.load(Ordering::Relaxed);
        while answered.load(Ordering::Relaxed) < before + n {
            sleep(Duration::from_millis(5)).await;
        }
    };
    wait_for_answers(50).await;
    replace(second.path());
    assert_eq!(running.reload_certificates().unwrap(), 1);
    assert_eq!(running.reload_certificates().unwrap(), 0, "nothing changed since");
    let served = async || certificate_of(&connect(&connector, address).await.unwrap());
    assert_eq!(served().await, roots[1]);
    wait_for_answers(50).await;

    // A key of another certificate is refused, and the one before stays in force.
    fs::copy(third.path().join("server.key"), folder.path().join("server.key")).unwrap();
    let fault = running.reload_certificates().unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1089", 2));
    assert_eq!(served().await, roots[1]);

    // Without a word, at the next look.
    replace(third.path());
    let begun = Instant::now();
    while served().await != roots[2] {
        assert!(begun.elapsed() < Duration::from_secs(20), "the change is not noticed");
        sleep(Duration::from_millis(100)).await;
    }
    wait_for_answers(50).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a request failed");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn other_clients_than_those_of_tls_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_certificate(folder.path(), (2000, 2100));
    let limits = ConnectionLimits {
        handshake_timeout: Duration::from_millis(400),
        ..ConnectionLimits::default()
    };
    let tls = TlsSettings { min_version: TlsVersion::Tls13, ..tls_of(folder.path()) };
    let running = start_with(tls, limits).await.unwrap();
    let send = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let (mut answer, begun) = (Vec::new(), Instant::now());
        let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the connection is kept");
        (answer, begun.elapsed())
    };
    let (answer, _) = send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("BOT-6099"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
    serde_json::from_str::<serde_json::Value>(body).unwrap();

    // The hello of a client that knows TLS 1.1 at most.
    let hello = [&[3, 2], [7; 32].as_slice(), &[0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]].concat();
    let message = [&[1, 0, 0, hello.len() as u8], hello.as_slice()].concat();
    let record = [&[0x16, 3, 1, 0, message.len() as u8], message.as_slice()].concat();
    let (alert, _) = send(&record).await;
    // Fatal: `handshake_failure`, or `protocol_version`.
    assert!(alert[0] == 0x15 && matches!(alert[5..], [2, 40 | 70]), "{alert:?}");
    let old = client(std::slice::from_ref(&root), "h2", &[&TLS12]);
    assert!(connect(&old, running.address()).await.is_err());
    let new = client(std::slice::from_ref(&root), "h2", &[&TLS13]);
    connect(&new, running.address()).await.unwrap();

    for begin in [b"".as_slice(), &record[..20]] {
        let (answer, time) = send(begin).await;
        assert!(answer.is_empty());
        let range = Duration::from_millis(350)..Duration::from_millis(2_500);
        assert!(range.contains(&time), "{time:?}");
    }
    let mut stream =
        connect(&client(&[root], "http/1.1", &[&TLS13]), running.address()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).await.unwrap();
    for line in [
        "botops_connections_cut_total{listener=\"public\",reason=\"handshake\"} 2",
        "botops_tls_handshakes_failed_total{listener=\"public\"} 3",
        "botops_tls_certificate_expiry_timestamp_seconds{listener=\"public\"} 4102444800",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn the_files_are_checked_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let tls = tls_of(folder.path());
    let fault_of = async || -> Fault {
        match start_with(tls.clone(), ConnectionLimits::default()).await {
            Err(fault) => fault,
            Ok(_) => panic!("it starts"),
        }
    };
    let check = async |part: &str| {
        let fault = fault_of().await;
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1089", 2), "{fault}");
        assert!(fault.message().contains(part), "{part}: {fault}");
        assert!(!fault.message().contains("PRIVATE"), "{fault}");
    };
    check("server.pem` cannot be read").await;
    // A pipe without a writer would block the start, and a device never ends.
    for other in ["/dev/zero", "."] {
        let device = TlsSettings { certificate: other.into(), ..tls.clone() };
        let fault = botops_connections::check_certificate(&device).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1089", 2), "{fault}");
        assert!(fault.message().contains("is not a regular file"), "{fault}");
    }
    write_certificate(folder.path(), (2000, 2100));
    let certificate = fs::read(&tls.certificate).unwrap();
    let key = fs::read(&tls.key).unwrap();
    fs::remove_file(&tls.key).unwrap();
    check("server.key` cannot be read").await;
    fs::write(&tls.key, "hello").unwrap();
    check("server.key` has no private key in PEM").await;
    fs::write(&tls.key, &certificate).unwrap();
    check("server.key` has no private key in PEM").await;
    fs::write(&tls.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    check("does not belong to the certificate").await;
    fs::write(&tls.key, &key).unwrap();
    for broken in [b"".as_slice(), b"hello", &key, &certificate[..certificate.len() / 2]] {
        fs::write(&tls.certificate, broken).unwrap();
        check("server.pem`").await;
    }
    fs::write(&tls.certificate, &certificate).unwrap();
    start_with(tls.clone(), ConnectionLimits::default()).await.unwrap().shutdown().await;

    for (years, note) in
        [((2000, 2001), "expired on 2001-01-01"), ((2100, 2101), "is not valid before 2100")]
    {
        write_certificate(folder.path(), years);
        let running = start_with(tls.clone(), ConnectionLimits::default()).await.unwrap();
        let [found] = running.notes() else { panic!("{:?}", running.notes()) };
        assert!(found.contains(note), "{found}");
        running.shutdown().await;
    }
}
