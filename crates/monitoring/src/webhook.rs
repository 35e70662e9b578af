//! Webhooks: each change of the state of a model, sent to the receivers that the settings name.
//!
//! The log of reports is the queue: a receiver has a position in it, kept in the store, so that a restart repeats nothing
//! and loses nothing. The id of a message is the number of its entry, the same in every attempt.

use crate::{folder::folder, history::MonitorLog, report::MonitorReport};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Result, Severity};
use botops_http::{CallRules, GuardedClient, Method, OutgoingCall, SigningKey, Url};
use botops_store::Store;
use serde_json::json;
use std::{collections::BTreeSet, fmt, time::Duration};

/// The most receivers.
const MOST: usize = 16;
/// The most bytes of an answer, whose content does not matter.
const MOST_BYTES: usize = 16 << 10;

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookKind {
    /// JSON with the numbers of the report, signed.
    Generic,
    /// The text that an incoming webhook of Slack takes.
    Slack,
}

impl WebhookKind {
    /// Every kind, with its name in the settings.
    pub const ALL: [(&'static str, Self); 2] = [("generic", Self::Generic), ("slack", Self::Slack)];
}

/// A receiver, as the settings name it. `Debug` shows no address: its path may be a secret.
#[derive(Clone)]
pub struct WebhookSpec {
    /// The address.
    pub url: String,
    /// The form of messages.
    pub kind: WebhookKind,
    /// The secret that signs: always with [`WebhookKind::Generic`], never with [`WebhookKind::Slack`].
    pub secret: Option<String>,
}

impl fmt::Debug for WebhookSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSpec").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The durations of deliveries. A test divides them.
#[derive(Debug, Clone, Copy)]
pub struct WebhookPace {
    /// The longest time of an attempt.
    pub answer: Duration,
    /// The pause after the first failed attempt; it doubles with each further one.
    pub pause: Duration,
    /// The most attempts for a message in one evaluation.
    pub attempts: u32,
}

impl Default for WebhookPace {
    fn default() -> Self {
        Self { answer: Duration::from_secs(10), pause: Duration::from_secs(1), attempts: 4 }
    }
}

/// A receiver, checked.
#[derive(Clone)]
struct Receiver {
    url: Url,
    id: String,
    host: String,
    kind: WebhookKind,
    key: Option<SigningKey>,
}

/// The receivers of an environment.
#[derive(Clone)]
pub struct Webhooks {
    client: GuardedClient,
    receivers: Vec<Receiver>,
    pace: WebhookPace,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<&str> = self.receivers.iter().map(|it| it.host.as_str()).collect();
        f.debug_struct("Webhooks").field("hosts", &hosts).finish_non_exhaustive()
    }
}

/// The fault of a setting. It never shows an address in full.
fn unusable(problem: impl fmt::Display) -> Fault {
    Fault::usage("BOT-6258", format!("`monitoring.webhooks` {problem}")).hint(
        "write `- { url: https://ops.example.com/hook, kind: generic, secret: ${env:WEBHOOK_SECRET} }`",
    )
}

impl Receiver {
    fn new(spec: &WebhookSpec) -> Result<Self> {
        let url = Url::parse(&spec.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| unusable("has an address that is no `https://` URL"))?;
        let host = match (url.host_str().unwrap_or("?"), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable(format!("has a user or a password in the address of `{host}`")));
        }
        let key = match (spec.kind, &spec.secret) {
            (WebhookKind::Slack, None) => None,
            (WebhookKind::Slack, Some(_)) => {
                return Err(unusable(format!("has a secret for `{host}`, and Slack checks none")));
            }
            (WebhookKind::Generic, None) => {
                return Err(unusable(format!("has no secret for `{host}`")));
            }
            (WebhookKind::Generic, Some(secret)) => {
                let key = SigningKey::new(secret).map_err(|unfit| {
                    unusable(format!("has a secret that {unfit}"))
                        .hint("make one with `openssl rand -hex 32`")
                })?;
                Some(key)
            }
        };
        let id = Digest::of(url.as_str().as_bytes()).hex()[..16].to_owned();
        Ok(Self { url, id, host, kind: spec.kind, key })
    }
}

impl Webhooks {
    /// Checks the receivers. Calls go to these hosts only, to their public addresses or those in `allow_private`.
    ///
    /// # Errors
    /// `BOT-6258` (exit 2): an address that is no URL, holds a password, comes twice or is on a private network that is not
    /// allowed; a secret that is missing, unfit or of no use; a network that is none. `BOT-1018` (exit 1) the root
    /// certificates of the system cannot be read.
    pub fn new(specs: &[WebhookSpec], allow_private: &[String], pace: WebhookPace) -> Result<Self> {
        if specs.len() > MOST {
            let n = specs.len();
            return Err(unusable(format!("has {n} receivers: at most {MOST} are allowed")));
        }
        let receivers = specs.iter().map(Receiver::new).collect::<Result<Vec<_>>>()?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = receivers.iter().find(|it| !seen.insert(it.id.clone())) {
            return Err(unusable(format!("names one address of `{}` twice", twice.host)));
        }
        let origins = receivers.iter().map(|it| it.url.origin().ascii_serialization());
        let rules = CallRules {
            allow: origins.collect(),
            allow_private: allow_private.to_vec(),
            most_bytes: MOST_BYTES,
        };
        let client = GuardedClient::new(&rules).map_err(|fault| match fault.code() {
            "BOT-6150" => Fault::usage(
                "BOT-6258",
                "`monitoring.allow_private` has an entry that is no network",
            )
            .hint("write networks or addresses, such as `10.20.0.0/16` or `127.0.0.1`"),
            _ => fault,
        })?;
        for receiver in &receivers {
            if client.check(receiver.url.as_str()).is_err() {
                let problem =
                    format!("names `{}`, which is no address of the internet", receiver.host);
                return Err(unusable(problem).hint(
                    "add its network to `monitoring.allow_private`, if messages may go there",
                ));
            }
        }
        Ok(Self { client, receivers, pace })
    }

    /// Sends each receiver the changes of state that it does not have yet, in order, and keeps its position. `now` is the
    /// clock. Returns a warning for each receiver that is still owed one; the next call tries again.
    ///
    /// A new receiver begins with the newest entry. A message is sent at least once; its id does not change.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deliver(
        &self,
        store: &Store,
        environment: &str,
        log: &MonitorLog,
        now: impl Fn() -> i64 + Send + Sync,
    ) -> Result<Vec<Finding>> {
        let Some(newest) = log.entries().last().map(|entry| entry.seq) else {
            return Ok(Vec::new());
        };
        let mut owed = Vec::new();
        for receiver in &self.receivers {
            let position = Position::read(store, environment, &receiver.id).await?;
            let passed = match position.passed {
                Some(passed) => passed,
                None => {
                    position.pass(store, newest - 1).await?;
                    newest - 1
                }
            };
            let mut done = passed;
            let mut is_owed = false;
            for entry in log.changes_after(passed) {
                let message = Message { environment, number: entry.seq, report: &entry.payload };
                if let Err(problem) = self.send(receiver, &message, &now).await {
                    owed.push(undelivered(&receiver.host, entry.seq, &problem));
                    is_owed = true;
                    break;
                }
                done = entry.seq;
                position.pass(store, done).await?;
            }
            if !is_owed && done < newest {
                done = newest;
                position.pass(store, done).await?;
            }
            position.tidy(store, done).await;
        }
        Ok(owed)
    }

    /// Sends one message, with a pause after each failed attempt.
    async fn send(
        &self,
        receiver: &Receiver,
        message: &Message<'_>,
        now: &(impl Fn() -> i64 + Send + Sync),
    ) -> std::result::Result<(), String> {
        let mut pause = self.pace.pause;
        let mut attempt = 1;
        loop {
            let call = receiver.call(message, now(), self.pace.answer);
            let problem = match self.client.call(call).await {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(()),
                Ok(answer) if (300..400).contains(&answer.status) => {
                    format!("it answers with the redirect {}, which is not followed", answer.status)
                }
                Ok(answer) => format!("it answers {}", answer.status),
                Err(failure) => failure.reason.to_owned(),
            };
            if attempt >= self.pace.attempts {
                return Err(problem);
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

fn undelivered(host: &str, number: u64, problem: &str) -> Finding {
    let message = format!("the change of state {number} did not reach `{host}`: {problem}");
    let help = "the next evaluation tries again";
    Finding::new("BOT-6259", Severity::Warning, message, help)
}

/// A change of state on its way.
struct Message<'a> {
    environment: &'a str,
    number: u64,
    report: &'a MonitorReport,
}

impl Message<'_> {
    fn id(&self) -> String {
        format!("{}-monitor-{}", self.environment, self.number)
    }

    /// Writes the body of a generic message.
    fn generic(&self) -> String {
        let report = self.report;
        json!({
            "schema": "botops.monitor_event/1",
            "id": self.id(),
            "number": self.number,
            "environment": self.environment,
            "model": report.model,
            "window": report.window,
            "at": report.at,
            "state": report.state,
            "reasons": report.reasons,
            "records": report.volume.records,
            "accuracy": report.primary_accuracy(),
            "estimate": report.estimate.as_ref().map(|it| json!({
                "expected": it.expected, "interval": it.interval, "reliable": it.reliable,
            })),
        })
        .to_string()
    }

    /// Writes the body that Slack takes: text in its markup, in which `&`, `<` and `>` are escaped.
    fn slack(&self) -> String {
        let report = self.report;
        let reasons: String =
            report.reasons.iter().map(|it| format!("\n• {}", it.message)).collect();
        let text = format!(
            "*{}@{}* in *{}*: {} ({}){reasons}",
            report.model.name,
            report.model.version,
            self.environment,
            report.state.name().replace('_', " "),
            report.window,
        );
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({ "text": text }).to_string()
    }
}

impl Receiver {
    fn call(&self, message: &Message<'_>, timestamp: i64, timeout: Duration) -> OutgoingCall {
        let body = match self.kind {
            WebhookKind::Generic => message.generic(),
            WebhookKind::Slack => message.slack(),
        };
        let id = message.id();
        let mut headers = Vec::new();
        if let Some(key) = &self.key {
            headers.push(("webhook-signature", key.sign(&id, timestamp, &body)));
            headers.push(("webhook-timestamp", timestamp.to_string()));
            headers.push(("webhook-id", id));
        }
        OutgoingCall {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body: Some(body),
            timeout,
        }
    }
}

/// How far a receiver is in the log.
struct Position {
    folder: String,
    /// The number of the last entry that it needs no more; `None` for a new receiver.
    passed: Option<u64>,
    old: Vec<String>,
}

impl Position {
    async fn read(store: &Store, environment: &str, receiver: &str) -> Result<Self> {
        let folder = format!("{}/webhooks/{receiver}", folder(environment));
        let paths = store.objects(&folder, None).await?;
        let number = |path: &String| path.rsplit('/').next()?.parse::<u64>().ok();
        let passed = paths.iter().filter_map(number).max();
        Ok(Self { folder, passed, old: paths })
    }

    async fn pass(&self, store: &Store, number: u64) -> Result<()> {
        store.create(&format!("{}/{number:020}", self.folder), Vec::new().into()).await.map(drop)
    }

    /// Removes the objects that newer ones replace. A store that fails keeps them.
    async fn tidy(&self, store: &Store, done: u64) {
        for path in &self.old {
            if path
                .rsplit('/')
                .next()
                .and_then(|name| name.parse().ok())
                .is_some_and(|n: u64| n < done)
            {
                let _ = store.remove(path).await;
            }
        }
    }
}
