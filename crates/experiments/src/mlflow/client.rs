//! Requests to a tracking server: tried again while that is safe, and said in our words when they fail.

use super::{Credentials, Mlflow};
use botops_findings::{Fault, Result};
use botops_http::{
    Client, ClientSpec, Method, Proxy, Redirects, RequestBuilder, Response, StatusCode, Url,
    why_unreachable,
};
use botops_store::Retries;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How long it may take to answer a request.
const ANSWER: Duration = Duration::from_secs(30);
/// How long it may take to take in a file.
const UPLOAD: Duration = Duration::from_secs(600);

/// Makes the client of a tracking server.
pub(super) fn http() -> Result<Client> {
    let spec = ClientSpec {
        answer: Some(ANSWER),
        silence: None,
        redirects: Redirects::Followed,
        proxy: Proxy::Environment,
    };
    botops_http::client(&spec)
}

/// Reads the address of a server.
pub(super) fn base(url: &str) -> Result<Url> {
    let parsed = Url::parse(url.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(mut base) = parsed else {
        // What cannot be read as a URL may hold a password all the same.
        let shown = if url.contains('@') {
            "the address".to_owned()
        } else {
            format!("`{}`", botops_text::display(url, 80))
        };
        return Err(Fault::usage(
            "BOT-5040",
            format!("{shown} is no address of a tracking server"),
        )
        .hint("such as `--url http://127.0.0.1:5000`"));
    };
    if !base.username().is_empty() || base.password().is_some() {
        return Err(Fault::usage("BOT-5040", "the address of the tracking server holds credentials")
            .hint("put them into `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or a token into `MLFLOW_TRACKING_TOKEN`"));
    }
    base.set_query(None);
    base.set_fragment(None);
    Ok(base)
}

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It does the same as once.
    Safe,
    /// It does more than once.
    Unsafe,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The server did it.
    Done(Value),
    /// It refused, with its own code, such as `RESOURCE_DOES_NOT_EXIST`.
    Refused { code: String, fault: Fault },
    /// It may have been done, or not.
    Unknown(Fault),
}

impl Answer {
    /// Returns what the server answered; any other outcome is an error.
    pub(super) fn done(self) -> Result<Value> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused { fault, .. } | Self::Unknown(fault) => Err(fault),
        }
    }
}

/// What the server says of what it refused.
#[derive(Deserialize)]
struct Problem {
    error_code: String,
    #[serde(default)]
    message: String,
}

impl Mlflow {
    /// Returns the address of `path` under the API's root.
    pub(super) fn address<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("http and https URLs have a path")
            .pop_if_empty()
            .extend(["api", "2.0"])
            .extend(path);
        url
    }

    /// Asks for `query` of an endpoint of the tracking API.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer> {
        let mut url = self.address(std::iter::once("mlflow").chain(path.iter().copied()));
        url.query_pairs_mut().extend_pairs(query);
        self.send(Again::Safe, || self.http.request(Method::GET, url.clone())).await
    }

    /// Sends `body` to an endpoint of the tracking API.
    pub(super) async fn post(&self, path: &[&str], body: &Value, again: Again) -> Result<Answer> {
        let url = self.address(std::iter::once("mlflow").chain(path.iter().copied()));
        self.send(again, || self.http.request(Method::POST, url.clone()).json(body)).await
    }

    /// Puts a file behind the server's artifact proxy.
    pub(super) async fn put(&self, path: &[&str], bytes: &Bytes) -> Result<Answer> {
        let url =
            self.address(["mlflow-artifacts", "artifacts"].into_iter().chain(path.iter().copied()));
        self.send(Again::Safe, || {
            self.http.request(Method::PUT, url.clone()).timeout(UPLOAD).body(bytes.clone())
        })
        .await
    }

    async fn send(&self, again: Again, request: impl Fn() -> RequestBuilder) -> Result<Answer> {
        let mut patience = Retries::default().begin();
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
                Ok(answer) if passes(answer.status()) => (self.overloaded(answer.status()), true),
                Ok(answer) => match self.judge(answer).await {
                    Ok(answer) => return answer,
                    Err(error) => (self.unreachable(&error).caused_by(error.without_url()), true),
                },
            };
            if sent && again == Again::Unsafe {
                return Ok(Answer::Unknown(fault));
            }
            if !patience.pause().await {
                return Err(fault);
            }
        }
    }

    /// Reads an answer; the outer error is a connection that broke meanwhile.
    async fn judge(&self, answer: Response) -> Result<Result<Answer>, botops_http::Error> {
        let status = answer.status();
        let body = answer.bytes().await?;
        if status.is_success() {
            if body.is_empty() {
                return Ok(Ok(Answer::Done(Value::Null)));
            }
            return Ok(serde_json::from_slice(&body).map(Answer::Done).map_err(|error| {
                self.strange("it answers in a form that is not MLflow's").caused_by(error)
            }));
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let said = match &problem {
            Some(problem) => problem.message.clone(),
            None => String::from_utf8_lossy(&body).into_owned(),
        };
        let said = botops_text::display(said.lines().next().unwrap_or_default().trim(), 300);
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let message = format!(
                "the tracking server at `{}` refuses: {}: {said}",
                self.url(),
                status.as_u16()
            );
            let fault = Fault::policy("BOT-5042", message);
            return Ok(Err(match &self.credentials {
                Credentials::None => fault.hint("set `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`"),
                _ => fault.hint("check the credentials in `MLFLOW_TRACKING_…`, and what they allow"),
            }));
        }
        Ok(match problem {
            Some(problem) => {
                let message = format!(
                    "the tracking server at `{}` refuses: {}: {said}",
                    self.url(),
                    problem.error_code
                );
                let fault = Fault::internal("BOT-5043", message)
                    .hint("look at the server's log for the rest of it");
                Ok(Answer::Refused { code: problem.error_code, fault })
            }
            None => Err(self.strange(&format!("it answers {}", status.as_u16()))),
        })
    }

    fn strange(&self, what: &str) -> Fault {
        let message = format!("there is no tracking API of MLflow at `{}`: {what}", self.url());
        Fault::internal("BOT-5043", message)
            .hint("give the address at which its pages are: `--url http://host:5000`")
    }

    fn overloaded(&self, status: StatusCode) -> Fault {
        let message =
            format!("the tracking server at `{}` answers {}", self.url(), status.as_u16());
        Fault::unreachable("BOT-5041", message).hint(
            "run the command again when it is well: an export that is repeated doubles nothing",
        )
    }

    fn unreachable(&self, error: &botops_http::Error) -> Fault {
        let why = why_unreachable(&error);
        let message = format!("the tracking server at `{}` cannot be reached: {why}", self.url());
        Fault::unreachable("BOT-5041", message)
            .hint("is it running? `mlflow server` says its address when it starts")
            .hint("run the command again when it is: an export that is repeated doubles nothing")
    }
}

/// Returns whether a status says that another try may end better.
fn passes(status: StatusCode) -> bool {
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
