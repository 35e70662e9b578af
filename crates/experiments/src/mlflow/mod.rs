//! The export of runs to an MLflow tracking server, through its REST API.
//!
//! In: a run. Out: an MLflow run with the same params, metrics and files. A tag holds the id of the run,
//! so an export that is repeated after an interruption completes the same MLflow run.

mod client;
mod export;
mod translate;

pub use export::{Exported, Outcome};
pub use translate::{MlflowMetric, MlflowRun, translate};

use botops_findings::Result;
use botops_http::{Client, Url};
use botops_workspace::Secret;

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
    http: Client,
    base: Url,
    credentials: Credentials,
}

impl Mlflow {
    /// Makes a client of the tracking server at `url`. Sends nothing.
    ///
    /// # Errors
    /// `BOT-5040` (exit 2) if `url` is not an `http://` or `https://` URL, or holds a password.
    pub fn new(url: &str, credentials: Credentials) -> Result<Self> {
        Ok(Self { http: client::http()?, base: client::base(url)?, credentials })
    }

    /// Returns the address of the server, without credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Returns whether credentials would be sent over a network without encryption.
    #[must_use]
    pub fn exposes_credentials(&self) -> bool {
        let loopback = match self.base.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.base.scheme() == "http" && !loopback && !matches!(self.credentials, Credentials::None)
    }
}

#[cfg(test)]
mod tests;
