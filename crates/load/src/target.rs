//! The server under test: its address, the key, and requests to it.

use crate::kind::Kind;
use botops_findings::{Fault, Result};
use botops_http::{Connector, PlainHttp, Url};
use botops_workspace::Secret;
use serde_json::json;
use tokio_tungstenite::tungstenite::http::Request;

/// The server under test. Its `Debug` output does not show the key.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) connector: Connector,
    url: Url,
    host: String,
    prefix: String,
    key: Option<Secret>,
    /// A text that no other test has, for the ids of conversations.
    run: String,
    /// Whether messages carry an id. A server that stores no conversations refuses it, and has nothing to repeat.
    pub(crate) has_message_ids: bool,
}

impl Target {
    /// Makes the target of the public listener at `url`, and looks up its name. The key is sent over `http://` only to servers
    /// that `plain` allows. `run` is a text that no other test has.
    ///
    /// # Errors
    /// `BOT-6030` (exit 2) `url` is not the address of a server; `BOT-1032` (exit 2) the key would be sent unprotected; those of
    /// [`Connector::to`].
    pub async fn new(url: &str, key: Option<&Secret>, plain: PlainHttp, run: &str) -> Result<Self> {
        let url = address(url)?;
        if key.is_some() {
            plain.check(&url, "the key of a client")?;
        }
        if key.is_some_and(|key| !key.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Fault::usage("BOT-6030", "the key of a client cannot be sent as a header")
                .hint("a key is one line of visible ASCII characters"));
        }
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self {
            connector: Connector::to(&url).await?,
            prefix: url.path().trim_end_matches('/').to_owned(),
            url,
            host,
            key: key.cloned(),
            run: run.to_owned(),
            has_message_ids: true,
        })
    }

    /// Returns the address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Returns the id of conversation `n` of user `user`.
    pub(crate) fn conversation(&self, user: u64, n: u64) -> String {
        format!("{}-{user}-{n}", self.run)
    }

    /// Returns the bytes of a request of `kind` about `text`. A message for a WebSocket is sent to `/v1/chat`.
    pub(crate) fn request(
        &self,
        kind: Kind,
        conversation: &str,
        message: &str,
        text: &str,
    ) -> String {
        let (path, body) = match kind {
            Kind::Predict => ("/v1/predict", json!({"text": text})),
            Kind::Chat | Kind::Websocket if self.has_message_ids => {
                let body =
                    json!({"conversation_id": conversation, "message_id": message, "text": text});
                ("/v1/chat", body)
            }
            Kind::Chat | Kind::Websocket => {
                ("/v1/chat", json!({"conversation_id": conversation, "text": text}))
            }
        };
        let body = body.to_string();
        let mut request = format!("POST {}{path} HTTP/1.1\r\nhost: {}\r\n", self.prefix, self.host);
        request.push_str(concat!("user-agent: botops/", env!("CARGO_PKG_VERSION"), " load\r\n"));
        if let Some(key) = &self.key {
            request.push_str(&format!("authorization: Bearer {}\r\n", key.expose()));
        }
        let length = body.len();
        request.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        request
    }

    /// Returns the handshake of a WebSocket; `None` if its parts are no request, which [`Target::new`] refuses.
    pub(crate) fn handshake(&self, nonce: String) -> Option<Request<()>> {
        let scheme = if self.url.scheme() == "https" { "wss" } else { "ws" };
        let mut request = Request::get(format!("{scheme}://{}{}/v1/ws", self.host, self.prefix))
            .header("host", &self.host)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", nonce);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {}", key.expose()));
        }
        request.body(()).ok()
    }
}

/// Reads the address of a server.
///
/// # Errors
/// `BOT-6030` (exit 2) it is not one, or holds a password.
fn address(text: &str) -> Result<Url> {
    // Without its user and password, which may be what is wrong.
    let shown = text.rsplit('@').next().unwrap_or_default();
    let shown = botops_text::display(shown, 80);
    let wrong = |why: &str| {
        Err(Fault::usage(
            "BOT-6030",
            format!("`{shown}` is not the address of a server to test: {why}"),
        )
        .hint("an address looks like `http://127.0.0.1:8080`, or `https://bots.example.com`"))
    };
    let Ok(mut url) = Url::parse(text) else { return wrong("it is not a URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("expected `http` or `https`");
    }
    if !url.has_host() {
        return wrong("it has no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("it holds a user or a password; the key goes into `BOTOPS_CLIENT_KEY`");
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_addresses_without_secrets_are_taken() {
        assert_eq!(address("http://127.0.0.1:8080").unwrap().as_str(), "http://127.0.0.1:8080/");
        assert_eq!(
            address("https://bots.example.com/a?x=1#y").unwrap().as_str(),
            "https://bots.example.com/a"
        );
        for text in [
            "",
            "127.0.0.1:8080",
            "ftp://a",
            "file:///etc/passwd",
            "ws://a",
            "http://",
            "http://u:hunter2@a",
        ] {
            let fault = address(text).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6030", 2), "{text}");
            assert!(!fault.message().contains("hunter2"), "{fault}");
        }
    }
}
