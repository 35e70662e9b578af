//! The routes of the public API, each behind the check of its caller.

use super::{
    app::App,
    body_length::{LongestBody, check_length},
    channels::receive,
    chat::chat,
    chat_page::{chat_page, widget},
    exchange::Exchange,
    feedback::feedback,
    open_inference,
    predict_lines::predict_all,
    problem::{Listener, no_such_method, no_such_path, panicked},
    public_endpoints::{ENDPOINTS, PublicCall, PublicEndpoint},
    public_gate::{PublicGate, PublicRight, admitted},
    public_openapi::{docs, openapi},
    rasa::{parse_message, webhook},
    readiness::{health, metrics, readiness},
    search::search,
    websocket::websocket,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, Uri},
    middleware::{from_fn_with_state, map_response},
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// Returns the routes of the public API, behind `gate`.
pub(super) fn routes(app: Arc<App>, gate: &Arc<PublicGate>) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS.into_iter().filter(|it| is_served(it, &app)) {
        let right = PublicRight::new(Arc::clone(gate), endpoint);
        // Layers that need the caller come before this one.
        let handler = handler(&endpoint).route_layer(from_fn_with_state(right, admitted));
        let most = app.sizes.body(endpoint.name);
        let longest = LongestBody { app: Arc::clone(&app), endpoint: endpoint.name, most };
        let handler = handler
            .layer(DefaultBodyLimit::max(most))
            .layer(from_fn_with_state(longest, check_length));
        let handler = match endpoint.path.starts_with("/v2") {
            true => handler.layer(map_response(open_inference::with_error)),
            false => handler,
        };
        router = router.route(endpoint.path, handler);
    }
    router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app)
}

/// Returns whether the public listener has `endpoint`. The metrics show the load and the rollouts, so they are on the admin
/// listener alone, unless they are open. The chat page is served only if the settings ask for it.
fn is_served(endpoint: &PublicEndpoint, app: &App) -> bool {
    match endpoint.call {
        PublicCall::Metrics => app.open_metrics,
        PublicCall::ChatPage => app.chat_page.is_some(),
        PublicCall::Widget => app.chat_page.as_ref().is_some_and(|page| page.has_widget),
        PublicCall::ChannelChallenge | PublicCall::Channel => app.has_channels,
        _ => true,
    }
}

/// Returns the routes that answer without identity, on every listener: whether the process lives, and whether it can answer;
/// and the metrics, if they are open.
pub(super) fn probes(app: Arc<App>) -> Router {
    let is_probe = |it: &PublicEndpoint| match it.call {
        PublicCall::Health | PublicCall::Readiness => true,
        PublicCall::Metrics => app.open_metrics,
        _ => false,
    };
    let route = |router: Router<Arc<App>>, endpoint: PublicEndpoint| {
        router.route(endpoint.path, handler(&endpoint))
    };
    let router = ENDPOINTS.into_iter().filter(is_probe).fold(Router::new(), route);
    router.layer(CatchPanicLayer::custom(panicked)).with_state(app)
}

/// Returns the handler of an endpoint.
fn handler(endpoint: &PublicEndpoint) -> MethodRouter<Arc<App>> {
    let method = MethodFilter::try_from(endpoint.method.clone()).expect("a method of HTTP");
    match endpoint.call {
        PublicCall::Predict => on(method, predict_all),
        PublicCall::Chat => on(method, chat),
        PublicCall::Feedback => on(method, feedback),
        PublicCall::Search => on(method, search),
        PublicCall::Health => on(method, health),
        PublicCall::Readiness => on(method, readiness),
        PublicCall::Metrics => on(method, metrics),
        PublicCall::ChatPage => on(method, chat_page),
        PublicCall::Widget => on(method, widget),
        PublicCall::V2Server => on(method, open_inference::server),
        PublicCall::V2Live => on(method, open_inference::live),
        PublicCall::V2Ready => on(method, open_inference::ready),
        PublicCall::V2Model => on(method, open_inference::model),
        PublicCall::V2ModelReady => on(method, open_inference::model_ready),
        PublicCall::V2Infer => on(method, open_inference::infer),
        PublicCall::RasaParse => on(method, parse_message),
        PublicCall::WebSocket => on(method, websocket),
        PublicCall::RasaWebhook => on(method, webhook),
        PublicCall::OpenApi => on(method, openapi),
        PublicCall::Docs => on(method, docs),
        PublicCall::ChannelChallenge | PublicCall::Channel => on(method, receive),
    }
}

async fn unknown(State(app): State<Arc<App>>, uri: Uri) -> Response {
    Exchange::begin(&app, "unknown").refuse(no_such_path(Listener::Public, uri.path()), None)
}

async fn wrong_method(State(app): State<Arc<App>>, method: Method) -> Response {
    Exchange::begin(&app, "unknown").refuse(no_such_method(&method), None)
}
