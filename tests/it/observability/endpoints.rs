//! The endpoint of a language model and the receiver of a channel, both of which fail at times.

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Both endpoints on one port. They end when this is dropped.
pub(super) struct Endpoints {
    /// Their address, without a path.
    pub(super) url: String,
    serving: JoinHandle<()>,
}

impl Endpoints {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/v1/chat/completions", post(complete).with_state(Arc::default()))
            .route("/answers", post(receive).with_state(Arc::default()));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, serving }
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers two of three requests, in the protocol of OpenAI.
async fn complete(State(asked): State<Arc<AtomicUsize>>) -> (StatusCode, Json<Value>) {
    if asked.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": {"message": "no"}})));
    }
    let answer = json!({
        "id": "c", "object": "chat.completion", "model": "small",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "The shop opens at nine in the morning [1]."},
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 200, "completion_tokens": 12, "total_tokens": 212},
    });
    (StatusCode::OK, Json(answer))
}

/// Takes every other answer of a channel, asks to come again at times, and refuses the others for good.
async fn receive(State(called): State<Arc<AtomicUsize>>) -> StatusCode {
    match called.fetch_add(1, Ordering::Relaxed) % 4 {
        1 => StatusCode::SERVICE_UNAVAILABLE,
        3 => StatusCode::GONE,
        _ => StatusCode::OK,
    }
}
