//! The prediction log of a server: every message has a record, and feedback is stored before it is acknowledged.

use super::{model, post, registry, settings, unchanged};
use botops_predictions::{PredictionLogSettings, SourceClass, TextPolicy, hours, read_verdicts};
use botops_serving::{PredictionSettings, ServerSettings, Source, start};
use botops_store::{Retries, Store};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

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
    let predictions = Some(PredictionSettings { log, store: store.clone(), retention: None });
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

    let mut records = Vec::new();
    for hour in hours(&store, "test", None, None).await.unwrap() {
        assert!(hour.records(&store, |record| records.push(record)).await.unwrap().is_empty());
    }
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
