//! Speaks the admin API of a server, and says in our words what went wrong.

use super::{AdminClient, Restored, RolloutStatus, problem};
use botops_findings::{Fault, Result, catalogue};
use botops_http::{Client, ClientSpec, Method, Proxy, Redirects, Url, why_unreachable};
use botops_rollout::{RolloutSpec, Transition};
use botops_workspace::Secret;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// How long it may take to answer: a rollout that starts loads and tests a model first.
const ANSWER: Duration = Duration::from_secs(60);

/// Makes the client of the admin API, which is never behind a proxy.
///
/// # Errors
/// When the platform's root certificates cannot be read.
pub(super) fn http() -> Result<Client> {
    let spec = ClientSpec {
        answer: Some(ANSWER),
        silence: None,
        redirects: Redirects::Followed,
        proxy: Proxy::None,
    };
    botops_http::client(&spec)
}

/// The fault of a server that cannot be reached.
pub(super) fn unreachable(url: &Url, error: botops_http::Error) -> Fault {
    let why = why_unreachable(&error);
    let shown = format!("{}://{}", url.scheme(), url.authority_without_password());
    Fault::unreachable("BOT-6031", format!("the server at `{shown}` cannot be reached: {why}"))
        .hint("is it running? `botops serve` says its addresses when it starts")
        .caused_by(error.without_url())
}

trait Shown {
    fn authority_without_password(&self) -> String;
}

impl Shown for Url {
    fn authority_without_password(&self) -> String {
        let host = self.host_str().unwrap_or("?");
        self.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

#[derive(Serialize)]
struct Asking<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a RolloutSpec>,
    actor: &'a str,
    reason: &'a str,
}

impl AdminClient {
    /// Prepares a client for `url` (the admin listener).
    ///
    /// # Errors
    /// `BOT-6030` (exit 2) for a URL that is none, or no token.
    pub fn new(url: &str, token: Option<&Secret>) -> Result<Self> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(base) = parsed else {
            return Err(Fault::usage("BOT-6030", format!("`{url}` is no address of a server"))
                .hint("an admin address looks like `http://127.0.0.1:8081`"));
        };
        let Some(token) = token else {
            return Err(Fault::usage("BOT-6030", "the admin API wants a token, and none is set")
                .hint("set `BOTOPS_ADMIN_TOKEN` to the token the server was started with"));
        };
        Ok(Self { http: http()?, base, token: token.clone() })
    }

    /// Starts a rollout of version `challenger` (a registry reference) or joins the one under way for the same version; returns its id.
    ///
    /// # Errors
    /// `BOT-6031` unreachable (exit 7), `BOT-6032` another rollout is under way (exit 5), `BOT-6033` token refused (exit 6), and what the server answers.
    pub async fn start(
        &self,
        model: &str,
        challenger: &str,
        spec: &RolloutSpec,
        actor: &str,
        reason: &str,
    ) -> Result<String> {
        let asking = Asking { version: Some(challenger), plan: Some(spec), actor, reason };
        let path = ["models", model, "rollouts"];
        let status: RolloutStatus = self.send(Method::POST, &path, Some(&asking)).await?;
        Ok(status.rollout.id)
    }

    /// Returns the state of a rollout (`None`: the current or latest one).
    ///
    /// # Errors
    /// As [`Self::start`]; `BOT-6034` no rollout (exit 2).
    pub async fn rollout(&self, model: &str, id: Option<&str>) -> Result<RolloutStatus> {
        let path = ["rollouts", id.unwrap_or("latest")];
        let status: RolloutStatus = self.send(Method::GET, &path, None).await?;
        of_model(status, model)
    }

    /// Sends a command: `pause`, `resume`, `promote`, `rollback`.
    ///
    /// # Errors
    /// As [`Self::rollout`]; `BOT-6002` (exit 5) when the phase does not allow it.
    pub async fn command(
        &self,
        model: &str,
        command: &str,
        actor: &str,
        reason: &str,
    ) -> Result<RolloutStatus> {
        // Read first: a command is meant for a rollout of this model, and of no other.
        let status = self.rollout(model, None).await?;
        let asking = Asking { version: None, plan: None, actor, reason };
        let path = ["rollouts", &status.rollout.id, command];
        self.send(Method::POST, &path, Some(&asking)).await
    }

    /// Returns the transition that [`Self::command`] would make; nothing is changed.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn would(
        &self,
        model: &str,
        command: &str,
        actor: &str,
        reason: &str,
    ) -> Result<Transition> {
        let status = self.rollout(model, None).await?;
        let asking = Asking { version: None, plan: None, actor, reason };
        let path = ["rollouts", &status.rollout.id, command];
        self.ask(Method::POST, &path, Some("dry_run=true"), Some(&asking)).await
    }

    /// Puts an earlier champion of `model` back: `version` (a reference), or the one before.
    ///
    /// # Errors
    /// As [`Self::start`]; `BOT-6024` (exit 2) when there was none before.
    pub async fn roll_back(
        &self,
        model: &str,
        version: Option<&str>,
        actor: &str,
        reason: &str,
    ) -> Result<Restored> {
        let asking = Asking { version, plan: None, actor, reason };
        self.send(Method::POST, &["models", model, "rollback"], Some(&asking)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Asking<'_>>,
    ) -> Result<T> {
        self.ask(method, path, None, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: Option<&str>,
        body: Option<&Asking<'_>>,
    ) -> Result<T> {
        let mut url = self.base.clone();
        url.set_query(query);
        url.path_segments_mut()
            .expect("http and https URLs have a path")
            .pop_if_empty()
            .extend(["admin", "v1"])
            .extend(path);
        let mut request = self.http.request(method, url).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| unreachable(&self.base, error))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| unreachable(&self.base, error))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| {
                let what = "the server answers in a form this version does not know";
                Fault::internal("BOT-6035", what)
                    .hint("use the version of botops the server runs")
                    .caused_by(error)
            });
        }
        Err(told(status.as_u16(), &bytes))
    }
}

fn of_model(status: RolloutStatus, model: &str) -> Result<RolloutStatus> {
    if status.rollout.model == model {
        return Ok(status);
    }
    Err(Fault::usage(
        "BOT-6036",
        format!("this server serves `{}`, not `{model}`", status.rollout.model),
    ))
}

/// Turns a problem document back into the fault it was.
fn told(status: u16, body: &[u8]) -> Fault {
    let Ok(document) = serde_json::from_slice::<problem::Document>(body) else {
        return Fault::internal(
            "BOT-6035",
            format!("the server answers {status}, and not in the words of botops"),
        )
        .hint("is this the address of the admin API?");
    };
    let fault = match catalogue::find(&document.code) {
        Some(entry) => Fault::of_code(entry.code, document.detail),
        None => {
            let code = botops_text::display(&document.code, 20);
            let message = format!("{} (`{code}`, exit {})", document.detail, document.exit);
            Fault::internal("BOT-6035", message).hint("use the version of botops the server runs")
        }
    };
    document.hints.into_iter().fold(fault, Fault::hint)
}
