//! The cost of WebSockets: memory of idle ones, and messages per second.
//!
//! `cargo bench --bench websockets -- [SOCKETS] [SECONDS]`
//!
//! The server runs in a process of its own on the same cores, with a small model, no stored conversations and no request log.
//! One run prints:
//!
//! - the memory of the server before and after SOCKETS sockets said hello, and when they were pinged and are still there
//! - messages per second of 32 clients that wait for each answer, and of 32 that send 16 messages before they read
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench says what it measured")]

use botops_digest::Digest;
use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
use botops_serving::{
    AccessSettings, ConnectionLimits, ListenerSettings, PublicSettings, RequestLog, ServerSettings,
    Source, WebSocketSettings, start,
};
use botops_spec::Spec as _;
use std::{
    error::Error,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Says to the process that it serves.
const SERVES: &str = "BOTOPS_BENCH_SERVES";
/// The time between pings.
const PING: Duration = Duration::from_secs(20);
/// Clients that send messages.
const TALKING: usize = 32;
const HELLO: &str = r#"{"type": "hello", "conversation_id": "c"}"#;
const MESSAGE: &str = r#"{"type": "message", "text": "the invoice of my receipt?"}"#;

fn main() -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| match std::env::var_os(SERVES) {
        Some(_) => runtime.block_on(serve()),
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

/// Serves, prints the address, and goes on until its input ends.
async fn serve() -> Outcome<()> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let limits = ConnectionLimits { connections: 20_000, ..ConnectionLimits::default() };
    let websockets = WebSocketSettings { ping: PING, ..WebSocketSettings::default() };
    let settings = ServerSettings {
        listen: anywhere,
        admin_listen: anywhere,
        admin_token: None,
        allowed_hosts: Vec::new(),
        environment: "bench".to_owned(),
        request_log: RequestLog::Off,
        access: AccessSettings::default(),
        replication: botops_serving::Replication::default(),
        webhooks: Vec::new(),
        public: PublicSettings { websockets, ..PublicSettings::default() },
        conversations: None,
        actions: None,
        predictions: None,
        monitoring: None,
        disks: std::collections::BTreeMap::new(),
        knowledge: Default::default(),
        uploads: Default::default(),
        channels: Default::default(),
        telemetry: Default::default(),
        listeners: ListenerSettings { limits, ..ListenerSettings::default() },
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
    let running = start(settings, source).await?;
    println!("{}", running.address());
    let ended = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(ended).await??;
    Ok(())
}

/// The process that serves. It ends when this is dropped.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .env(SERVES, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self { process, address: line.trim().parse()? })
    }

    /// Returns its memory in use, in KiB.
    fn memory(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a masked frame with `text`.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126);
    let mut frame = vec![0x81, 0x80 | length.expect("a short text"), 1, 2, 3, 4];
    let masked = text.bytes().enumerate().map(|(i, byte)| byte ^ [1, 2, 3, 4][i % 4]);
    frame.extend(masked);
    frame
}

/// Opens a socket, and says hello.
async fn open(address: SocketAddr) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let head = "GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    if !answer.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8_lossy(&answer).into_owned().into());
    }
    stream.write_all(&frame(HELLO)).await?;
    let mut unread = Vec::new();
    read_texts(&mut stream, &mut unread, 1).await?;
    Ok(stream)
}

/// Reads `n` texts. `unread` holds the bytes after the last one.
async fn read_texts(stream: &mut TcpStream, unread: &mut Vec<u8>, n: usize) -> Outcome<()> {
    let mut left = n;
    loop {
        while left > 0 {
            let [first, length, ..] = unread[..] else { break };
            let (header, length) = match (length, unread.get(2..4)) {
                (126, Some(long)) => (4, usize::from(u16::from_be_bytes([long[0], long[1]]))),
                (126, None) => break,
                (length, _) => (2, usize::from(length)),
            };
            if unread.len() < header + length {
                break;
            }
            unread.drain(..header + length);
            left -= usize::from(first == 0x81);
        }
        if left == 0 {
            return Ok(());
        }
        let mut buffer = [0; 16 << 10];
        match stream.read(&mut buffer).await? {
            0 => return Err("the server closed a socket".into()),
            n => unread.extend_from_slice(&buffer[..n]),
        }
    }
}

async fn measure() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1).filter(|it| it != "--bench");
    let n_sockets: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let server = Server::start()?;
    // What the first requests make is no cost of sockets.
    for _ in 0..64 {
        open(server.address).await?;
    }
    sleep(Duration::from_secs(1)).await;
    let before = server.memory()?;
    let begun = Instant::now();
    let mut sockets = Vec::new();
    for _ in 0..n_sockets {
        sockets.push(open(server.address).await?);
    }
    let after = server.memory()?;
    println!(
        "{n_sockets} sockets in {:.1} s: {} MiB before, {} MiB after, {:.1} KiB a socket",
        begun.elapsed().as_secs_f64(),
        before >> 10,
        after >> 10,
        (after - before) as f64 / n_sockets as f64
    );
    // An empty pong, masked.
    let pong = [0x8a, 0x80, 1, 2, 3, 4];
    for round in 1..=12 {
        sleep(PING / 4).await;
        let mut lost = 0;
        for socket in &mut sockets {
            let mut buffer = [0; 256];
            let is_closed = matches!(socket.try_read(&mut buffer), Ok(0));
            lost += usize::from(is_closed || socket.write_all(&pong).await.is_err());
        }
        if round % 4 == 0 {
            println!("after {} pings: {lost} lost, {} MiB", round / 4, server.memory()? >> 10);
        }
    }
    drop(sockets);
    for depth in [1, 16] {
        let mut clients = JoinSet::new();
        for _ in 0..TALKING {
            let mut stream = open(server.address).await?;
            let messages = frame(MESSAGE).repeat(depth);
            clients.spawn(async move {
                let (begun, mut n, mut unread) = (Instant::now(), 0_u64, Vec::new());
                while begun.elapsed().as_secs() < seconds {
                    stream.write_all(&messages).await?;
                    read_texts(&mut stream, &mut unread, depth).await?;
                    n += depth as u64;
                }
                Outcome::Ok(n)
            });
        }
        let mut sum = 0;
        while let Some(done) = clients.join_next().await {
            sum += done??;
        }
        println!("{TALKING} clients, {depth} messages at a time: {} messages/s", sum / seconds);
    }
    Ok(())
}
