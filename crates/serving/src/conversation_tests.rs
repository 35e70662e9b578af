//! Conversations: stored before they are answered, once for each message, on any replica, and without their store.

use super::{
    ConversationSettings, OnStoreFailure, Running, ServerSettings, Source,
    client::http,
    start,
    tests::{model, settings},
};
use async_trait::async_trait;
use botops_conversations::{
    Appended, ConversationStore, Conversations, Erased, Head, Id, Location, MemoryStore, Names,
    Row, Summary, Turn, WrappedKey,
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_workspace::Secret;
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};

/// The shared admin token: whoever sends it sees versions.
const TOKEN: &str = "the shared token of these tests, long enough";

/// A store that cannot be reached.
struct Gone;

fn gone<T>() -> Result<T> {
    Err(Fault::unreachable("BOT-6116", "the store at secret.example.com cannot be reached"))
}

#[async_trait]
impl ConversationStore for Gone {
    async fn append(&self, _: &Row, _: Option<Id>) -> Result<Appended> {
        gone()
    }
    async fn settle(&self, _: &Row) -> Result<bool> {
        gone()
    }
    async fn last(&self, _: Id) -> Result<Option<Row>> {
        gone()
    }
    async fn of_message(&self, _: Id) -> Result<Option<Row>> {
        gone()
    }
    async fn turns(&self, _: Id, _: i64, _: u32) -> Result<Vec<Row>> {
        gone()
    }
    async fn recent(&self, _: Option<(i64, Id)>, _: u32) -> Result<Vec<Summary>> {
        gone()
    }
    async fn of_person(&self, _: Id) -> Result<Vec<Id>> {
        gone()
    }
    async fn erase(&self, _: &[Id]) -> Result<Erased> {
        gone()
    }
    async fn expire(&self, _: i64, _: u32) -> Result<u64> {
        gone()
    }
    async fn sweep_keys(&self, _: i64) -> Result<u64> {
        gone()
    }
    async fn scrub(&self) -> Result<()> {
        gone()
    }
    async fn key(&self, _: Id, _: Id) -> Result<Option<WrappedKey>> {
        gone()
    }
    async fn keep_key(&self, _: &WrappedKey) -> Result<WrappedKey> {
        gone()
    }
    async fn keys_not_under(&self, _: &str, _: u32) -> Result<Vec<WrappedKey>> {
        gone()
    }
    async fn replace_key(&self, _: &WrappedKey, _: &str) -> Result<bool> {
        gone()
    }
}

fn of(store: Arc<dyn ConversationStore>) -> Conversations {
    Conversations::new(store, Names::new(b"a key", None), None)
}

async fn server(conversations: Conversations, on_store_failure: OnStoreFailure) -> Running {
    let day = Duration::from_secs(86_400);
    let kept = ConversationSettings { conversations, retention: 30 * day, on_store_failure };
    let admin_token = Some(Secret::new(TOKEN));
    let settings = ServerSettings { conversations: Some(kept), admin_token, ..settings() };
    let digest = Digest::of(b"model");
    let source = Source::File { model: Box::new(model()), digest, name: "a.botops".to_owned() };
    start(settings, source).await.unwrap()
}

/// Sends a message. Returns the status, the body, and whether the answer says that it is not stored.
async fn chat(running: &Running, body: &Value) -> (u16, String, bool) {
    let url = format!("http://{}/v1/chat", running.address());
    let answer = http().unwrap().post(url).body(body.to_string()).send().await.unwrap();
    let lost = answer.headers().get("x-botops-stored").is_some_and(|value| value == "false");
    (answer.status().as_u16(), answer.text().await.unwrap(), lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sent_again_to_another_replica_gets_the_bytes_of_its_first_answer() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse("store", folder.path()).unwrap();
    let open = async || of(location.open(true).await.unwrap());
    let a = server(open().await, OnStoreFailure::Refuse).await;
    let b = server(open().await, OnStoreFailure::Refuse).await;
    let body = json!({"text": "red apple", "conversation_id": "c", "message_id": "m1", "user_id": "alice"});
    let (status, first, lost) = chat(&a, &body).await;
    assert_eq!((status, lost), (200, false));
    for replica in [&a, &b, &a] {
        assert_eq!(chat(replica, &body).await, (200, first.clone(), false));
    }
    let other = json!({"text": "a bus", "conversation_id": "c", "message_id": "m1"});
    let (status, problem, _) = chat(&b, &other).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem.contains("BOT-6121") && !problem.contains("apple"), "{problem}");
    let next = json!({"text": "a bus", "conversation_id": "c"});
    assert_eq!(chat(&b, &next).await.0, 200);
    assert_eq!(chat(&b, &next).await.0, 200, "without an id, it is another message");

    let kept = open().await;
    let named = kept.named("c", Some("alice"));
    let turns = kept.turns(named.conversation, 0, 10).await.unwrap();
    assert_eq!(turns.len(), 3);
    assert_eq!((turns[0].row.person, turns[1].row.person), (named.person, None));
    let turn = turns[0].turn.clone().unwrap();
    let answer: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((turn.text.as_str(), &turn.answer), ("red apple", &first));
    assert_eq!(json!(turn.request_id), answer["request_id"]);
    assert_eq!(turn.digest, Digest::of(b"model").to_string());
    assert_eq!(turn.arm, "primary");
    let name = named.conversation.to_string();
    for file in ["turns.sqlite", "turns.sqlite-wal"] {
        let path = folder.path().join("store").join(file);
        let bytes = std::fs::read(&path).unwrap_or_default();
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(!has(b"alice") && !has(name.as_bytes()), "names are HMACs, in bytes: {file}");
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_conversation_raced_from_two_replicas_has_every_message_once() {
    let store: Arc<dyn ConversationStore> = Arc::new(MemoryStore::default());
    let a = server(of(Arc::clone(&store)), OnStoreFailure::Refuse).await;
    let b = server(of(Arc::clone(&store)), OnStoreFailure::Refuse).await;
    let bodies: Vec<Value> = (0..20)
        .map(|i| {
            let text = format!("red apple {i}");
            json!({"text": text, "conversation_id": "c", "message_id": format!("m{i}")})
        })
        .collect();
    let sent = bodies.iter().flat_map(|body| [chat(&a, body), chat(&b, body)]);
    let answers = futures::future::join_all(sent).await;
    for pair in answers.chunks(2) {
        assert_eq!((pair[0].0, &pair[0].1), (200, &pair[1].1));
    }
    let kept = of(store);
    let turns = kept.turns(kept.named("c", None).conversation, 0, 100).await.unwrap();
    let mut texts: Vec<String> = turns.into_iter().map(|turn| turn.turn.unwrap().text).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 20);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_store_a_server_refuses_or_answers_as_declared() {
    let body = json!({"text": "red apple", "conversation_id": "c", "message_id": "m"});
    let running = server(of(Arc::new(Gone)), OnStoreFailure::Refuse).await;
    let (status, problem, _) = chat(&running, &body).await;
    assert_eq!(status, 503);
    assert!(problem.contains("BOT-6120") && !problem.contains("secret.example.com"), "{problem}");
    // Messages without a conversation need no store.
    assert_eq!(chat(&running, &json!({"text": "red apple"})).await.0, 200);
    running.shutdown().await;
    let running = server(of(Arc::new(Gone)), OnStoreFailure::Answer).await;
    let (status, answer, lost) = chat(&running, &body).await;
    assert_eq!((status, lost), (200, true), "{answer}");
    running.shutdown().await;
}

#[tokio::test]
async fn ids_that_cannot_be_used_are_refused() {
    let running = server(of(Arc::new(MemoryStore::default())), OnStoreFailure::Refuse).await;
    for body in [
        json!({"text": "a bus", "message_id": "m"}),
        json!({"text": "a bus", "user_id": "u"}),
        json!({"text": "a bus", "conversation_id": "c", "message_id": ""}),
        json!({"text": "a bus", "conversation_id": "c", "user_id": "u".repeat(257)}),
    ] {
        let (status, problem, _) = chat(&running, &body).await;
        assert_eq!(status, 422, "{body}");
        assert!(problem.contains("BOT-6124"), "{problem}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn old_turns_are_erased_by_the_server() {
    let store: Arc<dyn ConversationStore> = Arc::new(MemoryStore::default());
    let kept = of(Arc::clone(&store));
    let named = kept.named("c", None);
    let turn = Turn { text: "long ago".to_owned(), ..Turn::default() };
    kept.append(&named, &Head::default(), (&turn, false, 1_000)).await.unwrap();
    let running = server(of(store), OnStoreFailure::Refuse).await;
    for _ in 0..200 {
        if kept.turns(named.conversation, 0, 1).await.unwrap().is_empty() {
            running.shutdown().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the turn is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_goes_on_with_the_turns_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |folder: &Path| {
        of(Location::parse("store", folder).unwrap().open(true).await.unwrap())
    };
    for i in 0..3 {
        let running = server(open(folder.path()).await, OnStoreFailure::Refuse).await;
        let body = json!({"text": format!("red apple {i}"), "conversation_id": "c"});
        assert_eq!(chat(&running, &body).await.0, 200);
        running.shutdown().await;
    }
    let kept = open(folder.path()).await;
    assert_eq!(kept.head(&kept.named("c", None)).await.unwrap().next(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_repeated_shows_each_caller_what_the_caller_may_see() {
    let running = server(of(Arc::new(MemoryStore::default())), OnStoreFailure::Refuse).await;
    let url = format!("http://{}/v1/chat", running.address());
    let send = async |id: &str, token: Option<&str>| {
        let body = json!({"text": "red apple", "conversation_id": "c", "message_id": id});
        let request = http().unwrap().post(url.clone()).body(body.to_string());
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let arm = answer.headers().get("x-botops-arm").map(|arm| arm.to_str().unwrap().to_owned());
        (answer.json::<Value>().await.unwrap(), arm)
    };
    let (first, _) = send("m1", Some(TOKEN)).await;
    assert!(first["model"].is_string() && first["feedback_token"].is_string(), "{first}");
    assert_eq!(send("m1", Some(TOKEN)).await, (first.clone(), Some("primary".to_owned())));
    let (again, arm) = send("m1", None).await;
    assert_eq!((&again["request_id"], arm), (&first["request_id"], None));
    for name in ["model", "digest", "arm", "feedback_token"] {
        assert_eq!(again.get(name), None, "another caller: {again}");
    }

    let (first, _) = send("m2", None).await;
    assert!(first.get("model").is_none() && first["feedback_token"].is_string(), "{first}");
    assert_eq!(send("m2", None).await, (first.clone(), None));
    let (seen, arm) = send("m2", Some(TOKEN)).await;
    assert_eq!(arm.as_deref(), Some("primary"), "a caller with `read` sees versions in repeats");
    assert!(seen["model"].is_string() && seen["digest"].is_string(), "{seen}");
    assert_eq!((&seen["response"], seen.get("feedback_token")), (&first["response"], None));
    running.shutdown().await;
}
