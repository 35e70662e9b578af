//! The bot, the platform and the clock of the tests.

use crate::{
    ChannelContext, ChannelCounts, ChannelPace, ChannelResponse, ChannelSet, ChannelSetting,
    ChannelSettings, Clock, Platform, ReceivedRequest, Texts, TurnFailure, TurnReply, TurnRequest,
    Turns, WhatsApp, Words,
};
use async_trait::async_trait;
use botops_conversations::{DataKeys, Names};
use botops_digest::hmac_sha256;
use botops_store::Store;
use botops_workspace::Secret;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub(super) const APP_SECRET: &str = "an-app-secret-of-the-tests";
pub(super) const NUMBER: &str = "100000000000001";

/// The identity key before.
pub(super) const OLD_IDENTITY_KEY: &str = "the-identity-key-before-of-the-tests";
const IDENTITY_KEY: &[u8] = b"the-identity-key-of-the-tests";

/// The names of conversations.
pub(super) fn names() -> Names {
    Names::new(IDENTITY_KEY, None)
}

/// The clock of the machine.
pub(super) struct TestClock(Instant);

impl TestClock {
    pub(super) fn start() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A bot that repeats the text, and answers a message that comes again as it did before.
#[derive(Default)]
pub(super) struct Echo {
    pub(super) made: Mutex<BTreeMap<(String, String), usize>>,
    pub(super) requests: Mutex<Vec<TurnRequest>>,
    pub(super) reply: Mutex<Option<TurnReply>>,
    /// The texts whose first try fails.
    pub(super) fails: Mutex<Vec<String>>,
    /// Whether turns never end.
    pub(super) hangs: bool,
}

#[async_trait]
impl Turns for Echo {
    async fn turn(&self, request: TurnRequest) -> Result<TurnReply, TurnFailure> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.requests.lock().unwrap().push(request.clone());
        let mut fails = self.fails.lock().unwrap();
        if let Some(at) = fails.iter().position(|text| *text == request.text) {
            fails.swap_remove(at);
            let reason = "the store of conversations failed".to_owned();
            return Err(TurnFailure { is_permanent: false, retry_after: None, reason });
        }
        drop(fails);
        let key = (request.conversation.clone(), request.message.clone());
        *self.made.lock().unwrap().entry(key).or_default() += 1;
        let reply = self.reply.lock().unwrap().clone();
        Ok(reply.unwrap_or_else(|| TurnReply {
            texts: vec![format!("You wrote: {}", request.text)],
            ..TurnReply::default()
        }))
    }
}

/// The behavior of the platform to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Does {
    Accept,
    /// It refuses the call with this status and body.
    Refuse(u16, String),
    /// It takes the message, and the connection breaks before the response.
    Lose,
    /// The connection breaks before it takes the message.
    Break,
}

/// A call that the platform got.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
    pub(super) raw: String,
}

impl Got {
    pub(super) fn text(&self) -> &str {
        self.body["text"]["body"].as_str().unwrap_or_default()
    }
}

type Behavior = Box<dyn FnMut(&Got) -> Does + Send>;

/// A platform on this machine.
pub(super) struct Fake {
    pub(super) url: String,
    /// The calls that it took.
    pub(super) taken: Arc<Mutex<Vec<Got>>>,
    behavior: Arc<Mutex<Behavior>>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        botops_http::install_tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accept: Behavior = Box::new(|_| Does::Accept);
        let fake = Self { url, taken: Arc::default(), behavior: Arc::new(Mutex::new(accept)) };
        let (taken, behavior) = (Arc::clone(&fake.taken), Arc::clone(&fake.behavior));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&taken), Arc::clone(&behavior)));
            }
        });
        fake
    }

    pub(super) fn does(&self, behavior: impl FnMut(&Got) -> Does + Send + 'static) {
        *self.behavior.lock().unwrap() = Box::new(behavior);
    }

    pub(super) fn taken(&self) -> Vec<Got> {
        self.taken.lock().unwrap().clone()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.taken().iter().map(|got| got.text().to_owned()).filter(|it| !it.is_empty()).collect()
    }

    /// Waits until `n` calls were taken.
    pub(super) async fn wait_for(&self, n: usize) {
        let begun = Instant::now();
        while self.taken.lock().unwrap().len() < n {
            assert!(begun.elapsed().as_secs() < 20, "{n} of {:#?}", self.taken());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn serve(mut stream: TcpStream, taken: Arc<Mutex<Vec<Got>>>, behavior: Arc<Mutex<Behavior>>) {
    let mut read = Vec::new();
    while let Some(got) = next_call(&mut stream, &mut read).await {
        let does = behavior.lock().unwrap()(&got);
        if matches!(does, Does::Accept | Does::Lose) {
            taken.lock().unwrap().push(got);
        }
        let (status, body) = match does {
            Does::Accept => {
                (200, "{\"messages\":[{\"id\":\"wamid.sent\"}],\"ok\":true}".to_owned())
            }
            Does::Refuse(status, body) => (status, body),
            Does::Lose | Does::Break => return,
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nretry-after: 0\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads one call with its body; `None` at the end of the connection.
async fn next_call(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Got> {
    loop {
        let end = read.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(read[..end].to_vec()).unwrap();
            let mut lines = head.lines();
            let path = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length: usize = headers["content-length"].parse().unwrap();
            if read.len() >= end + 4 + length {
                let raw = String::from_utf8(read[end + 4..end + 4 + length].to_vec()).unwrap();
                read.drain(..end + 4 + length);
                let body = serde_json::from_str(&raw).unwrap();
                return Some(Got { path, headers, body, raw });
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => read.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Short times.
pub(super) fn pace() -> ChannelPace {
    ChannelPace {
        first_pause: Duration::from_millis(4),
        longest_pause: Duration::from_millis(50),
        timeout: Duration::from_secs(10),
        lease: Duration::from_secs(3),
        sweep: Duration::from_millis(100),
    }
}

pub(super) fn setting(platform: Platform) -> ChannelSetting {
    ChannelSetting {
        platform,
        language: "en".to_owned(),
        texts: Texts::default(),
        words: Words::default(),
        hours: None,
        handoff: None,
        silence: Duration::from_secs(24 * 3600),
        retention: Duration::from_secs(7 * 24 * 3600),
        attempts: 8,
        concurrency: 32,
        queue: 20_000,
        allow_private: vec!["127.0.0.0/8".to_owned()],
    }
}

pub(super) fn whatsapp(fake: &Fake) -> WhatsApp {
    WhatsApp {
        phone_number_id: NUMBER.to_owned(),
        app_secret: Secret::new(APP_SECRET),
        verify_token: Secret::new("a-verify-token"),
        token: Secret::new("a-token"),
        base_url: fake.url.clone(),
        version: "v21.0".to_owned(),
        per_second: 1_000_000,
        mark_read: false,
        template: None,
        resend_failed: false,
    }
}

/// Opens a set with the one channel `shop`.
pub(super) fn open(store: &Store, setting: ChannelSetting, turns: Arc<dyn Turns>) -> ChannelSet {
    open_with(store, (setting, pace()), turns)
}

/// Opens a set with other times.
pub(super) fn open_with(
    store: &Store,
    (setting, pace): (ChannelSetting, ChannelPace),
    turns: Arc<dyn Turns>,
) -> ChannelSet {
    open_sealed(store, (setting, pace), (turns, None))
}

/// Opens a set that seals messages.
pub(super) fn open_sealed(
    store: &Store,
    (setting, pace): (ChannelSetting, ChannelPace),
    (turns, data_keys): (Arc<dyn Turns>, Option<DataKeys>),
) -> ChannelSet {
    let context = ChannelContext {
        store: store.clone(),
        turns,
        clock: TestClock::start(),
        identity_key: IDENTITY_KEY.to_vec(),
        names: names(),
        data_keys,
        pace,
    };
    let channels = [("shop".to_owned(), setting)].into_iter().collect();
    let old_identity_key = Some(Secret::new(OLD_IDENTITY_KEY));
    ChannelSet::new(ChannelSettings { channels, old_identity_key }, &context).unwrap()
}

/// Makes a text message in the documented shape; the numbers are of the range reserved for fiction.
pub(super) fn text_message(id: &str, from: &str, at: i64, text: &str) -> Value {
    json!({ "from": from, "id": id, "timestamp": at.to_string(), "type": "text", "text": { "body": text } })
}

/// Makes the payload of messages.
pub(super) fn payload(messages: &[Value]) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": "102290129340398", "changes": [{
            "field": "messages",
            "value": {
                "messaging_product": "whatsapp",
                "metadata": { "display_phone_number": "15550100000", "phone_number_id": NUMBER },
                "contacts": [{ "profile": { "name": "A person" }, "wa_id": "15550100001" }],
                "messages": messages,
            },
        }] }],
    })
}

/// Delivers a payload, signed.
pub(super) async fn deliver(set: &ChannelSet, payload: &Value) -> ChannelResponse {
    let body = payload.to_string();
    let digits = hmac_sha256(APP_SECRET.as_bytes(), body.as_bytes()).hex();
    let headers = [("X-Hub-Signature-256".to_owned(), format!("sha256={digits}"))];
    post(set, &headers, body.as_bytes()).await
}

pub(super) async fn post(
    set: &ChannelSet,
    headers: &[(String, String)],
    body: &[u8],
) -> ChannelResponse {
    let now = Utc::now();
    let request = ReceivedRequest { method: "POST", query: "", headers, body, now };
    set.receive("shop", &request).await
}

pub(super) fn counts(set: &ChannelSet) -> ChannelCounts {
    set.counts()[0].1
}

/// Waits until a condition holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 120, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
