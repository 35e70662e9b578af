//! Pages of other web sites: which may call the server (CORS).
//!
//! A browser says which site a page is from, in `Origin`. A request that may change something is refused unless the page is
//! from this server or from a listed site. There is no wildcard, and no answer allows credentials: a page sends its key or
//! token itself, and a browser adds nothing of its own.

use crate::problem::Problem;
use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use botops_findings::{Fault, Result};
use std::{fmt, str::FromStr};

/// How long a browser remembers the answer to a preflight request, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type");
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "ratelimit, ratelimit-policy, retry-after, x-botops-arm, x-botops-digest, x-botops-model, x-request-id",
);

/// A web site: scheme, host and port, as a browser writes them in `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

impl FromStr for Origin {
    type Err = Fault;

    /// # Errors
    /// `BOT-1094` (exit 2) if it is not an origin as browsers write it.
    fn from_str(text: &str) -> Result<Self> {
        let fault = |why: &str| {
            let shown = botops_text::display(text, 80);
            Fault::usage("BOT-1094", format!("`{shown}` {why}"))
                .hint("write scheme, host and port as in the address bar, such as `https://shop.example` or `http://localhost:3000`")
        };
        if text == "*" {
            return Err(fault("would let every web site call the server"));
        }
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.ok_or_else(|| {
            fault("is not an origin: it begins with neither `https://` nor `http://`")
        })?;
        if rest.contains(['/', '?', '#', '@']) {
            return Err(fault("is more than an origin"));
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let is_name = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.[]:".contains(&byte)
        };
        if host.is_empty() || !host.bytes().all(is_name) {
            return Err(fault("has no host that browsers write: lower case, without wildcards"));
        }
        let default = if text.starts_with("https:") { "443" } else { "80" };
        match port {
            Some(port) if port == default => {
                return Err(fault("names the default port, which browsers leave out"));
            }
            Some(port) if port.parse::<u16>().is_err() => return Err(fault("has no such port")),
            _ => {}
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| fault("is not an origin"))
    }
}

/// The sites whose pages may call a listener.
#[derive(Debug, Clone, Default)]
pub(super) struct Cors {
    origins: Vec<Origin>,
}

/// The page that a request is from, by its `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// No page of another site: a program, or a page of this server.
    None,
    /// A page of a listed site.
    Listed(HeaderValue),
    /// A page of any other site.
    Foreign,
}

impl Cors {
    /// Lets pages of `origins` call.
    pub(super) fn new(origins: Vec<Origin>) -> Self {
        Self { origins }
    }

    /// Returns the page that a request is from; `host` is the name and port by which it calls this server.
    pub(super) fn page(&self, headers: &HeaderMap, host: Option<&str>) -> Page {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = values.next() else { return Page::None };
        if values.next().is_some() {
            return Page::Foreign;
        }
        if self.origins.iter().any(|listed| listed.0 == origin) {
            return Page::Listed(origin.clone());
        }
        // A proxy that ends TLS changes the scheme, and keeps the host.
        let text = origin.to_str().unwrap_or_default();
        let of_page = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        match (of_page, host) {
            (Some(page), Some(host)) if page.eq_ignore_ascii_case(host) => Page::None,
            _ => Page::Foreign,
        }
    }

    /// Answers a preflight request: whether a page may send another one. `None` for any other request.
    ///
    /// # Errors
    /// `BOT-1097` (403) the page is of a site that is not listed.
    pub(super) fn preflight(
        page: &Page,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Response>, Problem> {
        let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        match page {
            // Browsers let every page open a WebSocket, and do not ask first.
            Page::Foreign if asks || !method.is_safe() || headers.contains_key(header::UPGRADE) => {
                Err(not_listed())
            }
            Page::Listed(_) if asks && method == Method::OPTIONS => {
                let mut response = StatusCode::NO_CONTENT.into_response();
                let headers = response.headers_mut();
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
                headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
                Ok(Some(response))
            }
            _ => Ok(None),
        }
    }

    /// Marks an answer as readable by `page`, and as one that depends on the page.
    pub(super) fn mark(&self, page: Page, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Page::Listed(origin) = page {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}

fn not_listed() -> Problem {
    let fault = Fault::policy("BOT-1097", "pages of this web site may not call the server").hint(
        "whoever runs the server can list the site under `server.cors.origins` in botops.yaml",
    );
    Problem::new(StatusCode::FORBIDDEN, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for text in
            ["https://shop.example", "http://localhost:3000", "https://[::1]:8443", "http://[::1]"]
        {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for text in [
            "*",
            "",
            "null",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://Shop.example",
            "https://*.shop.example",
            "https://a@shop.example",
            "https://shop.example:443",
            "http://a:80",
            "https://shop.example:x",
            "https://shop.example:70000",
            "ftp://shop.example",
            "https://sh op.example",
        ] {
            let fault = text.parse::<Origin>().unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1094", 2), "{text}");
        }
    }

    #[test]
    fn a_page_is_of_this_server_of_a_listed_site_or_foreign() {
        let cors = Cors::new(vec!["https://shop.example".parse().unwrap()]);
        let page = |origins: &[&'static str], host: Option<&str>| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            cors.page(&headers, host)
        };
        let listed = Page::Listed(HeaderValue::from_static("https://shop.example"));
        assert_eq!(page(&[], Some("bots.example")), Page::None);
        assert_eq!(page(&["https://shop.example"], Some("bots.example")), listed);
        assert_eq!(page(&["https://bots.example"], Some("bots.example")), Page::None);
        assert_eq!(page(&["http://127.0.0.1:8080"], Some("127.0.0.1:8080")), Page::None);
        for foreign in [
            "https://evil.example",
            "null",
            "https://shop.example.evil",
            "http://shop.example",
            "https://bots.example:444",
            "file://bots.example",
        ] {
            assert_eq!(page(&[foreign], Some("bots.example")), Page::Foreign, "{foreign}");
        }
        assert_eq!(
            page(&["https://shop.example"; 2], Some("bots.example")),
            Page::Foreign,
            "twice"
        );
        assert_eq!(page(&["https://bots.example"], None), Page::Foreign);
    }
}
