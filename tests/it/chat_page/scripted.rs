//! A server with the real chat page whose answers a test writes.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::TcpSocket, runtime::Runtime};

/// An answer: status, `Retry-After` in seconds (0 for none), and the body; of an answer with 200, what differs.
pub(super) type Reply = (u16, u32, Value);

/// A request: path, `Authorization`, body.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Value,
}

#[derive(Default)]
struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<Request>>,
    shop: Mutex<String>,
}

/// The server. Every message gets the next reply, or else an answer that repeats its text. Stops when dropped.
pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Scripted {
    /// Starts it at `address`: with port 0, on a free port.
    pub(super) fn start(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/", get(page))
            .route("/shop/", get(shop))
            .route("/v1/chat", post(answer))
            .route("/v1/feedback", post(answer))
            .with_state(Arc::clone(&shared));
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(address).unwrap();
            socket.listen(64).unwrap()
        });
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, shared, _runtime: runtime }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves another page at `/shop/`: that of a site of its own. Returns its URL.
    pub(super) fn shop(&self, html: &str) -> String {
        html.clone_into(&mut self.shared.shop.lock().unwrap());
        format!("http://{}/shop/", self.address)
    }

    /// Adds replies.
    pub(super) fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.replies.lock().unwrap().extend(replies);
    }

    /// Returns the requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits for the `n`th request, and returns it.
    pub(super) fn request(&self, n: usize) -> Request {
        let began = Instant::now();
        loop {
            if let Some(request) = self.requests().get(n - 1) {
                return request.clone();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}", self.requests());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

async fn page() -> Response {
    let page = botops_console::chat_page();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, page.policy()),
    ];
    (headers, page.html()).into_response()
}

async fn shop(State(shared): State<Arc<Shared>>) -> Html<String> {
    Html(shared.shop.lock().unwrap().clone())
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let authorization =
        headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let echo = format!("Echo: {}", body["text"].as_str().unwrap_or_default());
    let request = Request { path: uri.path().to_owned(), authorization, body };
    shared.requests.lock().unwrap().push(request);
    let next = shared.replies.lock().unwrap().pop_front();
    let (status, wait, given) = next.unwrap_or((200, 0, json!({})));
    let mut document = json!({
        "request_id": "r", "intent": "order", "confidence": 0.9, "entities": [], "response": echo, "language": "en",
        "fallback": false, "feedback_token": "a-token",
    });
    if status == 200 {
        document.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
    } else {
        document = given;
    }
    let mut response =
        (StatusCode::from_u16(status).unwrap(), axum::Json(document)).into_response();
    if wait > 0 {
        response.headers_mut().insert(header::RETRY_AFTER, wait.into());
    }
    response
}
