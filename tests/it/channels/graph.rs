//! A platform on this machine: it takes the calls of a server, in the documented shapes of the Graph API.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// The longest wait for a call; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The behavior of the platform to a call.
#[derive(Debug, Clone)]
pub(super) enum Does {
    /// It takes the message.
    Accept,
    /// It refuses the message with this status and body.
    Refuse(u16, Value),
    /// It never answers.
    Hang,
}

/// A call that the platform got.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) raw: String,
    pub(super) body: Value,
    pub(super) was_accepted: bool,
}

impl Call {
    /// Returns whether the call only marks a message as read.
    pub(super) fn is_read_mark(&self) -> bool {
        self.body["status"] == "read"
    }

    /// Returns a header as text; empty without it.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Behavior = Box<dyn FnMut(&Call) -> Does + Send>;

struct Shared {
    calls: Mutex<Vec<Call>>,
    behavior: Mutex<Behavior>,
}

/// A platform on this machine.
pub(super) struct Platform {
    /// Its address, without a path.
    pub(super) url: String,
    shared: Arc<Shared>,
}

/// The documented shape of an error of the Graph API.
pub(super) fn graph_error(code: i64, message: &str) -> Value {
    json!({ "error": {
        "message": format!("(#{code}) {message}"),
        "type": "OAuthException",
        "code": code,
        "error_data": { "messaging_product": "whatsapp", "details": message },
        "error_subcode": 2_494_055,
        "fbtrace_id": "Az8or2yhqkZfEZ0invented",
    } })
}

impl Platform {
    /// Starts one that takes every message.
    pub(super) async fn start() -> Self {
        let accept: Behavior = Box::new(|_| Does::Accept);
        let shared = Arc::new(Shared { calls: Mutex::default(), behavior: Mutex::new(accept) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    /// Changes the behavior from the next call on; calls that mark messages as read are always taken.
    pub(super) fn does(&self, behavior: impl FnMut(&Call) -> Does + Send + 'static) {
        *self.shared.behavior.lock().unwrap() = Box::new(behavior);
    }

    /// Returns the calls that send something, whether they were accepted or not.
    pub(super) fn sends(&self) -> Vec<Call> {
        let calls = self.shared.calls.lock().unwrap();
        calls.iter().filter(|call| !call.is_read_mark()).cloned().collect()
    }

    /// Returns every call.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// Waits until `n` sends came.
    pub(super) async fn wait_for(&self, n: usize) -> Vec<Call> {
        let begun = Instant::now();
        loop {
            let sends = self.sends();
            if sends.len() >= n {
                return sends;
            }
            assert!(begun.elapsed() < PATIENCE, "{n} sends were expected: {sends:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    body: Bytes,
) -> Response {
    let raw = String::from_utf8(body.to_vec()).unwrap();
    let body = serde_json::from_str(&raw).unwrap();
    let path = uri.path().to_owned();
    let mut call = Call { method, path, headers, raw, body, was_accepted: true };
    let does = match call.is_read_mark() {
        true => Does::Accept,
        false => shared.behavior.lock().unwrap()(&call),
    };
    call.was_accepted = matches!(does, Does::Accept);
    let answer = match &does {
        Does::Accept if call.is_read_mark() => (200, json!({ "success": true })),
        Does::Accept => {
            let to = call.body["to"].clone();
            let sent = json!({
                "messaging_product": "whatsapp",
                "contacts": [{ "input": to, "wa_id": to }],
                "messages": [{ "id": "wamid.HBgLMTU1NTAxMDAwMDEVAgARGBInvented" }],
            });
            (200, sent)
        }
        Does::Refuse(status, body) => (*status, body.clone()),
        Does::Hang => (0, Value::Null),
    };
    shared.calls.lock().unwrap().push(call);
    if matches!(does, Does::Hang) {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(answer.0).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], answer.1.to_string()).into_response()
}
