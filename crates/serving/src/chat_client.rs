//! The client of `/v1/chat`, for a conversation of one person.

use crate::client::{fault_of, http, unreachable};
use botops_findings::{Fault, Result};
use botops_http::{Client, PlainHttp, Url};
use botops_workspace::Secret;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// How often a message is sent until it is answered.
const TRIES: u32 = 5;
/// The longest pause between two tries that a person waits for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A client of the public API of a server. Its `Debug` output does not show the key.
#[derive(Debug, Clone)]
pub struct ChatClient {
    http: Client,
    base: Url,
    chat: Url,
    key: Option<Secret>,
}

/// A message to a server. A message that is sent again with its id gets its first answer.
#[derive(Debug, Clone, Serialize)]
pub struct ChatMessage<'a> {
    /// The conversation.
    pub conversation_id: &'a str,
    /// The id of the message in its conversation.
    pub message_id: &'a str,
    /// The text.
    pub text: &'a str,
    /// The language of the answer; without it, that of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<&'a str>,
    /// The payload of the button that was pressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub button: Option<&'a str>,
}

impl ChatClient {
    /// Makes a client of the public listener at `url`, which sends `key` over `http://` only to servers that `plain` allows.
    ///
    /// # Errors
    /// `BOT-6030` (exit 2) `url` is not the address of a server; `BOT-1032` (exit 2) the key would be sent unprotected.
    pub fn over(plain: PlainHttp, url: &str, key: Option<&Secret>) -> Result<Self> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(base) = parsed else {
            let shown = botops_text::display(url, 80);
            return Err(Fault::usage(
                "BOT-6030",
                format!("`{shown}` is not the address of a server"),
            )
            .hint("an address looks like `http://127.0.0.1:8080`"));
        };
        if key.is_some() {
            plain.check(&base, "the key of a client")?;
        }
        let mut chat = base.clone();
        chat.set_query(None);
        chat.path_segments_mut()
            .expect("http and https URLs have a path")
            .pop_if_empty()
            .extend(["v1", "chat"]);
        Ok(Self { http: http()?, base, chat, key: key.cloned() })
    }

    /// Sends `message`, again while the server is busy or the answer is lost, and returns the answer as it came.
    ///
    /// # Errors
    /// `BOT-6031` (exit 7) the server cannot be reached; `BOT-6030` (exit 2) it is none of botops; those of the server.
    pub async fn say(&self, message: &ChatMessage<'_>) -> Result<Value> {
        let mut tries = 1;
        loop {
            let again = match self.send(message).await {
                Ok((200, _, body)) => {
                    return serde_json::from_slice(&body).map_err(|error| {
                        let what = "the answer of the server is not JSON";
                        Fault::internal("BOT-6035", what).caused_by(error)
                    });
                }
                Ok((404, _, _)) => {
                    let what =
                        "the server at this address has no `/v1/chat`: it is not a botops server";
                    return Err(Fault::usage("BOT-6030", what)
                        .hint("give the public address, not that of the admin API"));
                }
                Ok((status, wait, body)) => {
                    let fault = fault_of(status, &body);
                    let is_busy = matches!(status, 429 | 503) && wait <= LONGEST_PAUSE;
                    if !is_busy || tries == TRIES {
                        return Err(fault);
                    }
                    wait
                }
                // Nobody listens: to send it again at once does not help.
                Err(error) if tries == TRIES || error.is_connect() || error.is_timeout() => {
                    return Err(unreachable(&self.base, error));
                }
                Err(_) => Duration::ZERO,
            };
            tokio::time::sleep(again.max(Duration::from_millis(200 << tries))).await;
            tries += 1;
        }
    }

    /// Returns the status, the time after which the server wants to be asked again, and the body.
    async fn send(
        &self,
        message: &ChatMessage<'_>,
    ) -> std::result::Result<(u16, Duration, Vec<u8>), botops_http::Error> {
        let mut request = self.http.post(self.chat.clone()).json(message);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let wait =
            answer.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
        let wait = Duration::from_secs(wait.unwrap_or(0));
        Ok((status, wait, answer.bytes().await?.to_vec()))
    }
}
