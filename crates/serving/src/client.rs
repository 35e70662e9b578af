//! The client of the admin API, which turns the problems of the server back into faults.

use super::{Disagreements, Restored, RolloutStatus, canary::under_way, problem};
use botops_digest::Digest;
use botops_findings::{Fault, Result, catalogue};
use botops_http::{Client, ClientSpec, Method, PlainHttp, Proxy, Redirects, Url, why_unreachable};
use botops_rollout::{RolloutSpec, Transition};
use botops_workspace::Secret;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{path::Path, time::Duration};

/// A client of the admin API of a server. Its `Debug` output does not show the token.
#[derive(Debug, Clone)]
pub struct AdminClient {
    http: botops_http::Client,
    base: botops_http::Url,
    /// The address in messages: scheme, host and port, or the socket.
    shown: String,
    /// `None` only on the socket, where the kernel names the user.
    token: Option<Secret>,
}

/// The longest time an answer may take: a rollout loads and tests a model when it starts.
const ANSWER: Duration = Duration::from_secs(60);

/// The time that a command waits until the server has recorded it.
const RECORDED: Duration = Duration::from_secs(30);
/// The time between two looks at the record.
const LOOK: Duration = Duration::from_millis(500);

/// The pauses before the further tries of a request whose answer was lost.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The HTTP client of the admin API, which uses no proxy.
const SPEC: ClientSpec = ClientSpec {
    answer: Some(ANSWER),
    silence: None,
    redirects: Redirects::Followed,
    proxy: Proxy::None,
};

/// Makes the HTTP client of the admin API, which uses no proxy.
///
/// # Errors
/// Those of [`botops_http::client`]: the root certificates of the platform cannot be read.
pub(super) fn http() -> Result<Client> {
    botops_http::client(&SPEC)
}

/// Returns the fault of a server that cannot be reached.
pub(super) fn unreachable(url: &Url, error: botops_http::Error) -> Fault {
    unreachable_at(&address(url), error)
}

fn unreachable_at(address: &str, error: botops_http::Error) -> Fault {
    let why = why_unreachable(&error);
    Fault::unreachable("BOT-6031", format!("the server at `{address}` cannot be reached: {why}"))
        .hint("is it running? `botops serve` prints its addresses when it starts")
        .caused_by(error.without_url())
}

/// Returns the scheme, the host and the port of `url`.
fn address(url: &Url) -> String {
    format!("{}://{}", url.scheme(), host_and_port(url))
}

/// Returns the host and the port of `url`, without the credentials that it may hold.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The body of a command.
#[derive(Default, Serialize)]
struct CommandBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a RolloutSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
    actor: &'a str,
    reason: &'a str,
    #[serde(flatten)]
    options: StartOptions,
}

/// The liberties that a request for a rollout takes, beside the plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StartOptions {
    /// Start although the version adds or removes intents, or cannot answer some.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accept_labels: bool,
    /// Roll the rollout that is under way back first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub supersede: bool,
    /// Roll out the champion's own version, to prove that it can be rolled back. The server makes the plan, and promotes
    /// nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
}

/// A change of the freeze of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezeRequest {
    /// Freeze it until the time, or without one until the freeze is ended.
    Freeze(Option<DateTime<Utc>>),
    /// End the freeze.
    Unfreeze,
}

impl AdminClient {
    /// Makes a client for the admin listener at `url`, which sends the token over `http://` only to this machine.
    ///
    /// # Errors
    /// Those of [`Self::over`].
    pub fn new(url: &str, token: Option<&Secret>) -> Result<Self> {
        Self::over(PlainHttp::Loopback, url, token)
    }

    /// Makes a client for the admin listener at `url`, or for the admin socket of a server at `unix:///path`, where a token
    /// is optional; it sends the token over `http://` only to servers that `plain`
    /// allows.
    ///
    /// # Errors
    /// `BOT-6030` (exit 2) if `url` is not an HTTP URL, or if there is no token; `BOT-1032` (exit 2) if the token would be
    /// sent unprotected.
    pub fn over(plain: PlainHttp, url: &str, token: Option<&Secret>) -> Result<Self> {
        if let Some(path) = url.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
            let base = Url::parse("http://localhost/").expect("a URL");
            let http = botops_http::client_of_socket(&SPEC, Path::new(path))?;
            return Ok(Self { http, base, shown: url.to_owned(), token: token.cloned() });
        }
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(base) = parsed else {
            return Err(Fault::usage(
                "BOT-6030",
                format!("`{url}` is not the address of a server"),
            )
            .hint("an admin address looks like `http://127.0.0.1:8081`"));
        };
        let Some(token) = token else {
            return Err(Fault::usage("BOT-6030", "the admin API needs a token, and none is set")
                .hint("set `BOTOPS_ADMIN_TOKEN` to the token the server was started with"));
        };
        plain.check(&base, "the admin token")?;
        let shown = address(&base);
        Ok(Self { http: http()?, base, shown, token: Some(token.clone()) })
    }

    /// Starts a rollout of `challenger` (a registry reference), or joins the one under way for the same version. Returns
    /// its id.
    ///
    /// # Errors
    /// `BOT-6031` the server cannot be reached (exit 7), `BOT-6032` another rollout is under way (exit 5), `BOT-6033` the
    /// token was refused, `BOT-5047` the version changes intents (exit 6), and any fault that the server returns.
    pub async fn start(
        &self,
        model: &str,
        challenger: &str,
        spec: &RolloutSpec,
        actor: &str,
        reason: &str,
    ) -> Result<String> {
        let options = StartOptions::default();
        let by = (actor, reason);
        Ok(self.start_with((model, challenger), Some(spec), by, options).await?.rollout.id)
    }

    /// Starts a rollout as [`Self::start`] does, with `options` and without a plan by the default one. Returns its status.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub async fn start_with(
        &self,
        (model, challenger): (&str, &str),
        plan: Option<&RolloutSpec>,
        (actor, reason): (&str, &str),
        options: StartOptions,
    ) -> Result<RolloutStatus> {
        let version = Some(challenger);
        let body = CommandBody { version, plan, actor, reason, options, ..CommandBody::default() };
        self.send(Method::POST, &["models", model, "rollouts"], Some(&body)).await
    }

    /// Returns the first transition of the rollout that [`Self::start_with`] would start, after the same checks. Changes
    /// nothing.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub async fn would_start(
        &self,
        (model, challenger): (&str, &str),
        plan: Option<&RolloutSpec>,
        (actor, reason): (&str, &str),
        options: StartOptions,
    ) -> Result<Transition> {
        let version = Some(challenger);
        let body = CommandBody { version, plan, actor, reason, options, ..CommandBody::default() };
        let path = ["models", model, "rollouts"];
        self.ask(Method::POST, &path, Some("dry_run=true"), Some(&body)).await
    }

    /// Returns the status of rollout `id`; without one, that of the current or the last rollout.
    ///
    /// # Errors
    /// Those of [`Self::start`]; `BOT-6034` there is no such rollout (exit 2).
    pub async fn rollout(&self, model: &str, id: Option<&str>) -> Result<RolloutStatus> {
        let path = ["rollouts", id.unwrap_or("latest")];
        let status: RolloutStatus = self.send(Method::GET, &path, None).await?;
        of_model(status, model)
    }

    /// Returns the messages on which the challenger of the rollout `id` disagreed with the primary, as the server keeps
    /// them; without an id, of the current or the last rollout.
    ///
    /// # Errors
    /// `BOT-6031` the server cannot be reached (exit 7), and any fault that the server returns.
    pub async fn disagreements(&self, id: Option<&str>) -> Result<Disagreements> {
        let path = ["rollouts", id.unwrap_or("latest"), "disagreements"];
        self.send(Method::GET, &path, None).await
    }

    /// Checks that the server answers and takes the token, whatever it serves.
    ///
    /// # Errors
    /// `BOT-6031` the server cannot be reached (exit 7), `BOT-6033` the token was refused (exit 6), `BOT-6035` the answer is
    /// none of the admin API (exit 1).
    pub async fn check_access(&self) -> Result<()> {
        self.send::<serde::de::IgnoredAny>(Method::GET, &["models"], None).await.map(|_| ())
    }

    /// Checks that the server serves `model` and takes a rollout of `challenger`, or of a version that is not registered yet.
    ///
    /// # Errors
    /// Those of [`Self::start`]; `BOT-6036` (exit 2) if it serves another model; `BOT-6023` (exit 5) if it has no rollouts.
    pub async fn check(&self, model: &str, challenger: Option<Digest>) -> Result<()> {
        self.send::<serde::de::IgnoredAny>(Method::GET, &["models", model], None).await?;
        let rollout = match self.rollout(model, None).await {
            Ok(status) => status.rollout,
            Err(fault) if fault.code() == "BOT-6034" => return Ok(()),
            Err(fault) => return Err(fault),
        };
        if rollout.is_over() || Some(rollout.challenger) == challenger {
            return Ok(());
        }
        Err(under_way(&rollout.id))
    }

    /// Sends `command`: `pause`, `resume`, `promote`, `approve`, `reject` or `rollback`. Returns the status afterwards.
    ///
    /// # Errors
    /// Those of [`Self::rollout`]; `BOT-6002` (exit 5) if the phase does not allow it; `BOT-6060` (exit 7) it is in effect,
    /// and the server could not record it within 30 s.
    pub async fn command(
        &self,
        model: &str,
        command: &str,
        actor: &str,
        reason: &str,
    ) -> Result<RolloutStatus> {
        // This read refuses a rollout of another model.
        let status = self.rollout(model, None).await?;
        let body = CommandBody { actor, reason, ..CommandBody::default() };
        let id = status.rollout.id;
        let mut status: RolloutStatus =
            self.send(Method::POST, &["rollouts", &id, command], Some(&body)).await?;
        let began = tokio::time::Instant::now();
        while !status.durable {
            if began.elapsed() > RECORDED {
                let phase = status.rollout.phase.name().replace('_', " ");
                return Err(self.not_durable(&format!("rollout {id} is {phase}")));
            }
            tokio::time::sleep(LOOK).await;
            status = self.send(Method::GET, &["rollouts", &id], None).await?;
        }
        Ok(status)
    }

    /// Freezes the environment of the server, or ends its freeze; a dry run checks only.
    ///
    /// # Errors
    /// Those of [`Self::start`]; `BOT-6053` (exit 2) the end has passed; `BOT-6054` (exit 5) it is not frozen.
    pub async fn freeze(
        &self,
        request: FreezeRequest,
        actor: &str,
        reason: &str,
        dry_run: bool,
    ) -> Result<()> {
        let (method, until) = match request {
            FreezeRequest::Freeze(until) => (Method::PUT, until),
            FreezeRequest::Unfreeze => (Method::DELETE, None),
        };
        let body = CommandBody { until, actor, reason, ..CommandBody::default() };
        let query = dry_run.then_some("dry_run=true");
        self.ask::<serde::de::IgnoredAny>(method, &["freeze"], query, Some(&body)).await.map(drop)
    }

    /// Waits until the server has recorded the rollback `restored`.
    ///
    /// # Errors
    /// `BOT-6026` (exit 5) another version serves in the meantime; `BOT-6060` (exit 7) it was not recorded within 30 s.
    async fn recorded(&self, model: &str, restored: Restored) -> Result<Restored> {
        #[derive(Deserialize)]
        struct Recorded {
            durable: bool,
            primary: Serving,
        }
        #[derive(Deserialize)]
        struct Serving {
            model: String,
        }
        let began = tokio::time::Instant::now();
        while began.elapsed() <= RECORDED {
            tokio::time::sleep(LOOK).await;
            let answer: Recorded = self.send(Method::GET, &["models", model], None).await?;
            if answer.primary.model != restored.to {
                return Err(superseded(model, &restored, &answer.primary.model));
            }
            if answer.durable {
                return Ok(Restored { durable: true, ..restored });
            }
        }
        Err(self.not_durable(&format!("{} serves again", restored.to)))
    }

    /// The fault of a command that is in effect, and that the server could not record.
    fn not_durable(&self, effect: &str) -> Fault {
        let server = &self.shown;
        let message = format!("in effect on {server}, not yet durable: {effect}");
        Fault::unreachable("BOT-6060", message)
            .hint("the server keeps trying: do not stop it, and repair its store")
            .hint("there is no need to repeat the command: `botops rollout status` shows when it is recorded")
    }

    /// Returns the transition that [`Self::command`] would make. Changes nothing.
    ///
    /// # Errors
    /// Those of [`Self::command`].
    pub async fn would(
        &self,
        model: &str,
        command: &str,
        actor: &str,
        reason: &str,
    ) -> Result<Transition> {
        let status = self.rollout(model, None).await?;
        let body = CommandBody { actor, reason, ..CommandBody::default() };
        let path = ["rollouts", &status.rollout.id, command];
        self.ask(Method::POST, &path, Some("dry_run=true"), Some(&body)).await
    }

    /// Ends the open rollout of `model` and keeps its champion; without one, puts the champion before the current one
    /// back. A `version` (a reference), which must be a former champion, is put back in either case.
    ///
    /// # Errors
    /// Those of [`Self::start`]; `BOT-6024` (exit 2) if there was no champion before, `BOT-5031` (exit 6) if `version` was
    /// never champion.
    pub async fn roll_back(
        &self,
        model: &str,
        version: Option<&str>,
        actor: &str,
        reason: &str,
    ) -> Result<Restored> {
        let body = CommandBody { version, actor, reason, ..CommandBody::default() };
        let path = ["models", model, "rollback"];
        let restored: Restored = self.send(Method::POST, &path, Some(&body)).await?;
        if restored.durable { Ok(restored) } else { self.recorded(model, restored).await }
    }

    /// Returns what [`Self::roll_back`] would do, after the same checks. Changes nothing.
    ///
    /// # Errors
    /// Those of [`Self::roll_back`].
    pub async fn would_roll_back(
        &self,
        model: &str,
        version: Option<&str>,
        actor: &str,
        reason: &str,
    ) -> Result<Restored> {
        let body = CommandBody { version, actor, reason, ..CommandBody::default() };
        let path = ["models", model, "rollback"];
        self.ask(Method::POST, &path, Some("dry_run=true"), Some(&body)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&CommandBody<'_>>,
    ) -> Result<T> {
        self.ask(method, path, None, body).await
    }

    /// Sends a request, again under the same key if its answer was lost.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: Option<&str>,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let mut url = self.base.clone();
        url.set_query(query);
        url.path_segments_mut()
            .expect("http and https URLs have a path")
            .pop_if_empty()
            .extend(["admin", "v1"])
            .extend(path);
        // One key for every try of this request: a server that carried it out answers as it did then.
        let key = (method != Method::GET).then(|| ulid::Ulid::generate().to_string());
        let send = async || {
            let mut request = self.http.request(method.clone(), url.clone());
            if let Some(token) = &self.token {
                request = request.bearer_auth(token.expose());
            }
            if let Some(key) = &key {
                request = request.header("idempotency-key", key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = request.send().await?;
            let status = answer.status();
            Ok((status, answer.bytes().await?))
        };
        let mut pauses = PAUSES.into_iter();
        let (status, bytes) = loop {
            let error: botops_http::Error = match send().await {
                Ok(answer) => break answer,
                Err(error) => error,
            };
            // Nobody listens, or a whole minute has passed: to send it again at once does not help.
            let is_lost = !error.is_connect() && !error.is_timeout();
            match pauses.next().filter(|_| is_lost) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(unreachable_at(&self.shown, error)),
            }
        };
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| {
                let message = "the server's answer has a format that this version does not know";
                Fault::internal("BOT-6035", message)
                    .hint("use the same version of botops as the server")
                    .caused_by(error)
            });
        }
        Err(fault_of(status.as_u16(), &bytes))
    }
}

/// The fault of a rollback that another act replaced before this command saw it recorded.
fn superseded(model: &str, restored: &Restored, now: &str) -> Fault {
    let Restored { from, to, .. } = restored;
    let message =
        format!("the rollback from `{from}` to `{to}` was superseded: `{now}` serves now");
    Fault::conflict("BOT-6026", message)
        .hint(format!("see who changed it, when and why: `botops registry log {model}`"))
}

/// Returns `status` if it is that of a rollout of `model`.
fn of_model(status: RolloutStatus, model: &str) -> Result<RolloutStatus> {
    if status.rollout.model == model {
        return Ok(status);
    }
    Err(Fault::usage(
        "BOT-6036",
        format!("this server serves `{}`, not `{model}`", status.rollout.model),
    ))
}

/// Returns the fault of a problem document.
pub(super) fn fault_of(status: u16, body: &[u8]) -> Fault {
    let Ok(document) = serde_json::from_slice::<problem::Document>(body) else {
        return Fault::internal(
            "BOT-6035",
            format!("the server answered {status}, but not with a problem of botops"),
        )
        .hint("is this the address of a botops server?");
    };
    let fault = match catalogue::find(&document.code) {
        Some(entry) => Fault::of_code(entry.code, document.detail),
        None => {
            let code = botops_text::display(&document.code, 20);
            let message = format!("{} (`{code}`, exit {})", document.detail, document.exit);
            Fault::internal("BOT-6035", message)
                .hint("use the same version of botops as the server")
        }
    };
    document.hints.into_iter().fold(fault, Fault::hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    #[tokio::test]
    async fn a_request_whose_answer_is_lost_is_sent_again_with_its_key() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = AdminClient::new(&url, Some(&Secret::new("a token"))).unwrap();
        let server = tokio::spawn(async move {
            let mut keys = Vec::new();
            for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", ANSWER, ANSWER] {
                let (mut connection, _) = listener.accept().await.unwrap();
                let (mut request, mut part) = (String::new(), [0; 4_096]);
                while !request.contains("}") {
                    let n = connection.read(&mut part).await.unwrap();
                    request.push_str(std::str::from_utf8(&part[..n]).unwrap());
                }
                let key = request.split_once("idempotency-key: ").unwrap().1;
                keys.push(key.lines().next().unwrap().to_owned());
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
            keys
        });
        for _ in 0..2 {
            let request = FreezeRequest::Freeze(None);
            client.freeze(request, "ada", "holidays", false).await.unwrap();
        }
        let keys = server.await.unwrap();
        assert!(keys[0] == keys[1] && keys[1] == keys[2], "{keys:?}");
        assert_ne!(keys[2], keys[3], "another command has another key");
        assert!(keys.iter().all(|key| key.len() == 26), "{keys:?}");
    }

    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
}
