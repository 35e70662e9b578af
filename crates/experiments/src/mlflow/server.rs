//! A tracking server: its address and the credentials for it.

use botops_findings::{Fault, Result};
use botops_http::{Client, ClientSpec, PlainHttp, Proxy, Redirects, Url};
use botops_workspace::Secret;
use std::time::Duration;

/// The longest time an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The credentials for a tracking server.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// No credentials.
    #[default]
    None,
    /// A bearer token.
    Token(Secret),
    /// A user name and a password.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// A client of a tracking server.
#[derive(Debug, Clone)]
pub struct Mlflow {
    pub(super) http: Client,
    pub(super) base: Url,
    pub(super) credentials: Credentials,
}

impl Mlflow {
    /// Makes a client of the tracking server at `url`, which sends credentials over `http://` only to servers that
    /// `plain` allows. Sends nothing.
    ///
    /// # Errors
    /// `BOT-5040` (exit 2) if `url` is not an `http://` or `https://` URL, or holds a password; `BOT-1032` (exit 2) if the
    /// credentials would be sent unprotected.
    pub fn new(plain: PlainHttp, url: &str, credentials: Credentials) -> Result<Self> {
        let base = base(url)?;
        match credentials {
            Credentials::None => {}
            Credentials::Token(_) => plain.check(&base, "`MLFLOW_TRACKING_TOKEN`")?,
            Credentials::Basic { .. } => plain.check(&base, "`MLFLOW_TRACKING_PASSWORD`")?,
        }
        Ok(Self { http: http()?, base, credentials })
    }

    /// Returns the address of the server, without credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }
}

/// Makes the HTTP client of a tracking server.
fn http() -> Result<Client> {
    let spec = ClientSpec {
        answer: Some(ANSWER),
        silence: None,
        redirects: Redirects::Followed,
        proxy: Proxy::Environment,
    };
    botops_http::client(&spec)
}

/// Reads the address of a server.
fn base(url: &str) -> Result<Url> {
    let parsed = Url::parse(url.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(mut base) = parsed else {
        // An invalid URL may hold a password too.
        let address = if url.contains('@') {
            "the address".to_owned()
        } else {
            format!("`{}`", botops_text::display(url, 80))
        };
        return Err(Fault::usage(
            "BOT-5040",
            format!("{address} is not the address of a tracking server"),
        )
        .hint("give a URL such as `--url http://127.0.0.1:5000`"));
    };
    if !base.username().is_empty() || base.password().is_some() {
        return Err(Fault::usage("BOT-5040", "the address of the tracking server holds credentials")
            .hint("set `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`, instead"));
    }
    base.set_query(None);
    base.set_fragment(None);
    Ok(base)
}
