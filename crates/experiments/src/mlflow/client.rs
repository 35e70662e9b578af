//! Requests to a tracking server: their retries and their faults.

use super::server::{Credentials, Mlflow};
use botops_findings::{Fault, Result};
use botops_http::{Method, RequestBuilder, Response, StatusCode, Url, why_unreachable};
use botops_store::Retries;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The longest time an upload of a file may take.
const UPLOAD: Duration = Duration::from_secs(600);

/// Whether a request may be sent again if its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// Sent twice, it has the same effect as sent once.
    Safe,
    /// Sent twice, it may take effect twice.
    Unsafe,
}

/// The outcome of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The request succeeded with this answer.
    Done(Value),
    /// The server refused, with a code of MLflow such as `RESOURCE_DOES_NOT_EXIST`.
    Refused { code: String, fault: Fault },
    /// The request may have taken effect or not.
    Unknown(Fault),
}

impl Answer {
    /// Returns the answer of the server.
    ///
    /// # Errors
    /// Any outcome other than success.
    pub(super) fn done(self) -> Result<Value> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused { fault, .. } | Self::Unknown(fault) => Err(fault),
        }
    }
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Problem {
    error_code: String,
    #[serde(default)]
    message: String,
}

impl Mlflow {
    /// Returns the address of `path` under the root of the API.
    pub(super) fn address<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("http and https URLs have a path")
            .pop_if_empty()
            .extend(["api", "2.0"])
            .extend(path);
        url
    }

    /// Reads from an endpoint of the tracking API.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer> {
        let mut url = self.address(std::iter::once("mlflow").chain(path.iter().copied()));
        url.query_pairs_mut().extend_pairs(query);
        self.send(Retry::Safe, || self.http.request(Method::GET, url.clone())).await
    }

    /// Sends `body` to an endpoint of the tracking API.
    pub(super) async fn post(&self, path: &[&str], body: &Value, retry: Retry) -> Result<Answer> {
        let url = self.address(std::iter::once("mlflow").chain(path.iter().copied()));
        self.send(retry, || self.http.request(Method::POST, url.clone()).json(body)).await
    }

    /// Uploads a file through the artifact proxy of the server.
    pub(super) async fn put(&self, path: &[&str], bytes: &Bytes) -> Result<Answer> {
        let url =
            self.address(["mlflow-artifacts", "artifacts"].into_iter().chain(path.iter().copied()));
        self.send(Retry::Safe, || {
            self.http.request(Method::PUT, url.clone()).timeout(UPLOAD).body(bytes.clone())
        })
        .await
    }

    /// Sends a request, again after a failure that may pass.
    async fn send(&self, retry: Retry, request: impl Fn() -> RequestBuilder) -> Result<Answer> {
        let mut retries = Retries::default().begin();
        loop {
            let request = match &self.credentials {
                Credentials::None => request(),
                Credentials::Token(token) => request().bearer_auth(token.expose()),
                Credentials::Basic { user, password } => {
                    request().basic_auth(user, Some(password.expose()))
                }
            };
            let (fault, sent) = match request.send().await {
                Err(error) => {
                    let sent = !error.is_connect();
                    (self.unreachable(&error).caused_by(error.without_url()), sent)
                }
                Ok(answer) if may_pass(answer.status()) => (self.overloaded(answer.status()), true),
                Ok(answer) => match self.outcome(answer).await {
                    Ok(answer) => return answer,
                    Err(error) => (self.unreachable(&error).caused_by(error.without_url()), true),
                },
            };
            if sent && retry == Retry::Unsafe {
                return Ok(Answer::Unknown(fault));
            }
            if !retries.pause().await {
                return Err(fault);
            }
        }
    }

    /// Reads an answer. The outer error means that the connection broke.
    async fn outcome(&self, answer: Response) -> Result<Result<Answer>, botops_http::Error> {
        let status = answer.status();
        let body = answer.bytes().await?;
        if status.is_success() {
            if body.is_empty() {
                return Ok(Ok(Answer::Done(Value::Null)));
            }
            return Ok(serde_json::from_slice(&body).map(Answer::Done).map_err(|error| {
                self.not_mlflow("its answer is not one of MLflow").caused_by(error)
            }));
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let reason = match &problem {
            Some(problem) => problem.message.clone(),
            None => String::from_utf8_lossy(&body).into_owned(),
        };
        let reason = botops_text::display(reason.lines().next().unwrap_or_default().trim(), 300);
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let message = format!(
                "the tracking server at `{}` refused the request: {}: {reason}",
                self.url(),
                status.as_u16()
            );
            let fault = Fault::policy("BOT-5042", message);
            return Ok(Err(match &self.credentials {
                Credentials::None => fault.hint("set `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`"),
                _ => fault.hint("check the credentials in `MLFLOW_TRACKING_…` and their permissions"),
            }));
        }
        Ok(match problem {
            Some(problem) => {
                let message = format!(
                    "the tracking server at `{}` refused the request: {}: {reason}",
                    self.url(),
                    problem.error_code
                );
                let fault = Fault::internal("BOT-5043", message)
                    .hint("see the log of the server for details");
                Ok(Answer::Refused { code: problem.error_code, fault })
            }
            None => Err(self.not_mlflow(&format!("it answered {}", status.as_u16()))),
        })
    }

    /// The fault of an answer that does not come from MLflow.
    fn not_mlflow(&self, reason: &str) -> Fault {
        let message = format!("there is no tracking API of MLflow at `{}`: {reason}", self.url());
        Fault::internal("BOT-5043", message)
            .hint("give the address of its pages: `--url http://host:5000`")
    }

    /// The fault of a server that fails at the moment.
    fn overloaded(&self, status: StatusCode) -> Fault {
        let message =
            format!("the tracking server at `{}` answered {}", self.url(), status.as_u16());
        Fault::unreachable("BOT-5041", message)
            .hint("repeat the command later: a repeated export adds nothing twice")
    }

    /// The fault of a server that cannot be reached.
    fn unreachable(&self, error: &botops_http::Error) -> Fault {
        let why = why_unreachable(error);
        let message = format!("the tracking server at `{}` cannot be reached: {why}", self.url());
        Fault::unreachable("BOT-5041", message)
            .hint("is it running? `mlflow server` prints its address when it starts")
            .hint("then repeat the command: a repeated export adds nothing twice")
    }
}

/// Returns whether a request with this status may succeed later.
fn may_pass(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}
