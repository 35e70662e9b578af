//! Pages of the web, fetched within the rules of a [`GuardedClient`].

use crate::guarded_client::{GuardedClient, NOT_ALLOWED, failure};
use reqwest::{
    Method, Url,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION},
};
use std::time::Duration;

/// The answer to a request for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPage {
    /// The status.
    pub status: u16,
    /// The address of a redirect; it is not followed.
    pub location: Option<String>,
    /// The media type without its parameters, in lowercase; empty if the server names none.
    pub media_type: String,
    /// The parameter `charset` of the media type, in lowercase.
    pub charset: Option<String>,
    /// The body, of at most [`CallRules::most_bytes`](crate::CallRules::most_bytes) bytes; or the reason in words why it was not
    /// read.
    pub body: Result<Vec<u8>, &'static str>,
}

/// A request for a page without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchFailure {
    /// The reason, in words.
    pub reason: &'static str,
    /// Whether the rules do not allow the address, or one that its name resolves to.
    pub is_refused: bool,
}

impl FetchFailure {
    fn of(error: &reqwest::Error) -> Self {
        let reason = failure(error).reason;
        Self { reason, is_refused: reason == NOT_ALLOWED }
    }
}

impl GuardedClient {
    /// Requests the page at `url`, within `timeout`. A redirect is returned, and not followed.
    ///
    /// # Errors
    /// There is no answer; [`FetchFailure::is_refused`] says whether the address is not allowed.
    pub async fn fetch(&self, url: Url, timeout: Duration) -> Result<FetchedPage, FetchFailure> {
        if self.check(url.as_str()).is_err() {
            return Err(FetchFailure { reason: "its address is not allowed", is_refused: true });
        }
        let request = self.client().request(Method::GET, url).timeout(timeout);
        let request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut answer = request.send().await.map_err(|error| FetchFailure::of(&error))?;
        let headers = answer.headers();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let kind = text(CONTENT_TYPE).unwrap_or_default();
        let media_type = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = charset(kind);
        let (status, location) = (answer.status().as_u16(), text(LOCATION).map(str::to_owned));
        let is_packed = is_packed(headers);
        let page = |body| FetchedPage { status, location, media_type, charset, body };
        if is_packed {
            return Ok(page(Err("the answer is compressed")));
        }
        const TOO_LARGE: &str = "the answer is too large";
        let most = self.most_bytes();
        if answer.content_length().is_some_and(|length| length > most as u64) {
            return Ok(page(Err(TOO_LARGE)));
        }
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > most => {
                    return Ok(page(Err(TOO_LARGE)));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(page(Ok(body))),
                Err(error) => return Err(FetchFailure::of(&error)),
            }
        }
    }
}

/// Returns the parameter `charset` of a content type. Names of encodings have up to 40 ASCII letters, digits and signs.
fn charset(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
        let is_name =
            (1..=40).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
        (is_name && name.trim().eq_ignore_ascii_case("charset")).then_some(value)
    })
}

fn is_packed(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_encoding_is_read_and_bounded() {
        for (content_type, found) in [
            ("text/html; charset=ISO-8859-1", Some("iso-8859-1")),
            ("text/html;Charset=\"utf-8\"; a=b", Some("utf-8")),
            ("text/html; boundary=x; charset='koi8-r'", Some("koi8-r")),
            ("text/html", None),
            ("text/html; charset=", None),
            ("text/html; charset=a b", None),
        ] {
            assert_eq!(charset(content_type).as_deref(), found, "{content_type}");
        }
        assert_eq!(charset(&format!("text/html; charset={}", "a".repeat(41))), None);
    }
}
