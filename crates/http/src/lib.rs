//! One way to make HTTP clients, with one TLS provider and explicit time-outs, and the strict reading of requests.
//!
//! In: a [`ClientSpec`]. Out: a [`Client`]. All crates that make HTTP requests use the types re-exported here, so that
//! TLS, proxies and redirects are decided in one place.
//!
//! [`signed`] signs an outgoing call as Standard Webhooks does. A [`GuardedClient`] makes calls whose address a stranger may
//! choose: to listed hosts and checked addresses only.
//!
//! A [`Connector`] makes bare connections, for clients that speak a protocol of their own over each.
//!
//! For servers:
//!
//! - [`StrictReader`] refuses HTTP/1.1 that another program could read as another request
//! - [`read_objects`] reads a JSON body in which every struct is an object
//! - [`certificate_validity`] reads the dates of a certificate

mod certificate_dates;
mod connector;
mod guarded_client;
#[cfg(test)]
mod guarded_client_tests;
mod guarded_fetch;
#[cfg(test)]
mod guarded_fetch_tests;
mod objects_only;
mod public_address;
mod signed_call;
mod strict_http1;

pub use certificate_dates::{Validity, certificate_validity};
pub use connector::{Connection, Connector};
pub use guarded_client::{CallAnswer, CallFailure, CallRules, GuardedClient, Lookup, OutgoingCall};
pub use guarded_fetch::{FetchFailure, FetchedPage};
pub use objects_only::{ObjectsOnly, read_objects};
pub use public_address::{Network, is_public};
pub use signed_call::{SigningKey, UnfitSecret, signed};
pub use strict_http1::{Malformed, StrictReader};

pub use reqwest::{
    Body, Client, Error, Method, RequestBuilder, Response, StatusCode, Url, header, redirect,
};

use botops_findings::{Fault, Result};
use reqwest::ClientBuilder;
use std::{net::IpAddr, path::Path, sync::Once, time::Duration};

/// The time-out of connecting to a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time-outs and rules of a client.
#[derive(Debug, Clone, Copy)]
pub struct ClientSpec {
    /// The time-out of a whole request, including its response; `None` for no limit.
    pub answer: Option<Duration>,
    /// The time-out of each read from the server; `None` for no limit.
    pub silence: Option<Duration>,
    /// The handling of redirects.
    pub redirects: Redirects,
    /// The use of proxies.
    pub proxy: Proxy,
}

/// The handling of redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// The client follows up to ten redirects.
    Followed,
    /// The client returns the redirect, and the caller reads `Location`.
    Refused,
}

/// The use of proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// The proxy that the environment names (`HTTPS_PROXY` and similar variables), if any.
    Environment,
    /// No proxy.
    None,
}

/// The servers to which a secret may be sent over `http://`, where everyone on the way can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// Only servers on this machine.
    #[default]
    Loopback,
    /// Every server: the user gave `--insecure`.
    Anywhere,
}

impl PlainHttp {
    /// Checks that `secret`, such as "the admin token", may be sent to `url`.
    ///
    /// # Errors
    /// `BOT-1032` (exit 2) if it would be sent over `http://` to another machine.
    pub fn check(self, url: &Url, secret: &str) -> Result<()> {
        if self == Self::Anywhere || url.scheme() == "https" || is_loopback(url) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or("?");
        Err(Fault::usage(
            "BOT-1032",
            format!("{secret} is not sent to `{host}`: `http://` does not encrypt it"),
        )
        .hint("use the `https://` address of the server, or a tunnel to this machine")
        .hint("or add `--insecure` if you trust every network on the way"))
    }
}

/// Returns whether the host of `url` is this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Creates an HTTP client that uses ring for TLS and has the user agent `botops/<version>`.
///
/// # Errors
/// `BOT-1018` (exit 1) if the root certificates of the system cannot be read.
pub fn client(spec: &ClientSpec) -> Result<Client> {
    build(builder(spec))
}

/// As [`client`], for a server that listens on the Unix socket at `socket`, whatever the host of a URL is.
///
/// # Errors
/// Those of [`client`].
pub fn client_of_socket(spec: &ClientSpec, socket: &Path) -> Result<Client> {
    build(builder(spec).unix_socket(socket))
}

fn builder(spec: &ClientSpec) -> ClientBuilder {
    install_tls();
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
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
    builder
}

fn build(builder: ClientBuilder) -> Result<Client> {
    builder.build().map_err(|error| {
        Fault::internal("BOT-1018", "the HTTP client cannot be created")
            .hint("install the root certificates of the system, such as Debian's package `ca-certificates`")
            .caused_by(error)
    })
}

/// Installs ring as the TLS provider of this process, unless another provider is already installed.
pub fn install_tls() {
    static RING: Once = Once::new();
    RING.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Returns the reason why a request failed, as a clause such as "it does not answer in time".
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_over_plain_http_only_to_this_machine_unless_that_is_allowed() {
        let url = |text: &str| Url::parse(text).unwrap();
        for local in [
            "http://127.0.0.1:8081",
            "http://127.8.9.1",
            "http://LOCALHOST:8081/a",
            "http://admin.localhost",
            "http://[::1]:8081",
            "http://[::ffff:127.0.0.1]",
            "https://bots.example.com",
        ] {
            PlainHttp::Loopback.check(&url(local), "the token").unwrap();
        }
        for remote in [
            "http://bots.example.com",
            "http://10.0.0.1:8081",
            "http://0.0.0.0:8081",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://[2001:db8::1]",
        ] {
            let fault = PlainHttp::Loopback.check(&url(remote), "the token").unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1032", 2), "{remote}");
            assert!(fault.hints().iter().any(|hint| hint.contains("--insecure")), "{fault}");
            PlainHttp::Anywhere.check(&url(remote), "the token").unwrap();
        }
    }
}
