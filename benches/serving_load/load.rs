//! The load: connections that ask one question after another.

use crate::Outcome;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The size of a load.
pub(crate) struct Load {
    /// The time for which it asks.
    pub(crate) time: Duration,
    /// The number of connections.
    pub(crate) connections: u64,
}

/// The answers to a load.
pub(crate) struct Measured {
    /// The nanoseconds of each answer, in increasing order.
    pub(crate) nanos: Vec<u32>,
    /// The number of answers that failed.
    pub(crate) failures: u64,
    /// The time from the first question to the last answer.
    pub(crate) wall: Duration,
    /// The CPU seconds of this process.
    pub(crate) cpu_seconds: f64,
    /// The CPU seconds of the thread that measured.
    pub(crate) thread_cpu_seconds: f64,
}

impl Measured {
    /// Returns a quantile of the latencies, in milliseconds.
    pub(crate) fn quantile_ms(&self, q: f64) -> f64 {
        let last = self.nanos.len().saturating_sub(1);
        let index = ((self.nanos.len() as f64 * q) as usize).min(last);
        self.nanos.get(index).map_or(0.0, |nanos| f64::from(*nanos) / 1e6)
    }
}

/// Sends `requests` to `address`, again and again.
pub(crate) async fn measure(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    load: &Load,
) -> Outcome<Measured> {
    let requests = Arc::new(requests);
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let (cpu, thread_cpu) = (cpu_seconds("self"), cpu_seconds("thread-self"));
    let clients: Vec<_> = (0..load.connections)
        .map(|offset| {
            let (requests, stop) = (Arc::clone(&requests), Arc::clone(&stop));
            tokio::spawn(ask(address, requests, stop, offset as usize * 7))
        })
        .collect();
    tokio::time::sleep(load.time).await;
    stop.store(true, Ordering::Relaxed);
    let (mut nanos, mut failures) = (Vec::new(), 0);
    for client in clients {
        let (own, failed) = client.await??;
        nanos.extend(own);
        failures += failed;
    }
    let wall = begun.elapsed();
    let cpu_seconds_of = |process: &str, before: f64| cpu_seconds(process) - before;
    let (cpu_seconds, thread_cpu_seconds) =
        (cpu_seconds_of("self", cpu), cpu_seconds_of("thread-self", thread_cpu));
    nanos.sort_unstable();
    Ok(Measured { nanos, failures, wall, cpu_seconds, thread_cpu_seconds })
}

/// Returns the CPU seconds of `self` or `thread-self` so far. On a shared machine they are more reliable than wall-clock
/// time. Linux counts hundredths.
fn cpu_seconds(task: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{task}/stat")).unwrap_or_default();
    let times = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Returns the request that sends `text` to `path`.
pub(crate) fn request(path: &str, text: &str) -> Vec<u8> {
    let body = serde_json::json!({ "text": text }).to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}

/// A connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to `address`.
    pub(crate) async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 << 10] })
    }

    /// Sends `request`, and returns the answer if its status is 200.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Outcome<Option<&[u8]>> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let whole = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            filled += read;
            let whole = answer_length(&self.buffer[..filled]);
            if let Some(whole) = whole.filter(|whole| filled >= *whole) {
                break whole;
            }
        };
        let answer = &self.buffer[..filled];
        let is_answer = filled == whole && answer.starts_with(b"HTTP/1.1 200 ");
        Ok(is_answer.then_some(answer))
    }
}

/// Sends requests over one connection until `stop`. Returns the nanoseconds of each request, and the number of failures.
async fn ask(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    stop: Arc<AtomicBool>,
    offset: usize,
) -> Outcome<(Vec<u32>, u64)> {
    let mut connection = Connection::open(address).await?;
    let (mut nanos, mut failures) = (Vec::with_capacity(1 << 18), 0);
    let mut next = offset;
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let is_answered = connection.ask(&requests[next % requests.len()]).await?.is_some();
        next += 1;
        nanos.push(u32::try_from(asked.elapsed().as_nanos()).unwrap_or(u32::MAX));
        failures += u64::from(!is_answered);
    }
    Ok((nanos, failures))
}

/// Returns the length of the answer at the front of `bytes`, if its head is complete.
fn answer_length(bytes: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let at = bytes[..head].windows(LENGTH.len()).position(|window| window == LENGTH)?;
    let digits = bytes[at + LENGTH.len()..head].iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + 4 + digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}
