//! The server under hostile input: texts that grow, patterns that read on, weights that overflow, and load.

#[path = "../../../benches/process/hostile_texts.rs"]
mod hostile_texts;

use super::{
    AccessSettings, AdminClient, RequestLog, Running, ServerSettings, Source,
    app::App,
    clock::WallClock,
    public_gate::PublicGate,
    routing::Served,
    server::{listen, new_app, start},
    shadow,
    sizes::MAX_TEXT_CHARS,
    tests::model,
};
use botops_connections::bind;
use botops_dialogue::DialogueSpec;
use botops_digest::Digest;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_spec::Spec as _;
use botops_text::{LanguageGuesser, length_within};
use botops_workspace::Secret;
use hostile_texts::{PLAIN, hostile_texts, within};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

/// An admin token that every version accepts.
const TOKEN: &str = "a token of these tests, long enough for any rule";

fn settings(admin: bool) -> ServerSettings {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ServerSettings {
        listen: anywhere,
        admin_listen: anywhere,
        admin_token: admin.then(|| Secret::new(TOKEN)),
        environment: "production".to_owned(),
        allowed_hosts: Vec::new(),
        request_log: RequestLog::Off,
        access: AccessSettings::default(),
        listeners: super::ListenerSettings::default(),
        replication: super::Replication::default(),
        webhooks: Vec::new(),
        public: super::PublicSettings::default(),
        conversations: None,
        actions: Some(crate::ActionSettings::default()),
        predictions: None,
        monitoring: None,
        disks: std::collections::BTreeMap::new(),
        knowledge: Default::default(),
        telemetry: Default::default(),
        uploads: Default::default(),
        channels: Default::default(),
    }
}

async fn serve(model: IntentModel) -> (Arc<App>, Running) {
    let settings = settings(false);
    let app =
        new_app("support", &settings, Arc::new(WallClock::start()), shadow::CAPACITY).unwrap();
    let digest = Digest::of(b"model");
    let served = Served::prepare(Arc::new(model), digest, "support@1".to_owned(), None, None);
    app.slot.set(Arc::new(served.unwrap()), None);
    let running = listen(
        Arc::clone(&app),
        (bind(settings.listen).await.unwrap(), None),
        &settings,
        PublicGate::open(&app),
    )
    .unwrap();
    (app, running)
}

async fn post(running: &Running, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://{}{path}", running.address());
    let client = super::client::http().unwrap();
    let answer = client.post(url).body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

/// A model whose only entity has `pattern`.
fn with_pattern(pattern: &str) -> IntentModel {
    let samples: Vec<Sample<'_>> = ["red apple", "red pear", "red plum", "red fig", "red lime"]
        .into_iter()
        .map(|text| Sample { text, intent: "fruit" })
        .chain(
            ["a car", "a bus", "a van", "a bike", "a tram"]
                .into_iter()
                .map(|text| Sample { text, intent: "vehicle" }),
        )
        .collect();
    let dialogue = DialogueSpec {
        entities: [("letter".to_owned(), pattern.into())].into(),
        ..DialogueSpec::default()
    };
    let spec = ModelSpec::default().check().unwrap();
    train(TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) }, &Silent).unwrap()
}

#[tokio::test]
async fn the_length_limit_holds_after_normalization() {
    let (_, running) = serve(model()).await;
    // NFKC makes 18 characters of each.
    let grows = |n: usize| "\u{fdfa}".repeat(n);
    for path in ["/v1/predict", "/v1/chat"] {
        for (n, status) in [(1, 200), (277, 200), (278, 422), (5_000, 422)] {
            let (got, body) = post(&running, path, &json!({"text": grows(n)})).await;
            assert_eq!(got, status, "{path} {n}: {body}");
            if status == 422 {
                assert_eq!(body["code"], "BOT-6015", "{path} {n}");
            }
        }
    }
    for (n, status) in [(13, 200), (14, 422)] {
        let (got, body) =
            post(&running, "/v1/predict", &json!({"texts": vec![grows(277); n]})).await;
        assert_eq!(got, status, "{n} texts: {body}");
        if status == 422 {
            assert_eq!(body["code"], "BOT-6014");
        }
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn long_texts_wait_for_their_turn_and_nothing_else_does() {
    let (app, running) = serve(model()).await;
    let all = app.long_turns.available_permits() as u32;
    let turns = app.long_turns.acquire_many(all).await.unwrap();
    let url = format!("http://{}/v1/chat", running.address());
    let client = super::client::http().unwrap();
    let body = json!({"text": "red apple ".repeat(100)}).to_string();
    let waiting = tokio::spawn(client.post(url).body(body).send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    for path in ["/health", "/readiness"] {
        let url = format!("http://{}{path}", running.address());
        assert_eq!(client.get(url).send().await.unwrap().status(), 200, "{path}");
    }
    assert_eq!(post(&running, "/v1/chat", &json!({"text": "red apple"})).await.0, 200);
    assert!(!waiting.is_finished(), "a long text waits for its turn");
    drop(turns);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn health_is_answered_while_the_only_thread_reads_long_texts() {
    let (_, running) = serve(model()).await;
    let body = json!({"texts": vec!["red apple and a bus ".repeat(60); 50]}).to_string();
    let client = super::client::http().unwrap();
    let busy: Vec<_> = (0..150)
        .map(|_| {
            let url = format!("http://{}/v1/predict", running.address());
            tokio::spawn(client.post(url).body(body.clone()).send())
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let url = format!("http://{}/health", running.address());
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);
    let n_finished = busy.iter().filter(|one| one.is_finished()).count();
    assert!(n_finished < busy.len(), "the answer came after all {n_finished} long requests");
    let mut n_answered = 0;
    for one in busy {
        let answer = one.await.unwrap().unwrap();
        match answer.status().as_u16() {
            200 => n_answered += 1,
            status => {
                assert_eq!(status, 503, "the queue is longer than a client would wait");
                assert_eq!(answer.headers()["retry-after"], "1");
            }
        }
    }
    assert!(n_answered > 0);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_admin_api_answers_while_every_thread_of_the_server_is_busy() {
    let model = model();
    let digest = Digest::of(&model.to_bytes());
    let source = Source::File { model: Box::new(model), digest, name: "support".to_owned() };
    let running = start(settings(true), source).await.unwrap();
    let at = running.admin_address().unwrap();
    let (begun, busy) = (Instant::now(), Duration::from_secs(5));
    let blocked = tokio::spawn(async move { std::thread::sleep(busy) });
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(busy)).unwrap();
        let request = format!(
            "GET /admin/v1/models HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = client.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(begun.elapsed() < busy, "the answer waited for the threads of the server");
    blocked.await.unwrap();
    running.shutdown().await;
}

#[tokio::test]
async fn the_address_and_the_token_of_a_server_are_checked_whatever_it_serves() {
    let model = model();
    let digest = Digest::of(&model.to_bytes());
    let source = Source::File { model: Box::new(model), digest, name: "support".to_owned() };
    let running = start(settings(true), source).await.unwrap();
    let url = format!("http://{}", running.admin_address().unwrap());
    let client = |token: &str| AdminClient::new(&url, Some(&Secret::new(token))).unwrap();
    client(TOKEN).check_access().await.unwrap();
    let refused = client("another token, of the same length or so").check_access().await;
    assert_eq!(refused.unwrap_err().code(), "BOT-6033");
    running.shutdown().await;
    assert_eq!(client(TOKEN).check_access().await.unwrap_err().code(), "BOT-6031");
}

#[tokio::test]
async fn a_pattern_that_reads_on_for_every_match_is_cut_and_the_answer_says_so() {
    let (_, running) = serve(with_pattern(".*[^A-Z]|[A-Z]")).await;
    let (status, body) = post(&running, "/v1/chat", &json!({"text": "A".repeat(5_000)})).await;
    assert_eq!(status, 200);
    assert_eq!(body["entities_cut"], true);
    assert!(body["entities"].as_array().unwrap().len() <= 64);
    let (_, body) = post(&running, "/v1/chat", &json!({"text": "A B"})).await;
    assert!(body.get("entities_cut").is_none(), "{body}");
    running.shutdown().await;
}

/// Returns the seconds of processor time of `work`, the mean of many calls; other processes do not count.
///
/// Linux updates the time of a running thread every few milliseconds.
fn seconds(mut work: impl FnMut()) -> f64 {
    let now = || {
        let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        times.split(' ').next().and_then(|first| first.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
    };
    let (begun, wall) = (now(), Instant::now());
    for n in 1_u32.. {
        work();
        let taken = now() - begun;
        // A system without these times is measured by its clock.
        if taken > 0.02 {
            return taken / f64::from(n);
        }
        if wall.elapsed().as_secs() > 2 {
            return wall.elapsed().as_secs_f64() / f64::from(n);
        }
    }
    unreachable!("the loop ends by time")
}

#[test]
fn no_text_costs_far_more_per_byte_than_a_plain_one() {
    // The patterns of a support bot, in short.
    let model = with_pattern(
        r"(?i)\b[a-z]{2,3}-\d{5,10}\b|#\d{4,10}\b|\b[a-z0-9._-]+@(?:[a-z0-9-]+\.)+[a-z]{2,24}\b|\b\d{1,2}[./-]\d{1,2}\b",
    );
    let digest = Digest::of(b"model");
    let served = Served::prepare(Arc::new(model), digest, "a@1".to_owned(), None, None).unwrap();
    let guesser = LanguageGuesser::among(["en", "fr"]);
    // The steps of a request whose time depends on the text alone.
    let reading = |text: &str| {
        seconds(|| {
            assert!(length_within(text, MAX_TEXT_CHARS).is_some());
            let _ = std::hint::black_box(served.classify(text, |_, _| ()));
            let _ = std::hint::black_box(guesser.guess(text));
        })
    };
    let moment = botops_dialogue::Moment::new(chrono::DateTime::UNIX_EPOCH, Some("en"));
    let searching = |text: &str| {
        seconds(|| _ = std::hint::black_box(served.dialogue.entities(text, &moment, Vec::new())))
    };
    let plain: String = PLAIN.chars().cycle().take(MAX_TEXT_CHARS).collect();
    let per_byte = (reading(&plain) + searching(&plain)) / plain.len() as f64;
    let mut worst = (0.0, String::new());
    for (name, text) in hostile_texts(MAX_TEXT_CHARS) {
        let text = within(&text, MAX_TEXT_CHARS);
        let quarter: String = text.chars().take(text.chars().count() / 4).collect();
        let (whole, part) = (reading(&text), reading(&quarter));
        // Four times the text takes four times as long, or 16 times with a step of quadratic time.
        assert!(whole < 8.0 * part + 2e-3, "{name}: {whole} s, and {part} s for a quarter");
        // The model reads the normal form, so that is the text that is measured.
        let n_bytes = text.len().max(botops_text::normalise(&text).len());
        let ratio = (whole + searching(&text)) / n_bytes as f64 / per_byte;
        if ratio > worst.0 {
            worst = (ratio, name);
        }
    }
    assert!(worst.0 < 20.0, "{worst:?}");
}

/// Returns the file of `model` with all weights replaced by `weight(index)`, and correct digests.
fn with_weights(model: &IntentModel, weight: impl Fn(usize) -> f32) -> Vec<u8> {
    let mut bytes = model.to_bytes();
    let n_header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let first = 16 + n_header;
    let mut header: Value = serde_json::from_slice(&bytes[16..first]).unwrap();
    for part in header["parts"].as_array_mut().unwrap() {
        let offset = first + part["offset"].as_u64().unwrap() as usize;
        let end = offset + part["length"].as_u64().unwrap() as usize;
        if part["name"] == "weights" {
            let part = &mut bytes[offset..end];
            let n_header = u64::from_le_bytes(part[..8].try_into().unwrap()) as usize;
            let (header, values) = part[8..].split_at_mut(n_header);
            let header: Value = serde_json::from_slice(header).unwrap();
            let offsets = &header["weights"]["data_offsets"];
            let [begin, end] = [0, 1].map(|i| offsets[i].as_u64().unwrap() as usize);
            for (i, value) in values[begin..end].chunks_exact_mut(4).enumerate() {
                value.copy_from_slice(&weight(i).to_le_bytes());
            }
        }
        let digest = Digest::of(&bytes[offset..end]).to_string();
        part["digest"] = digest.into();
    }
    bytes[16..first].copy_from_slice(&serde_json::to_vec(&header).unwrap());
    let end = bytes.len() - 32;
    let digest = Digest::of(&bytes[..end]);
    bytes[end..].copy_from_slice(digest.as_bytes());
    bytes
}

#[tokio::test]
async fn a_model_whose_scores_overflow_is_not_served() {
    let trained = model();
    let same = with_weights(&trained, |i| i as f32 / 1e3);
    assert!(IntentModel::from_bytes(&same).unwrap().self_test().failures.len() <= 32);
    for weight in [1e38_f32, 3e38, -1e38] {
        for alternating in [false, true] {
            let bytes = with_weights(&trained, |i| match alternating && i % 2 == 1 {
                true => -weight,
                false => weight,
            });
            let model = Box::new(IntentModel::from_bytes(&bytes).unwrap());
            for text in ["red apple", "a bus a car red plum", ""] {
                let prediction = model.predict(text);
                let shown = serde_json::to_string(&prediction).unwrap();
                assert!(!shown.contains("null"), "{weight} {alternating}: {shown}");
            }
            let source = Source::File { model, digest: Digest::of(&bytes), name: "m".to_owned() };
            let Err(fault) = start(settings(false), source).await else {
                panic!("{weight} {alternating}: it is served");
            };
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6011", 3), "{fault}");
        }
    }
}
