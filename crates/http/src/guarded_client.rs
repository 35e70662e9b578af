//! Outgoing calls to addresses that a stranger may choose: only to hosts of a list, and only to their public addresses.
//!
//! A name is resolved once for each connection, every address of the answer is checked, and the connection goes to those very
//! addresses. A name with one address that is not allowed is refused as a whole. There are no redirects, no proxies, no
//! reused connections and no decompression.

use crate::{
    ClientSpec, Proxy, Redirects, builder,
    public_address::{Network, is_public},
};
use botops_findings::{Fault, Result};
use reqwest::{
    Client, Method, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{
        ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    },
};
use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

/// The most time to find and reach a server, within the time of the whole call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The reason for which a name is refused by the rules.
pub(crate) const NOT_ALLOWED: &str = "its name has an address that is not allowed";

/// The places to which outgoing calls may go.
#[derive(Debug, Clone, Default)]
pub struct CallRules {
    /// The origins, such as `orders.example.com`, `orders.example.com:8443` or `http://orders.internal:8080`. Without a
    /// scheme it is `https`, without a port the usual one.
    pub allow: Vec<String>,
    /// The networks besides the public internet whose addresses may be called, such as `10.0.0.0/8`.
    pub allow_private: Vec<String>,
    /// The most bytes of an answer.
    pub most_bytes: usize,
}

/// A client for outgoing calls that keeps to [`CallRules`].
#[derive(Clone)]
pub struct GuardedClient {
    client: Client,
    origins: Arc<[Url]>,
    networks: Arc<[Network]>,
    most_bytes: usize,
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.origins.iter().map(|url| url.host_str().unwrap_or("?")).collect();
        f.debug_struct("GuardedClient").field("hosts", &hosts).finish_non_exhaustive()
    }
}

/// An outgoing call.
#[derive(Debug, Clone)]
pub struct OutgoingCall {
    /// The method.
    pub method: Method,
    /// The address, checked by [`GuardedClient::check`].
    pub url: Url,
    /// The headers besides those of the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body, which is JSON; `None` for none.
    pub body: Option<String>,
    /// The longest time of the whole call.
    pub timeout: Duration,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAnswer {
    /// The status.
    pub status: u16,
    /// The body: JSON by its type, and of at most [`CallRules::most_bytes`] bytes; or the reason in words why it was not read.
    pub body: std::result::Result<Vec<u8>, &'static str>,
}

/// A call without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallFailure {
    /// Whether the server certainly got nothing of it. If not, it may have done what it was asked to do.
    pub is_unsent: bool,
    /// The reason, in words.
    pub reason: &'static str,
}

/// Looks up the addresses of a name. A test gives its own.
pub type Lookup = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>
        + Send
        + Sync,
>;

impl CallRules {
    /// Checks the rules, without a client.
    ///
    /// # Errors
    /// `BOT-6150` (exit 2) an origin or a network cannot be used.
    pub fn check(&self) -> Result<()> {
        self.origins()?;
        self.networks().map(drop)
    }

    fn origins(&self) -> Result<Vec<Url>> {
        self.allow.iter().map(|text| origin(text)).collect()
    }

    fn networks(&self) -> Result<Vec<Network>> {
        let network = |text: &String| {
            text.parse::<Network>().map_err(|problem| {
                let shown = display(text);
                Fault::usage(
                    "BOT-6150",
                    format!("`server.actions.allow_private`: `{shown}` {problem}"),
                )
                .hint("write networks or addresses, such as `10.20.0.0/16` or `127.0.0.1`")
            })
        };
        self.allow_private.iter().map(network).collect()
    }
}

impl GuardedClient {
    /// Makes a client that resolves names as this machine does.
    ///
    /// # Errors
    /// `BOT-6150` (exit 2) an origin or a network cannot be used; `BOT-1018` (exit 1) the root certificates of the system
    /// cannot be read.
    pub fn new(rules: &CallRules) -> Result<Self> {
        let lookup: Lookup = Arc::new(|name| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        });
        Self::resolving(rules, lookup)
    }

    /// Makes a client that resolves names by `lookup`.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn resolving(rules: &CallRules, lookup: Lookup) -> Result<Self> {
        let origins: Arc<[Url]> = rules.origins()?.into();
        let networks: Arc<[Network]> = rules.networks()?.into();
        let spec = ClientSpec {
            answer: None,
            silence: None,
            redirects: Redirects::Refused,
            proxy: Proxy::None,
        };
        let resolver = GuardedResolver { lookup, networks: Arc::clone(&networks) };
        let built = builder(&spec)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(resolver));
        Ok(Self { client: crate::build(built)?, origins, networks, most_bytes: rules.most_bytes })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    /// Reads the address of a call, and checks that its origin is allowed.
    ///
    /// # Errors
    /// `BOT-6151` (exit 6) it is not an address, has a user or a password, or its origin or its literal address is not
    /// allowed. The fault names the origin and no path.
    pub fn check(&self, url: &str) -> Result<Url> {
        let refused = |problem: String| {
            Fault::policy("BOT-6151", problem).hint(
                "add the host to `server.actions.allow` of botops.yaml, if calls may go there",
            )
        };
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                refused("an action has an address that is no `https://` URL".to_owned())
            })?;
        let shown = display(&url.origin().ascii_serialization());
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(format!(
                "the address of an action at `{shown}` holds a user or a password"
            )));
        }
        if !self.origins.iter().any(|allowed| allowed.origin() == url.origin()) {
            return Err(refused(format!("actions may not call `{shown}`")));
        }
        if let Some(address) = literal(&url)
            && !allows(&self.networks, address)
        {
            let problem =
                format!("actions may not call `{shown}`, which is no address of the internet");
            return Err(refused(problem)
                .hint("add its network to `server.actions.allow_private`, if calls may go there"));
        }
        Ok(url)
    }

    /// Makes a call, within its time.
    ///
    /// # Errors
    /// There is no answer; [`CallFailure::is_unsent`] says whether the server may have got the call.
    pub async fn call(&self, call: OutgoingCall) -> std::result::Result<CallAnswer, CallFailure> {
        // The address may have been read before the settings changed.
        if self.check(call.url.as_str()).is_err() {
            return Err(CallFailure { is_unsent: true, reason: "its address is not allowed" });
        }
        let mut request = self.client.request(call.method, call.url).timeout(call.timeout);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in call.headers {
            let Ok(value) = HeaderValue::from_str(&value) else {
                return Err(CallFailure { is_unsent: true, reason: "a header cannot be sent" });
            };
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Some(body) = call.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request = request.body(body);
        }
        let mut answer = request.headers(headers).send().await.map_err(|error| failure(&error))?;
        let status = answer.status().as_u16();
        if answer.status() == StatusCode::NO_CONTENT || answer.content_length() == Some(0) {
            return Ok(CallAnswer { status, body: Ok(Vec::new()) });
        }
        if let Err(problem) = is_plain_json(answer.headers()) {
            return Ok(CallAnswer { status, body: Err(problem) });
        }
        const TOO_LARGE: &str = "the answer is too large";
        if answer.content_length().is_some_and(|length| length > self.most_bytes as u64) {
            return Ok(CallAnswer { status, body: Err(TOO_LARGE) });
        }
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.most_bytes => {
                    return Ok(CallAnswer { status, body: Err(TOO_LARGE) });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(CallAnswer { status, body: Ok(body) }),
                Err(error) => {
                    return Err(CallFailure { is_unsent: false, ..failure(&error) });
                }
            }
        }
    }
}

/// Reads an entry of the list of origins.
fn origin(text: &str) -> Result<Url> {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let unusable = || {
        let shown = display(text);
        Fault::usage("BOT-6150", format!("`server.actions.allow`: `{shown}` is not a host"))
            .hint("write a host such as `orders.example.com` or `orders.example.com:8443`, without a path and without `*`")
            .hint("write `http://orders.internal:8080` for a server without TLS")
    };
    let url = Url::parse(&url).map_err(|_| unusable())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let has_no_user = url.username().is_empty() && url.password().is_none();
    let host = url.host_str().unwrap_or_default();
    let is_host = !host.is_empty() && !host.contains('*');
    if is_bare && has_no_user && is_host && matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(unusable())
    }
}

/// Returns the address that the host of `url` is; `None` for a name.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Returns whether calls may go to `address`. No setting allows multicast and unspecified addresses.
fn allows(networks: &[Network], address: IpAddr) -> bool {
    let is_one_machine = !address.is_multicast() && !address.to_canonical().is_unspecified();
    is_public(address)
        || (is_one_machine && networks.iter().any(|network| network.contains(address)))
}

/// Checks that an answer is JSON, and not compressed.
fn is_plain_json(headers: &HeaderMap) -> std::result::Result<(), &'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err("the answer is compressed");
    }
    let kind = text(CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json =
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    if is_json { Ok(()) } else { Err("the answer is not JSON") }
}

/// Reads the failure of a request that was not answered.
pub(crate) fn failure(error: &reqwest::Error) -> CallFailure {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<RefusedName>() {
            return CallFailure { is_unsent: true, reason: refused.0 };
        }
        cause = inner.source();
    }
    let is_unsent = error.is_connect() || error.is_builder();
    CallFailure { is_unsent, reason: crate::why_unreachable(error) }
}

fn display(text: &str) -> String {
    text.chars().take(80).filter(|c| !c.is_control()).collect()
}

/// A name that is not resolved.
#[derive(Debug)]
struct RefusedName(&'static str);

impl fmt::Display for RefusedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for RefusedName {}

/// Resolves names to addresses that calls may go to.
struct GuardedResolver {
    lookup: Lookup,
    networks: Arc<[Network]>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let networks = Arc::clone(&self.networks);
        Box::pin(async move {
            let refused =
                |reason| -> Box<dyn StdError + Send + Sync> { Box::new(RefusedName(reason)) };
            let found = found.await.map_err(|_| refused("its name cannot be resolved"))?;
            if found.is_empty() {
                return Err(refused("its name has no address"));
            }
            if !found.iter().all(|address| allows(&networks, *address)) {
                return Err(refused(NOT_ALLOWED));
            }
            let addresses: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}
