//! A way to an object store for one server: it can be closed, and all ways share a lock, as moto checks and writes in two
//! steps.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use reqwest::Client;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::Mutex;

/// The longest body of a request or an answer.
const LONGEST: usize = 64 << 20;

/// A way to the store.
pub(super) struct Gate {
    /// Its URL.
    pub(super) url: String,
    state: Arc<Shared>,
}

struct Shared {
    store: String,
    client: Client,
    lock: Arc<Mutex<()>>,
    closed: AtomicBool,
    requests: AtomicUsize,
}

impl Gate {
    /// Opens a way to the store at `store`.
    pub(super) async fn open(store: &str, lock: &Arc<Mutex<()>>) -> Self {
        let state = Arc::new(Shared {
            store: store.to_owned(),
            client: super::super::serving::http(),
            lock: Arc::clone(lock),
            closed: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(forward).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Closes the way: a request fails, every other time after its effect. Or opens it again.
    pub(super) fn close(&self, closed: bool) {
        self.state.closed.store(closed, Ordering::SeqCst);
    }
}

fn refused() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "closed").into_response()
}

/// Returns the headers that concern the message and not the connection.
fn of_message(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

/// Forwards a request. A client that is gone does not end it, as it would not at a store.
async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let is_lost = shared.requests.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
    let is_closed = shared.closed.load(Ordering::SeqCst);
    if is_closed && !is_lost {
        return refused();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else { return refused() };
    let answer = tokio::spawn(async move { ask(&shared, parts, body).await }).await;
    match answer {
        Ok(Some(answer)) if !is_closed => answer,
        _ => refused(),
    }
}

/// Asks the store; `None` if it gives no answer.
async fn ask(shared: &Shared, parts: Parts, body: Bytes) -> Option<Response> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let _held = shared.lock.lock().await;
    let answer = shared
        .client
        .request(parts.method, format!("{}{path}", shared.store))
        .headers(of_message(&parts.headers))
        .body(body)
        .send()
        .await
        .ok()?;
    let (status, headers) = (answer.status(), of_message(answer.headers()));
    let mut response = Response::new(Body::from(answer.bytes().await.ok()?));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Some(response)
}
