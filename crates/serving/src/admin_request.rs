//! A request of the admin API that changes something: what its query, its headers and its body say.

use super::{
    authorization::Caller,
    canary::{Mode, Requester, request_key},
    exchange::read_body,
    problem::Problem,
    sizes::MAX_BODY_BYTES,
};
use axum::{
    body::Bytes,
    extract::{
        FromRequest, Query, Request,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, Method, Uri, header},
};
use botops_access::Identity;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_registry::RequestMark;
use serde::Deserialize;
use std::convert::Infallible;

/// The header with the key by which a repeated request is known.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest `Idempotency-Key`, in characters.
const LONGEST_KEY: usize = 255;

/// The query of a request that changes something.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Whether to check only, and change nothing.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// A request that changes something, as it came.
pub(super) struct Asked {
    by: Identity,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    query: Result<Query<Options>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
}

/// A request that changes something, read and not checked against the state yet.
pub(super) struct Asking {
    /// Its author, as the login found out.
    by: Identity,
    /// Whether it takes effect.
    pub(super) mode: Mode,
    /// Its body.
    pub(super) body: Bytes,
    /// The revision that `If-Match` names.
    pub(super) if_match: Option<u64>,
    /// The mark of its `Idempotency-Key`.
    pub(super) mark: Option<RequestMark>,
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let caller: &Caller = request.extensions().get().expect("the gate names the caller");
        let by = caller.who.identity.clone();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let headers = request.headers().clone();
        let query = Query::try_from_uri(&uri);
        let body = Bytes::from_request(request, state).await;
        Ok(Self { by, method, uri, headers, query, body })
    }
}

impl Asked {
    /// Reads the query, the headers and the body.
    ///
    /// # Errors
    /// `BOT-6041` the query has an unknown key; `BOT-6013`, `BOT-6048` a header has another form; those of [`read_body`].
    pub(super) fn read(self) -> Result<Asking, Problem> {
        let mode = read_mode(self.query)?;
        let key = idempotency_key(&self.headers)?;
        let if_match = if_match(&self.headers)?;
        let body = read_body(self.body, MAX_BODY_BYTES)?;
        let mark = key.map(|key| RequestMark {
            key: request_key(&self.by, key),
            body: Digest::of_json(&(self.method.as_str(), self.uri.path(), Digest::of(&body))),
        });
        Ok(Asking { by: self.by, mode, body, if_match, mark })
    }
}

/// The author of a request, before anything acts on it.
pub(super) struct Requesting<'a> {
    /// The authenticated one.
    pub(super) by: &'a Identity,
    /// The one on whose behalf it acts, as it was sent.
    pub(super) actor: Option<&'a str>,
}

impl Requesting<'_> {
    /// Returns the author and the reason.
    ///
    /// # Errors
    /// Those of [`botops_registry::check_author`].
    pub(super) fn checked(&self, reason: &str) -> Result<Requester> {
        // As they were sent: spaces around them may be control characters.
        botops_registry::check_author(self.actor.unwrap_or_default(), reason)?;
        let actor = self.actor.map(str::trim);
        let actor = actor.filter(|actor| !actor.is_empty() && *actor != self.by.name);
        let by = self.by.clone().on_behalf_of(actor.map(str::to_owned));
        let requester = Requester::new(by, reason.trim());
        botops_registry::check_author(&requester.by.label(), &requester.reason)?;
        Ok(requester)
    }
}

impl Asking {
    /// Returns the author and the reason, checked before anything acts on them.
    ///
    /// The author is the authenticated one. The `actor` that the client sent is only the one on whose behalf it acts.
    ///
    /// # Errors
    /// Those of [`botops_registry::check_author`].
    pub(super) fn requester(&self, actor: Option<&str>, reason: &str) -> Result<Requester> {
        let mut requester = Requesting { by: &self.by, actor }.checked(reason)?;
        requester.request.clone_from(&self.mark);
        Ok(requester)
    }
}

/// Reads the query of a request that changes something. A key that is misspelt must not cause the change.
///
/// # Errors
/// `BOT-6041` the query has another key than `dry_run`, or a value other than `true` and `false`.
pub(super) fn read_mode(query: Result<Query<Options>, QueryRejection>) -> Result<Mode> {
    match query {
        Ok(Query(Options { dry_run: true })) => Ok(Mode::Dry),
        Ok(Query(Options { dry_run: false })) => Ok(Mode::Real),
        Err(rejection) => {
            let why = rejection.body_text();
            let why = why.trim_start_matches("Failed to deserialize query string: ");
            let why = botops_text::display(why, 200);
            Err(Fault::usage("BOT-6041", format!("the query of the URL is not valid: {why}"))
                .hint("nothing was changed; the only key is `dry_run`, such as `?dry_run=true`"))
        }
    }
}

/// Reads `If-Match`: a revision, quoted or not; `None` for any, which `*` means too.
///
/// # Errors
/// `BOT-6013` it is none of these, or is there twice.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let digits = quoted.unwrap_or(text);
    let revision = match text {
        "*" => Some(None),
        _ if (1..=19).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit()) => {
            digits.parse().ok().map(Some)
        }
        _ => None,
    };
    revision.filter(|_| values.next().is_none()).ok_or_else(|| {
        Fault::usage("BOT-6013", "`If-Match` is not a revision")
            .hint("send the `ETag` that came with the rollout")
    })
}

/// Reads `Idempotency-Key`.
///
/// # Errors
/// `BOT-6048` it is empty, too long, has other than visible characters of ASCII, or is there twice.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let is_fit =
        (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_fit && values.next().is_none() {
        return Ok(Some(key));
    }
    let message = format!(
        "`Idempotency-Key` must be one header of 1 to {LONGEST_KEY} visible ASCII characters"
    );
    Err(Fault::usage("BOT-6048", message)
        .hint("send a new random UUID with each request, and the same one when you repeat it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_revision_is_digits_quoted_or_not_or_a_star() {
        let read = |values: &[&'static str]| {
            let values = values.iter().map(|value| HeaderValue::from_static(value));
            if_match(&values.map(|value| (header::IF_MATCH, value)).collect())
        };
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["*"]).unwrap(), None);
        assert_eq!(read(&["7"]).unwrap(), Some(7));
        assert_eq!(read(&["\"007\""]).unwrap(), Some(7));
        for bad in ["", "\"", "\"\"", "+7", "-1", "7\"", "\"*\"", "W/\"7\"", "7, 8", "x"] {
            assert_eq!(read(&[bad]).unwrap_err().code(), "BOT-6013", "{bad}");
        }
        assert_eq!(read(&["7", "7"]).unwrap_err().code(), "BOT-6013");
        assert_eq!(read(&["99999999999999999999"]).unwrap_err().code(), "BOT-6013");
    }

    #[test]
    fn a_key_has_1_to_255_visible_characters_and_comes_once() {
        let longest = "k".repeat(LONGEST_KEY);
        let mut headers = HeaderMap::new();
        assert_eq!(idempotency_key(&headers).unwrap(), None);
        for key in ["a", "8e03978e-40d5-43e8-bc93-6894a57f9324", "\"quoted\"", &longest] {
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).unwrap());
            assert_eq!(idempotency_key(&headers).unwrap(), Some(key));
        }
        let too_long = format!("{longest}k");
        for key in ["", "two words", "tab\tbed", "gr\u{fc}n", &too_long] {
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes(key.as_bytes()).unwrap());
            assert_eq!(idempotency_key(&headers).unwrap_err().code(), "BOT-6048", "{key}");
        }
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert_eq!(idempotency_key(&headers).unwrap_err().code(), "BOT-6048");
    }
}
