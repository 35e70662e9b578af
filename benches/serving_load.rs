//! Requests per second of the server, one utterance per request, with the load generator on the same cores.
//!
//! - `cargo bench --bench serving_load -- [MODEL.botops | TRAIN.csv] [SECONDS] [CONNECTIONS] [THREADS]`: `POST /v1/predict`.
//!   A CSV file (`text,intent` or `text,category`) is trained on first. Without a file, a small generated corpus is used.
//! - `cargo bench --bench serving_load -- knowledge [SECONDS] [CONNECTIONS] [THREADS] [CHUNKS]`: `POST /v1/chat`, answered
//!   from documents by words. The documents are the paragraphs of XQuAD English, if `BOTOPS_XQUAD_DIR` names their folder,
//!   and then CHUNKS (100,000) paragraphs of 120 invented words.
//!
//! Metrics and the request log are on (redirect standard error to a file). Each connection sends a request, waits for the
//! answer, and repeats. A failed answer is counted, and the exit code is then 1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench says what it measured")]

#[path = "serving_load/knowledge.rs"]
mod knowledge;
#[path = "serving_load/load.rs"]
mod load;
#[path = "knowledge/zipf.rs"]
mod zipf;

use botops_digest::Digest;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_serving::{
    AccessSettings, KnowledgeSettings, RequestLog, ServerSettings, Source, start,
};
use botops_spec::Spec as _;
use load::{Load, Measured, measure, request};
use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// The outcome of a part.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

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
    let load = Load {
        time: Duration::from_secs(number(1, if measured { 10 } else { 1 })),
        connections: number(2, 32),
    };
    let threads = usize::try_from(number(3, 2))?;
    if arguments.first().is_some_and(|first| first == "knowledge") {
        let chunks = usize::try_from(number(4, 100_000))?;
        return knowledge::run(&load, threads, chunks);
    }

    let (model, texts) = model(arguments.first().map(String::as_str))?;
    let n_classes = model.labels().len();
    let runtime = runtime(threads)?;
    let running = serve(&runtime, model, KnowledgeSettings::default())?;
    let requests = texts.iter().map(|text| request("/v1/predict", text)).collect();
    let measured = runtime.block_on(measure(running.address(), requests, &load))?;
    runtime.block_on(running.shutdown());
    println!(
        "{n_classes} intents, {} connections, {threads} threads, {:.1} s",
        load.connections,
        measured.wall.as_secs_f64()
    );
    report(&measured, "requests");
    println!(
        "{:.1} microseconds of CPU a request, load included",
        measured.cpu_seconds * 1e6 / measured.nanos.len().max(1) as f64
    );
    Ok(measured.failures)
}

/// Prints the rate and the latencies of `unit`, such as requests.
pub(crate) fn report(measured: &Measured, unit: &str) {
    println!(
        "{:.0} {unit}/s   p50 {:.3} ms   p99 {:.3} ms   {} failed of {}",
        measured.nanos.len() as f64 / measured.wall.as_secs_f64(),
        measured.quantile_ms(0.5),
        measured.quantile_ms(0.99),
        measured.failures,
        measured.nanos.len(),
    );
}

/// Makes the threads of a server.
pub(crate) fn runtime(threads: usize) -> Outcome<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(threads).enable_all().build()?)
}

/// Starts a server of `model` on the threads of `runtime`.
pub(crate) fn serve(
    runtime: &Runtime,
    model: IntentModel,
    knowledge: KnowledgeSettings,
) -> Outcome<botops_serving::Running> {
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
        knowledge,
        uploads: Default::default(),
        channels: Default::default(),
        telemetry: Default::default(),
    };
    let source = Source::File { model: Box::new(model), digest, name: "bench".to_owned() };
    Ok(runtime.block_on(start(settings, source))?)
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
    let model = trained_as(ModelSpec::default(), &rows)?;
    Ok((model, rows.into_iter().map(|(text, _)| text).collect()))
}

/// Trains a model of `rows`, which are texts and intents.
pub(crate) fn trained_as(spec: ModelSpec, rows: &[(String, String)]) -> Outcome<IntentModel> {
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = spec.check()?;
    Ok(train(TrainingInput::new(&samples, &spec), &Silent)?)
}

pub(crate) fn small() -> Vec<(String, String)> {
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
