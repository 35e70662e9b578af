//! The prediction log of a server: every message has a record, and feedback is stored before it is acknowledged.

use super::{corpus, get, model, post, registry, settings, unchanged};
use botops_conversations::{ConversationStore, Conversations, MemoryStore, Names};
use botops_dialogue::DialogueSpec;
use botops_digest::Digest;
use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
use botops_predictions::{
    HourKey, PredictionLogSettings, Record, SourceClass, TextPolicy, hours, read_verdicts,
};
use botops_serving::{
    ConversationSettings, OnStoreFailure, PredictionSettings, Running, ServerSettings, Source,
    start,
};
use botops_spec::Spec as _;
use botops_store::{Retries, Store};
use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

fn logging(folder: &Path, store: &Store) -> ServerSettings {
    let log = PredictionLogSettings {
        folder: folder.to_owned(),
        replica: String::new(),
        group: Duration::from_millis(20),
        segment_age: Duration::from_secs(60),
        most_bytes: 1 << 20,
        text: TextPolicy::Redacted,
        key: Arc::from(&b"key"[..]),
        name_of: Arc::new(|id| format!("name of {id}")),
    };
    let retention = Some(TimeDelta::days(90));
    let predictions = Some(PredictionSettings { log, store: store.clone(), retention });
    ServerSettings { predictions, ..settings(false) }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_verdicts_are_in_the_store_when_the_server_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(60, 1, unchanged);
    let (registry, _) = registry(&[&model]).await;
    let store = registry.store().clone();
    let source = Source::Registry { registry, model: "support".to_owned(), pinned: None };
    let running = start(logging(folder.path(), &store), source).await.unwrap();
    let said = json!({"text": "where is parcel #12, ann@example.com", "conversation_id": "c1"});
    let answer: Value = post(&running, "/v1/chat", &said).await.json().await.unwrap();
    let texts = json!({"texts": ["where is my parcel", "refund please"]});
    assert_eq!(post(&running, "/v1/predict", &texts).await.status(), StatusCode::OK);
    let token = &answer["feedback_token"];
    for (verdict, outcome) in [
        (json!({"token": token, "satisfaction": 2}), "noted"),
        (json!({"token": token, "intent": "refund"}), "noted"),
        (json!({"token": token, "satisfaction": 5, "correct": true}), "noted"),
    ] {
        let said = post(&running, "/v1/feedback", &verdict).await;
        assert_eq!(said.status(), StatusCode::ACCEPTED);
        assert_eq!(said.json::<Value>().await.unwrap()["outcome"], outcome, "{verdict}");
    }
    let verdicts = read_verdicts(&store, "test").await.unwrap();
    running.shutdown().await;

    let mut records = records(&store).await;
    records.sort_by_key(|it| (it.endpoint.clone(), it.index));
    let places: Vec<_> = records.iter().map(|it| (it.endpoint.as_str(), it.index)).collect();
    assert_eq!(places, [("chat", 0), ("predict", 0), ("predict", 1)]);
    let last = records[1].text.as_deref();
    assert_eq!(last, Some("refund please"), "a verdict on the request is about its last text");
    let chat = &records[0];
    assert_eq!(answer["request_id"], chat.request_id);
    assert_eq!((answer["intent"].as_str(), chat.arm.as_str()), (Some(&*chat.intent), "primary"));
    assert_eq!(chat.conversation.as_deref(), Some("name of c1"));
    assert_eq!(chat.entities, ["order"]);
    let text = chat.text.as_deref().unwrap();
    assert!(text.starts_with("where is parcel") && !text.contains("ann@"), "{text}");
    assert!(chat.confidence > 0.0 && !chat.others.is_empty() && chat.latency_us > 0);
    let stored = &verdicts.by_message[&chat.key()];
    assert_eq!((&stored.intent, stored.source), (&chat.intent, SourceClass::EndUser));
    assert_eq!((verdicts.satisfaction[&chat.key()].level, verdicts.contradicted), (5, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_store_a_server_answers_and_refuses_feedback() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(60, 1, unchanged);
    let (registry, _) = registry(&[&model]).await;
    let nowhere: BTreeMap<String, String> = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_REGION", "eu-west-1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let store = Store::open("s3://bucket/prefix", &nowhere).unwrap().with_retries(Retries::none());
    let source = Source::Registry { registry, model: "support".to_owned(), pinned: None };
    let running = start(logging(folder.path(), &store), source).await.unwrap();
    let said = json!({"text": "where is my parcel", "conversation_id": "c1"});
    let answer = post(&running, "/v1/chat", &said).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    let verdict = json!({"token": answer["feedback_token"], "intent": "refund"});
    let refused = post(&running, "/v1/feedback", &verdict).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "BOT-6214", "{problem}");
    running.shutdown().await;
    let waiting = std::fs::read_dir(folder.path().join("server-0")).unwrap().count();
    assert_eq!(waiting, 2, "the lock, and the segment that waits for the store");
}

/// Waits until the metrics of `running` have a line that `holds` finds fit, at most 20 s.
async fn until_metrics(running: &Running, name: &str, holds: impl Fn(f64) -> bool) {
    let begun = Instant::now();
    loop {
        let (_, text) = get(running, "/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        let value: f64 = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        if holds(value) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{name} is {value}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_for_a_store_that_is_away_and_reach_it_when_it_is_back() {
    let (folder, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(root.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
    let model = model(60, 1, unchanged);
    let (registry, _) = registry(&[&model]).await;
    // No folder can be made where a file is.
    let obstacle = root.path().join("predictions");
    std::fs::write(&obstacle, "").unwrap();
    let mut settings = logging(folder.path(), &store);
    settings.predictions.as_mut().unwrap().log.segment_age = Duration::from_millis(200);
    let source = Source::Registry { registry, model: "support".to_owned(), pinned: None };
    let running = start(settings, source).await.unwrap();
    let said = json!({"text": "where is my parcel", "conversation_id": "c1"});
    assert_eq!(post(&running, "/v1/chat", &said).await.status(), StatusCode::OK);
    until_metrics(&running, "botops_prediction_shipping_failed_total", |n| n > 0.0).await;
    until_metrics(&running, "botops_predictions_waiting_bytes", |n| n > 0.0).await;
    let refused = json!({"request_id": "r", "intent": "refund"});
    assert_eq!(post(&running, "/v1/feedback", &refused).await.status(), StatusCode::ACCEPTED);
    assert_eq!(post(&running, "/v1/chat", &said).await.status(), StatusCode::OK);
    std::fs::remove_file(&obstacle).unwrap();
    until_metrics(&running, "botops_prediction_segments_shipped_total", |n| n > 0.0).await;
    until_metrics(&running, "botops_predictions_waiting_bytes", |n| n == 0.0).await;
    until_metrics(&running, "botops_predictions_lost_total", |n| n == 0.0).await;
    running.shutdown().await;
    assert_eq!(records(&store).await.len(), 2);
}

/// Returns every record in the store, in the order of their times.
async fn records(store: &Store) -> Vec<Record> {
    let mut records = Vec::new();
    for hour in hours(store, "test", None, None).await.unwrap() {
        assert!(hour.records(store, |record| records.push(record)).await.unwrap().is_empty());
    }
    records.sort_by_key(|record| record.at);
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_removes_what_is_past_the_retention() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(60, 1, unchanged);
    let (registry, _) = registry(&[&model]).await;
    let store = registry.store().clone();
    let old = "predictions/test/date=2025-01-31/hour=07/a.jsonl.zst";
    let young = format!("predictions/test/{}/a.jsonl.zst", HourKey::of(Utc::now()));
    for path in [old, &young] {
        assert!(store.create(path, "".into()).await.unwrap());
    }
    let source = Source::Registry { registry, model: "support".to_owned(), pinned: None };
    let running = start(logging(folder.path(), &store), source).await.unwrap();
    let begun = Instant::now();
    while store.read(old).await.unwrap().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.shutdown().await;
    assert!(store.read(&young).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_says_whether_it_is_unresolved_and_whether_a_person_took_over() {
    let folder = tempfile::tempdir().unwrap();
    let samples: Vec<(String, &str)> = corpus(60, 1);
    let samples: Vec<Sample<'_>> =
        samples.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let dialogue: DialogueSpec = serde_json::from_value(json!({
        "responses": {"parcel": {"en": "On its way."}, "refund": {"en": "You get it back."}},
        "fallback": {"en": "Sorry?"},
        "handoff": {"words": ["human"]},
        "default_language": "en",
    }))
    .unwrap();
    let spec = ModelSpec::default().check().unwrap();
    let input = TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) };
    let model = Box::new(train(input, &Silent).unwrap());
    let store = Store::in_memory();
    let memory: Arc<dyn ConversationStore> = Arc::new(MemoryStore::default());
    let conversations = ConversationSettings {
        conversations: Conversations::new(memory, Names::new(b"a key", None), None),
        retention: Duration::from_secs(86_400),
        on_store_failure: OnStoreFailure::Refuse,
    };
    let settings =
        ServerSettings { conversations: Some(conversations), ..logging(folder.path(), &store) };
    let source = Source::File { model, digest: Digest::of(b"m"), name: "m".to_owned() };
    let running = start(settings, source).await.unwrap();
    let parcel = "please parcel my delivery tracking";
    for text in [parcel, parcel, "today refund my money return", "human", "still there?"] {
        let said = json!({"text": text, "conversation_id": "c", "language": "en"});
        let answer = post(&running, "/v1/chat", &said).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    }
    running.shutdown().await;
    let records = records(&store).await;
    let turns: Vec<_> = records.iter().map(|it| (it.unresolved, it.handed_off)).collect();
    let said_again = (true, false);
    let fine = (records[0].fallback, false);
    assert_eq!(turns[..2], [fine, said_again], "{records:#?}");
    assert_eq!(turns[2], (records[2].fallback, false));
    assert_eq!(turns[3..], [(true, true); 2]);
}
