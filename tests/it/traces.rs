//! Traces and the log file of a server in its own process: a receiver that parses the published protocol, and one that is
//! not there.

use crate::{
    python_client::python_with,
    serving::http,
    support::{Folder, repository},
};
use botops_dialogue::DialogueSpec;
use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
use botops_spec::Spec as _;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TOKEN: &str = "hunter2-hunter2";
const LIMIT: Duration = Duration::from_secs(60);

const DIALOGUE: &str = r"
entities: {order: '\d{4,5}'}
slots:
  order_number: {from: [order], ask: {en: 'Which order?'}}
intents:
  return:
    needs: [order_number]
    action: {url: 'http://DESK/returns/{order_number}', timeout: 20s}
responses:
  return: {en: 'Done.'}
  track: {en: 'On its way.'}
default_language: en
";

const TEXTS: [(&str, [&str; 6]); 2] = [
    (
        "return",
        [
            "return my order",
            "send it back",
            "return an item",
            "i want to return it",
            "take my order back",
            "a return please",
        ],
    ),
    (
        "track",
        [
            "track my parcel",
            "where is my parcel",
            "parcel tracking please",
            "has my parcel left",
            "where is the parcel now",
            "parcel status",
        ],
    ),
];

/// Writes the model and the settings of a shop whose action calls `desk`.
fn shop(desk: SocketAddr) -> Folder {
    let samples: Vec<Sample<'_>> = TEXTS
        .iter()
        .flat_map(|(intent, texts)| texts.iter().map(|text| Sample { text, intent }))
        .collect();
    let dialogue = DIALOGUE.replace("DESK", &desk.to_string());
    let dialogue: DialogueSpec = botops_spec::parse(&dialogue, "dialogue.yaml").unwrap();
    let spec = ModelSpec::default().check().unwrap();
    let input = TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) };
    let folder = Folder::empty();
    folder.write("shop.botops", train(input, &Silent).unwrap().to_bytes());
    folder.write(
        "botops.yaml",
        format!(
            "server:\n  metrics: open\n  actions: {{allow: ['http://{desk}'], allow_private: [127.0.0.1]}}\n\
             log: {{file: server.log}}\n"
        ),
    );
    folder
}

/// Listens, answers every request, and sends on its head.
fn desk() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
            let _ = sender.send(head.collect::<Vec<_>>().join("\n"));
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, heads)
}

/// A process that is killed when this is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the receiver of `tests/otlp_receiver.py`, with its port and its lines.
fn receiver() -> Option<(Process, u16, Receiver<String>)> {
    let mut python = python_with("opentelemetry.proto.collector.trace.v1.trace_service_pb2")?;
    let script = repository().join("tests/otlp_receiver.py");
    let mut process = python.arg(script).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap().parse().unwrap();
    let (sender, received) = channel();
    std::thread::spawn(move || {
        lines.map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    Some((Process(process), port, received))
}

/// Starts a server whose collector is at `endpoint`. Returns it with its address.
fn serve(folder: &Folder, endpoint: &str) -> (Process, String) {
    let arguments =
        ["serve", "shop.botops", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut command = folder.botops(arguments);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{TOKEN}"))
        .env("OTEL_SERVICE_NAME", "shop")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let url = loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
        if let Some(url) = line.strip_prefix("serving shop.botops on ") {
            break url.to_owned();
        }
        said += &line;
    };
    std::thread::spawn(move || lines.for_each(drop));
    (Process(process), url)
}

async fn chat(url: &str, text: &str) -> Value {
    let request = http()
        .post(format!("{url}/v1/chat"))
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let body = json!({"text": text, "conversation_id": "a customer"});
    let answer = request.header("tracestate", "shop=1").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn metrics(url: &str) -> String {
    http().get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_from_the_caller_to_the_action() {
    let Some((_receiver, port, received)) = receiver() else { return };
    let (desk, heads) = desk();
    let folder = shop(desk);
    let (_server, url) = serve(&folder, &format!("http://127.0.0.1:{port}/ok"));
    let answer = chat(&url, "return my order 20447").await;
    assert_eq!(answer["intent"], "return", "{answer}");
    let head = heads.recv_timeout(LIMIT).unwrap();
    let sent = head.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap().to_owned();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01"), "{head}");
    assert!(head.contains("tracestate: shop=1"), "{head}");
    let mut spans: Vec<Value> = Vec::new();
    while !spans.iter().any(|span| span["name"] == "POST /v1/chat") {
        let line: Value = serde_json::from_str(&received.recv_timeout(LIMIT).unwrap()).unwrap();
        assert_eq!(line["headers"]["authorization"], format!("Bearer {TOKEN}"));
        assert_eq!(line["path"], "/ok/v1/traces");
        spans.extend(line["spans"].as_array().unwrap().iter().cloned());
    }
    let of = |name: &str| {
        let found = spans.iter().find(|span| span["name"] == name);
        found.unwrap_or_else(|| panic!("no span `{name}`: {spans:#?}"))
    };
    let root = of("POST /v1/chat");
    assert_eq!((&root["parent"], &root["kind"]), (&json!("00f067aa0ba902b7"), &json!(2)));
    assert_eq!(root["attributes"]["http.response.status_code"], 200);
    assert_eq!(root["attributes"]["botops.request_id"], answer["request_id"]);
    assert_eq!(root["resource"]["service.name"], "shop");
    for name in ["classify", "entities", "store", "action"] {
        let span = of(name);
        assert_eq!((&span["trace"], &span["parent"]), (&json!(TRACE), &root["id"]), "{span}");
        assert!(span["start"].as_u64() >= root["start"].as_u64(), "{span}");
        assert!(span["end"].as_u64() >= span["start"].as_u64(), "{span}");
    }
    assert_eq!(of("action")["id"], sent[36..52], "the action goes on from its own span");
    let text = serde_json::to_string(&spans).unwrap();
    assert!(!text.contains("20447") && !text.contains("customer"), "no words of users: {text}");
    let begun = Instant::now();
    while !metrics(&url).await.contains("botops_trace_collector_failing 0") {
        assert!(begun.elapsed() < LIMIT);
    }
    let log = loop {
        let log = folder.read("server.log");
        if log.contains(TRACE) {
            break log;
        }
        assert!(begun.elapsed() < LIMIT, "{log}");
    };
    assert!(!log.contains(TOKEN) && log.ends_with('\n'), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_out_of_reach_is_said_once_and_requests_are_answered() {
    let (desk, _heads) = desk();
    let folder = shop(desk);
    // A port that was free a moment ago: nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_server, url) = serve(&folder, &format!("http://127.0.0.1:{port}"));
    let begun = Instant::now();
    loop {
        let answer = chat(&url, "where is my parcel").await;
        assert_eq!(answer["intent"], "track", "{answer}");
        let metrics = metrics(&url).await;
        let failures =
            metrics.lines().find_map(|line| line.strip_prefix("botops_trace_failures_total "));
        // Several attempts failed, so it could have been said several times.
        if failures.is_some_and(|n| n.parse::<u64>().unwrap() >= 3) {
            assert!(metrics.contains("botops_trace_collector_failing 1"), "{metrics}");
            break;
        }
        assert!(begun.elapsed() < LIMIT, "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = folder.read("server.log");
    assert_eq!(log.matches("BOT-6291").count(), 1, "{log}");
    assert!(log.contains("no connection could be made") && !log.contains(TOKEN), "{log}");
}
