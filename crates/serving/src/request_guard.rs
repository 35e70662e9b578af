//! Requests that a page of another web site makes a browser send are refused.
//!
//! A browser sends such a request without asking the server first if its body is `text/plain` or a form, so a body must be
//! declared as JSON. A page can also give its own name the address of this machine, so a listener on this machine checks
//! the name in `Host`.

use crate::{
    admission::{by_address, limited_route, write_verdict},
    app::App,
    cors::{Cors, Page},
    exchange::Exchange,
    media_type::{LINES, TENSORS, is_of_type},
    problem::Problem,
    request_traces::{answered, of_request},
    response_headers::secure,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header},
    middleware::Next,
    response::Response,
};
use botops_connections::OverTls;
use botops_findings::Fault;
use std::{
    borrow::Cow,
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// The checks of a listener.
#[derive(Clone)]
pub(super) struct RequestGuard {
    app: Arc<App>,
    /// The names with a dot that `Host` may have; `None` for any name.
    names: Option<BTreeSet<String>>,
    /// The sites whose pages may call.
    cors: Cors,
    /// Whether rate limits apply.
    is_limited: bool,
}

impl RequestGuard {
    /// Makes the checks of the listener at `address`; `allowed` are its further names.
    ///
    /// Without allowed names, a listener on another address than a loopback one accepts every name.
    pub(super) fn new(app: Arc<App>, address: SocketAddr, allowed: &[String]) -> Arc<Self> {
        let is_checked = address.ip().to_canonical().is_loopback() || !allowed.is_empty();
        let names = allowed.iter().map(|name| name.to_ascii_lowercase()).collect();
        let names = is_checked.then_some(names);
        Arc::new(Self { app, names, cors: Cors::default(), is_limited: false })
    }

    /// Makes the checks of the public listener at `address`: besides those of [`Self::new`], its rate limits.
    pub(super) fn public(app: Arc<App>, address: SocketAddr, allowed: &[String]) -> Arc<Self> {
        let cors = app.cors.clone();
        let guard = Arc::unwrap_or_clone(Self::new(app, address, allowed));
        Arc::new(Self { cors, is_limited: true, ..guard })
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        if let Some(name) = repeated(request.headers()) {
            let fault = Fault::usage("BOT-1037", format!("the header `{name}` was sent twice"))
                .hint("send it once: two programs could read two different requests");
            return Err(Problem::new(StatusCode::BAD_REQUEST, fault));
        }
        if let Some(problem) = unclear_host(request) {
            let fault = Fault::usage("BOT-6098", problem)
                .hint("send one `Host`, the name or address of this server");
            return Err(Problem::new(StatusCode::BAD_REQUEST, fault));
        }
        if let (Some(names), Some(host)) = (&self.names, host(request.headers(), request.uri()))
            && !is_accepted(&host, names)
        {
            let shown = botops_text::display(&host, 80);
            let fault = Fault::usage("BOT-1035", format!("this server is not `{shown}`"))
                .hint("use its address, or start it with `--allow-host` and this name");
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, fault));
        }
        if request.method().is_safe()
            || is_json(request.headers())
            || has_other_type(request.uri().path(), request.headers())
        {
            return Ok(());
        }
        let fault = Fault::usage("BOT-1036", "the body is not declared as JSON")
            .hint("send the header `content-type: application/json`");
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, fault))
    }
}

/// Checks a request before all others, and completes the headers of its answer.
pub(super) async fn guard_request(
    State(guard): State<Arc<RequestGuard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let over_tls = request.extensions().get::<OverTls>().is_some();
    let page =
        guard.cors.page(request.headers(), authority(request.headers(), request.uri()).as_deref());
    // The admin API has no rate limits, and no traces.
    let span = guard.is_limited.then(|| of_request(&guard.app, &request)).flatten();
    let mut response = answered(span, answer(&guard, &page, &mut request, next)).await;
    let headers = response.headers_mut();
    guard.cors.mark(page, headers);
    secure(headers, over_tls);
    response
}

async fn answer(guard: &RequestGuard, page: &Page, request: &mut Request, next: Next) -> Response {
    let checked = guard
        .check(request)
        .and_then(|()| Cors::preflight(page, request.method(), request.headers()));
    match checked {
        Ok(None) => {}
        Ok(Some(response)) => return response,
        Err(problem) => {
            let route = limited_route(request.uri().path()).unwrap_or("unknown");
            return Exchange::begin(&guard.app, route).refuse(problem, None);
        }
    }
    if !guard.is_limited {
        return next.run(std::mem::take(request)).await;
    }
    let (verdict, mut response) = match by_address(&guard.app, request) {
        Ok(verdict) => (verdict, next.run(std::mem::take(request)).await),
        Err(refused) => (None, *refused),
    };
    write_verdict(verdict, &mut response);
    response
}

/// Returns a header that decides how a request is read, and that was sent more than once.
fn repeated(headers: &HeaderMap) -> Option<header::HeaderName> {
    [header::HOST, header::CONTENT_TYPE, header::AUTHORIZATION]
        .into_iter()
        .find(|name| headers.get_all(name).iter().nth(1).is_some())
}

/// Returns the problem of a request that does not say which host it is for, or names two.
///
/// A URI with a host replaces `Host`, so another program could check one of them and use the other.
fn unclear_host(request: &Request) -> Option<&'static str> {
    let host = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    match (request.uri().authority(), host) {
        (None, None) if request.version() == Version::HTTP_11 => {
            Some("the request does not name its host")
        }
        (Some(authority), Some(host))
            if !authority.as_str().as_bytes().eq_ignore_ascii_case(host) =>
        {
            Some("the URI and `Host` name different hosts")
        }
        _ => None,
    }
}

/// Returns the host and port by which a request calls this server; a `Host` that is not text is no name of it.
fn authority<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<Cow<'a, str>> {
    match uri.authority() {
        Some(authority) => Some(Cow::Borrowed(authority.as_str())),
        None => Some(String::from_utf8_lossy(headers.get(header::HOST)?.as_bytes())),
    }
}

/// Returns the host of a request without its port.
fn host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let host = authority(headers, uri)?;
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &*host,
    };
    Some(without_port.to_ascii_lowercase())
}

/// Returns whether `host` is an address, a name without a dot such as `localhost`, or one of `names`.
///
/// The name of a web site is none of these: it has a dot, and it is no address.
fn is_accepted(host: &str, names: &BTreeSet<String>) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || !host.contains('.')
        || host.ends_with(".localhost")
        || names.contains(host)
}

/// Returns whether the body is declared as a type, other than JSON, that `path` takes: lines, and tensors. A browser asks
/// before it sends one of them, too.
fn has_other_type(path: &str, headers: &HeaderMap) -> bool {
    match path {
        "/v1/predict" => is_of_type(headers, LINES),
        _ if path.starts_with("/v2/models/") => is_of_type(headers, TENSORS),
        // The form of a web page could send it for whoever opens the page: a browser names the origin, and is refused.
        _ if path.starts_with("/admin/v1/knowledge/") && path.ends_with("/documents") => {
            is_of_type(headers, "multipart/form-data") && !headers.contains_key(header::ORIGIN)
        }
        _ => false,
    }
}

/// Returns whether the body is declared as JSON. A program may leave the declaration out; a browser, which sends `Origin`,
/// may not.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return !headers.contains_key(header::ORIGIN);
    };
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn a_host_is_compared_without_its_port_and_case() {
        let names = BTreeSet::from(["bots.example".to_owned()]);
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            host(&HeaderMap::from_iter([(header::HOST, value)]), &Uri::from_static("/")).unwrap()
        };
        for accepted in [
            "127.0.0.1:8080",
            "10.0.0.7",
            "[::1]:8080",
            "[::1]",
            "LOCALHOST:1",
            "admin.localhost",
            "botops:8080",
            "Bots.Example:443",
            "bots.example",
        ] {
            assert!(is_accepted(&of(accepted), &names), "{accepted}");
        }
        for other in
            ["evil.example", "bots.example.evil", "127.0.0.1.evil.example", "evil.example."]
        {
            assert!(!is_accepted(&of(other), &names), "{other}");
        }
    }

    #[test]
    fn a_request_names_one_host() {
        let problem = |version: Version, uri: &str, host: Option<&str>| {
            let mut request = axum::http::Request::builder().version(version).uri(uri);
            if let Some(host) = host {
                request = request.header(header::HOST, host);
            }
            unclear_host(&request.body(Body::empty()).unwrap())
        };
        for (version, uri, host) in [
            (Version::HTTP_11, "/", Some("a")),
            (Version::HTTP_11, "/", Some("")),
            (Version::HTTP_11, "http://a:80/", Some("A:80")),
            (Version::HTTP_10, "/", None),
            (Version::HTTP_2, "https://a/", None),
            (Version::HTTP_2, "https://a/", Some("a")),
        ] {
            assert_eq!(problem(version, uri, host), None, "{version:?} {uri} {host:?}");
        }
        for (version, uri, host) in [
            (Version::HTTP_11, "/", None),
            (Version::HTTP_11, "http://a/", Some("b")),
            (Version::HTTP_11, "http://a/", Some("a:80")),
            (Version::HTTP_2, "https://a/", Some("b")),
            (Version::HTTP_10, "http://user@a/", Some("a")),
        ] {
            assert!(problem(version, uri, host).is_some(), "{version:?} {uri} {host:?}");
        }
    }

    #[test]
    fn a_header_that_decides_how_a_request_is_read_may_not_be_repeated() {
        let mut headers = HeaderMap::new();
        for name in [header::HOST, header::CONTENT_TYPE, header::AUTHORIZATION, header::ACCEPT] {
            headers.append(&name, HeaderValue::from_static("a"));
            assert_eq!(repeated(&headers), None, "{name}");
        }
        headers.append(header::ACCEPT, HeaderValue::from_static("b"));
        assert_eq!(repeated(&headers), None);
        for name in [header::AUTHORIZATION, header::CONTENT_TYPE, header::HOST] {
            headers.append(&name, HeaderValue::from_static("b"));
            assert_eq!(repeated(&headers), Some(name));
        }
    }

    #[test]
    fn only_json_is_a_declared_body() {
        let declared = |kind: Option<&str>, origin: bool| {
            let mut headers = HeaderMap::new();
            if let Some(kind) = kind {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
            }
            if origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
            }
            is_json(&headers)
        };
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
            assert!(declared(Some(json), true), "{json}");
        }
        for other in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "text/plain; application/json",
            "",
        ] {
            assert!(!declared(Some(other), false), "{other}");
        }
        assert!(declared(None, false));
        assert!(!declared(None, true), "a page can leave the type out, too");
    }
}
