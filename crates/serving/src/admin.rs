//! The admin API, on a separate listener, behind a bearer token.

use super::{
    admin_answers::{ArmStatus, ModelStatus, RolloutLine, Tested},
    admin_changes::{approvals, command, freeze, roll_back, start, unfreeze, weight},
    admin_events::events,
    admin_follow::{audit, rollout},
    admin_gate::{Gate, Right, authenticated, authorized},
    admin_jobs,
    admin_knowledge::{knowledge_base, knowledge_bases, remove_document},
    admin_openapi::admin_openapi,
    admin_plan::plan,
    admin_reload::reload,
    admin_request::Asked,
    admin_shadow::{disagreements, shadow},
    admin_shared::{Admin, Shared, tag_of},
    app::App,
    authorization::{Call, ENDPOINTS, Endpoint},
    canary::Canary,
    exchange::Exchange,
    login::SharedLogins,
    problem::{Listener, Problem, no_such_method, no_such_path, panicked},
    public_api::probes,
    readiness,
    reload::Reloading,
    uploads::upload,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{Method, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use botops_findings::Result;
use std::sync::Arc;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

/// Returns the routes of the admin API, and those that need no identity.
///
/// Requests must carry their peer, as `ConnectInfo`: an address, or the user of a socket.
/// After `stop`, those that wait for a change are answered.
pub(super) fn routes(
    app: Arc<App>,
    canary: Option<Arc<Canary>>,
    (logins, reloading): (Arc<SharedLogins>, Option<Arc<Reloading>>),
    stop: &watch::Receiver<bool>,
) -> Router {
    let probes = probes(Arc::clone(&app));
    let gate = Arc::new(Gate::new(Arc::clone(&app), logins));
    let admin = Arc::new(Admin::new(app, canary, stop.clone(), reloading));
    let mut router = Router::new();
    let has_row = |it: &Endpoint| it.call != Call::Metrics || !admin.app.open_metrics;
    for endpoint in ENDPOINTS.into_iter().filter(has_row) {
        let (path, handler) = (endpoint.path, handler(&endpoint));
        let right = Arc::new(Right { app: Arc::clone(&admin.app), endpoint });
        router = router.route(path, handler.route_layer(from_fn_with_state(right, authorized)));
    }
    let router = router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(64 << 10))
        .layer(from_fn_with_state(gate, authenticated))
        .layer(CatchPanicLayer::custom(panicked));
    #[cfg(test)]
    let router = router.layer(axum::middleware::from_fn(crate::openapi_check::checked));
    router.with_state(admin).merge(probes)
}

/// Returns the handler of an endpoint.
fn handler(endpoint: &Endpoint) -> MethodRouter<Arc<Admin>> {
    let method = MethodFilter::try_from(endpoint.method.clone()).expect("a method of HTTP");
    match endpoint.call {
        Call::Models => on(method, models),
        Call::Model => on(method, model),
        Call::Start => on(method, start),
        Call::RollBackModel => on(method, roll_back),
        Call::Rollout => on(method, rollout),
        Call::Events => on(method, events),
        Call::Audit => on(method, audit),
        Call::Decision => on(method, decision),
        Call::Command(word) => on(method, move |admin: Shared, Path(id): Path<String>, asked| {
            command(admin, (id, word.to_owned()), asked)
        }),
        Call::OtherCommand => on(method, |admin: Shared, Path(path), asked: Asked| {
            let path: (String, String) = path;
            command(admin, path, asked)
        }),
        Call::Weight => on(method, weight),
        Call::Approvals => on(method, approvals),
        Call::Freeze => on(method, freeze),
        Call::Unfreeze => on(method, unfreeze),
        Call::SelfTest => on(method, self_test),
        Call::OpenApi => on(method, openapi),
        Call::Plan => on(method, plan),
        Call::Reload => on(method, reload),
        Call::Shadow => on(method, shadow),
        Call::Disagreements => on(method, disagreements),
        Call::Metrics => on(method, metrics),
        Call::KnowledgeBases => on(method, knowledge_bases),
        Call::KnowledgeBase => on(method, knowledge_base),
        Call::Upload => on(method, upload),
        Call::RemoveDocument => on(method, remove_document),
        Call::Jobs => on(method, admin_jobs::jobs),
        Call::Job => on(method, admin_jobs::job),
        Call::JobCommand(word) => on(method, move |admin: Shared, path: Path<String>, asked| {
            admin_jobs::command(admin, path, word, asked)
        }),
    }
}

async fn models(State(admin): Shared) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    match with_model(&admin, &exchange, |status| exchange.reply(StatusCode::OK, &[status])).await {
        Ok(response) => response,
        Err(problem) => exchange.refuse(problem, None),
    }
}

async fn model(State(admin): Shared, Path(name): Path<String>) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = match admin.check_model(&name) {
        Ok(()) => {
            with_model(&admin, &exchange, |status| exchange.reply(StatusCode::OK, &status)).await
        }
        Err(fault) => Err(fault.into()),
    };
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

async fn with_model(
    admin: &Admin,
    exchange: &Exchange<'_>,
    show: impl FnOnce(ModelStatus<'_>) -> Response,
) -> Result<Response, Problem> {
    let rollout = match &admin.canary {
        Some(canary) => canary
            .read("latest", |active, _| RolloutLine {
                id: active.rollout.id.clone(),
                phase: active.rollout.phase.name(),
                revision: active.rollout.revision,
            })
            .ok(),
        None => None,
    };
    let routing = exchange.routing()?;
    let split = routing.split();
    let degraded = admin.app.degradations();
    let weight = split.map_or(0.0, |split| split.weight);
    Ok(show(ModelStatus {
        name: &admin.app.model,
        primary: ArmStatus::of(&routing.primary, 1.0 - weight),
        canary: split.map(|split| ArmStatus::of(&split.canary, weight)),
        rollout,
        durable: admin.canary.as_ref().is_none_or(|canary| canary.is_durable()),
        second: admin.canary.as_ref().is_some_and(|canary| canary.is_second()),
        degraded: degraded.iter().map(|it| format!("{}: {}", it.code, it.problem)).collect(),
    }))
}

async fn decision(State(admin): Shared, Path(id): Path<String>) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = match admin.canary() {
        Ok(canary) => canary.read(&id, |view, decision| (decision, view.rollout.revision)),
        Err(fault) => Err(fault),
    };
    match answer {
        Ok((decision, revision)) => {
            let mut response = exchange.reply(StatusCode::OK, &decision);
            response.headers_mut().insert(header::ETAG, tag_of(revision));
            response
        }
        Err(fault) => exchange.refuse(fault.into(), None),
    }
}

async fn metrics(State(admin): Shared) -> Response {
    let answer = readiness::metrics(State(Arc::clone(&admin.app))).await;
    Exchange::begin(&admin.app, "admin").identified(answer)
}

async fn self_test(State(admin): Shared) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let routing = match exchange.routing() {
        Ok(routing) => routing,
        Err(problem) => return exchange.refuse(problem, None),
    };
    let answer = || {
        let canary = routing.split.as_ref().map(|split| &split.canary);
        let tested: Vec<Tested> = std::iter::once(&routing.primary)
            .chain(canary)
            .map(|served| {
                let test = served.model().self_test();
                Tested {
                    model: served.reference.to_string(),
                    digest: served.digest,
                    n: test.n,
                    n_generated: test.n_generated,
                    passed: test.failures.is_empty(),
                    failures: test.failures,
                }
            })
            .collect();
        let status = if tested.iter().all(|one| one.passed) {
            StatusCode::OK
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        exchange.reply(status, &tested)
    };
    // The self-test reads many utterances, so it takes a turn even on a fast model.
    exchange.wait_for_turn(routing.speed(), answer).await
}

async fn openapi(State(admin): Shared) -> Response {
    Exchange::begin(&admin.app, "admin").reply_with(admin_openapi().as_bytes())
}

async fn unknown(State(admin): Shared, uri: Uri) -> Response {
    Exchange::begin(&admin.app, "admin").refuse(no_such_path(Listener::Admin, uri.path()), None)
}

async fn wrong_method(State(admin): Shared, method: Method) -> Response {
    Exchange::begin(&admin.app, "admin").refuse(no_such_method(&method), None)
}
