//! `GET /` and `GET /widget.js`: the chat page, and the script that shows it on pages of other sites.

use crate::{app::App, exchange::Exchange};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use botops_console::{Page, chat_page as page, widget as script};
use std::sync::Arc;

/// A browser may keep the page, and asks each time whether it is still the one of this server.
const ALWAYS_ASK: HeaderValue = HeaderValue::from_static("no-cache");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

/// Answers `GET /` with the chat page, or with 304 if the browser has it.
pub(super) async fn chat_page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let mut response = page_answer(page(), &headers);
    if let Some(policy) = &app.chat_page {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.header());
    }
    Exchange::begin(&app, "chat_page").send(response)
}

/// Returns the answer with `page`, or 304 if the browser has it.
pub(super) fn page_answer(page: &'static Page, headers: &HeaderMap) -> Response {
    let mut response = match known(headers).is_some_and(|known| page.is_known(known)) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, HTML)], page.html()).into_response(),
    };
    let policy = HeaderValue::from_static(page.policy());
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    tagged(response, page.etag())
}

/// Answers `GET /widget.js` with the script, or with 304 if the browser has it.
pub(super) async fn widget(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let script = script();
    let response = match known(&headers).is_some_and(|known| script.is_known(known)) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, SCRIPT)], script.text()).into_response(),
    };
    Exchange::begin(&app, "chat_page").send(tagged(response, script.etag()))
}

/// Returns the tags of what the browser has.
fn known(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::IF_NONE_MATCH)?.to_str().ok()
}

/// Adds the tag to an answer that a browser may keep.
fn tagged(mut response: Response, etag: &'static str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static(etag));
    headers.insert(header::CACHE_CONTROL, ALWAYS_ASK);
    response
}

#[cfg(test)]
mod tests {
    use crate::{
        ListenerSettings, PublicSettings, ServerSettings, Source,
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
        // The widget is for the sites that are listed, and there are none.
        for server in [&with, &without] {
            let url = format!("http://{}/widget.js", server.address());
            assert_eq!(client.get(url).send().await.unwrap().status(), 404);
        }
        with.shutdown().await;
        without.shutdown().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_sites_that_may_call_may_show_the_page_in_a_frame() {
        let listeners = ListenerSettings { chat_page: true, ..ListenerSettings::default() };
        let cors_origins = vec!["https://shop.example".parse().unwrap()];
        let public = PublicSettings { cors_origins, ..PublicSettings::default() };
        let settings = ServerSettings { listeners, public, ..settings() };
        let (model, name) = (Box::new(model()), "intents.botops".to_owned());
        let source = Source::File { model, digest: Digest::of(b"a"), name };
        let running = start(settings, source).await.unwrap();
        let client = http().unwrap();
        let get = async |path: &str| {
            let url = format!("http://{}{path}", running.address());
            client.get(url).send().await.unwrap()
        };
        let page = get("/?language=fr").await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.ends_with("; frame-ancestors https://shop.example"), "{policy}");
        let script = get("/widget.js").await;
        assert_eq!(script.status(), 200);
        assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
        let etag = script.headers()["etag"].clone();
        assert_eq!(script.text().await.unwrap(), botops_console::widget().text());
        let url = format!("http://{}/widget.js", running.address());
        let again = client.get(url).header("if-none-match", etag).send().await.unwrap();
        assert_eq!(again.status(), 304);
        running.shutdown().await;
    }
}
