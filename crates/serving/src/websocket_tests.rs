//! `/v1/ws`: messages in order, resuming, two sockets, limits, and clients that break the protocol.

use super::{
    ConnectionLimits, ConversationSettings, ListenerSettings, MetricsAccess, OnStoreFailure,
    PublicSettings, Running, ServerSettings, Sizes, Source, WebSocketSettings,
    client::http,
    start,
    tests::{model, settings},
};
use botops_access::RateSpec;
use botops_conversations::{Conversations, MemoryStore, Names};
use botops_digest::Digest;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::frame::coding::CloseCode},
};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Settings with conversations in memory, and metrics for everyone.
fn kept() -> ServerSettings {
    let names = Names::new(b"a key", None);
    let conversations = Conversations::new(Arc::new(MemoryStore::default()), names, None);
    let retention = Duration::from_secs(86_400);
    let kept =
        ConversationSettings { conversations, retention, on_store_failure: OnStoreFailure::Refuse };
    let listeners =
        ListenerSettings { metrics: MetricsAccess::Open, ..ListenerSettings::default() };
    ServerSettings { conversations: Some(kept), listeners, ..settings() }
}

async fn serve(settings: ServerSettings) -> Running {
    let digest = Digest::of(b"model");
    let source = Source::File { model: Box::new(model()), digest, name: "support".to_owned() };
    start(settings, source).await.unwrap()
}

async fn open(running: &Running) -> Client {
    connect_async(format!("ws://{}/v1/ws", running.address())).await.unwrap().0
}

async fn say(client: &mut Client, frame: Value) {
    client.send(Message::text(frame.to_string())).await.unwrap();
}

/// Returns the next frame; a close frame as its code.
async fn hear(client: &mut Client) -> Value {
    loop {
        match timeout(Duration::from_secs(10), client.next()).await.expect("a frame comes") {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Close(frame))) => {
                return json!({"closed": frame.map(|frame| u16::from(frame.code))});
            }
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Says hello. Returns the answer to it.
async fn hello(client: &mut Client, conversation: &str) -> Value {
    say(client, json!({"type": "hello", "conversation_id": conversation})).await;
    hear(client).await
}

fn message(id: &str, text: &str) -> Value {
    json!({"type": "message", "message_id": id, "text": text})
}

async fn metrics(running: &Running) -> String {
    let url = format!("{}/metrics", running.url());
    http().unwrap().get(url).send().await.unwrap().text().await.unwrap()
}

/// Waits until the metrics have `line`.
async fn has(running: &Running, line: &str) {
    for _ in 0..500 {
        if metrics(running).await.contains(line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no `{line}` in {}", metrics(running).await);
}

#[tokio::test]
async fn messages_are_answered_in_order_as_by_post_and_once() {
    let running = serve(kept()).await;
    let mut client = open(&running).await;
    assert_eq!(hello(&mut client, "c").await, json!({"type": "ready", "number": null}));
    for (n, text) in ["red apple", "a bus", "red plum"].into_iter().enumerate() {
        say(&mut client, message(&format!("m{n}"), text)).await;
    }
    let mut answers = Vec::new();
    for (n, intent) in ["fruit", "vehicle", "fruit"].into_iter().enumerate() {
        let answer = hear(&mut client).await;
        assert_eq!(answer["type"], "answer");
        assert_eq!(
            (&answer["message_id"], &answer["number"]),
            (&json!(format!("m{n}")), &json!(n))
        );
        assert_eq!(answer["intent"], intent);
        answers.push(answer);
    }
    say(&mut client, message("m1", "a bus")).await;
    assert_eq!(hear(&mut client).await, answers[1], "the same message gets the same answer");
    let body = json!({"conversation_id": "c", "message_id": "m1", "text": "a bus"}).to_string();
    let url = format!("{}/v1/chat", running.url());
    let posted: Value =
        http().unwrap().post(url).body(body).send().await.unwrap().json().await.unwrap();
    let mut expected = answers[1].clone();
    for name in ["type", "message_id", "number"] {
        expected.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(posted, expected);
    say(&mut client, message("m1", "a car")).await;
    let error = hear(&mut client).await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("BOT-6121")));
    assert_eq!((&error["message_id"], &error["status"]), (&json!("m1"), &json!(409)));
    client.close(None).await.unwrap();
    has(&running, "botops_websockets_ended_total{end=\"client\"} 1").await;
    has(&running, "botops_websockets 0").await;
    has(&running, "botops_connections{listener=\"public\"}").await;
    running.shutdown().await;
}

#[tokio::test]
async fn a_client_that_comes_back_gets_the_answers_that_it_missed() {
    let running = serve(kept()).await;
    let mut client = open(&running).await;
    hello(&mut client, "c").await;
    let mut answers = Vec::new();
    for n in 0..120 {
        say(&mut client, message(&format!("m{n}"), "red apple")).await;
        answers.push(hear(&mut client).await);
    }
    drop(client);
    for (from, first) in [(json!(-1), 0), (json!(100), 101), (json!(119), 120), (json!(500), 120)] {
        let mut client = open(&running).await;
        say(&mut client, json!({"type": "hello", "conversation_id": "c", "resume_from": from}))
            .await;
        for answer in &answers[first..] {
            assert_eq!(hear(&mut client).await, *answer);
        }
        assert_eq!(hear(&mut client).await, json!({"type": "ready", "number": 119}), "{from}");
    }
    let mut client = open(&running).await;
    assert_eq!(hello(&mut client, "c").await["number"], 119, "nothing is sent again unasked");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sockets_of_one_conversation_share_its_turns() {
    let running = serve(kept()).await;
    let talk = async |name: &'static str| {
        let mut client = open(&running).await;
        hello(&mut client, "c").await;
        let mut numbers = Vec::new();
        for n in 0..30 {
            say(&mut client, message(&format!("{name}{n}"), "red apple")).await;
            let answer = hear(&mut client).await;
            assert_eq!(answer["message_id"], json!(format!("{name}{n}")), "{answer}");
            numbers.push(answer["number"].as_i64().unwrap());
        }
        assert!(numbers.is_sorted(), "{numbers:?}");
        numbers
    };
    let (one, other) = tokio::join!(talk("a"), talk("b"));
    let all: BTreeSet<i64> = one.into_iter().chain(other).collect();
    assert_eq!(all, (0..60).collect());
    running.shutdown().await;
}

#[tokio::test]
async fn a_frame_that_cannot_be_answered_gets_an_error_and_the_socket_goes_on() {
    let sizes = Sizes { text_chars: 40, ..Sizes::default() };
    let public = PublicSettings { sizes, ..PublicSettings::default() };
    let running = serve(ServerSettings { public, ..kept() }).await;
    let mut client = open(&running).await;
    say(&mut client, message("m", "red apple")).await;
    assert_eq!(hear(&mut client).await["code"], "BOT-6175", "hello comes first");
    hello(&mut client, "c").await;
    for (frame, code) in [
        ("{", "BOT-6012"),
        ("[]", "BOT-6013"),
        ("[\"message\", \"red apple\"]", "BOT-6013"),
        (r#"{"type": "message"}"#, "BOT-6013"),
        (r#"{"type": "massage", "text": "red apple"}"#, "BOT-6013"),
        (r#"{"type": "message", "text": "red apple", "x": 1}"#, "BOT-6013"),
        (r#"{"type": "message", "text": " "}"#, "BOT-6015"),
        (r#"{"type": "message", "text": "red apple", "message_id": ""}"#, "BOT-6124"),
        (r#"{"type": "hello"}"#, "BOT-6175"),
    ] {
        client.send(Message::text(frame)).await.unwrap();
        let error = hear(&mut client).await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!(code)),
            "{frame} {error}"
        );
    }
    let long = json!({"type": "message", "text": "a".repeat(41)});
    say(&mut client, long).await;
    assert_eq!(hear(&mut client).await["code"], "BOT-6015");
    say(&mut client, message("m", "red apple")).await;
    assert_eq!(hear(&mut client).await["number"], 0, "nothing of all that was stored");
    running.shutdown().await;
}

#[tokio::test]
async fn without_conversations_the_id_of_a_message_names_its_answer() {
    let running = serve(settings()).await;
    let mut client = open(&running).await;
    assert_eq!(hello(&mut client, "c").await["number"], Value::Null);
    say(&mut client, message("m", "red apple")).await;
    let answer = hear(&mut client).await;
    assert_eq!((&answer["message_id"], answer.get("number")), (&json!("m"), None));
    running.shutdown().await;
}

/// Sends a handshake with further headers. Returns the connection and the head of the answer.
async fn handshake(address: SocketAddr, headers: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /v1/ws HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(answer).unwrap())
}

const GOOD: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn raw(running: &Running) -> TcpStream {
    let (stream, head) = handshake(running.address(), GOOD).await;
    // The example of RFC 6455.
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    stream
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_refused() {
    let origins = vec!["https://shop.example".parse().unwrap()];
    let public = PublicSettings { cors_origins: origins, ..PublicSettings::default() };
    let running = serve(ServerSettings { public, ..kept() }).await;
    let with = |from: &str, to: &str| GOOD.replace(from, to);
    for (headers, status) in [
        (String::new(), 426),
        (with("Version: 13", "Version: 8"), 426),
        (with("keep-alive, Upgrade", "keep-alive"), 400),
        (with("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        (format!("{GOOD}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
        (format!("{GOOD}Origin: https://evil.example\r\n"), 403),
        (format!("{GOOD}Origin: null\r\n"), 403),
        (format!("{GOOD}Origin: https://shop.example\r\n"), 101),
        (format!("{GOOD}Origin: http://a\r\n"), 101),
        (format!("{GOOD}Content-Length: 2\r\n"), 101),
    ] {
        let (_, head) = handshake(running.address(), &headers).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}\n{head}");
        assert_eq!(status == 426, head.contains("sec-websocket-version: 13") && status != 400);
    }
    running.shutdown().await;
}

/// Returns a frame of a client, masked unless `is_bare`.
fn frame(first: u8, payload: &[u8], is_bare: bool) -> Vec<u8> {
    let mut frame = vec![first];
    let mask = if is_bare { 0 } else { 0x80 };
    match payload.len() {
        short @ ..126 => frame.push(mask | short as u8),
        long @ ..=0xffff => {
            frame.push(mask | 126);
            frame.extend_from_slice(&(long as u16).to_be_bytes());
        }
        long => {
            frame.push(mask | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    if !is_bare {
        frame.extend_from_slice(&[1, 2, 3, 4]);
    }
    let masked = |(i, byte): (usize, &u8)| if is_bare { *byte } else { byte ^ (i % 4 + 1) as u8 };
    frame.extend(payload.iter().enumerate().map(masked));
    frame
}

/// Reads frames of the server until it closes the connection. Returns the close code, if it sent one.
async fn close_code(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    read.expect("the server closes the connection").ok();
    let mut rest = &bytes[..];
    let mut code = None;
    while let [first, length, ..] = *rest {
        let (header, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            length => (2, usize::from(length)),
        };
        let (payload, after) = rest[header..].split_at(length.min(rest.len() - header));
        if first == 0x88 && payload.len() >= 2 {
            code = Some(u16::from_be_bytes([payload[0], payload[1]]));
        }
        rest = after;
    }
    code
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_gets_the_code_that_says_so() {
    let sizes = Sizes { body_bytes: [("chat".into(), 1_000)].into(), ..Sizes::default() };
    let public = PublicSettings { sizes, ..PublicSettings::default() };
    let running = serve(ServerSettings { public, ..kept() }).await;
    let half = |first| frame(first, &[b'a'; 600], false);
    let huge = [&[0x81, 0xff][..], &[0x7f; 8], &[0; 4_096]].concat();
    for (name, sent, code) in [
        ("binary", frame(0x82, b"{}", false), 1003),
        ("too large", frame(0x81, &[b'a'; 1_001], false), 1009),
        ("far too large", huge, 1009),
        ("many more bytes", frame(0x81, &vec![b'a'; 500_000], false), 1009),
        ("fragments too large", [half(0x01), half(0x80)].concat(), 1009),
        ("not UTF-8", frame(0x81, b"\xff\xfe", false), 1007),
        (
            "fragments not UTF-8",
            [frame(0x01, b"\xc3", false), frame(0x80, b"a", false)].concat(),
            1007,
        ),
        ("unmasked", frame(0x81, b"{}", true), 1002),
        ("a reserved bit", frame(0xc1, b"{}", false), 1002),
        ("an unknown opcode", frame(0x83, b"{}", false), 1002),
        ("an unknown control frame", frame(0x8b, b"", false), 1002),
        ("a continuation of nothing", frame(0x80, b"a", false), 1002),
        (
            "a text within a text",
            [frame(0x01, b"a", false), frame(0x81, b"b", false)].concat(),
            1002,
        ),
        ("a ping in fragments", frame(0x09, b"a", false), 1002),
        ("a long ping", frame(0x89, &[b'a'; 126], false), 1002),
    ] {
        let mut stream = raw(&running).await;
        stream.write_all(&sent).await.unwrap();
        assert_eq!(close_code(&mut stream).await, Some(code), "{name}");
    }
    // A text in fragments, with a ping between them, is a text.
    let mut stream = raw(&running).await;
    let hello = [
        frame(0x01, b"{\"type\":", false),
        frame(0x89, b"p", false),
        frame(0x80, b"\"hello\"}", false),
    ];
    stream.write_all(&hello.concat()).await.unwrap();
    let mut answer = vec![0; 2 + 1 + 2 + 30];
    timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer[..3], b"\x8a\x01p");
    assert!(String::from_utf8_lossy(&answer[5..]).starts_with("{\"number\":null"), "{answer:?}");
    // And a close frame is answered with one.
    stream.write_all(&frame(0x88, &1000_u16.to_be_bytes(), false)).await.unwrap();
    assert_eq!(close_code(&mut stream).await, Some(1000));
    running.shutdown().await;
}

/// A generator of numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.next(most)).map(|_| self.next(256) as u8).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_client_sends_the_server_closes_it_with_a_code_and_goes_on() {
    let running = serve(kept()).await;
    let frames = [
        r#"{"type": "hello", "conversation_id": "c", "resume_from": -1}"#,
        r#"{"type": "message", "text": "red apple"}"#,
        r#"{"type": "message", "text": "red apple", "message_id": "m"}"#,
        "{}",
        "",
    ];
    for seed in 0..400 {
        let mut random = Random(seed);
        let mut sent = Vec::new();
        for _ in 0..random.next(6) {
            match random.next(4) {
                0 => sent.extend(random.bytes(200)),
                1 => {
                    let payload = random.bytes(200);
                    sent.extend(frame(random.next(256) as u8, &payload, random.next(8) == 0));
                }
                _ => {
                    let text = frames[random.next(5) as usize].as_bytes();
                    let mut one = frame(0x81, text, false);
                    if random.next(3) == 0 {
                        let at = random.next(one.len() as u64) as usize;
                        one[at] ^= 1 << random.next(8);
                    }
                    sent.extend(one);
                }
            }
        }
        let mut stream = raw(&running).await;
        // The server may close before all is sent.
        let _ = stream.write_all(&sent).await;
        let _ = stream.shutdown().await;
        let code = close_code(&mut stream).await;
        // A client that only goes gets no code, and one that closes gets its own.
        let known =
            code.is_none_or(|code| (1000..=1015).contains(&code) || (3000..5000).contains(&code));
        assert!(known, "seed {seed}: {code:?}");
    }
    has(&running, "botops_websockets 0").await;
    let mut client = open(&running).await;
    hello(&mut client, "d").await;
    say(&mut client, message("m", "red apple")).await;
    assert_eq!(hear(&mut client).await["intent"], "fruit");
    assert!(!metrics(&running).await.contains("code=\"500\""));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_no_answers_is_held_back_and_cut_off() {
    let limits =
        ConnectionLimits { write_timeout: Duration::from_secs(1), ..ConnectionLimits::default() };
    let listeners = ListenerSettings { limits, metrics: MetricsAccess::Open, ..Default::default() };
    let running = serve(ServerSettings { listeners, ..settings() }).await;
    let mut stream = raw(&running).await;
    stream.write_all(&frame(0x81, b"{\"type\": \"hello\"}", false)).await.unwrap();
    let many =
        frame(0x81, b"{\"type\": \"message\", \"text\": \"red apple\"}", false).repeat(1_000);
    let mut sent = 0;
    let cut = loop {
        match timeout(Duration::from_secs(60), stream.write_all(&many)).await {
            Ok(Ok(())) => sent += 1,
            other => break other,
        }
        assert!(sent < 2_000, "the server reads without end");
    };
    assert!(matches!(cut, Ok(Err(_))), "it is cut off: {cut:?}");
    has(&running, "botops_websockets_ended_total{end=\"write\"} 1").await;
    has(&running, "botops_connections_cut_total{listener=\"public\",reason=\"write\"} 1").await;
    running.shutdown().await;
}

#[tokio::test]
async fn silent_and_idle_sockets_end_and_answered_pings_keep_one() {
    let websockets = WebSocketSettings {
        ping: Duration::from_millis(100),
        idle: Duration::from_millis(900),
        ..WebSocketSettings::default()
    };
    let public = PublicSettings { websockets, ..PublicSettings::default() };
    let running = serve(ServerSettings { public, ..kept() }).await;
    // It reads pings, and does not answer them.
    let mut stream = raw(&running).await;
    assert_eq!(close_code(&mut stream).await, None);
    has(&running, "botops_websockets_ended_total{end=\"silent\"} 1").await;
    let mut client = open(&running).await;
    hello(&mut client, "c").await;
    assert_eq!(hear(&mut client).await, json!({"closed": 1000}));
    has(&running, "botops_websockets_ended_total{end=\"idle\"} 1").await;
    running.shutdown().await;
}

#[tokio::test]
async fn messages_count_at_the_rate_limits() {
    let rates = RateSpec { per_address: Some("5/h".parse().unwrap()), ..RateSpec::default() };
    let public = PublicSettings { rates, ..PublicSettings::default() };
    let running = serve(ServerSettings { public, ..settings() }).await;
    // The handshake counts, too.
    let mut client = open(&running).await;
    hello(&mut client, "c").await;
    let mut codes = Vec::new();
    for _ in 0..5 {
        say(&mut client, json!({"type": "message", "text": "red apple"})).await;
        let answer = hear(&mut client).await;
        codes.push(answer["code"].as_str().unwrap_or_default().to_owned());
        if answer["type"] == "error" {
            assert!(answer["retry_after"].as_u64().unwrap() > 0, "{answer}");
        }
    }
    assert_eq!(codes, ["", "", "", "BOT-1095", "BOT-1095"]);
    running.shutdown().await;
}

#[tokio::test]
async fn a_socket_keeps_its_place_and_gives_it_back() {
    let limits = ConnectionLimits { connections: 2, ..ConnectionLimits::default() };
    let listeners = ListenerSettings { limits, ..ListenerSettings::default() };
    let running = serve(ServerSettings { listeners, ..settings() }).await;
    let mut one = open(&running).await;
    let two = open(&running).await;
    let url = format!("ws://{}/v1/ws", running.address());
    assert!(connect_async(&url).await.is_err(), "both places are taken");
    one.close(None).await.unwrap();
    while one.next().await.is_some() {}
    for tries in 0.. {
        match connect_async(&url).await {
            Ok(_) => break,
            Err(error) if tries == 100 => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    drop(two);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_closes_its_sockets_and_waits_for_them() {
    let running = serve(kept()).await;
    let mut clients = Vec::new();
    for n in 0..20 {
        let mut client = open(&running).await;
        hello(&mut client, &format!("c{n}")).await;
        say(&mut client, message("m", "red apple")).await;
        clients.push(client);
    }
    let stopped = tokio::spawn(running.shutdown());
    for mut client in clients {
        // A message may come too late. Its client sends it again, to another server.
        let first = hear(&mut client).await;
        let last = match first["intent"] == "fruit" {
            true => hear(&mut client).await,
            false => first,
        };
        assert_eq!(last, json!({"closed": u16::from(CloseCode::Away)}));
    }
    timeout(Duration::from_secs(5), stopped).await.expect("it does not wait long").unwrap();
}

#[tokio::test]
async fn a_browser_gives_its_token_as_a_subprotocol() {
    let token = "a-token.of_these~tests-that-is-long-enough";
    let mut settings = kept();
    settings.admin_token = Some(botops_workspace::Secret::new(token));
    let running = serve(settings).await;
    let connect = async |offered: String| {
        let mut request =
            format!("ws://{}/v1/ws", running.address()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
        connect_async(request).await
    };
    let (mut client, answer) = connect(format!("botops.v1, botops.bearer.{token}")).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "botops.v1", "the token stays here");
    hello(&mut client, "c").await;
    say(&mut client, message("m", "red apple")).await;
    assert_eq!(hear(&mut client).await["model"], "support", "it sees versions");
    running.shutdown().await;
}
