//! One request and its answer: the id, the headers, the counters and the log line that all endpoints share.

use crate::{
    app::App,
    metrics::arm_name,
    pointer::{self, Field},
    problem::Problem,
    request_id::RequestId,
    request_log::{AnswerLine, Line},
    routing::{Choice, Routing},
    sizes::{MAX_DEPTH, check_depth},
    speed::Speed,
};
use axum::{
    body::{Body, Bytes},
    extract::rejection::BytesRejection,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use botops_access::{PublicCaller, Verdict};
use botops_conversations::Turn;
use botops_findings::Fault;
use botops_models::Prediction;
use botops_rollout::Arm;
use botops_telemetry::{annotate, link};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_MODEL: HeaderName = HeaderName::from_static("x-botops-model");
const X_DIGEST: HeaderName = HeaderName::from_static("x-botops-digest");
const X_ARM: HeaderName = HeaderName::from_static("x-botops-arm");

/// The most bytes of text that a fast model reads on a thread that serves connections: well below a millisecond of
/// work. More than that takes a turn.
pub(super) const SHORT_BYTES: usize = 512;
/// The longest conversation id, in bytes.
pub(super) const MAX_ID_BYTES: usize = 256;

/// A request that is being answered.
pub(super) struct Exchange<'a> {
    /// The server.
    pub(super) app: &'a App,
    /// The id.
    pub(super) id: RequestId,
    endpoint: &'static str,
    begun: Instant,
    /// Whether the caller may see which version answers, on which arm.
    shows_versions: bool,
    /// The verdict of the tightest rate limit so far.
    verdict: Mutex<Option<Verdict>>,
    /// The caller; `None` before it is known.
    pub(super) caller: Option<&'a PublicCaller>,
}

/// The version that answered, for a caller who may see it.
pub(super) struct ShownVersion {
    model: Option<HeaderValue>,
    digest: Option<HeaderValue>,
    arm: &'static str,
}

impl ShownVersion {
    /// Returns the version that answered `turn`; `model` is its name, if that is known.
    pub(super) fn of_turn(model: Option<HeaderValue>, turn: &Turn) -> Self {
        let arms = [Arm::Primary, Arm::Canary].map(arm_name);
        let arm = arms.into_iter().find(|arm| *arm == turn.arm).unwrap_or(arms[0]);
        Self { model, digest: HeaderValue::from_str(&turn.digest).ok(), arm }
    }
}

/// Text that borrows from the body if it has no escapes.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(value_type = String)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> Exchange<'a> {
    /// Begins an exchange with the next id.
    pub(super) fn begin(app: &'a App, endpoint: &'static str) -> Self {
        let (id, begun) = (app.ids.next(), Instant::now());
        Self {
            app,
            id,
            endpoint,
            begun,
            shows_versions: false,
            verdict: Mutex::default(),
            caller: None,
        }
    }

    /// Begins an exchange with `caller`.
    pub(super) fn with(app: &'a App, endpoint: &'static str, caller: &'a PublicCaller) -> Self {
        let shows_versions = caller.sees_versions();
        Self { shows_versions, caller: Some(caller), ..Self::begin(app, endpoint) }
    }

    /// Returns `value` if the caller may see which version answers, on which arm.
    pub(super) fn shown<T>(&self, value: T) -> Option<T> {
        self.shows_versions.then_some(value)
    }

    /// Returns the time since the request began.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Runs `work`, which costs as much as to classify `n_bytes` of text: at once if that is little for a fast model, else
    /// when a turn is free, on a thread that other requests do not need.
    ///
    /// Long texts take other turns than slow models, so that they leave a processor to short ones. `speed` comes from
    /// the routing that `work` uses: a swap while it waits changes neither.
    ///
    /// # Errors
    /// `BOT-6110` (503) the server is overloaded.
    pub(super) async fn take_turn<T>(
        &self,
        speed: Speed,
        n_bytes: usize,
        work: impl FnOnce() -> T,
    ) -> Result<T, Problem> {
        let app = self.app;
        let turn = match speed {
            Speed::Fast if n_bytes <= SHORT_BYTES => {
                return match app.thread_delay.check() {
                    Ok(()) => Ok(work()),
                    Err(problem) => Err(self.shed(problem)),
                };
            }
            Speed::Fast => app.long_queue.enter(&app.long_turns).await,
            Speed::Slow => app.queue.enter(&app.turns).await,
        };
        let _turn = turn.map_err(|problem| self.shed(problem))?;
        Ok(off_the_reactor(work))
    }

    /// Runs `work` of an operator when a turn is free, however long that takes.
    pub(super) async fn wait_for_turn<T>(&self, speed: Speed, work: impl FnOnce() -> T) -> T {
        let turns = match speed {
            Speed::Fast => &self.app.long_turns,
            Speed::Slow => &*self.app.turns,
        };
        let _turn = turns.acquire().await;
        off_the_reactor(work)
    }

    fn shed(&self, problem: Problem) -> Problem {
        self.app.metrics.limits.shed.inc();
        problem
    }

    /// Notes the verdict of a rate limit, which the headers of the answer give.
    pub(super) fn limited_by(&self, verdict: Option<Verdict>) {
        let mut tightest = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        *tightest = match (*tightest, verdict) {
            (Some(ours), Some(other)) => Some(ours.tighter(other)),
            (one, other) => one.or(other),
        };
    }

    /// Returns the current routing. A request calls this once and passes the result down.
    ///
    /// # Errors
    /// 503 before the first model is ready.
    pub(super) fn routing(&self) -> Result<Arc<Routing>, Problem> {
        self.app.slot.load().ok_or_else(not_ready)
    }

    /// Answers with `problem`.
    pub(super) fn refuse(&self, problem: Problem, arm: Option<Arm>) -> Response {
        self.count_refusal(&problem, arm);
        self.identified(problem.into_response())
    }

    /// Counts and logs a refusal.
    pub(super) fn count_refusal(&self, problem: &Problem, arm: Option<Arm>) {
        let (status, code) = (problem.status.as_u16(), problem.fault.code());
        self.app.metrics.unanswered(arm, status);
        self.log(status, Some(code), None);
    }

    /// Answers with `body` (JSON), the headers of the model that made it if the caller may see them, and a log line about the `first` of `n` texts.
    pub(super) fn answer(
        &self,
        choice: &Choice<'_>,
        n: usize,
        first: &Prediction,
        duration: Duration,
        body: Vec<u8>,
    ) -> Response {
        let shown = self.count_answer(choice, n, first, duration);
        self.with_body(body, shown)
    }

    /// Counts and logs an answer about the `first` of `n` texts. Returns the version that made it, if the caller may see it.
    pub(super) fn count_answer(
        &self,
        choice: &Choice<'_>,
        n: usize,
        first: &Prediction,
        duration: Duration,
    ) -> Option<ShownVersion> {
        let metrics = self.app.metrics.arm(choice.arm);
        metrics.answered.inc();
        metrics.seconds.observe(duration.as_secs_f64());
        if !choice.sticky {
            self.app.metrics.unsticky.inc();
        }
        let arm = arm_name(choice.arm);
        annotate("botops.model", || choice.served.reference.to_string());
        annotate("botops.arm", || arm);
        annotate("botops.fallback", || first.fallback);
        if self.app.log.is_on() {
            let answer = AnswerLine {
                model: Arc::clone(&choice.served.reference),
                digest: choice.served.digest,
                arm,
                sticky: choice.sticky,
                n,
                intent: Arc::clone(&choice.served.intents[first.intent]),
                confidence: first.confidence,
                fallback: first.fallback,
            };
            self.log(200, None, Some(answer));
        }
        self.shows_versions.then(|| ShownVersion {
            model: Some(choice.served.reference_header.clone()),
            digest: Some(choice.served.digest_header.clone()),
            arm,
        })
    }

    /// Counts and logs an answer that the same message got before. It is counted as no prediction.
    pub(super) fn count_repeat(&self) {
        self.app.metrics.unanswered(None, 200);
        self.log(200, None, None);
    }

    /// Answers with `body` (JSON), and the headers of the version that made it.
    pub(super) fn with_body(&self, body: Vec<u8>, shown: Option<ShownVersion>) -> Response {
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.reserve(5);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(ShownVersion { model, digest, arm }) = shown {
            for (name, value) in [(X_MODEL, model), (X_DIGEST, digest)] {
                value.map(|value| headers.insert(name, value));
            }
            headers.insert(X_ARM, HeaderValue::from_static(arm));
        }
        self.identified(response)
    }

    /// Answers with `value`, which no model made.
    pub(super) fn reply(&self, status: StatusCode, value: &impl Serialize) -> Response {
        self.app.metrics.unanswered(None, status.as_u16());
        self.log(status.as_u16(), None, None);
        self.identified(json(status, value))
    }

    /// Answers with a JSON text that does not change.
    pub(super) fn reply_with(&self, json: &'static [u8]) -> Response {
        self.app.metrics.unanswered(None, 200);
        self.log(200, None, None);
        let mut response = Response::new(Body::from(json));
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        self.identified(response)
    }

    /// Answers with `response`, which no model made.
    pub(super) fn send(&self, response: Response) -> Response {
        let status = response.status().as_u16();
        self.app.metrics.unanswered(None, status);
        self.log(status, None, None);
        self.identified(response)
    }

    /// Adds the id to an answer that is made in another way.
    pub(super) fn identified(&self, mut response: Response) -> Response {
        let id = HeaderValue::from_maybe_shared(Bytes::from(self.id.to_string()))
            .expect("hexadecimal digits are a valid header");
        response.headers_mut().insert(X_REQUEST_ID, id);
        let verdict = *self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = verdict {
            response.extensions_mut().insert(verdict);
        }
        response
    }

    fn log(&self, status: u16, code: Option<&'static str>, answer: Option<AnswerLine>) {
        if self.app.log.is_on() {
            self.app.log.line(Line {
                at: self.app.clock.now(),
                request_id: self.id,
                endpoint: self.endpoint,
                status,
                duration: self.elapsed(),
                code,
                answer,
                trace_id: link().and_then(|link| link.trace_id()),
            });
        }
    }
}

/// Runs `work` without keeping the tasks of this thread waiting.
fn off_the_reactor<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        // A runtime of one thread has no other thread to hand its tasks to.
        RuntimeFlavor::CurrentThread => work(),
        _ => block_in_place(work),
    }
}

/// Writes `value` as a JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("an answer can be written as JSON");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The problem of a body with more than `most` bytes.
pub(super) fn too_large(most: usize) -> Problem {
    let fault = Fault::usage("BOT-6014", format!("the body is larger than {most} bytes"))
        .hint("send fewer texts per request");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, fault)
}

/// Returns the body of a request, which has at most `most` bytes.
///
/// # Errors
/// 413 if it is too large, 400 if the connection broke.
pub(super) fn read_body(
    body: Result<Bytes, BytesRejection>,
    most: usize,
) -> Result<Bytes, Problem> {
    body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            too_large(most)
        } else {
            Problem::new(
                StatusCode::BAD_REQUEST,
                Fault::usage("BOT-6012", "the body could not be read completely"),
            )
        }
    })
}

/// Parses a JSON body of the admin API. The result borrows from it.
///
/// # Errors
/// Those of [`parse_within`].
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    parse_within(body, MAX_DEPTH)
}

/// Parses a JSON body in which at most `depth` objects and lists are in each other. The result borrows from it.
///
/// # Errors
/// 400 if it is not JSON or nested too deep, 422 if the JSON has another shape.
pub(super) fn parse_within<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    depth: usize,
) -> Result<T, Problem> {
    check_depth(body, depth)?;
    botops_http::read_objects(body).map_err(|error| {
        if error.is_data() {
            let message = format!("the body has the wrong shape: {error}");
            let fault = Fault::usage("BOT-6013", message);
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, fault);
            match pointer::of_mistake::<T>(body) {
                Some(pointer) => problem.at(pointer),
                None => problem,
            }
        } else {
            Problem::new(
                StatusCode::BAD_REQUEST,
                Fault::usage("BOT-6012", format!("the body is not JSON: {error}")),
            )
        }
    })
}

/// Returns the problem of a body whose JSON has the right shape and whose value at `field` cannot be used.
pub(super) fn unfit(code: &'static str, field: Field, message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Fault::usage(code, message))
        .at(field.to_string())
}

/// Checks a conversation id.
///
/// # Errors
/// 422 if it is empty or too long.
pub(super) fn check_conversation(id: Option<&str>) -> Result<(), Problem> {
    match id {
        Some(id) if id.is_empty() || id.len() > MAX_ID_BYTES => Err(unfit(
            "BOT-6013",
            Field::Named("conversation_id"),
            format!(
                "`conversation_id` must have 1 to {MAX_ID_BYTES} bytes, but this one has {}",
                id.len()
            ),
        )),
        _ => Ok(()),
    }
}

/// The problem of a request that comes before the server is ready.
pub(super) fn not_ready() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        Fault::unreachable("BOT-6019", "the model is still being loaded and tested")
            .hint("try again in a moment; `/readiness` reports when it is ready"),
    )
}
