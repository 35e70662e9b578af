//! Dialogues of several turns: state in the store, actions, hand-offs, and what happens when something stops in between.

use super::{
    ActionSettings, ConversationSettings, OnStoreFailure, Running, ServerSettings, Source,
    client::http, start, tests::settings,
};
use botops_conversations::{ConversationStore, Conversations, Head, MemoryStore, Names, Turn};
use botops_dialogue::{Awaited, DialogueSpec, DialogueState};
use botops_digest::Digest;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_spec::Spec as _;
use botops_workspace::Secret;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// One answer of the other side: raw bytes after a pause.
type Canned = (Duration, String);

/// A system that actions and hand-offs call. It gives its answers one after the other, the last one again and again.
struct Desk {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    async fn start(answers: &[Canned]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::from(answers.to_vec())));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    let mut piece = [0; 4_096];
                    loop {
                        let n = stream.read(&mut piece).await.unwrap_or(0);
                        request.extend_from_slice(&piece[..n]);
                        let text = String::from_utf8_lossy(&request).into_owned();
                        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                        let length = head.lines().find_map(|line| {
                            let (name, value) = line.split_once(": ")?;
                            name.eq_ignore_ascii_case("content-length")
                                .then(|| value.parse().ok())?
                        });
                        if n == 0 || body.len() >= length.unwrap_or(0_usize) {
                            break;
                        }
                    }
                    kept.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                    let (pause, answer) = {
                        let mut answers = answers.lock().unwrap();
                        match answers.len() {
                            1 => answers[0].clone(),
                            _ => answers.pop_front().unwrap(),
                        }
                    };
                    tokio::time::sleep(pause).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// An answer with JSON.
fn says(status: &str, body: &Value) -> Canned {
    let body = body.to_string();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    (Duration::ZERO, text)
}

/// A shop whose actions and hand-offs go to `desk`.
fn shop(desk: &str) -> IntentModel {
    let returns = [
        "return my order",
        "send it back",
        "return an item",
        "i want to return it",
        "take my order back",
        "how do i return an order",
        "return order please",
        "a return please",
    ];
    let tracks = [
        "track my parcel",
        "where is my parcel",
        "track it",
        "parcel tracking please",
        "has my parcel left",
        "track the parcel",
        "where is the parcel now",
        "parcel status",
    ];
    let samples: Vec<Sample<'_>> = returns
        .iter()
        .map(|text| Sample { text, intent: "return" })
        .chain(tracks.iter().map(|text| Sample { text, intent: "track" }))
        .collect();
    let dialogue: DialogueSpec = serde_json::from_value(json!({
        "entities": {"order": "\\d{4,5}"},
        "slots": {"order_number": {"from": ["order"], "ask": {"en": "Which order?"}}},
        "intents": {
            "return": {
                "needs": ["order_number"],
                "action": {"url": format!("{desk}/returns/{{order_number}}"), "timeout": "1s"},
            },
            "track": {
                "needs": ["order_number"],
                "action": {"url": format!("{desk}/orders/{{order_number}}"), "method": "PUT",
                    "timeout": "2s", "idempotent": true},
            },
        },
        "responses": {
            "return": {"en": "Done: {action.label}."},
            "track": {"en": ["It is {action.status}.", "Status: {action.status}."]},
        },
        "fallback": {"en": "Pardon?"},
        "handoff": {"webhook": format!("{desk}/hook"), "words": ["human"]},
    }))
    .unwrap();
    let spec = ModelSpec::default().check().unwrap();
    train(TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) }, &Silent).unwrap()
}

fn kept(store: &Arc<dyn ConversationStore>) -> Conversations {
    Conversations::new(Arc::clone(store), Names::new(b"a key", None), None)
}

async fn server(store: &Arc<dyn ConversationStore>, desk: &Desk) -> Running {
    let actions = ActionSettings {
        allow: vec![desk.origin()],
        allow_private: vec!["127.0.0.1".to_owned()],
        secrets: vec![Secret::new("k".repeat(32))],
    };
    try_start(store, &desk.origin(), actions).await.unwrap()
}

async fn try_start(
    store: &Arc<dyn ConversationStore>,
    desk: &str,
    actions: ActionSettings,
) -> botops_findings::Result<Running> {
    let conversations = ConversationSettings {
        conversations: kept(store),
        retention: Duration::from_secs(86_400),
        on_store_failure: OnStoreFailure::Refuse,
    };
    let settings =
        ServerSettings { conversations: Some(conversations), actions: Some(actions), ..settings() };
    let model = Box::new(shop(desk));
    let source = Source::File { model, digest: Digest::of(b"shop"), name: "shop".to_owned() };
    start(settings, source).await
}

fn memory() -> Arc<dyn ConversationStore> {
    Arc::new(MemoryStore::default())
}

/// Says `text` in conversation `c` as message `id`. Returns the status and the answer.
async fn say(running: &Running, text: &str, id: &str) -> (u16, Value) {
    let body = json!({"text": text, "conversation_id": "c", "message_id": id, "language": "en"});
    let url = format!("http://{}/v1/chat", running.address());
    let answer = http().unwrap().post(url).body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Waits until `holds`.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not happen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_conversation_on_two_replicas_remembers_its_slots_and_calls_its_action_once() {
    let desk = Desk::start(&[says("200 OK", &json!({"label": "L1"}))]).await;
    let store = memory();
    let (a, b) = (server(&store, &desk).await, server(&store, &desk).await);
    let (status, asked) = say(&a, "return my order", "m1").await;
    assert_eq!((status, &asked["response"]), (200, &json!("Which order?")), "{asked}");
    assert_eq!((&asked["state"], &asked["message_number"]), (&json!("awaiting_slot"), &json!(0)));
    let (status, done) = say(&b, "20447", "m2").await;
    assert_eq!((status, &done["response"]), (200, &json!("Done: L1.")), "{done}");
    assert_eq!((&done["intent"], &done["fallback"]), (&json!("return"), &json!(false)));
    assert_eq!(done["slots"], json!({"order_number": "20447"}));
    assert_eq!((done.get("state"), &done["message_number"]), (None, &json!(1)));
    // The same message again, on either replica: the same answer, and no second call.
    for replica in [&a, &b] {
        assert_eq!(say(replica, "20447", "m2").await, (200, done.clone()));
        assert_eq!(say(replica, "return my order", "m1").await, (200, asked.clone()));
    }
    let [request] = desk.requests().try_into().unwrap();
    assert!(request.starts_with("POST /returns/20447 HTTP/1.1\r\n"), "{request}");
    let header = |name: &str| {
        let mut lines = request.lines();
        lines.find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or("").to_owned()
    };
    assert!(request.ends_with("{\"order_number\":\"20447\"}"), "{request}");
    assert!(header("webhook-signature").starts_with("v1,"), "{request}");
    let of = kept(&store);
    let turns = of.turns(of.named("c", None).conversation, 0, 9).await.unwrap();
    assert_eq!(header("idempotency-key"), turns[1].row.turn.to_string());
    assert_eq!(header("webhook-id"), header("idempotency-key"));
    assert!(turns.iter().all(|turn| !turn.row.open));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_messages_get_the_same_answers_on_any_replica() {
    let talk =
        ["track it", "20447", "track my parcel", "hm", "where is my parcel", "human", "track it"];
    let mut all = Vec::new();
    for replicas in [1, 2] {
        let desk = Desk::start(&[says("200 OK", &json!({"status": "sent"}))]).await;
        let store = memory();
        let mut servers = Vec::new();
        for _ in 0..replicas {
            servers.push(server(&store, &desk).await);
        }
        let mut answers = Vec::new();
        for (i, text) in talk.iter().enumerate() {
            let (status, answer) = say(&servers[i % replicas], text, &format!("m{i}")).await;
            assert_eq!(status, 200, "{answer}");
            let of = |name: &str| answer[name].clone();
            answers.push((of("response"), of("state"), of("slots"), of("buttons"), of("intent")));
        }
        all.push(answers);
        for server in servers {
            server.shutdown().await;
        }
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0][6].1, json!("handed_off"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_goes_to_a_person_and_is_not_tried_again() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let large = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\"{}\"",
        "x".repeat(10 << 20)
    );
    let now = Duration::ZERO;
    let hook = says("200 OK", &json!({}));
    for answer in [
        (Duration::from_secs(30), String::new()),
        (now, html.to_owned()),
        (now, large),
        says("500 Oops", &json!({"label": "L1"})),
    ] {
        let desk = Desk::start(&[answer, hook.clone()]).await;
        let store = memory();
        let running = server(&store, &desk).await;
        say(&running, "return my order", "m1").await;
        let (status, unknown) = say(&running, "20447", "m2").await;
        assert_eq!((status, &unknown["state"]), (200, &json!("handed_off")), "{unknown}");
        assert_eq!(say(&running, "20447", "m2").await, (200, unknown));
        until(|| desk.requests().len() == 2).await;
        let hook = desk.requests().pop().unwrap();
        let (head, body) = hook.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /hook "), "{head}");
        assert!(head.to_lowercase().contains("webhook-signature: v1,"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["type"], &body["reason"]), (&json!("handoff"), &json!("action_unknown")));
        assert_eq!((&body["conversation_id"], &body["message_number"]), (&json!("c"), &json!(1)));
        assert_eq!(body["turns"].as_array().unwrap().len(), 2, "{body}");
        running.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_may_be_repeated_is_called_again_under_its_key() {
    let broken = says("503 Busy", &json!({}));
    let desk =
        Desk::start(&[broken.clone(), broken, says("200 OK", &json!({"status": "sent"}))]).await;
    let store = memory();
    let running = server(&store, &desk).await;
    say(&running, "track it", "m1").await;
    let (_, answer) = say(&running, "20447", "m2").await;
    assert!(answer["response"].as_str().unwrap().contains("sent"), "{answer}");
    let keys: Vec<String> = desk
        .requests()
        .iter()
        .flat_map(|request| request.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.starts_with("idempotency-key: "))
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_during_an_action_is_refused_until_the_outcome_is_stored() {
    let (_, quick) = says("200 OK", &json!({"label": "L1"}));
    let desk = Desk::start(&[(Duration::from_millis(600), quick)]).await;
    let store = memory();
    let (a, b) = (server(&store, &desk).await, server(&store, &desk).await);
    say(&a, "return my order", "m1").await;
    let called = async { say(&a, "20447", "m2").await };
    let meanwhile = async {
        until(|| desk.requests().len() == 1).await;
        // Another message on either replica, and the same one again.
        let other = say(&b, "track it", "m3").await;
        let here = say(&a, "track it", "m3").await;
        [other, here, say(&b, "20447", "m2").await]
    };
    let ((status, done), refused) = tokio::join!(called, meanwhile);
    assert_eq!((status, &done["response"]), (200, &json!("Done: L1.")), "{done}");
    for (status, problem) in refused {
        assert_eq!((status, &problem["code"]), (409, &json!("BOT-6153")), "{problem}");
    }
    assert_eq!(say(&b, "20447", "m2").await, (200, done));
    assert_eq!(desk.requests().len(), 1);
    assert_eq!(say(&b, "hm", "m4").await.0, 200);
    a.shutdown().await;
    b.shutdown().await;
}

/// Stores a turn whose action of `intent` was called by a server that stopped, `ago` before its time ended.
async fn stopped_while_calling(store: &Arc<dyn ConversationStore>, intent: &str, ago: TimeDelta) {
    let of = kept(store);
    let named = of.named("c", None);
    let awaited = Awaited::Action { intent: intent.to_owned(), until: Utc::now() - ago, pick: 0 };
    let mut state = DialogueState { awaited: Some(awaited), turns: 1, ..DialogueState::default() };
    state.slots.insert(
        "order_number".to_owned(),
        serde_json::from_value(json!({"value": "20447", "at": Utc::now()})).unwrap(),
    );
    let answer = json!({
        "request_id": "r", "intent": intent, "confidence": 0.5, "entities": [],
        "response": null, "language": null, "fallback": false, "message_number": 0,
    });
    let turn = Turn {
        message_id: Some("m1".to_owned()),
        text: "20447".to_owned(),
        answer: answer.to_string(),
        slots: state.stored(),
        ..Turn::default()
    };
    let at = Utc::now().timestamp_millis();
    of.append(&named, &Head::default(), (&turn, true, at)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_of_a_server_that_stopped_is_unknown_to_the_next_message_or_repeated() {
    let desk = Desk::start(&[says("200 OK", &json!({"status": "sent"}))]).await;
    // Its time is not over: it may be under way somewhere.
    let store = memory();
    stopped_while_calling(&store, "return", TimeDelta::seconds(-60)).await;
    let running = server(&store, &desk).await;
    assert_eq!(say(&running, "hm", "m2").await.1["code"], json!("BOT-6153"));
    running.shutdown().await;
    assert_eq!(desk.requests().len(), 0);
    // Its time is over: a person takes over, whether the same message comes again or the next one.
    for message in ["m1", "m2"] {
        let store = memory();
        stopped_while_calling(&store, "return", TimeDelta::seconds(1)).await;
        let n = desk.requests().len();
        let running = server(&store, &desk).await;
        let (status, answer) = say(&running, "20447", message).await;
        assert_eq!((status, &answer["state"]), (200, &json!("handed_off")), "{answer}");
        let (_, first) = say(&running, "20447", "m1").await;
        assert_eq!((&first["state"], &first["request_id"]), (&json!("handed_off"), &json!("r")));
        until(|| desk.requests().len() > n).await;
        let hook = desk.requests().pop().unwrap();
        assert!(hook.starts_with("POST /hook ") && hook.contains("action_unknown"), "{hook}");
        running.shutdown().await;
    }
    // An action that may be repeated is: its answer is that of the first message.
    let store = memory();
    stopped_while_calling(&store, "track", TimeDelta::seconds(1)).await;
    let n = desk.requests().len();
    let running = server(&store, &desk).await;
    let (status, answer) = say(&running, "20447", "m1").await;
    assert_eq!((status, answer.get("state")), (200, None), "{answer}");
    assert!(answer["response"].as_str().unwrap().contains("sent"), "{answer}");
    assert_eq!(desk.requests().len(), n + 1);
    assert!(desk.requests()[n].starts_with("PUT /orders/20447 "), "{:?}", desk.requests()[n]);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_off_is_delivered_though_its_receiver_or_its_server_failed_first() {
    let broken = says("503 Busy", &json!({}));
    let desk = Desk::start(&[broken.clone(), says("200 OK", &json!({}))]).await;
    let store = memory();
    let running = server(&store, &desk).await;
    assert_eq!(say(&running, "human", "m1").await.1["state"], json!("handed_off"));
    until(|| desk.requests().len() == 2).await;
    let id = |request: &String| {
        request.lines().find(|line| line.starts_with("webhook-id: ")).unwrap().to_owned()
    };
    let requests = desk.requests();
    assert_eq!(id(&requests[0]), id(&requests[1]));
    let of = kept(&store);
    let conversation = of.named("c", None).conversation;
    for _ in 0..100 {
        if !of.turns(conversation, 0, 1).await.unwrap()[0].row.open {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!of.turns(conversation, 0, 1).await.unwrap()[0].row.open);
    say(&running, "hello?", "m2").await;
    assert_eq!(desk.requests().len(), 2, "it is delivered once");
    running.shutdown().await;

    // The server stops while the receiver is down; the next message delivers, on another server.
    let gone = Desk::start(&[broken]).await;
    let store = memory();
    let running = server(&store, &gone).await;
    say(&running, "human", "m1").await;
    until(|| !gone.requests().is_empty()).await;
    running.shutdown().await;
    let desk = Desk::start(&[says("200 OK", &json!({}))]).await;
    let running = server(&store, &desk).await;
    say(&running, "hello?", "m2").await;
    until(|| desk.requests().len() == 1).await;
    assert_eq!(id(&desk.requests()[0]), id(&gone.requests()[0]));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_stored_conversation_a_message_is_answered_and_nothing_is_called() {
    let desk = Desk::start(&[says("200 OK", &json!({"label": "L1"}))]).await;
    let running = server(&memory(), &desk).await;
    let url = format!("http://{}/v1/chat", running.address());
    for (text, response) in [
        ("return my order", json!("Which order?")),
        ("return my order 20447", json!("Sorry")),
        ("human", json!("")),
    ] {
        let body = json!({"text": text, "language": "en"}).to_string();
        let answer = http().unwrap().post(&url).body(body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        for name in ["state", "slots", "message_number"] {
            assert_eq!(answer.get(name), None, "{answer}");
        }
        let said = answer["response"].as_str().unwrap_or_default();
        if response == "Which order?" {
            assert_eq!(said, "Which order?");
        } else {
            assert!(!said.is_empty() && !said.contains("Done"), "{answer}");
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(desk.requests().len(), 0);
    running.shutdown().await;
}

#[tokio::test]
async fn a_model_whose_action_is_not_allowed_is_not_served() {
    let desk = "https://desk.example.com";
    let fault = try_start(&memory(), desk, ActionSettings::default()).await.err().unwrap();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6151", 6));
    let other =
        ActionSettings { allow: vec!["other.example.com".to_owned()], ..ActionSettings::default() };
    let fault = try_start(&memory(), desk, other).await.err().unwrap();
    assert_eq!(fault.code(), "BOT-6151");
    assert!(fault.message().contains("desk.example.com"), "{fault}");
    assert!(!format!("{fault:?}").contains("/returns"), "{fault:?}");
    let allowed =
        ActionSettings { allow: vec!["desk.example.com".to_owned()], ..ActionSettings::default() };
    try_start(&memory(), desk, allowed).await.unwrap().shutdown().await;
}
