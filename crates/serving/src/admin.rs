//! The admin API, on a separate listener, behind a bearer token.

use super::{
    RolloutStatus,
    admin_gate::{Gate, Right, authenticated, authorized},
    app::App,
    authorization::{Call, Caller, ENDPOINTS, Endpoint},
    canary::{
        Canary, Mode, Requester, StartRequest as Start, Started, no_rollouts, no_rollouts_of,
    },
    exchange::{Exchange, parse, read_body},
    login::Logins,
    problem::{Listener, Problem, internal, no_such_method, no_such_path, panicked},
};
use crate::routing::Served;
use axum::{
    Extension, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use botops_access::Identity;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_rollout::{Command, RolloutSpec};
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tower_http::catch_panic::CatchPanicLayer;

/// The time that an answer waits for the record of an abort, which is in effect before.
const RECORDED_WITHIN: Duration = Duration::from_secs(2);

struct Admin {
    app: Arc<App>,
    canary: Option<Arc<Canary>>,
}

type Shared = State<Arc<Admin>>;

/// Returns the routes of the admin API.
///
/// Requests must carry their peer, as `ConnectInfo`: an address, or the user of a socket.
pub(super) fn routes(app: Arc<App>, canary: Option<Arc<Canary>>, logins: Logins) -> Router {
    let gate = Arc::new(Gate::new(Arc::clone(&app), logins));
    let admin = Arc::new(Admin { app, canary });
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        let (path, handler) = (endpoint.path, handler(&endpoint));
        let right = Arc::new(Right { app: Arc::clone(&admin.app), endpoint });
        router = router.route(path, handler.route_layer(from_fn_with_state(right, authorized)));
    }
    router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(64 << 10))
        .layer(from_fn_with_state(gate, authenticated))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(admin)
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
        Call::Decision => on(method, decision),
        Call::Command(word) => on(
            method,
            move |admin: Shared,
                  caller: Extension<Caller>,
                  Path(id): Path<String>,
                  query,
                  headers,
                  body| {
                let request = CommandOf { id, word: word.to_owned() };
                command(admin, caller, request, query, headers, body)
            },
        ),
        Call::OtherCommand => on(
            method,
            |admin: Shared,
             caller: Extension<Caller>,
             Path((id, word)): Path<(String, String)>,
             query,
             headers,
             body| {
                command(admin, caller, CommandOf { id, word }, query, headers, body)
            },
        ),
        Call::Approvals => on(method, approvals),
        Call::Freeze => on(method, freeze),
        Call::Unfreeze => on(method, unfreeze),
        Call::SelfTest => on(method, self_test),
    }
}

/// The query of a request that changes something.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Whether to check only, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Reads the query of a request that changes something. A key that is misspelt must not cause the change.
///
/// # Errors
/// `BOT-6041` the query has another key than `dry_run`, or a value other than `true` and `false`.
fn read_mode(query: Result<Query<Options>, QueryRejection>) -> Result<Mode> {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartRequest {
    /// The version to promote, such as `support@3`.
    version: String,
    /// The rollout plan.
    #[serde(default)]
    plan: RolloutSpec,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    actor: Option<String>,
    /// The reason, for the audit trail.
    #[serde(default)]
    reason: String,
    /// Whether a rollout that is under way is rolled back first.
    #[serde(default)]
    supersede: bool,
    /// Whether to start although the version adds or removes intents, or cannot answer some.
    #[serde(default)]
    accept_labels: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandRequest {
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    actor: Option<String>,
    /// The reason, for the audit trail.
    #[serde(default)]
    reason: String,
    /// With `rollback` of a model: the version to go back to; without it, the previous champion.
    #[serde(default)]
    version: Option<String>,
}

/// Returns the author and the reason of a request, checked before anything acts on them.
///
/// The author is `by`, the authenticated one. The `actor` that the client sent is only the one on whose behalf it acts.
fn requester(by: &Identity, actor: Option<&str>, reason: &str) -> Result<Requester> {
    let actor = actor.map(str::trim).filter(|actor| !actor.is_empty() && *actor != by.name);
    let by = by.clone().on_behalf_of(actor.map(str::to_owned));
    let requester = Requester::new(by, reason.trim());
    botops_registry::check_author(&requester.by.label(), &requester.reason)?;
    Ok(requester)
}

#[derive(Serialize)]
struct ArmStatus<'a> {
    /// The version, such as `support@3`.
    model: &'a str,
    /// The digest of its model file.
    digest: &'a str,
    /// The digest of its manifest, if it is from a registry.
    manifest: Option<Digest>,
    /// Its share of conversations in percent, in [0, 100].
    weight_percent: f64,
}

impl<'a> ArmStatus<'a> {
    fn of(served: &'a Served, weight: f64) -> Self {
        Self {
            model: &served.reference,
            digest: &served.digest_text,
            manifest: served.manifest,
            weight_percent: weight * 100.0,
        }
    }
}

#[derive(Serialize)]
struct RolloutLine {
    /// The id.
    id: String,
    /// The phase.
    phase: &'static str,
    /// The revision, for `If-Match`.
    revision: u64,
}

#[derive(Serialize)]
struct ModelStatus<'a> {
    /// The name of the model.
    name: &'a str,
    /// The version that serves.
    primary: ArmStatus<'a>,
    /// The challenger, while it gets traffic.
    canary: Option<ArmStatus<'a>>,
    /// The latest rollout.
    rollout: Option<RolloutLine>,
    /// Whether the last rollback of the model is recorded; if not, the server keeps trying.
    durable: bool,
    /// Whether another server ticks the rollout that is open.
    second: bool,
    /// The problems with which the server runs, such as a damaged log.
    degraded: Vec<String>,
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

async fn start(
    State(admin): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    query: Result<Query<Options>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        admin.check_model(&name)?;
        let mode = read_mode(query)?;
        let body = read_body(body)?;
        let request: StartRequest = parse(&body)?;
        let canary = admin.canary()?;
        let requester = requester(&caller.who.identity, request.actor.as_deref(), &request.reason)?;
        let driver = Arc::clone(canary);
        let StartRequest { version, plan, supersede, accept_labels, .. } = request;
        let start = Start { version, plan, supersede, accept_labels };
        let (transition, started) =
            run_to_end(async move { driver.start(&start, requester, mode).await }).await?;
        if matches!(mode, Mode::Dry) {
            return Ok(exchange.reply(StatusCode::OK, &transition));
        }
        let status = match started {
            Started::New => StatusCode::CREATED,
            Started::Joined => StatusCode::OK,
        };
        let id = transition.next.id;
        let mut response = reply_with_rollout(&exchange, canary, &id, status).await?;
        let location = HeaderValue::from_str(&format!("/admin/v1/rollouts/{id}"))
            .expect("the id of a rollout is ASCII");
        response.headers_mut().insert(header::LOCATION, location);
        Ok(response)
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

async fn reply_with_rollout(
    exchange: &Exchange<'_>,
    canary: &Canary,
    id: &str,
    status: StatusCode,
) -> Result<Response, Problem> {
    let rollout = canary.read(id, |view, decision| RolloutStatus {
        weight_percent: view.weight_percent(),
        rollout: view.rollout.clone(),
        decision,
        durable: view.durable,
        driven: view.driven,
        lost: canary.lost_units(),
    })?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", rollout.rollout.revision))
        .expect("digits are a valid header");
    let mut response = exchange.reply(status, &rollout);
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Answers a command that is in effect: with 202 while the deployment log does not record it.
async fn reply_to_command(
    exchange: &Exchange<'_>,
    canary: &Canary,
    id: &str,
) -> Result<Response, Problem> {
    let durable = canary.read(id, |view, _| view.durable)?;
    let status = if durable { StatusCode::OK } else { StatusCode::ACCEPTED };
    reply_with_rollout(exchange, canary, id, status).await
}

async fn rollout(State(admin): Shared, Path(id): Path<String>) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = match admin.canary() {
        Ok(canary) => reply_with_rollout(&exchange, canary, &id, StatusCode::OK).await,
        Err(fault) => Err(fault.into()),
    };
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

async fn decision(State(admin): Shared, Path(id): Path<String>) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = match admin.canary() {
        Ok(canary) => canary.read(&id, |_, decision| decision),
        Err(fault) => Err(fault),
    };
    match answer {
        Ok(decision) => exchange.reply(StatusCode::OK, &decision),
        Err(fault) => exchange.refuse(fault.into(), None),
    }
}

/// A command of a rollout, as its path names it.
struct CommandOf {
    id: String,
    word: String,
}

async fn command(
    State(admin): Shared,
    Extension(caller): Extension<Caller>,
    CommandOf { id, word }: CommandOf,
    query: Result<Query<Options>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let mode = read_mode(query)?;
        let body = read_body(body)?;
        let request: CommandRequest =
            if body.is_empty() { CommandRequest::default() } else { parse(&body)? };
        let requester = requester(&caller.who.identity, request.actor.as_deref(), &request.reason)?;
        let command = match word.as_str() {
            "pause" => Command::Pause,
            "resume" => Command::Resume,
            "promote" => Command::Promote,
            "approve" => Command::Approve {
                by: requester.by.name.clone(),
                comment: requester.reason.clone(),
            },
            "reject" => {
                Command::Reject { by: requester.by.name.clone(), comment: requester.reason.clone() }
            }
            "rollback" => Command::Abort {
                reason: if requester.reason.is_empty() {
                    format!("asked for by `{}`", requester.by.label())
                } else {
                    format!("asked for by `{}`: {}", requester.by.label(), requester.reason)
                },
            },
            other => {
                let message =
                    format!("`{}` is not a rollout command", botops_text::display(other, 80));
                let fault = Fault::usage("BOT-6016", message)
                    .hint("the commands are `pause`, `resume`, `promote`, `approve`, `reject` and `rollback`");
                return Err(fault.into());
            }
        };
        if request.version.is_some() {
            let message = "a command of a rollout takes no `version`";
            return Err(Fault::usage("BOT-6013", message)
                .hint("to go back to a version: `POST /admin/v1/models/{model}/rollback`")
                .into());
        }
        let canary = admin.canary()?;
        let if_match = if_match(&headers)?;
        if matches!(mode, Mode::Dry) {
            let transition = canary.preview(&id, &command, &requester, if_match).await?;
            return Ok(exchange.reply(StatusCode::OK, &transition));
        }
        let (driver, rollout) = (Arc::clone(canary), id.clone());
        if let Command::Abort { reason } = command {
            let work =
                run_to_end(
                    async move { driver.abort(&rollout, reason, requester, if_match).await },
                );
            // An abort is in effect before it is recorded, and the store may hang.
            tokio::time::timeout(RECORDED_WITHIN, work).await.unwrap_or(Ok(()))?;
        } else {
            run_to_end(
                async move { driver.command(&rollout, &command, &requester, if_match).await },
            )
            .await?;
        }
        reply_to_command(&exchange, canary, &id).await
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// The body of an approval.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalRequest {
    /// The decision on the promotion.
    decision: ApprovalDecision,
    /// The comment, for the audit trail.
    #[serde(default)]
    comment: String,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    actor: Option<String>,
}

/// The decision on a promotion.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ApprovalDecision {
    /// Approve it.
    Approve,
    /// Reject it, and roll back.
    Reject,
}

/// Approves or rejects a promotion: the commands `approve` and `reject`, with the decision in the body.
async fn approvals(
    admin: Shared,
    caller: Extension<Caller>,
    Path(id): Path<String>,
    query: Result<Query<Options>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = read_body(body).and_then(|body| parse::<ApprovalRequest>(&body));
    let request = match request {
        Ok(request) => request,
        Err(fault) => {
            let exchange = Exchange::begin(&admin.0.app, "admin");
            return exchange.refuse(fault.into(), None);
        }
    };
    let word = match request.decision {
        ApprovalDecision::Approve => "approve",
        ApprovalDecision::Reject => "reject",
    };
    let body = serde_json::json!({"actor": request.actor, "reason": request.comment});
    let request = CommandOf { id, word: word.to_owned() };
    command(admin, caller, request, query, headers, Ok(body.to_string().into())).await
}

/// The body of a freeze, and of its end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FreezeRequest {
    /// The end of the freeze; without it, until somebody ends it. Not for the end of a freeze.
    #[serde(default)]
    until: Option<DateTime<Utc>>,
    /// The reason, for the audit trail.
    reason: String,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    actor: Option<String>,
}

/// The freeze of the environment after a request.
#[derive(Serialize)]
struct FreezeStatus {
    /// Whether the environment is frozen.
    frozen: bool,
    /// The end of the freeze, if it has one.
    until: Option<DateTime<Utc>>,
}

async fn freeze(
    admin: Shared,
    caller: Extension<Caller>,
    query: Result<Query<Options>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    change_freeze(admin, caller, query, body, true).await
}

async fn unfreeze(
    admin: Shared,
    caller: Extension<Caller>,
    query: Result<Query<Options>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    change_freeze(admin, caller, query, body, false).await
}

/// Freezes the environment, or ends its freeze.
async fn change_freeze(
    State(admin): Shared,
    Extension(caller): Extension<Caller>,
    query: Result<Query<Options>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
    frozen: bool,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let mode = read_mode(query)?;
        let request: FreezeRequest = parse(&read_body(body)?)?;
        if !frozen && request.until.is_some() {
            return Err(Fault::usage("BOT-6013", "the end of a freeze takes no `until`").into());
        }
        let requester = requester(&caller.who.identity, request.actor.as_deref(), &request.reason)?;
        let driver = Arc::clone(admin.canary()?);
        let until = request.until;
        run_to_end(async move { driver.freeze((frozen, until), requester, mode).await }).await?;
        let frozen = frozen && matches!(mode, Mode::Real);
        Ok(exchange.reply(StatusCode::OK, &FreezeStatus { frozen, until }))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

async fn roll_back(
    State(admin): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    query: Result<Query<Options>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        admin.check_model(&name)?;
        let mode = read_mode(query)?;
        let body = read_body(body)?;
        let request: CommandRequest = parse(&body)?;
        let requester = requester(&caller.who.identity, request.actor.as_deref(), &request.reason)?;
        if requester.reason.is_empty() {
            return Err(Fault::usage("BOT-6013", "a rollback needs a `reason`").into());
        }
        let driver = Arc::clone(admin.canary()?);
        let restored = run_to_end(async move {
            driver.roll_back_model(request.version.as_deref(), &requester, mode).await
        })
        .await?;
        let status = if restored.durable { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok(exchange.reply(status, &restored))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

async fn self_test(State(admin): Shared) -> Response {
    #[derive(Serialize)]
    struct Tested {
        /// The version, such as `support@3`.
        model: String,
        /// The digest of its model file.
        digest: Digest,
        /// The number of goldens.
        n: usize,
        /// The number of generated texts.
        n_generated: usize,
        /// The goldens that were answered differently, and the generated texts without finite scores.
        failures: Vec<String>,
        /// Whether every golden was answered as stored, and every score is finite.
        passed: bool,
    }
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
    exchange.take_turn(routing.speed(), usize::MAX, answer).await
}

async fn unknown(State(admin): Shared, uri: Uri) -> Response {
    Exchange::begin(&admin.app, "admin").refuse(no_such_path(Listener::Admin, uri.path()), None)
}

async fn wrong_method(State(admin): Shared, method: Method) -> Response {
    Exchange::begin(&admin.app, "admin").refuse(no_such_method(&method), None)
}

impl Admin {
    fn check_model(&self, model: &str) -> Result<()> {
        if model == self.app.model {
            return Ok(());
        }
        Err(Fault::usage(
            "BOT-6036",
            format!(
                "this server serves `{}`, not `{}`",
                self.app.model,
                botops_text::display(model, 80)
            ),
        ))
    }

    fn canary(&self) -> Result<&Arc<Canary>> {
        self.canary.as_ref().ok_or_else(|| {
            let model = self.app.model.as_str();
            match model.ends_with(".botops") {
                true => no_rollouts("a server of one file").hint(format!(
                    "first register the file, from its folder: `{}`",
                    shell_line([
                        "botops",
                        "push",
                        model,
                        "--name",
                        model.trim_end_matches(".botops")
                    ])
                )),
                // The name of the model is known.
                false => no_rollouts_of("a server of one version", model),
            }
        })
    }
}

/// Runs `work` to its end, even if the client disconnects before. It begins at once.
async fn run_to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(|_| internal())?
}

/// Reads `If-Match`: a revision, quoted or not; `None` for any, which `*` means too.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
    if text == "*" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Fault::usage("BOT-6013", "`If-Match` is not a revision")
            .hint("send the `ETag` that came with the rollout")
    })
}
