//! A local server that gives one reply after the other.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response},
    routing::post,
};
use futures::{StreamExt as _, stream};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// One reply of the server.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    content_type: String,
    headers: Vec<(String, String)>,
    parts: Vec<Vec<u8>>,
    end: End,
}

/// The end of a reply.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Closed,
    /// Nothing more comes, and the connection stays open.
    Hangs,
    /// Not even a head comes.
    Silent,
    /// The parts come again and again.
    Repeats,
}

impl Reply {
    pub(super) fn new(status: u16, content_type: &str, body: &str) -> Self {
        let parts = vec![body.as_bytes().to_vec()];
        let (content_type, headers) = (content_type.to_owned(), Vec::new());
        Self { status, content_type, headers, parts, end: End::Closed }
    }

    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::new(status, "application/json", body)
    }

    pub(super) fn stream(parts: Vec<Vec<u8>>) -> Self {
        Self { parts, ..Self::new(200, "text/event-stream; charset=utf-8", "") }
    }

    pub(super) fn hang() -> Self {
        Self { end: End::Silent, ..Self::json(200, "") }
    }

    pub(super) fn endless(part: &str) -> Self {
        Self { end: End::Repeats, ..Self::stream(vec![part.as_bytes().to_vec()]) }
    }

    pub(super) fn then_hang(self) -> Self {
        Self { end: End::Hangs, ..self }
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn body(self) -> Body {
        let parts: Vec<Bytes> = self.parts.into_iter().map(Bytes::from).collect();
        let sent = |part| Ok::<Bytes, std::io::Error>(part);
        match self.end {
            End::Hangs => Body::from_stream(stream::iter(parts).map(sent).chain(stream::pending())),
            End::Repeats => Body::from_stream(stream::unfold(0, move |n| {
                let part = parts[n % parts.len()].clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Some((sent(part), n + 1))
                }
            })),
            End::Closed | End::Silent => Body::from_stream(stream::iter(parts).map(sent)),
        }
    }
}

/// Replies that are left, and the requests so far: the headers and the bodies.
#[derive(Default)]
struct Served {
    replies: VecDeque<Reply>,
    heads: Vec<HeaderMap>,
    bodies: Vec<String>,
}

/// A running server.
pub(super) struct Endpoint {
    address: SocketAddr,
    served: Arc<Mutex<Served>>,
}

impl Endpoint {
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        let served = Served { replies: replies.into(), ..Served::default() };
        let served = Arc::new(Mutex::new(served));
        let router = Router::new()
            .route("/v1/chat/completions", post(reply))
            .with_state(Arc::clone(&served));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, served }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Returns an address at which nobody listens: port 1 is reserved.
    pub(super) fn url_of_nobody(&self) -> String {
        format!("http://{}:1/v1", self.address.ip())
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        self.served.lock().unwrap().bodies.clone()
    }

    pub(super) fn heads(&self) -> Vec<HeaderMap> {
        self.served.lock().unwrap().heads.clone()
    }
}

async fn reply(
    State(served): State<Arc<Mutex<Served>>>,
    headers: HeaderMap,
    body: String,
) -> Response<Body> {
    let reply = {
        let mut served = served.lock().unwrap();
        served.heads.push(headers);
        served.bodies.push(body);
        served.replies.pop_front().expect("a reply is left for this request")
    };
    if reply.end == End::Silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(reply.status);
    if !reply.content_type.is_empty() {
        response = response.header("content-type", &reply.content_type);
    }
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    response.body(reply.body()).unwrap()
}

/// Returns an event with `data`.
pub(super) fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// Returns the event of a piece of text.
pub(super) fn piece(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    event(&format!(
        r#"{{"id":"c","object":"chat.completion.chunk","model":"small","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}"#
    ))
}

/// Returns the event that ends a text.
pub(super) fn last(reason: &str) -> String {
    event(&format!(
        r#"{{"model":"small","choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#
    ))
}

/// Returns the body of a whole answer.
pub(super) fn whole(text: &str, reason: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"id":"c","object":"chat.completion","model":"small","choices":[{{"index":0,"message":{{"role":"assistant","content":{text}}},"finish_reason":"{reason}"}}]}}"#
    )
}
