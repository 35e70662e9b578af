//! Answers that a language model writes, as clients see them arrive: sentence by sentence, each only once it is supported.

use super::{
    Running,
    client::http,
    knowledge_tests::{QUOTE, RETURNS, chat, generated, metrics, parcels, serve, shop},
};
use axum::{
    Router,
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
    routing::post,
};
use botops_workspace::{Generation, Knowledge};
use futures::{SinkExt as _, StreamExt as _, stream};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::Notify, time::timeout};
use tokio_tungstenite::{connect_async, tungstenite::Message};

const FIRST: &str = "You may return shoes within 30 days of delivery. [1] ";
const UNSUPPORTED: &str = "Ask Bob in Paris for 500 dollars. [1] That is uncited. ";

/// Starts an endpoint that answers by `reply`. Returns its address.
async fn endpoint<F: Fn(Value) -> Response + Clone + Send + Sync + 'static>(reply: F) -> String {
    let answer = move |body: Bytes| {
        let reply = reply.clone();
        async move { reply(serde_json::from_slice(&body).unwrap()) }
    };
    let router = Router::new().route("/v1/chat/completions", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/v1")
}

/// Settings that ask the endpoint for pieces.
fn streamed(url: &str) -> Knowledge {
    let rules = generated(url);
    let generation = rules.generation.clone().map(|generation| Generation {
        stream: true,
        timeout: Duration::from_secs(20),
        first_token_timeout: Duration::from_secs(10),
        ..generation
    });
    Knowledge { generation, ..rules }
}

fn piece(text: &str) -> String {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
    format!("data: {}\n\n", json!({"model": "small", "choices": [choice]}))
}

const END: &str = "data: {\"model\":\"small\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn events(body: Body) -> Response {
    ([("content-type", "text/event-stream")], body).into_response()
}

/// Notes that the reader of a reply has gone.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A reply that gives `first`, and `rest` once its test asks for it. The flag says that its reader has gone.
fn paused(
    first: String,
    rest: String,
) -> (impl Fn(Value) -> Response + Clone, Arc<Notify>, Arc<AtomicBool>) {
    let (go, gone) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (told, flag) = (Arc::clone(&go), Arc::clone(&gone));
    let reply = move |_| {
        let (told, rest, guard) = (Arc::clone(&told), rest.clone(), Gone(Arc::clone(&flag)));
        let late = stream::once(async move {
            told.notified().await;
            drop(guard);
            Ok::<_, std::io::Error>(Bytes::from(rest))
        });
        let soon = stream::iter([Ok(Bytes::from(first.clone()))]);
        events(Body::from_stream(soon.chain(late)))
    };
    (reply, go, gone)
}

/// A stream of events that a client reads.
struct Events {
    answer: botops_http::Response,
    text: String,
}

impl Events {
    async fn of(running: &Running, body: &Value) -> Self {
        let url = format!("http://{}/v1/chat", running.address());
        let request = http().unwrap().post(url).header("accept", "text/event-stream");
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x-request-id"].len(), 48);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        Self { answer, text: String::new() }
    }

    /// Returns the next event, its name and its data; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(str::trim).unwrap_or_default().to_owned()
                };
                return Some((field("event:"), serde_json::from_str(&field("data:")).unwrap()));
            }
            let read = timeout(Duration::from_secs(10), self.answer.chunk()).await.unwrap();
            self.text.push_str(std::str::from_utf8(&read.unwrap()?).unwrap());
        }
    }
}

async fn becomes_true(flag: &AtomicBool) {
    for _ in 0..500 {
        if flag.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the endpoint is still read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentence_is_sent_once_it_is_supported_and_the_last_event_is_the_plain_answer() {
    let rest = piece("Hats may be returned within 14 days of delivery. [1]") + END;
    let (reply, go, _) = paused(piece(FIRST) + &piece(UNSUPPORTED) + &piece("Hats"), rest);
    let reply = move |body: Value| reply(body);
    let running = serve(vec![shop()], streamed(&endpoint(reply).await)).await;
    let body = json!({"text": RETURNS, "conversation_id": "c", "message_id": "m"});
    let mut events = Events::of(&running, &body).await;
    let shown = "You may return shoes within 30 days of delivery. [1]";
    // The endpoint waits for this: the sentence is sent before the answer ends.
    assert_eq!(events.next().await.unwrap(), ("sentence".to_owned(), json!({"text": shown})));
    go.notify_one();
    let mut last = events.next().await.unwrap();
    let mut sentences = vec![shown.to_owned()];
    while last.0 == "sentence" {
        sentences.push(last.1["text"].as_str().unwrap().to_owned());
        last = events.next().await.unwrap();
    }
    let (name, answer) = last;
    assert_eq!((name.as_str(), events.next().await), ("answer", None));
    assert_eq!(answer["response"], sentences.join(" "), "every sentence was sent, and no other");
    assert!(!answer.to_string().contains("Bob") && !answer.to_string().contains("uncited"));
    assert_eq!((&answer["answered_by"], sentences.len()), (&json!("generated"), 2), "{answer}");
    assert_eq!(chat(&running, body.clone()).await, answer, "the body of a plain answer");
    // The same message again, as a stream: nothing is written twice.
    let mut again = Events::of(&running, &body).await;
    assert_eq!(again.next().await, Some(("answer".to_owned(), answer)));
    assert_eq!(again.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_is_the_quote_where_the_endpoint_fails_after_its_first_sentence() {
    let replies: [fn(Value) -> Response; 2] = [
        // It ends without its end.
        |_| events(Body::from(piece(FIRST) + &piece("Hats may"))),
        |_| events(Body::from(piece(FIRST) + &piece("Hats may") + "data: <html>\n\n")),
    ];
    for (reply, outcome) in replies.into_iter().zip(["cut", "not_of_the_protocol"]) {
        let running = serve(vec![shop()], streamed(&endpoint(reply).await)).await;
        let mut events = Events::of(&running, &json!({"text": RETURNS})).await;
        assert_eq!(events.next().await.unwrap().0, "sentence", "{outcome}");
        let (name, answer) = events.next().await.unwrap();
        assert_eq!((name.as_str(), &answer["response"]), ("answer", &json!(QUOTE)), "{outcome}");
        assert_eq!(answer["answered_by"], "knowledge");
        let line = format!("botops_generation_requests_total{{outcome=\"{outcome}\"}} 1");
        assert!(metrics(&running).await.contains(&line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_a_language_model_is_one_event_and_a_refusal_is_a_plain_problem() {
    let running = serve(vec![shop()], Knowledge::default()).await;
    let mut events = Events::of(&running, &json!({"text": RETURNS})).await;
    let (name, answer) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &answer["response"]), ("answer", &json!(QUOTE)));
    assert_eq!(events.next().await, None);
    let url = format!("http://{}/v1/chat", running.address());
    let request = http().unwrap().post(url).header("accept", "text/event-stream");
    let refused = request.body("{\"text\": \"\"}").send().await.unwrap();
    assert_eq!(refused.status(), 422);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "BOT-6015", "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_ends_the_request_to_the_language_model() {
    // It leaves after the first sentence of a stream.
    let (reply, _go, gone) = paused(piece(FIRST) + &piece("Hats"), END.to_owned());
    let running = serve(vec![shop()], streamed(&endpoint(reply).await)).await;
    let mut events = Events::of(&running, &json!({"text": RETURNS})).await;
    assert_eq!(events.next().await.unwrap().0, "sentence");
    drop(events);
    becomes_true(&gone).await;
    let line = "botops_generation_requests_total{outcome=\"cancelled\"} 1";
    assert!(metrics(&running).await.contains(line));
    // It closes its socket before any sentence.
    let (reply, _go, gone) = paused(piece("Hats"), END.to_owned());
    let asked = Arc::new(Notify::new());
    let begun = Arc::clone(&asked);
    let noted = move |body: Value| {
        begun.notify_one();
        reply(body)
    };
    let running = serve(vec![shop()], streamed(&endpoint(noted).await)).await;
    let url = format!("ws://{}/v1/ws", running.address());
    let (mut socket, _) = connect_async(url).await.unwrap();
    let hello = json!({"type": "hello", "conversation_id": "c", "sentences": true});
    let message = json!({"type": "message", "message_id": "m", "text": RETURNS});
    for frame in [hello, message] {
        socket.send(Message::text(frame.to_string())).await.unwrap();
    }
    timeout(Duration::from_secs(10), asked.notified()).await.unwrap();
    socket.close(None).await.unwrap();
    becomes_true(&gone).await;
    assert!(metrics(&running).await.contains(line));
    // The message is not stored, so it can be sent again.
    let answer = chat(&running, json!({"text": "red apple", "conversation_id": "c"})).await;
    assert_eq!(answer["response"], "A fruit.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_gets_sentences_if_it_asks_for_them_and_its_messages_in_order() {
    let text = format!("{FIRST}{UNSUPPORTED}");
    let reply = move |_| events(Body::from(piece(&text) + END));
    let running = serve(vec![shop()], streamed(&endpoint(reply).await)).await;
    for (wants, conversation) in [(true, "a"), (false, "b")] {
        let url = format!("ws://{}/v1/ws", running.address());
        let (mut socket, _) = connect_async(url).await.unwrap();
        let hello = json!({"type": "hello", "conversation_id": conversation, "sentences": wants});
        let ask = |id: &str, text: &str| json!({"type": "message", "message_id": id, "text": text});
        for frame in [hello, ask("1", RETURNS), ask("2", "red apple"), ask("3", "red pear")] {
            socket.send(Message::text(frame.to_string())).await.unwrap();
        }
        let mut heard = Vec::new();
        while heard.len() < if wants { 5 } else { 4 } {
            let frame = timeout(Duration::from_secs(10), socket.next()).await.unwrap();
            let Some(Ok(Message::Text(text))) = frame else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            let part = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
            let text = part("text") + &part("response");
            heard.push((part("type"), part("message_id"), text));
        }
        let shown = "You may return shoes within 30 days of delivery. [1]";
        let mut expected = vec![
            ("ready", "", ""),
            ("answer", "1", shown),
            ("answer", "2", "A fruit."),
            ("answer", "3", "A fruit."),
        ];
        if wants {
            expected.insert(1, ("sentence", "1", shown));
        }
        let heard: Vec<(&str, &str, &str)> =
            heard.iter().map(|(kind, id, text)| (&**kind, &**id, &**text)).collect();
        assert_eq!(heard, expected);
    }
}

/// The requests that an endpoint got.
type Asked = Arc<Mutex<Vec<Value>>>;

/// Returns whether a request asks for a question in full.
fn is_completion(body: &Value) -> bool {
    body["messages"][0]["content"].as_str().unwrap().contains("one question")
}

fn whole(text: &str) -> Response {
    let message = json!({"role": "assistant", "content": text});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    axum::Json(json!({"model": "small", "choices": [choice]})).into_response()
}

/// Starts an endpoint that completes a question by `full`, and declines to answer it.
async fn completing(full: fn() -> Response) -> (String, Asked) {
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    let url = endpoint(move |body: Value| {
        let reply = if is_completion(&body) { full() } else { whole("NO_ANSWER") };
        noted.lock().unwrap().push(body);
        reply
    });
    (url.await, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_gets_the_rules_and_the_history_and_completes_a_follow_up() {
    let (url, asked) = completing(|| whole("How long may hats be returned?")).await;
    let mut rules = streamed(&url);
    rules.generation.as_mut().unwrap().rules = "Be brief.".to_owned();
    let running = serve(vec![shop()], rules).await;
    let says = |text: &'static str| chat(&running, json!({"text": text, "conversation_id": "c"}));
    assert_eq!(says(RETURNS).await["response"], QUOTE);
    // The rules of the embedded completion know no such word.
    let follow_up = says("headgear?").await;
    assert_eq!(follow_up["response"], "Hats may be returned within 14 days of delivery.");
    let asked = asked.lock().unwrap().clone();
    let kinds: Vec<bool> = asked.iter().map(is_completion).collect();
    assert_eq!(kinds, [false, true, false], "the first question stands alone");
    let roles = |body: &Value| {
        let messages = body["messages"].as_array().unwrap().iter();
        messages.map(|it| it["role"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(roles(&asked[0]), ["system", "user"]);
    for body in &asked[1..] {
        assert_eq!(roles(body), ["system", "user", "assistant", "user"]);
        let said = [&body["messages"][1]["content"], &body["messages"][2]["content"]];
        assert_eq!(said, [RETURNS, QUOTE]);
    }
    let system = asked[2]["messages"][0]["content"].as_str().unwrap();
    assert!(system.ends_with("\nBe brief."), "{system}");
    let question = asked[2]["messages"][3]["content"].as_str().unwrap();
    assert!(question.ends_with("Question: How long may hats be returned?"), "{question}");
    let line = "botops_question_completions_total{outcome=\"completed\"} 1";
    assert!(metrics(&running).await.contains(line));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_complete_a_follow_up_where_the_endpoint_does_not() {
    type Reply = fn() -> Response;
    let replies: [(Reply, &str); 3] = [
        (
            || ([("content-type", "text/html")], "<html>Sign in").into_response(),
            "not_of_the_protocol",
        ),
        (|| whole("Sure! Here it is:\nHow long may hats be returned?"), "unfit"),
        (
            || events(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())),
            "timed_out",
        ),
    ];
    for (full, outcome) in replies {
        let (url, _) = completing(full).await;
        let mut rules = streamed(&url);
        let generation = rules.generation.as_mut().unwrap();
        generation.first_token_timeout = Duration::from_millis(300);
        rules.min_confidence = Some(0.0);
        let running = serve(vec![parcels()], rules).await;
        let says =
            |text: &'static str| chat(&running, json!({"text": text, "conversation_id": "c"}));
        let first = says("How long does shipping to Germany take?").await;
        assert_eq!(first["response"], "Shipping to Germany takes two days.");
        let follow_up = says("And to France?").await;
        assert_eq!(follow_up["response"], "Shipping to France takes five days.", "{outcome}");
        let line = format!("botops_question_completions_total{{outcome=\"{outcome}\"}} 1");
        let metrics = metrics(&running).await;
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}
