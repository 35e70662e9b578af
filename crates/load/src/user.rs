//! One user: a connection for requests, and one for a WebSocket, kept from message to message.

use crate::{
    kind::Kind,
    reply::{NoAnswer, Reply, code_in},
    target::Target,
    wire::Wire,
};
use botops_http::Connection;
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, handshake::client::generate_key, http},
};

/// Messages of a conversation; then the user begins another one.
const CONVERSATION: u64 = 20;

/// A user with their connections.
#[derive(Debug)]
pub(crate) struct User {
    id: u64,
    http: Option<Wire>,
    /// The socket, and the number of its conversation.
    socket: Option<(u64, WebSocketStream<Connection>)>,
    /// Messages begun.
    begun: u64,
}

impl User {
    pub(crate) fn new(id: u64) -> Self {
        Self { id, http: None, socket: None, begun: 0 }
    }

    /// Begins the next message. All attempts that follow are attempts of it.
    pub(crate) fn begin(&mut self) {
        self.begun += 1;
    }

    /// Sends the current message, and waits for the answer at most `limit`.
    pub(crate) async fn attempt(
        &mut self,
        target: &Target,
        kind: Kind,
        text: &str,
        limit: Duration,
    ) -> Reply {
        let sent = async {
            match kind {
                Kind::Websocket => self.over_socket(target, text).await,
                Kind::Chat | Kind::Predict => self.over_http(target, kind, text).await,
            }
        };
        match tokio::time::timeout(limit, sent).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(reason)) => Reply::Nothing(reason),
            Err(_) => {
                // An answer that comes later would be taken for that of the next message.
                self.http = None;
                self.socket = None;
                Reply::Nothing(NoAnswer::InTime)
            }
        }
    }

    /// Returns the number of the conversation, its id, and the id of the message.
    fn ids(&self, target: &Target) -> (u64, String, String) {
        let number = self.begun / CONVERSATION;
        (number, target.conversation(self.id, number), format!("m{}", self.begun))
    }

    async fn over_http(
        &mut self,
        target: &Target,
        kind: Kind,
        text: &str,
    ) -> Result<Reply, NoAnswer> {
        let (_, conversation, message) = self.ids(target);
        // A server may close a connection between two requests.
        let mut kept = self.http.take();
        let is_open = kept.as_mut().is_some_and(Wire::is_open);
        let mut wire = match kept {
            Some(wire) if is_open => wire,
            _ => Wire::new(target.connector.connect().await.map_err(|_| NoAnswer::NotConnected)?),
        };
        let request = target.request(kind, &conversation, &message, text);
        let answer = wire.exchange(request.as_bytes()).await.map_err(|_| NoAnswer::Broken)?;
        if answer.is_kept {
            self.http = Some(wire);
        }
        Ok(Reply::of(answer.status, answer.retry_after, &answer.body))
    }

    async fn over_socket(&mut self, target: &Target, text: &str) -> Result<Reply, NoAnswer> {
        let (number, conversation, message) = self.ids(target);
        let mut kept = self.socket.take().filter(|(of, _)| *of == number).map(|(_, socket)| socket);
        let is_open = kept.as_mut().is_some_and(is_open);
        let mut socket = match kept {
            Some(socket) if is_open => socket,
            _ => match open(target, &conversation).await? {
                Ok(socket) => socket,
                Err(refused) => return Ok(refused),
            },
        };
        let frame = json!({"type": "message", "message_id": message, "text": text});
        let broken = |_| NoAnswer::Broken;
        socket.send(Message::text(frame.to_string())).await.map_err(broken)?;
        loop {
            let frame = next_text(&mut socket).await?;
            let Ok(answer) = serde_json::from_str::<Value>(&frame) else {
                return Err(NoAnswer::Broken);
            };
            // The answer of an earlier attempt, or one that was sent again.
            if answer["message_id"].as_str().is_some_and(|id| id != message) {
                continue;
            }
            let reply = match answer["type"].as_str() {
                Some("answer") => Reply::Good,
                Some("error") => problem(&answer, &frame),
                _ => continue,
            };
            self.socket = Some((number, socket));
            return Ok(reply);
        }
    }
}

/// Reads the problem in a frame.
fn problem(answer: &Value, frame: &str) -> Reply {
    let status = answer["status"].as_u64().and_then(|it| u16::try_from(it).ok()).unwrap_or(500);
    let retry_after = answer["retry_after"].as_u64().map(Duration::from_secs);
    Reply::Status { status, retry_after, code: code_in(frame.as_bytes()) }
}

fn retry_after<T>(response: &http::Response<T>) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Returns whether the server has not closed the socket. Pings that wait are answered with the next message.
fn is_open(socket: &mut WebSocketStream<Connection>) -> bool {
    loop {
        match socket.next().now_or_never() {
            None => return true,
            Some(Some(Ok(message))) if !message.is_close() => {}
            Some(_) => return false,
        }
    }
}

/// Opens a socket, and begins the conversation. The inner error is a refusal.
async fn open(
    target: &Target,
    conversation: &str,
) -> Result<Result<WebSocketStream<Connection>, Reply>, NoAnswer> {
    let stream = target.connector.connect().await.map_err(|_| NoAnswer::NotConnected)?;
    let mut socket =
        match client_async(target.handshake(generate_key()).ok_or(NoAnswer::Broken)?, stream).await
        {
            Ok((socket, _)) => socket,
            Err(tungstenite::Error::Http(response)) => {
                let status = response.status().as_u16();
                let body = response.body().as_deref().unwrap_or_default();
                return Ok(Err(Reply::Status {
                    status,
                    retry_after: retry_after(&response),
                    code: code_in(body),
                }));
            }
            Err(_) => return Err(NoAnswer::Broken),
        };
    let hello = json!({"type": "hello", "conversation_id": conversation});
    socket.send(Message::text(hello.to_string())).await.map_err(|_| NoAnswer::Broken)?;
    loop {
        let frame = next_text(&mut socket).await?;
        let Ok(answer) = serde_json::from_str::<Value>(&frame) else {
            return Err(NoAnswer::Broken);
        };
        match answer["type"].as_str() {
            Some("ready") => return Ok(Ok(socket)),
            Some("error") => return Ok(Err(problem(&answer, &frame))),
            _ => {}
        }
    }
}

/// Returns the next text that the server sends.
async fn next_text(socket: &mut WebSocketStream<Connection>) -> Result<String, NoAnswer> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
            Some(Ok(message)) if !message.is_close() => {}
            _ => return Err(NoAnswer::Broken),
        }
    }
}
