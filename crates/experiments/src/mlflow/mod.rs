//! Runs for an MLflow tracking server, through its REST API.
//!
//! In: a run. Out: a run of the same params, metrics and files over there, found again by a tag with
//! our id, so that an export that is repeated, or ended half-way, leaves one run and not two.

mod client;
mod export;
mod translate;

pub use export::{Exported, Outcome};
pub use translate::{MlflowMetric, MlflowRun, translate};

use botops_findings::Result;
use botops_http::{Client, Url};
use botops_workspace::Secret;

/// As whom a server is spoken to.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// As nobody in particular.
    #[default]
    None,
    /// As the bearer of a token.
    Token(Secret),
    /// As a user with a password.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// A tracking server.
#[derive(Debug, Clone)]
pub struct Mlflow {
    http: Client,
    base: Url,
    credentials: Credentials,
}

impl Mlflow {
    /// Prepares to speak to the tracking server at `url`; nothing is sent yet.
    ///
    /// # Errors
    /// `BOT-5040` (exit 2) for what is no `http://` or `https://` URL, or holds a password.
    pub fn new(url: &str, credentials: Credentials) -> Result<Self> {
        Ok(Self { http: client::http()?, base: client::base(url)?, credentials })
    }

    /// Returns the server's address; holds no secret.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Returns whether credentials would cross a network in the clear.
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
