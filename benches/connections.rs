//! The cost of connections: slow strangers beside other clients, many clients at a time, and TLS.
//!
//! `cargo bench --bench connections -- [SECONDS] [PAIRS] [STRANGERS] [CLIENTS]`
//!
//! The server runs in a process of its own on the same cores, with a small model and no request log. One run prints:
//!
//! - requests per second of 32 clients, in interleaved pairs without and with STRANGERS connections that each send a byte of
//!   a head per second and come back when they are cut off; and how long `/health` on the admin listener takes beside them
//! - what CLIENTS clients get that send a request at the same time: an answer, 503, a closed connection, or nothing in 30 s
//! - requests per second of 32 kept connections, in interleaved pairs over plain HTTP and over TLS
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench says what it measured")]

use botops_digest::Digest;
use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
use botops_serving::{
    AccessSettings, ConnectionLimits, ListenerSettings, RequestLog, ServerSettings, Source,
    TlsSettings, TlsVersion, start,
};
use botops_spec::Spec as _;
use botops_workspace::Secret;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use std::{
    error::Error,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The folder with the certificate, for the process that serves.
const FOLDER: &str = "BOTOPS_BENCH_FOLDER";
/// Clients that send one request after the other.
const KEPT: usize = 32;
const BODY: &str = "{\"text\": \"the invoice of my receipt?\"}";

fn main() -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| match std::env::var_os(FOLDER) {
        Some(folder) => runtime.block_on(serve(Path::new(&folder))),
        None => runtime.block_on(measure()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves over plain HTTP and over TLS, prints the addresses, and goes on until its input ends.
async fn serve(folder: &Path) -> Outcome<()> {
    let tls = TlsSettings {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
        min_version: TlsVersion::default(),
    };
    let mut running = Vec::new();
    for tls in [None, Some(tls)] {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let limits = ConnectionLimits { connections: 15_000, ..ConnectionLimits::default() };
        let settings = ServerSettings {
            listen: anywhere,
            admin_listen: anywhere,
            admin_token: Some(Secret::new("a token of thirty-two characters!!")),
            allowed_hosts: Vec::new(),
            environment: "bench".to_owned(),
            request_log: RequestLog::Off,
            access: AccessSettings::default(),
            replication: botops_serving::Replication::default(),
            webhooks: Vec::new(),
            public: botops_serving::PublicSettings::default(),
            conversations: None,
            actions: None,
            predictions: None,
            monitoring: None,
            disks: std::collections::BTreeMap::new(),
            knowledge: Default::default(),
            uploads: Default::default(),
            channels: Default::default(),
            telemetry: Default::default(),
            listeners: ListenerSettings { limits, tls, ..ListenerSettings::default() },
        };
        let rows: Vec<(String, &str)> = ["invoice", "parcel", "login"]
            .into_iter()
            .flat_map(|intent| (0..8).map(move |n| (format!("the {intent} number {n}"), intent)))
            .collect();
        let samples: Vec<Sample<'_>> =
            rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
        let spec = ModelSpec::default().check()?;
        let model = train(TrainingInput::new(&samples, &spec), &Silent)?;
        let digest = Digest::of(&model.to_bytes());
        let source = Source::File { model: Box::new(model), digest, name: "bench".to_owned() };
        running.push(start(settings, source).await?);
    }
    let admin = running[0].admin_address().ok_or("no admin listener")?;
    println!("{} {admin} {}", running[0].address(), running[1].address());
    // Until the process that measures ends.
    let ended = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(ended).await??;
    Ok(())
}

/// The process that serves. It ends when this is dropped.
struct Server {
    process: Child,
    plain: SocketAddr,
    admin: SocketAddr,
    tls: SocketAddr,
}

impl Server {
    fn start(folder: &Path) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let addresses: Vec<SocketAddr> =
            line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [plain, admin, tls] = addresses.as_slice() else {
            return Err("the server did not start".into());
        };
        Ok(Self { process, plain: *plain, admin: *admin, tls: *tls })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn measure() -> Outcome<()> {
    // `cargo bench` adds `--bench`; `cargo test --benches` does not, and should end quickly.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let arguments: Vec<u64> =
        std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let number = |i: usize, full: u64, quick: u64| {
        arguments.get(i).copied().unwrap_or(if measured { full } else { quick })
    };
    let window = Duration::from_secs(number(0, 5, 1));
    let pairs = number(1, 5, 1);
    let strangers = usize::try_from(number(2, 5_000, 200))?;
    let clients = usize::try_from(number(3, 10_000, 200))?;

    let folder = tempfile::tempdir()?;
    let key = rcgen::KeyPair::generate()?;
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    std::fs::write(folder.path().join("server.pem"), certificate.pem())?;
    std::fs::write(folder.path().join("server.key"), key.serialize_pem())?;
    let server = Server::start(folder.path())?;
    beside_strangers(&server, strangers, (pairs, window)).await?;
    all_at_once(server.plain, clients).await?;
    over_tls(&server, folder.path().join("server.pem"), (pairs, window)).await
}

/// Compares the requests per second without and with slow strangers.
async fn beside_strangers(
    server: &Server,
    strangers: usize,
    (pairs, window): (u64, Duration),
) -> Outcome<()> {
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        let without = throughput(server.plain, None, window).await?;
        let (stop, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut slow = JoinSet::new();
        for _ in 0..strangers {
            slow.spawn(stranger(server.plain, Arc::clone(&stop), Arc::clone(&open)));
        }
        while open.load(Ordering::Relaxed) < strangers as u64 * 9 / 10 {
            sleep(Duration::from_millis(10)).await;
        }
        let probe = tokio::spawn(probe(server.admin, window));
        let with = throughput(server.plain, None, window).await?;
        let health = probe.await??;
        stop.store(true, Ordering::Relaxed);
        slow.shutdown().await;
        println!(
            "pair {pair}: {without:.0} requests/s alone, {with:.0} beside {strangers} strangers \
             ({:+.1} %); /health on the admin listener p50 {:.1} ms, max {:.1} ms",
            (with / without - 1.0) * 100.0,
            health[health.len() / 2].as_secs_f64() * 1e3,
            health[health.len() - 1].as_secs_f64() * 1e3,
        );
        ratios.push(with / without);
    }
    println!("strangers cost {:.1} % (median)", (1.0 - median(ratios)) * 100.0);
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Sends a byte of a head per second, and comes back when it is cut off.
async fn stranger(address: SocketAddr, stop: Arc<AtomicBool>, open: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        open.fetch_add(1, Ordering::Relaxed);
        let mut byte = b"GET /health HTTP/1.1\r\nhost: a\r\nx: "
            .iter()
            .copied()
            .chain(std::iter::repeat(b'y'));
        while !stop.load(Ordering::Relaxed) {
            if stream.write_all(&[byte.next().unwrap_or(b'y')]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Asks for `/health` on new connections for `window`. Returns the sorted times.
async fn probe(address: SocketAddr, window: Duration) -> Outcome<Vec<Duration>> {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < window {
        let asked = Instant::now();
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err("the admin listener is not healthy".into());
        }
        times.push(asked.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    times.sort();
    Ok(times)
}

fn predict(close: bool) -> Vec<u8> {
    let close = if close { "connection: close\r\n" } else { "" };
    format!(
        "POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         {close}content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

/// Returns the requests per second of 32 kept connections, over TLS if there is a connector.
async fn throughput(
    address: SocketAddr,
    tls: Option<TlsConnector>,
    window: Duration,
) -> Outcome<f64> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..KEPT {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        match &tls {
            None => clients.spawn(ask(stream, Arc::clone(&stop))),
            Some(tls) => {
                let stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
                clients.spawn(ask(stream, Arc::clone(&stop)))
            }
        };
    }
    let begun = Instant::now();
    sleep(window).await;
    stop.store(true, Ordering::Relaxed);
    let mut n = 0;
    while let Some(client) = clients.join_next().await {
        n += client??;
    }
    Ok(n as f64 / begun.elapsed().as_secs_f64())
}

/// Sends requests until `stop`. Returns their number.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    stop: Arc<AtomicBool>,
) -> Outcome<u64> {
    let request = predict(false);
    let (mut n, mut buffer) = (0, vec![0; 16 << 10]);
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&request).await?;
        stream.flush().await?;
        let mut filled = 0;
        // The answer is a head and one line of JSON.
        while !(filled > 2 && buffer[filled - 1] == b'}' && has_head(&buffer[..filled])) {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err("the server closed a connection".into());
            }
            filled += read;
        }
        if !buffer.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&buffer[..filled]).into());
        }
        n += 1;
    }
    Ok(n)
}

fn has_head(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window == b"\r\n\r\n")
}

/// Sends one request from each of many clients at the same time.
async fn all_at_once(address: SocketAddr, clients: usize) -> Outcome<()> {
    let request: Arc<[u8]> = predict(true).into();
    let begun = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..clients {
        let request = Arc::clone(&request);
        waiting.spawn(async move {
            let answer = async {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(&request).await?;
                let mut answer = Vec::new();
                // A refusal may be followed by a reset.
                let read = stream.read_to_end(&mut answer).await;
                if answer.is_empty() { read.map(|_| answer) } else { Ok(answer) }
            };
            match timeout(Duration::from_secs(30), answer).await {
                Err(_) => "hung",
                Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 200 ") => "answered",
                Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 503 ") => "told to come back",
                Ok(_) => "closed",
            }
        });
    }
    let mut counts = std::collections::BTreeMap::<_, u64>::new();
    while let Some(end) = waiting.join_next().await {
        *counts.entry(end?).or_default() += 1;
    }
    println!("{clients} clients at once, in {:.1} s: {counts:?}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Compares the requests per second over plain HTTP and over TLS.
async fn over_tls(
    server: &Server,
    certificate: PathBuf,
    (pairs, window): (u64, Duration),
) -> Outcome<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        let plain = throughput(server.plain, None, window).await?;
        let tls = throughput(server.tls, Some(connector.clone()), window).await?;
        println!("pair {pair}: {plain:.0} requests/s plain, {tls:.0} over TLS (kept connections)");
        ratios.push(tls / plain);
    }
    println!("over TLS {:.0} % of plain (median)", median(ratios) * 100.0);
    Ok(())
}
