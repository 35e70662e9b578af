//! Spans on their way to a receiver that parses them with the published protocol.

use crate::{
    Kind, Sampler, Span, TraceContext, TraceMetrics, TraceSettings, Tracer, annotate, carry, child,
    scoped, timed,
};
use botops_workspace::Secret;
use prometheus_client::{encoding::text::encode, registry::Registry};
use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

/// A receiver in a process of its own. Killed when dropped.
struct Receiver {
    process: Child,
    port: u16,
    lines: mpsc::Receiver<String>,
}

impl Receiver {
    /// Starts it; `None`, with a message, without a Python that has the protocol.
    fn start() -> Option<Self> {
        let python = env::var("BOTOPS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let module = "import opentelemetry.proto.collector.trace.v1.trace_service_pb2";
        let has_module = Command::new(&python).args(["-c", module]).output();
        if !has_module.is_ok_and(|output| output.status.success()) {
            let requires = env::var_os("BOTOPS_REQUIRE_ALL").is_some_and(|it| it == "1");
            assert!(!requires, "a Python with opentelemetry-proto is absent (BOTOPS_PYTHON)");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/otlp_receiver.py");
        let mut process = Command::new(python).arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let (sender, received) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Some(Self { process, port, lines: received })
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("a request with spans")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A tracer that exports, with its metrics and what it said.
struct Setup {
    tracer: Arc<Tracer>,
    registry: Registry,
    said: Arc<Mutex<Vec<String>>>,
}

impl Setup {
    fn of(settings: TraceSettings) -> Self {
        let mut registry = Registry::default();
        let metrics = TraceMetrics::register(&mut registry);
        let tracer = Tracer::new(&settings, &metrics).unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&said);
        tokio::spawn(tracer.export(Box::new(move |level, message| {
            kept.lock().unwrap().push(format!("{level} {message}"));
        })));
        Self { tracer, registry, said }
    }

    fn at(port: u16, mode: &str) -> Self {
        Self::of(TraceSettings::new(&format!("http://127.0.0.1:{port}/{mode}")).unwrap())
    }

    fn span(&self) {
        drop(self.tracer.begin(None, ("work", Kind::Internal), 1));
    }

    async fn flush(&self) {
        self.tracer.flush(Duration::from_secs(60)).await;
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }

    fn assert_metric(&self, line: &str) {
        let text = self.metrics();
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

const PARENT: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_the_spans_of_a_request_in_the_form_of_the_protocol() {
    let Some(receiver) = Receiver::start() else { return };
    let url = format!("http://127.0.0.1:{}/ok/v1/traces", receiver.port);
    let settings = TraceSettings::new(&url)
        .and_then(|it| it.header("authorization", &Secret::new("Bearer hunter2")))
        .unwrap()
        .resource("service.name", "bots");
    let setup = Setup::of(settings);
    let caller = TraceContext::read(PARENT, [&b"a=1"[..]]);
    let root =
        setup.tracer.begin(caller, ("POST /v1/chat", Kind::Server), 1_700_000_000_000_000_000);
    let headers = scoped(&root, async {
        timed("classify", || Ok::<_, ()>(())).unwrap();
        timed("entities", || Err::<(), _>(())).unwrap_err();
        annotate("botops.model", || "support@3");
        let later = carry(async { child("action", Kind::Client).map(|span| span.headers()) });
        tokio::spawn(later).await.unwrap().unwrap()
    })
    .await;
    assert!(child("nobody", Kind::Internal).is_none(), "there is no request under way");
    assert_eq!(headers[1], ("tracestate", "a=1".to_owned()));
    let mut root = root;
    root.set("http.response.status_code", 200);
    root.set("botops.share", 0.25);
    root.set("botops.fallback", false);
    root.set("negative", -5);
    drop(root);
    setup.flush().await;
    let line = receiver.next();
    let has = |text: &str| assert!(line.contains(text), "{text}: {line}");
    has(r#""authorization": "Bearer hunter2""#);
    has(r#""content-type": "application/x-protobuf""#);
    has(r#""service.name": "bots""#);
    has(r#""telemetry.sdk.language": "rust""#);
    has(r#""http.response.status_code": 200"#);
    has(r#""botops.share": 0.25"#);
    has(r#""botops.fallback": false"#);
    has(r#""negative": -5"#);
    has(r#""botops.model": "support@3""#);
    has(r#""start": 1700000000000000000"#);
    assert_eq!(line.matches(r#""trace": "4bf92f3577b34da6a3ce929d0e0e4736""#).count(), 4);
    assert_eq!(line.matches(r#""state": "a=1""#).count(), 4);
    has(r#""parent": "00f067aa0ba902b7", "state": "a=1", "name": "POST /v1/chat", "kind": 2"#);
    // Sampled, and whether the parent is in another system: 1, 0x100 and 0x200.
    assert_eq!(
        (line.matches(r#""flags": 769"#).count(), line.matches(r#""flags": 257"#).count()),
        (1, 3)
    );
    assert_eq!(
        line.matches(r#""status": 2"#).count() - line.matches(r#""status": 200"#).count(),
        1
    );
    let id = &headers[0].1[36..52];
    assert!(headers[0].1.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{headers:?}");
    has(&format!(r#""id": "{id}""#));
    setup.assert_metric(r#"trace_spans_total{outcome="exported"} 4"#);
    setup.assert_metric("trace_collector_failing 0");
    assert!(setup.said().is_empty(), "{:?}", setup.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_sampled_passes_its_context_on_and_exports_nothing() {
    let settings = TraceSettings::new("http://127.0.0.1:1").unwrap();
    let setup = Setup::of(settings.sampler(Sampler { follows_caller: true, ratio: 1.0 }));
    let unsampled = String::from_utf8(PARENT.to_vec()).unwrap().replace("-01", "-00");
    let caller = TraceContext::read(unsampled.as_bytes(), []);
    let span = setup.tracer.begin(caller, ("work", Kind::Server), 1);
    let headers = scoped(&span, async { child("call", Kind::Client).map(|it| Span::headers(&it)) });
    let headers = headers.await.unwrap();
    assert!(headers[0].1.starts_with("00-4bf9") && headers[0].1.ends_with("-00"), "{headers:?}");
    assert_eq!(span.link().trace_id(), None);
    drop(span);
    setup.flush().await;
    setup.assert_metric("trace_failures_total 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_takes_no_spans_is_reported_once_and_counted() {
    let Some(receiver) = Receiver::start() else { return };
    for (mode, said) in [
        ("unauthorized", "it answers 401: check the headers with the token"),
        ("missing", "it answers 404: it is no OTLP receiver for HTTP"),
    ] {
        let setup = Setup::at(receiver.port, mode);
        for _ in 0..2 {
            setup.span();
            setup.flush().await;
        }
        let lines = setup.said();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("error BOT-6291: ") && lines[0].contains(said), "{lines:?}");
        assert!(!lines[0].contains(mode), "the path may hold a key: {lines:?}");
        setup.assert_metric(r#"trace_spans_total{outcome="failed"} 2"#);
        setup.assert_metric("trace_collector_failing 1");
    }
    // Nobody listens there.
    let setup = Setup::at(1, "ok");
    setup.span();
    setup.flush().await;
    assert!(setup.said()[0].contains("no connection could be made"), "{:?}", setup.said());
    setup.assert_metric(r#"trace_spans_total{outcome="failed"} 1"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_a_busy_collector_refuses_is_sent_again() {
    let Some(receiver) = Receiver::start() else { return };
    let setup = Setup::at(receiver.port, "busy");
    setup.span();
    let (first, second) = (receiver.next(), receiver.next());
    assert!(first.contains(r#"{"status": 503"#) && second.contains(r#"{"status": 200"#));
    assert_eq!(first.split_once("spans").unwrap().1, second.split_once("spans").unwrap().1);
    setup.flush().await;
    let said = setup.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("it answers 503"), "{said:?}");
    assert!(said[1].starts_with("info ") && said[1].ends_with("takes spans again"), "{said:?}");
    setup.assert_metric(r#"trace_spans_total{outcome="exported"} 1"#);
    setup.assert_metric("trace_collector_failing 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_a_collector_refuses_one_by_one_are_counted() {
    let Some(receiver) = Receiver::start() else { return };
    let setup = Setup::at(receiver.port, "partial");
    setup.span();
    setup.span();
    setup.flush().await;
    setup.assert_metric(r#"trace_spans_total{outcome="exported"} 1"#);
    setup.assert_metric(r#"trace_spans_total{outcome="rejected"} 1"#);
    assert!(setup.said()[0].ends_with("refuses spans: one is too old"), "{:?}", setup.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_drops_spans_and_nobody_waits() {
    let mut registry = Registry::default();
    let metrics = TraceMetrics::register(&mut registry);
    let settings = TraceSettings::new("http://127.0.0.1:1").unwrap();
    // Nothing exports.
    let tracer = Tracer::new(&settings, &metrics).unwrap();
    for _ in 0..5_000 {
        drop(tracer.begin(None, ("work", Kind::Internal), 1));
    }
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    assert!(text.contains(r#"trace_spans_total{outcome="dropped"} 904"#), "{text}");
}
