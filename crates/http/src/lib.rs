//! HTTP clients: one way to make them, with one TLS provider and explicit time-outs.
//!
//! The rooms that speak HTTP name the client's types through this crate, so that there is one place that decides about
//! TLS, proxies and redirects.

pub use reqwest::{
    Body, Client, Error, Method, RequestBuilder, Response, StatusCode, Url, header, redirect,
};

use botops_findings::{Fault, Result};
use std::{sync::Once, time::Duration};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Time-outs and rules of a client.
#[derive(Debug, Clone, Copy)]
pub struct ClientSpec {
    /// How long a whole request may take, its answer included; `None`: as long as it makes progress.
    pub answer: Option<Duration>,
    /// How long a server may send nothing; `None`: no limit of its own.
    pub silence: Option<Duration>,
    /// Whether redirects are followed.
    pub redirects: Redirects,
    /// Whether the proxy of the environment (`HTTPS_PROXY` and its kin) is used.
    pub proxy: Proxy,
}

/// Whether redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// As browsers do, up to ten.
    Followed,
    /// The caller reads `Location` itself.
    Refused,
}

/// Whether requests go through the proxy that the environment names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// The proxy of the environment, if it names one.
    Environment,
    /// Straight to the server.
    None,
}

/// Makes an HTTP client with TLS by ring and `botops/<version>` as its user agent.
///
/// # Errors
/// `BOT-1018` (exit 1) when the platform's root certificates cannot be read.
pub fn client(spec: &ClientSpec) -> Result<Client> {
    install_tls();
    let mut builder = Client::builder()
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .user_agent(concat!("botops/", env!("CARGO_PKG_VERSION")));
    if let Some(answer) = spec.answer {
        builder = builder.timeout(answer);
    }
    if let Some(silence) = spec.silence {
        builder = builder.read_timeout(silence);
    }
    if spec.redirects == Redirects::Refused {
        builder = builder.redirect(redirect::Policy::none());
    }
    if spec.proxy == Proxy::None {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        Fault::internal("BOT-1018", "the HTTP client could not be created").caused_by(error)
    })
}

/// Makes ring the TLS provider of this process, once; a provider that is already installed stays.
pub fn install_tls() {
    static RING: Once = Once::new();
    RING.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Returns why a request did not reach its server, in a few words: "it does not answer in time".
#[must_use]
pub fn why_unreachable(error: &Error) -> &'static str {
    if error.is_timeout() {
        "it does not answer in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection broke"
    }
}
