//! A request of a platform, and the response to it.

use chrono::{DateTime, Utc};
use std::fmt;

/// The largest body of a request. Payloads of text and of media ids have a few kilobytes; a platform may send several
/// messages in one.
pub const MOST_BODY_BYTES: usize = 3 << 20;

/// A request to the endpoint of a channel, as the server read it.
#[derive(Clone)]
pub struct ReceivedRequest<'a> {
    /// The method in upper case, such as `POST`.
    pub method: &'a str,
    /// The query after `?`, as it stands in the URL; empty without one.
    pub query: &'a str,
    /// The headers, in order; names in any case.
    pub headers: &'a [(String, String)],
    /// The body, byte for byte: signatures are of these bytes.
    pub body: &'a [u8],
    /// The time.
    pub now: DateTime<Utc>,
}

impl fmt::Debug for ReceivedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Query, headers and body hold tokens and texts of persons.
        f.debug_struct("ReceivedRequest")
            .field("method", &self.method)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl<'a> ReceivedRequest<'a> {
    /// Returns the first header `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Returns the first parameter `name` of the query, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(n, _)| decoded(n) == name).map(|(_, value)| decoded(value))
    }
}

/// Decodes `%20` and `+` of a query. Bytes that are no UTF-8 are replaced.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 2;
            }
            (b'+', _, _) => out.push(b' '),
            _ => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The response to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelResponse {
    /// The status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// The value of the header `Retry-After` in seconds, of 429 and 503.
    pub retry_after: Option<u32>,
}

impl ChannelResponse {
    /// Makes the response that ends the delivery: the messages are stored, or there are none.
    #[must_use]
    pub fn accepted() -> Self {
        Self::json(200, "{}".to_owned())
    }

    /// Makes a response with a JSON body.
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self { status, content_type: "application/json", body, retry_after: None }
    }

    /// Makes a response with a text, which is sent back as it stands.
    pub(crate) fn text(body: String) -> Self {
        Self { status: 200, content_type: "text/plain; charset=utf-8", body, retry_after: None }
    }

    /// Makes a refusal; `problem` contains nothing of the request.
    pub(crate) fn refused(status: u16, code: &str, problem: &str) -> Self {
        let body = serde_json::json!({ "error": { "code": code, "message": problem } });
        Self::json(status, body.to_string())
    }

    /// Makes a response that asks the platform to send the request again.
    pub(crate) fn later(status: u16, code: &str, problem: &str, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..Self::refused(status, code, problem) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_headers_are_found_in_any_case() {
        let headers = [("X-Hub-Signature-256".to_owned(), "sha256=ab".to_owned())];
        let request = ReceivedRequest {
            method: "GET",
            query: "hub.mode=subscribe&hub.challenge=1%2B1+%C3%A9%zz&flag",
            headers: &headers,
            body: b"",
            now: Utc::now(),
        };
        assert_eq!(request.header("x-hub-signature-256"), Some("sha256=ab"));
        assert_eq!(request.parameter("hub.mode").as_deref(), Some("subscribe"));
        assert_eq!(request.parameter("hub.challenge").as_deref(), Some("1+1 é%zz"));
        assert_eq!(request.parameter("flag"), None);
    }
}
