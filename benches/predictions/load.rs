//! A server with the log and one without it, under the same load.

use crate::{Outcome, generated::folder, settings};
use botops_digest::Digest;
use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
use botops_serving::{
    AccessSettings, PredictionSettings, RequestLog, ServerSettings, Source, start,
};
use botops_spec::Spec as _;
use botops_store::Store;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The most CPU a request with the log, of that without it.
const MOST_CPU: f64 = 1.15;
/// The longest p99 with the log, of that without it.
const MOST_P99: f64 = 1.2;

/// One round: microseconds of CPU a request, milliseconds at the 99th percentile, requests a second.
type Round = [f64; 3];

pub(crate) fn compare(seconds: u64, rounds: u64, connections: u64) -> Outcome<bool> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // In turns, and each first as often as the other.
        for is_first in [true, false] {
            let has_log = (round % 2 == 0) == is_first;
            let measured = measure(has_log, seconds, connections)?;
            if has_log { &mut with } else { &mut without }.push(measured);
        }
    }
    let [with, without] = [median(with), median(without)];
    for (name, [cpu, p99, a_second]) in [("with the log", with), ("without", without)] {
        println!(
            "load {name}: {cpu:.1} microseconds of CPU a request, p99 {p99:.3} ms, {a_second:.0} requests/s"
        );
    }
    let (cpu, p99) = (with[0] / without[0], with[1] / without[1]);
    println!("load: CPU {cpu:.3} x (at most {MOST_CPU}), p99 {p99:.3} x (at most {MOST_P99})");
    Ok(cpu <= MOST_CPU && p99 <= MOST_P99)
}

fn median(rounds: Vec<Round>) -> Round {
    [0, 1, 2].map(|at| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[at]).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    })
}

struct Server(Child, SocketAddr);

impl Server {
    fn start(has_log: bool) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["serve", if has_log { "on" } else { "off" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().parse()?;
        Ok(Self(process, address))
    }

    /// Returns the CPU time of its process so far, in seconds; Linux counts hundredths.
    fn cpu(&self) -> Outcome<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: f64 = fields
            .get(11..13)
            .ok_or("no times")?
            .iter()
            .filter_map(|it| it.parse::<f64>().ok())
            .sum();
        Ok(ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn measure(has_log: bool, seconds: u64, connections: u64) -> Outcome<Round> {
    let server = Server::start(has_log)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut measured = [0.0; 3];
        // The first part warms it up.
        for time in [Duration::from_millis(seconds * 200), Duration::from_secs(seconds)] {
            let stop = Arc::new(AtomicBool::new(false));
            let (begun, cpu) = (Instant::now(), server.cpu()?);
            let clients: Vec<_> = (0..connections)
                .map(|number| tokio::spawn(ask(server.1, number, Arc::clone(&stop))))
                .collect();
            tokio::time::sleep(time).await;
            stop.store(true, Ordering::Relaxed);
            let mut nanos = Vec::new();
            for client in clients {
                nanos.extend(client.await??);
            }
            // The last group is written within this time.
            tokio::time::sleep(Duration::from_millis(150)).await;
            let cpu = server.cpu()? - cpu;
            nanos.sort_unstable();
            let n = nanos.len();
            let p99 = nanos.get(n * 99 / 100).copied().unwrap_or_default();
            let a_second = n as f64 / begun.elapsed().as_secs_f64();
            measured = [cpu * 1e6 / n.max(1) as f64, f64::from(p99) / 1e6, a_second];
        }
        Ok(measured)
    })
}

/// Asks over one connection until `stop`. Returns the nanoseconds of each answer.
async fn ask(address: SocketAddr, number: u64, stop: Arc<AtomicBool>) -> Outcome<Vec<u32>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut nanos, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
    let texts = texts();
    let mut next = number as usize * 7;
    while !stop.load(Ordering::Relaxed) {
        let text = &texts[next % texts.len()].0;
        let conversation = format!("c{number}-{}", next / 5);
        let body = serde_json::json!({"text": text, "conversation_id": conversation}).to_string();
        let request = format!(
            "POST /v1/chat HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len(),
        );
        next += 1;
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        while !is_whole(&buffer[..filled]) {
            let n = stream.read(&mut buffer[filled..]).await?;
            if n == 0 {
                return Err("the server closed the connection".into());
            }
            filled += n;
        }
        nanos.push(u32::try_from(asked.elapsed().as_nanos()).unwrap_or(u32::MAX));
        if !buffer.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&buffer[..filled]).into_owned().into());
        }
    }
    Ok(nanos)
}

/// Returns whether `bytes` is a whole answer.
fn is_whole(bytes: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length: ";
    let whole = || {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let at = bytes[..head].windows(LENGTH.len()).position(|window| window == LENGTH)?;
        let digits = bytes[at + LENGTH.len()..head].iter().take_while(|it| it.is_ascii_digit());
        Some(head + 4 + digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
    };
    whole().is_some_and(|whole| bytes.len() >= whole)
}

/// Serves until the standard input ends; the first line of the output is the address.
pub(crate) fn serve(has_log: bool) -> Outcome<bool> {
    let texts = texts();
    let samples: Vec<Sample<'_>> =
        texts.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec::default().check()?;
    let model = train(TrainingInput::new(&samples, &spec), &Silent)?;
    let digest = Digest::of(&model.to_bytes());
    let (local, root) = (folder()?, folder()?);
    let store = Store::open(root.path().to_str().ok_or("no Unicode")?, &BTreeMap::new())?;
    let log = settings(local.path());
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ServerSettings {
        listen: anywhere,
        admin_listen: anywhere,
        admin_token: None,
        allowed_hosts: Vec::new(),
        environment: "bench".to_owned(),
        request_log: RequestLog::To(|| Box::new(std::io::stderr())),
        access: AccessSettings::default(),
        listeners: botops_serving::ListenerSettings::default(),
        replication: botops_serving::Replication::default(),
        webhooks: Vec::new(),
        public: botops_serving::PublicSettings::default(),
        conversations: None,
        actions: None,
        predictions: has_log.then(|| PredictionSettings { log, store, retention: None }),
        monitoring: None,
        disks: std::collections::BTreeMap::new(),
        knowledge: Default::default(),
        uploads: Default::default(),
        channels: Default::default(),
        telemetry: Default::default(),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let source = Source::File { model: Box::new(model), digest, name: "bench".to_owned() };
        let running = start(settings, source).await?;
        println!("{}", running.address());
        let ended = || std::io::stdin().read_to_end(&mut Vec::new()).map(|_| ());
        tokio::task::spawn_blocking(ended).await??;
        running.shutdown().await;
        Ok(true)
    })
}

fn texts() -> Vec<(String, String)> {
    let words = [
        ("invoice", "invoice charged bill payment receipt amount"),
        ("login", "password login account locked reset username"),
        ("parcel", "parcel delivery tracking courier arrived shipped"),
    ];
    let of = |(intent, words): &(&str, &'static str)| -> Vec<(String, String)> {
        let pairs = words.split(' ').flat_map(|a| words.split(' ').map(move |b| (a, b)));
        pairs.map(|(a, b)| (format!("the {a} of my {b}?"), (*intent).to_owned())).collect()
    };
    words.iter().flat_map(of).collect()
}
