//! The server from inside: before its model is ready, under load, in shadow, and its request log.

use super::{
    AccessSettings, RequestLog, Running, ServerSettings,
    app::App,
    clock::WallClock,
    public_gate::PublicGate,
    request_id::RequestIds,
    request_log::RequestLogger,
    routing::{Served, Split},
    server::{listen, new_app},
    shadow,
};
use botops_access::ClientGate;
use botops_connections::bind;
use botops_digest::Digest;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_spec::Spec as _;
use chrono::DateTime;
use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

/// The shared admin token.
const TOKEN: &str = "the shared token of these tests, long enough";

pub(super) fn settings() -> ServerSettings {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ServerSettings {
        listen: anywhere,
        admin_listen: anywhere,
        admin_token: None,
        allowed_hosts: Vec::new(),
        environment: "production".to_owned(),
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

#[tokio::test]
async fn before_its_model_a_server_is_healthy_and_not_ready() {
    let settings = settings();
    let app =
        new_app("support", &settings, Arc::new(WallClock::start()), shadow::CAPACITY).unwrap();
    let running = listen(
        Arc::clone(&app),
        (bind(settings.listen).await.unwrap(), None),
        &settings,
        PublicGate::open(&app),
    )
    .unwrap();
    let url = |path: &str| format!("http://{}{path}", running.address());
    let client = super::client::http().unwrap();
    assert_eq!(client.get(url("/health")).send().await.unwrap().status(), 200);
    let answer = client.get(url("/readiness")).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("BOT-6019"));
    let answer = client.post(url("/v1/predict")).body("{\"text\": \"a\"}").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    running.shutdown().await;
}

/// Trains a small model: intents `fruit` and `vehicle`.
pub(super) fn model() -> IntentModel {
    let fruit = ["red apple", "red pear", "red plum", "red fig", "red lime", "red kiwi"];
    let vehicle = ["a car", "a bus", "a van", "a bike", "a tram", "a ship"];
    let samples: Vec<Sample<'_>> = fruit
        .iter()
        .map(|text| Sample { text, intent: "fruit" })
        .chain(vehicle.iter().map(|text| Sample { text, intent: "vehicle" }))
        .collect();
    train(TrainingInput::new(&samples, &ModelSpec::default().check().unwrap()), &Silent).unwrap()
}

fn served(name: &str) -> Served {
    let digest = Digest::of(name.as_bytes());
    Served::prepare(Arc::new(model()), digest, name.to_owned(), Some(digest), None).unwrap()
}

/// Starts a server of `primary` and returns it with its state.
async fn serve(primary: Served) -> (Arc<App>, Running) {
    serve_knowing(primary, None).await
}

/// Like [`serve`]; whoever sends `token` sees which version answers.
async fn serve_knowing(primary: Served, token: Option<&str>) -> (Arc<App>, Running) {
    let settings = settings();
    let app =
        new_app("support", &settings, Arc::new(WallClock::start()), shadow::CAPACITY).unwrap();
    app.slot.set(Arc::new(primary), None);
    let shared_token = token.map(|token| Digest::of(token.as_bytes()));
    let clients = ClientGate { is_open: true, shared_token, ..ClientGate::default() };
    let running = listen(
        Arc::clone(&app),
        (bind(settings.listen).await.unwrap(), None),
        &settings,
        PublicGate::new(&app, clients, None),
    )
    .unwrap();
    (app, running)
}

#[tokio::test]
async fn a_request_loads_the_routing_once() {
    let (app, running) = serve(served("support@1")).await;
    let client = crate::client::http().unwrap();
    for (path, body, expected) in [
        ("/v1/predict", r#"{"text": "red apple"}"#, 1),
        ("/v1/predict", r#"{"texts": ["red apple", "a bus"], "conversation_id": "c"}"#, 1),
        ("/v1/predict", r#"{"text": ""}"#, 0),
        ("/v1/chat", r#"{"text": "red apple", "conversation_id": "c"}"#, 1),
        // The intent is one of those that are served.
        ("/v1/feedback", r#"{"conversation_id": "c", "intent": "fruit"}"#, 1),
    ] {
        let before = app.slot.loads.load(Ordering::Relaxed);
        let url = format!("http://{}{path}", running.address());
        client.post(url).body(body).send().await.unwrap();
        assert_eq!(app.slot.loads.load(Ordering::Relaxed) - before, expected, "{path} {body}");
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_its_turn_is_answered_by_the_model_it_began_with() {
    let (app, running) = serve_knowing(served("support@1").slowed(), Some(TOKEN)).await;
    let turns = app.turns.acquire_many(app.turns.available_permits() as u32).await.unwrap();
    let url = format!("http://{}/v1/predict", running.address());
    let client = crate::client::http().unwrap();
    let loads = app.slot.loads.load(Ordering::Relaxed);
    let request = client.post(url).bearer_auth(TOKEN).body(r#"{"text": "red apple"}"#);
    let waiting = tokio::spawn(request.send());
    while app.slot.loads.load(Ordering::Relaxed) == loads {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    app.slot.set(Arc::new(served("support@2")), None);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished(), "it still waits for its turn");
    drop(turns);
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.headers()["x-botops-model"], "support@1");
    running.shutdown().await;
}

/// Mirrors every message to `challenger`, at weight zero.
fn mirror(app: &App, challenger: Served) -> Arc<Served> {
    let canary = Arc::new(challenger);
    let primary = Arc::clone(&app.slot.load().unwrap().primary);
    let split = Split {
        canary: Arc::clone(&canary),
        weight: 0.0,
        mirrors: 1.0,
        salt: "salt".to_owned(),
        epoch: app.observer.epoch(),
        step: 0,
        changing: false,
        fresh: Arc::new(crate::canary::Freshness::always()),
        has_windows: false,
    };
    app.slot.set(primary, Some(split));
    canary
}

/// Sends `n` messages, each in a conversation of its own. All must be answered.
async fn converse(running: &Running, n: usize) {
    let client = crate::client::http().unwrap();
    for i in 0..n {
        let url = format!("http://{}/v1/chat", running.address());
        let body = format!(r#"{{"text": "red apple", "conversation_id": "{i}"}}"#);
        let answer = client.post(url).body(body).send();
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        assert_eq!(answer.expect("the answer does not wait").unwrap().status(), 200);
    }
}

fn shadow_units(app: &App) -> u64 {
    app.observer.drain("r", "server", DateTime::UNIX_EPOCH)[0].shadow.len() as u64
}

#[tokio::test]
async fn a_slow_challenger_in_shadow_does_not_delay_the_answer() {
    let (app, running) = serve(served("support@1")).await;
    let _challenger = mirror(&app, served("support@2").slowed());
    // Every turn is taken: the challenger cannot begin.
    let turns = app.turns.acquire_many(app.turns.available_permits() as u32).await.unwrap();
    converse(&running, 3).await;
    assert_eq!(shadow_units(&app), 0);
    drop(turns);
    app.shadow.flush().await;
    assert_eq!(shadow_units(&app), 3);
    assert_eq!(app.metrics.shadow_dropped.get(), 0);
    running.shutdown().await;
}

/// Trains a model that names the intents of [`model`] the other way round.
fn contrary() -> Served {
    let fruit = ["red apple", "red pear", "red plum", "red fig", "red lime", "red kiwi"];
    let vehicle = ["a car", "a bus", "a van", "a bike", "a tram", "a ship"];
    let sample = |intent: &'static str| move |text: &&'static str| Sample { text, intent };
    let samples: Vec<Sample<'_>> =
        fruit.iter().map(sample("vehicle")).chain(vehicle.iter().map(sample("fruit"))).collect();
    let spec = ModelSpec::default().check().unwrap();
    let model = Arc::new(train(TrainingInput::new(&samples, &spec), &Silent).unwrap());
    let digest = Digest::of(b"contrary");
    Served::prepare(model, digest, "support@2".to_owned(), Some(digest), None).unwrap()
}

#[tokio::test]
async fn a_message_on_which_the_models_disagree_is_kept_redacted_with_both_predictions() {
    let (app, running) = serve(served("support@1")).await;
    let _challenger = mirror(&app, contrary());
    let client = crate::client::http().unwrap();
    let url = format!("http://{}/v1/predict", running.address());
    for (text, conversation) in
        [("red apple for ada@example.com", Some("c-17")), ("red apple", None)]
    {
        let body = serde_json::json!({"text": text, "conversation_id": conversation});
        let answer = client.post(&url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains("\"fruit\""), "the primary answers");
    }
    app.shadow.flush().await;
    let kept = app.disagreements.of("salt");
    assert_eq!((kept.found, kept.disagreements.len()), (1, 1), "{kept:?}");
    let found = &kept.disagreements[0];
    assert_eq!(found.text, "red apple for [email]");
    let challenger = found.challenger.as_ref().unwrap();
    assert_eq!((found.primary.intent.as_str(), challenger.intent.as_str()), ("fruit", "vehicle"));
    assert!(found.primary.confidence > 0.5 && challenger.confidence > 0.5, "{found:?}");
    assert!(!format!("{kept:?}").contains("c-17"), "no conversation is named");
    assert_eq!(app.metrics.disagreement.get(), 1);
    running.shutdown().await;
}

#[tokio::test]
async fn mirrored_messages_beyond_the_queue_are_dropped_and_counted() {
    let (app, running) = serve(served("support@1")).await;
    let _challenger = mirror(&app, served("support@2").slowed());
    let turns = app.turns.acquire_many(app.turns.available_permits() as u32).await.unwrap();
    // The worker holds one request, the queue holds the rest.
    converse(&running, shadow::CAPACITY + 1 + 5).await;
    assert_eq!(app.metrics.shadow_dropped.get(), 5);
    drop(turns);
    app.shadow.flush().await;
    assert_eq!(shadow_units(&app), shadow::CAPACITY as u64 + 1);
    assert!(app.metrics.text().contains("botops_shadow_dropped_total 5"));
    running.shutdown().await;
}

#[tokio::test]
async fn queued_messages_do_not_keep_a_withdrawn_challenger() {
    let (app, running) = serve(served("support@1")).await;
    let challenger = mirror(&app, served("support@2").slowed());
    let turns = app.turns.acquire_many(app.turns.available_permits() as u32).await.unwrap();
    converse(&running, 3).await;
    app.slot.withdraw();
    while Arc::strong_count(&challenger) > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop((challenger, turns));
    app.shadow.flush().await;
    assert_eq!(shadow_units(&app), 0);
    running.shutdown().await;
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_request_is_one_json_line_without_the_users_words() {
    let settings = settings();
    let written = Written::default();
    let app =
        new_app("support", &settings, Arc::new(WallClock::start()), shadow::CAPACITY).unwrap();
    let dropped = app.metrics.dropped.clone();
    let log = RequestLogger::to(Box::new(written.clone()), dropped).unwrap();
    let app = App::changed(app, |app| app.log = log);
    let running = listen(
        Arc::clone(&app),
        (bind(settings.listen).await.unwrap(), None),
        &settings,
        PublicGate::open(&app),
    )
    .unwrap();
    let url = format!("http://{}/v1/predict", running.address());
    let client = super::client::http().unwrap();
    let mut ids = Vec::new();
    for body in ["{\"text\": \"my secret\"}", "{\"secret\": 1}", "secret"] {
        let answer = client.post(&url).body(body).send().await.unwrap();
        ids.push(answer.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    app.log.event(DateTime::UNIX_EPOCH, "info", "rollout", "a \"quoted\" reason".to_owned());
    running.shutdown().await;
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{text}");
    for ((line, id), status) in lines.iter().zip(&ids).zip([503, 422, 400]) {
        assert_eq!(line["request_id"], *id);
        assert_eq!((&line["endpoint"], &line["status"]), (&"predict".into(), &status.into()));
    }
    assert_eq!(lines[3]["message"], "a \"quoted\" reason");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_request_id_is_known_only_where_it_was_given_out() {
    let (here, there) = (RequestIds::new().unwrap(), RequestIds::new().unwrap());
    let id = here.next();
    assert_eq!(here.number(&id.to_string()), Some(id.number));
    assert_eq!(there.number(&id.to_string()), None);
    for nonsense in ["", "-", "1", &"0".repeat(48), &"z".repeat(48), &id.to_string()[1..]] {
        assert_eq!(here.number(nonsense), None, "{nonsense}");
    }
    // The next id does not follow from this one.
    let (first, second) = (id.to_string(), here.next().to_string());
    let same = first.bytes().zip(second.bytes()).filter(|(a, b)| a == b).count();
    assert!(same < 20, "{first} {second}");
    let draws: Vec<f64> = (0..1_000).map(|_| here.next().draw()).collect();
    assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
    let mean = draws.iter().sum::<f64>() / 1_000.0;
    assert!((mean - 0.5).abs() < 0.06, "{mean}");
}
