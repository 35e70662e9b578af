//! The calls that a dialogue asks for: actions, and the messages that hand a conversation to a person.
//!
//! The addresses stand in the model file, so the server decides which of them it calls, see
//! [`GuardedClient`]. An action carries the id of its turn as `Idempotency-Key`, and every call is signed if there is a secret.

use botops_conversations::Id;
use botops_dialogue::{ActionCall, ActionOutcome, CallMethod, DialogueSpec};
use botops_findings::{Fault, Result};
use botops_http::{
    CallAnswer, CallFailure, CallRules, GuardedClient, Method, OutgoingCall, SigningKey,
};
use botops_telemetry::{Kind, Span, child};
use botops_workspace::Secret;
use serde_json::Value;
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most bytes of the answer to a call.
const MOST_BYTES: usize = 64 << 10;
/// How often an action that may be repeated is called.
const TRIES: u32 = 3;
/// The pause before the second call of an action; before the third it is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest time of a message that hands a conversation over.
const HAND_OFF_TIME: Duration = Duration::from_secs(10);
/// The most secrets: the one in use, and the one before or after it.
const MOST_SECRETS: usize = 2;

/// The calls that dialogues may ask for (`server.actions`).
#[derive(Debug, Clone, Default)]
pub struct ActionSettings {
    /// The hosts that may be called, such as `orders.example.com` or `http://orders.internal:8080`.
    pub allow: Vec<String>,
    /// The networks besides the public internet that may be called, such as `10.20.0.0/16`.
    pub allow_private: Vec<String>,
    /// The secrets that sign, none to two of at least 24 bytes.
    pub secrets: Vec<Secret>,
}

/// Checks the calls that dialogues may ask for.
///
/// # Errors
/// `BOT-6150` (exit 2) a host, a network or a secret cannot be used.
pub fn check_actions(settings: &ActionSettings) -> Result<()> {
    Outgoing::new(settings).map(drop)
}

/// The calls of a server.
pub(super) struct Outgoing {
    /// The client; `None` if no host may be called.
    client: Option<GuardedClient>,
    keys: Vec<SigningKey>,
    /// Whether addresses are checked when a model is loaded. A rehearsal makes no calls, and checks none.
    checks: bool,
    /// The turns whose hand-off this process is delivering.
    delivering: Mutex<HashSet<Id>>,
}

/// The outcome of an action, and the reason if it is not an answer.
pub(super) type Acted = (ActionOutcome, &'static str);

impl Outgoing {
    /// Makes the calls of a server with `settings`.
    ///
    /// # Errors
    /// `BOT-6150` (exit 2) a host, a network or a secret cannot be used; `BOT-1018` (exit 1) the root certificates of the
    /// system cannot be read.
    pub(super) fn new(settings: &ActionSettings) -> Result<Self> {
        let n_secrets = settings.secrets.len();
        if n_secrets > MOST_SECRETS {
            return Err(unusable(format!("has {n_secrets} secrets: one or two are allowed")));
        }
        let key = |secret: &Secret| {
            SigningKey::new(secret.expose()).map_err(|unfit| {
                unusable(format!("has a secret that {unfit}"))
                    .hint("make one with `openssl rand -hex 32`")
            })
        };
        let rules = CallRules {
            allow: settings.allow.clone(),
            allow_private: settings.allow_private.clone(),
            most_bytes: MOST_BYTES,
        };
        // The networks are checked even if there is no host. A client needs the root certificates of the system.
        rules.check()?;
        let client = (!settings.allow.is_empty()).then(|| GuardedClient::new(&rules));
        Ok(Self {
            client: client.transpose()?,
            keys: settings.secrets.iter().map(key).collect::<Result<_>>()?,
            checks: true,
            delivering: Mutex::default(),
        })
    }

    /// Makes the calls of a rehearsal: none. Actions fail without being called.
    pub(super) fn none() -> Self {
        Self { client: None, keys: Vec::new(), checks: false, delivering: Mutex::default() }
    }

    /// Checks that every address of a dialogue may be called.
    ///
    /// # Errors
    /// `BOT-6151` (exit 6) one may not.
    pub(super) fn check(&self, dialogue: &DialogueSpec) -> Result<()> {
        if !self.checks {
            return Ok(());
        }
        for url in call_urls(dialogue) {
            match &self.client {
                Some(client) => drop(client.check(url)?),
                None => {
                    let message =
                        "the dialogue calls other systems, and this server allows no host";
                    return Err(Fault::policy("BOT-6151", message).hint(
                        "add the hosts to `server.actions.allow` of botops.yaml, if calls may go there",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Calls an action of the turn `turn`, at the time `now` in seconds since 1970.
    ///
    /// An action that may be repeated is called up to three times, under the same key and within its time.
    pub(super) async fn act(&self, call: &ActionCall, turn: Id, now: i64) -> Acted {
        let checked = self.client.as_ref().and_then(|it| Some((it, it.check(&call.url).ok()?)));
        let Some((client, url)) = checked else {
            return (ActionOutcome::Failed, "its address is not allowed");
        };
        let body = call.method.has_body().then(|| call.body.to_string());
        let mut headers = self.signed(&turn.to_string(), now, body.as_deref().unwrap_or_default());
        headers.push(("idempotency-key", turn.to_string()));
        let mut span = child("action", Kind::Client);
        headers.extend(span.iter().flat_map(Span::headers));
        let until = Instant::now() + call.timeout;
        let mut was_sent = false;
        for n in 1.. {
            let made = OutgoingCall {
                method: method(call.method),
                url: url.clone(),
                headers: headers.clone(),
                body: body.clone(),
                timeout: until.saturating_duration_since(Instant::now()),
            };
            let (outcome, reason) = read(client.call(made).await);
            was_sent |= outcome != ActionOutcome::Failed;
            if !matches!(outcome, ActionOutcome::Failed | ActionOutcome::Unknown) {
                return (outcome, reason);
            }
            let pause = PAUSE * n;
            let has_time = until.saturating_duration_since(Instant::now()) > 2 * pause;
            if !call.idempotent || n == TRIES || !has_time {
                if let Some(span) = &mut span {
                    span.fail(reason);
                }
                // To read something twice or not at all does not matter.
                let is_safe = call.method == CallMethod::Get && call.idempotent;
                return match was_sent && !is_safe {
                    true => (ActionOutcome::Unknown, reason),
                    false => (ActionOutcome::Failed, reason),
                };
            }
            tokio::time::sleep(pause).await;
        }
        (ActionOutcome::Unknown, "it was called too often")
    }

    /// Posts `body`, the message that hands over the conversation of the turn `turn`, to `url`.
    ///
    /// # Errors
    /// The reason in words.
    pub(super) async fn post(
        &self,
        (url, body): (&str, &str),
        turn: Id,
        now: i64,
    ) -> std::result::Result<(), String> {
        let checked = self.client.as_ref().and_then(|it| Some((it, it.check(url).ok()?)));
        let Some((client, url)) = checked else {
            return Err("its address is not allowed".to_owned());
        };
        let mut span = child("handoff", Kind::Client);
        let mut headers = self.signed(&turn.to_string(), now, body);
        headers.extend(span.iter().flat_map(Span::headers));
        let call = OutgoingCall {
            method: Method::POST,
            url,
            headers,
            body: Some(body.to_owned()),
            timeout: HAND_OFF_TIME,
        };
        let sent = match client.call(call).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(format!("it answers with status {}", answer.status)),
            Err(failure) => Err(failure.reason.to_owned()),
        };
        if let (Err(problem), Some(span)) = (&sent, &mut span) {
            span.fail(problem.clone());
        }
        sent
    }

    /// Begins to deliver the hand-off of `turn`. Returns whether nobody in this process does so already.
    pub(super) fn begin_delivery(&self, turn: Id) -> bool {
        self.delivering.lock().unwrap_or_else(PoisonError::into_inner).insert(turn)
    }

    /// Ends to deliver the hand-off of `turn`.
    pub(super) fn end_delivery(&self, turn: Id) {
        self.delivering.lock().unwrap_or_else(PoisonError::into_inner).remove(&turn);
    }

    /// Returns the headers of Standard Webhooks.
    fn signed(&self, id: &str, now: i64, body: &str) -> Vec<(&'static str, String)> {
        let mut headers =
            vec![("webhook-id", id.to_owned()), ("webhook-timestamp", now.to_string())];
        if !self.keys.is_empty() {
            let signed: Vec<String> = self.keys.iter().map(|key| key.sign(id, now, body)).collect();
            headers.push(("webhook-signature", signed.join(" ")));
        }
        headers
    }
}

/// Returns the addresses that a dialogue calls. Values of slots stand in their paths and queries only.
fn call_urls(dialogue: &DialogueSpec) -> impl Iterator<Item = &str> {
    let actions = dialogue.intents.values().filter_map(|intent| intent.action.as_ref());
    let webhook = dialogue.handoff.as_ref().and_then(|handoff| handoff.webhook.as_deref());
    actions.map(|action| action.url.as_str()).chain(webhook)
}

fn unusable(problem: String) -> Fault {
    Fault::usage("BOT-6150", format!("`server.actions` {problem}"))
}

fn method(method: CallMethod) -> Method {
    match method {
        CallMethod::Get => Method::GET,
        CallMethod::Post => Method::POST,
        CallMethod::Put => Method::PUT,
        CallMethod::Patch => Method::PATCH,
        CallMethod::Delete => Method::DELETE,
    }
}

/// Reads the outcome of one call.
///
/// A status of 5xx says that the other side failed, and not how far it came; an answer of 2xx that is no JSON says that
/// something was done. Both are unknown.
fn read(called: std::result::Result<CallAnswer, CallFailure>) -> Acted {
    match called {
        Err(CallFailure { is_unsent: true, reason }) => (ActionOutcome::Failed, reason),
        Err(CallFailure { reason, .. }) => (ActionOutcome::Unknown, reason),
        Ok(CallAnswer { status: 200..300, body: Ok(body) }) if body.is_empty() => {
            (ActionOutcome::Answered(Value::Null), "")
        }
        Ok(CallAnswer { status: 200..300, body: Ok(body) }) => {
            match serde_json::from_slice(&body) {
                Ok(value) => (ActionOutcome::Answered(value), ""),
                Err(_) => (ActionOutcome::Unknown, "the answer is not JSON"),
            }
        }
        Ok(CallAnswer { status: 200..300, body: Err(reason) }) => (ActionOutcome::Unknown, reason),
        Ok(CallAnswer { status: 500.., .. }) => {
            (ActionOutcome::Unknown, "the other side failed with a status of 5xx")
        }
        Ok(CallAnswer { status, .. }) => {
            (ActionOutcome::Refused { status }, "the other side refused it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_or_a_refusal_says_what_became_of_an_action() {
        let answer = |status, body: &str| read(Ok(CallAnswer { status, body: Ok(body.into()) })).0;
        assert_eq!(answer(200, "{\"a\":1}"), ActionOutcome::Answered(serde_json::json!({"a": 1})));
        assert_eq!(answer(204, ""), ActionOutcome::Answered(Value::Null));
        assert_eq!(answer(201, "{"), ActionOutcome::Unknown);
        for status in [302, 400, 404, 429] {
            assert_eq!(answer(status, "{}"), ActionOutcome::Refused { status });
        }
        for status in [500, 502, 503, 599] {
            assert_eq!(answer(status, "{}"), ActionOutcome::Unknown);
        }
        let html = CallAnswer { status: 200, body: Err("the answer is not JSON") };
        assert_eq!(read(Ok(html)).0, ActionOutcome::Unknown);
        let html = CallAnswer { status: 404, body: Err("the answer is not JSON") };
        assert_eq!(read(Ok(html)).0, ActionOutcome::Refused { status: 404 });
        let failed = |is_unsent| read(Err(CallFailure { is_unsent, reason: "x" })).0;
        assert_eq!(failed(true), ActionOutcome::Failed);
        assert_eq!(failed(false), ActionOutcome::Unknown);
    }

    #[test]
    fn a_secret_that_is_too_short_is_refused_and_not_shown() {
        for secrets in [vec![Secret::new("short-secret")], vec![Secret::new("k".repeat(32)); 3]] {
            let settings = ActionSettings { secrets, ..ActionSettings::default() };
            let fault = Outgoing::new(&settings).err().unwrap();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6150", 2));
            assert!(!format!("{fault:?}").contains("short-secret"), "{fault:?}");
        }
    }
}
