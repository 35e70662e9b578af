//! Requests per second of the server, one utterance per request, with the load generator on the same cores.
//!
//! `cargo bench --bench serving_load -- [MODEL.botops | TRAIN.csv] [SECONDS] [CONNECTIONS] [THREADS]`
//!
//! A CSV file (`text,intent` or `text,category`) is trained on first. Without a file, a small generated corpus is
//! used. Metrics and the request log are on (redirect standard error to a file). Each connection sends a request,
//! waits for the answer, and repeats. A failed answer is counted, and the exit code is then 1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench says what it measured")]

use botops_digest::Digest;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_serving::{AccessSettings, RequestLog, ServerSettings, Source, start};
use botops_spec::Spec as _;
use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
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

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<u64> {
    // `cargo bench` adds `--bench`; `cargo test --benches` does not, and should end quickly.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |index: usize, default: u64| {
        arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seconds = number(1, if measured { 10 } else { 1 });
    let connections = number(2, 32);
    let threads = number(3, 2);

    let (model, texts) = model(arguments.first().map(String::as_str))?;
    let n_classes = model.labels().len();
    let digest = Digest::of(&model.to_bytes());
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
        predictions: None,
        monitoring: None,
        disks: std::collections::BTreeMap::new(),
        knowledge: Default::default(),
        uploads: Default::default(),
        channels: Default::default(),
        telemetry: Default::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(threads)?)
        .enable_all()
        .build()?;
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(texts.iter().map(|text| request(text)).collect());
    let (answers, failures, wall, cpu) = runtime.block_on(async {
        let source = Source::File { model: Box::new(model), digest, name: "bench".to_owned() };
        let running = start(settings, source).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let (begun, cpu) = (Instant::now(), cpu());
        let clients: Vec<_> = (0..connections)
            .map(|offset| {
                let (requests, stop) = (Arc::clone(&requests), Arc::clone(&stop));
                tokio::spawn(load(running.address(), requests, stop, offset as usize * 7))
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        stop.store(true, Ordering::Relaxed);
        let (mut answers, mut failures) = (Vec::new(), 0);
        for client in clients {
            let (durations, failed) = client.await??;
            answers.extend(durations);
            failures += failed;
        }
        let (wall, cpu) =
            (begun.elapsed(), self::cpu().zip(cpu).map(|(after, before)| after - before));
        running.shutdown().await;
        Outcome::Ok((answers, failures, wall, cpu))
    })?;
    let mut answers: Vec<u32> = answers;
    answers.sort_unstable();
    let quantile = |q: f64| {
        let index = ((answers.len() as f64 * q) as usize).min(answers.len().saturating_sub(1));
        answers.get(index).map_or(0.0, |nanos| f64::from(*nanos) / 1e6)
    };
    println!(
        "{n_classes} intents, {connections} connections, {threads} threads, {:.1} s\n\
         {:.0} requests/s   p50 {:.3} ms   p99 {:.3} ms   {failures} failed of {}",
        wall.as_secs_f64(),
        answers.len() as f64 / wall.as_secs_f64(),
        quantile(0.5),
        quantile(0.99),
        answers.len(),
    );
    if let Some(cpu) = cpu {
        println!(
            "{:.1} microseconds of CPU a request, load included",
            cpu.as_secs_f64() * 1e6 / answers.len().max(1) as f64
        );
    }
    Ok(failures)
}

/// Returns the CPU time of this process, if Linux reports it. On a shared machine it is more reliable than wall-clock
/// time.
fn cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // User and system time are fields 14 and 15, in hundredths of a second.
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn request(text: &str) -> Vec<u8> {
    let body = serde_json::json!({ "text": text }).to_string();
    format!(
        "POST /v1/predict HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}

/// Sends requests over one connection until `stop`. Returns the nanoseconds of each request, and the number of
/// failures.
async fn load(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    stop: Arc<AtomicBool>,
    offset: usize,
) -> Outcome<(Vec<u32>, u64)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut durations, mut failures) = (Vec::with_capacity(1 << 18), 0);
    let mut buffer = vec![0; 16 << 10];
    let mut next = offset;
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        stream.write_all(&requests[next % requests.len()]).await?;
        next += 1;
        let mut filled = 0;
        let whole = loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            filled += read;
            if let Some(whole) = answer_length(&buffer[..filled]).filter(|whole| filled >= *whole) {
                break whole;
            }
        };
        durations.push(u32::try_from(asked.elapsed().as_nanos()).unwrap_or(u32::MAX));
        if filled != whole || !buffer.starts_with(b"HTTP/1.1 200 ") {
            failures += 1;
        }
    }
    Ok((durations, failures))
}

/// Returns the length of the answer at the front of `bytes`, if its head is complete.
fn answer_length(bytes: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let at = bytes[..head].windows(LENGTH.len()).position(|window| window == LENGTH)?;
    let digits = bytes[at + LENGTH.len()..head].iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + 4 + digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

fn model(path: Option<&str>) -> Outcome<(IntentModel, Vec<String>)> {
    match path {
        Some(path) if path.ends_with(".botops") => {
            let (model, _) = IntentModel::read(Path::new(path))?;
            Ok((model, small().into_iter().map(|(text, _)| text).collect()))
        }
        Some(path) => {
            let mut rows = Vec::new();
            for row in csv::Reader::from_path(path)?.records() {
                let row = row?;
                rows.push((row[0].to_owned(), row[1].to_owned()));
            }
            trained(rows)
        }
        None => trained(small()),
    }
}

fn trained(rows: Vec<(String, String)>) -> Outcome<(IntentModel, Vec<String>)> {
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec::default();
    let model = train(
        TrainingInput::new(&samples, &spec.check().expect("the settings are in range")),
        &Silent,
    )?;
    Ok((model, rows.into_iter().map(|(text, _)| text).collect()))
}

fn small() -> Vec<(String, String)> {
    let words = [
        ("invoice", "invoice charged bill payment receipt amount"),
        ("login", "password login account locked reset username"),
        ("parcel", "parcel delivery tracking courier arrived shipped"),
    ];
    words
        .iter()
        .flat_map(|(intent, words)| {
            words.split(' ').flat_map(move |a| {
                words.split(' ').map(move |b| (format!("the {a} of my {b}?"), (*intent).to_owned()))
            })
        })
        .collect()
}
