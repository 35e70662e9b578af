//! The replay of recorded messages and their feedback over HTTP, to a rehearsal or to another server.

use super::{
    Message,
    client::{http, unreachable},
};
use botops_findings::{Fault, Result};
use botops_http::{Client, PlainHttp, Url};
use botops_workspace::Secret;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::OnceLock, time::Duration};
use tokio::time::sleep;

/// Conversations replayed at a time.
const CONCURRENT: usize = 16;
/// Messages replayed before the next ones begin.
const WINDOW: usize = 512;
/// The longest time that a message waits for a server that limits how much it answers.
const PATIENCE: Duration = Duration::from_secs(300);

/// A message to send, or the feedback on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// The time in the recorded traffic.
    pub(super) at: DateTime<Utc>,
    /// The index of the message.
    pub(super) index: usize,
    /// Whether it is the feedback.
    pub(super) feedback: bool,
}

/// Groups calls by conversation. Each conversation keeps the order of `calls`.
pub(super) fn conversations(calls: &[Call], messages: &[Message]) -> Vec<Vec<Call>> {
    let mut groups: BTreeMap<&str, Vec<Call>> = BTreeMap::new();
    for call in calls {
        groups.entry(&messages[call.index].conversation_id).or_default().push(*call);
    }
    groups.into_values().collect()
}

/// A sender of messages, which remembers the tokens of their answers for the feedback.
pub(super) struct Caller<'a> {
    http: Client,
    base: Url,
    /// The key of a client that the server asks for.
    key: Option<Secret>,
    chat: Url,
    feedback: Url,
    messages: &'a [Message],
    answered: Vec<OnceLock<Answered>>,
}

#[derive(Serialize)]
struct Chat<'a> {
    conversation_id: &'a str,
    text: &'a str,
}

/// The part of an answer with which feedback comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Answered {
    /// The token.
    Token {
        /// As the answer names it.
        #[serde(rename(deserialize = "feedback_token"))]
        token: String,
    },
    /// The id of the request: servers before version 0.2 made no tokens.
    Request {
        /// As the answer names it.
        request_id: String,
    },
}

#[derive(Serialize)]
struct Feedback<'a> {
    #[serde(flatten)]
    answered: &'a Answered,
    intent: &'a str,
}

impl<'a> Caller<'a> {
    /// Makes a sender to the server at `base`.
    pub(super) fn new(http: Client, base: Url, messages: &'a [Message]) -> Self {
        let path = |last: &str| {
            let mut url = base.clone();
            url.path_segments_mut()
                .expect("http and https URLs have a path")
                .pop_if_empty()
                .extend(["v1", last]);
            url
        };
        Self {
            chat: path("chat"),
            feedback: path("feedback"),
            http,
            base,
            key: None,
            messages,
            answered: messages.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Sends the calls of several conversations: each conversation in order, several conversations at a time.
    ///
    /// # Errors
    /// `BOT-6031`.
    pub(super) async fn send(&self, conversations: Vec<Vec<Call>>) -> Result<()> {
        stream::iter(conversations.into_iter().map(Ok))
            .try_for_each_concurrent(CONCURRENT, |calls| async move {
                for call in calls {
                    if call.feedback {
                        self.give_feedback(call.index).await?;
                    } else {
                        self.say(call.index).await?;
                    }
                }
                Ok(())
            })
            .await
    }

    async fn say(&self, index: usize) -> Result<()> {
        let message = &self.messages[index];
        let chat = Chat { conversation_id: &message.conversation_id, text: &message.text };
        let answer = self.post(&self.chat, &chat).await?;
        let body = self.finish(answer).await?;
        // A message that was refused has no token, and gets no feedback.
        if let Ok(answered) = serde_json::from_slice(&body) {
            let _ = self.answered[index].set(answered);
        }
        Ok(())
    }

    async fn give_feedback(&self, index: usize) -> Result<()> {
        let (Some(answered), Some(intent)) =
            (self.answered[index].get(), &self.messages[index].truth)
        else {
            return Ok(());
        };
        let answer = self.post(&self.feedback, &Feedback { answered, intent }).await?;
        self.finish(answer).await.map(drop)
    }

    /// Sends a request, again and again while the server is busy and says when to come back.
    async fn post(&self, url: &Url, body: &impl Serialize) -> Result<botops_http::Response> {
        let mut waited = Duration::ZERO;
        loop {
            let request = self.http.post(url.clone()).json(body);
            let request = match &self.key {
                Some(key) => request.bearer_auth(key.expose()),
                None => request,
            };
            let answer = request.send().await.map_err(|error| unreachable(&self.base, error))?;
            let Some(pause) = pause(&answer) else { return Ok(answer) };
            if waited + pause > PATIENCE {
                let message = "the server has refused a recorded message for minutes, because it limits how much it answers";
                return Err(Fault::unreachable("BOT-1095", message)
                    .hint("raise the rates under `limits:` of the server for the time of the replay, or send less traffic"));
            }
            waited += pause;
            sleep(pause).await;
        }
    }

    /// Returns the body of the answer, read to its end, so that the next call can use its connection. A message that the
    /// server refuses does not stop the replay: the server has counted it.
    async fn finish(&self, answer: botops_http::Response) -> Result<Bytes> {
        if let botops_http::StatusCode::UNAUTHORIZED | botops_http::StatusCode::FORBIDDEN =
            answer.status()
        {
            let message = match &self.key {
                Some(_) => "the server refused the key of a client",
                None => "the server asks for the key of a client",
            };
            return Err(Fault::policy("BOT-1081", message).hint(
                "set `BOTOPS_CLIENT_KEY` to a key with the scopes `chat` and `feedback`: `botops keys create --name replay --scopes chat,feedback`",
            ));
        }
        if answer.status() == botops_http::StatusCode::NOT_FOUND {
            return Err(Fault::usage(
                "BOT-6030",
                "the server at this address has no `/v1/chat`: it is not a botops server",
            )
            .hint("give the public address, not that of the admin API"));
        }
        answer.bytes().await.map_err(|error| unreachable(&self.base, error))
    }
}

/// Returns how long to wait before a request is sent again; `None` if the answer stands.
fn pause(answer: &botops_http::Response) -> Option<Duration> {
    let is_busy = matches!(answer.status().as_u16(), 429 | 503);
    let seconds = answer.headers().get("retry-after").filter(|_| is_busy)?;
    Some(Duration::from_secs(seconds.to_str().ok()?.parse::<u64>().ok()?.max(1)))
}

/// A server to which recorded traffic is replayed.
#[derive(Debug, Clone)]
pub struct ReplayTarget {
    /// Its public address.
    pub url: String,
    /// The key of a client with the scopes `chat` and `feedback`, if the server asks for one.
    pub key: Option<Secret>,
    /// The servers to which the key may be sent over `http://`.
    pub plain_http: PlainHttp,
}

/// Replays recorded traffic to a server, including feedback, as fast as it answers. This tries out a canary on a server
/// without traffic of its own.
///
/// `progress` gets the number of messages replayed so far, and the total.
///
/// # Errors
/// `BOT-6031`; `BOT-6030` if `target` has not the address of a server; `BOT-1081` (exit 6) the server refused the key, or asks
/// for one; `BOT-1095` (exit 7) it refused a message for minutes; `BOT-1032` (exit 2) the key would be sent unprotected.
pub async fn replay(
    target: &ReplayTarget,
    messages: &[Message],
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<()> {
    let ReplayTarget { url, key, plain_http } = target;
    let parsed = Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(base) = parsed else {
        return Err(Fault::usage("BOT-6030", format!("`{url}` is not the address of a server"))
            .hint("an address looks like `http://127.0.0.1:8080`"));
    };
    if key.is_some() {
        plain_http.check(&base, "the key of a client")?;
    }
    let caller = Caller { key: key.clone(), ..Caller::new(http()?, base, messages) };
    let total = messages.len() as u64;
    progress(0, total);
    let order: Vec<usize> = (0..messages.len()).collect();
    let mut done = 0;
    for window in order.chunks(WINDOW) {
        let mut calls = Vec::with_capacity(window.len() * 2);
        for &index in window {
            let at = messages[index].at;
            calls.push(Call { at, index, feedback: false });
            if messages[index].truth.is_some() {
                calls.push(Call { at, index, feedback: true });
            }
        }
        caller.send(conversations(&calls, messages)).await?;
        done += window.len() as u64;
        progress(done, total);
    }
    Ok(())
}
