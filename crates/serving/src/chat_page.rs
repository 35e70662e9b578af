//! `GET /`: the chat page, for browsers.

use crate::{app::App, exchange::Exchange};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use botops_console::{Page, chat_page as page};
use std::sync::Arc;

/// A browser may keep the page, and asks each time whether it is still the one of this server.
const ALWAYS_ASK: HeaderValue = HeaderValue::from_static("no-cache");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Answers `GET /` with the chat page, or with 304 if the browser has it.
pub(super) async fn chat_page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    Exchange::begin(&app, "chat_page").send(page_answer(page(), &headers))
}

/// Returns the answer with `page`, or 304 if the browser has it.
pub(super) fn page_answer(page: &'static Page, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = match known.is_some_and(|known| page.is_known(known)) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, HTML)], page.html()).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static(page.etag()));
    headers.insert(header::CACHE_CONTROL, ALWAYS_ASK);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page.policy()));
    response
}

#[cfg(test)]
mod tests {
    use crate::{
        ListenerSettings, ServerSettings, Source,
        client::http,
        start,
        tests::{model, settings},
    };
    use botops_digest::Digest;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_page_is_there_if_the_settings_ask_for_it_and_is_not_sent_twice() {
        let serve = async |chat_page| {
            let listeners = ListenerSettings { chat_page, ..ListenerSettings::default() };
            let settings = ServerSettings { listeners, ..settings() };
            let (model, name) = (Box::new(model()), "intents.botops".to_owned());
            let source = Source::File { model, digest: Digest::of(b"a"), name };
            start(settings, source).await.unwrap()
        };
        let (with, without) = (serve(true).await, serve(false).await);
        let client = http().unwrap();
        let url = format!("http://{}/", with.address());
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert_eq!(headers.get_all("content-security-policy").iter().count(), 1);
        assert_eq!(answer.text().await.unwrap(), botops_console::chat_page().html());

        let again = client.get(&url).header("if-none-match", &headers["etag"]).send().await;
        let again = again.unwrap();
        assert_eq!(again.status(), 304);
        assert_eq!(again.headers()["etag"], headers["etag"]);
        assert!(again.bytes().await.unwrap().is_empty());
        let other = client.get(&url).header("if-none-match", "\"old\"").send().await.unwrap();
        assert_eq!(other.status(), 200);
        assert_eq!(client.post(&url).body("{}").send().await.unwrap().status(), 405);

        let answer = client.get(format!("http://{}/", without.address())).send().await.unwrap();
        assert_eq!(answer.status(), 404);
        assert!(answer.text().await.unwrap().contains("BOT-6016"));
        with.shutdown().await;
        without.shutdown().await;
    }
}
