//! One request and its answer: the id, the headers, the counters and the log line every endpoint shares.

use super::{
    metrics::{Metrics, arm_name},
    observe::Observer,
    problem::Problem,
    request_log::{AnswerLine, Line, RequestLogger},
    shadow::ShadowQueue,
};
use crate::clock::Clock;
use crate::routing::{Choice, Routing, Slot, Speed};
use axum::{
    body::{Body, Bytes},
    extract::rejection::BytesRejection,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use botops_findings::Fault;
use botops_models::Prediction;
use botops_rollout::Arm;
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::block_in_place};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_MODEL: HeaderName = HeaderName::from_static("x-botops-model");
const X_DIGEST: HeaderName = HeaderName::from_static("x-botops-digest");
const X_ARM: HeaderName = HeaderName::from_static("x-botops-arm");

/// The largest body, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 64 << 10;
/// The longest text, in code points.
pub(super) const MAX_TEXT_CHARS: usize = 5_000;
/// The longest conversation id, in bytes.
pub(super) const MAX_ID_BYTES: usize = 256;

/// What every request needs; one a server.
pub(super) struct App {
    /// The model's name.
    pub(super) model: String,
    /// Who answers.
    pub(super) slot: Slot,
    /// What is counted.
    pub(super) metrics: Metrics,
    /// What is logged.
    pub(super) log: RequestLogger,
    /// What the judge sees.
    pub(super) observer: Arc<Observer>,
    /// The messages that the challenger classifies after their answers.
    pub(super) shadow: ShadowQueue,
    /// What time it is.
    pub(super) clock: Arc<dyn Clock>,
    /// Numbers requests.
    pub(super) ids: RequestIds,
    /// Answers that took longer are slow, in nanoseconds; 0: no bound.
    pub(super) slow_bound: AtomicU64,
    /// Turns of those requests that keep a processor busy for milliseconds: as many as there are processors.
    pub(super) turns: Arc<Semaphore>,
}

impl App {
    /// Returns whether an answer that took `duration` is slow.
    pub(super) fn is_slow(&self, duration: Duration) -> bool {
        let bound = self.slow_bound.load(Ordering::Relaxed);
        bound != 0 && duration.as_nanos() > u128::from(bound)
    }
}

/// The id of a request: where it was answered, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestId {
    server: u64,
    /// Its number, from 1.
    pub(super) number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.server, self.number)
    }
}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Numbers requests.
pub(super) struct RequestIds {
    server: u64,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        // The low bits of a ULID are random: two servers, or two starts, do not share ids.
        let server = ulid::Ulid::generate().random() as u64;
        Self { server, next: AtomicU64::new(1) }
    }
}

impl RequestIds {
    /// Gives out the next id.
    pub(super) fn next(&self) -> RequestId {
        RequestId { server: self.server, number: self.next.fetch_add(1, Ordering::Relaxed) }
    }

    /// Returns the number in `id`, when it was given out here.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        let (server, number) = id.split_once('-')?;
        let server = u64::from_str_radix(server, 16).ok()?;
        let number = u64::from_str_radix(number, 16).ok()?;
        (server == self.server).then_some(number)
    }
}

/// A request being answered.
pub(super) struct Exchange<'a> {
    /// The server.
    pub(super) app: &'a App,
    /// Its id.
    pub(super) id: RequestId,
    endpoint: &'static str,
    begun: Instant,
}

/// Text that borrows from the body where JSON allows it.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> Exchange<'a> {
    /// Begins with the next id.
    pub(super) fn begin(app: &'a App, endpoint: &'static str) -> Self {
        Self { app, id: app.ids.next(), endpoint, begun: Instant::now() }
    }

    /// Returns a number in [0, 1) of this request's own, for a choice no conversation makes.
    pub(super) fn draw(&self) -> f64 {
        // SplitMix64 of the id: cheap, and no generator to share between threads.
        let mut z = self.id.server ^ self.id.number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns how long it has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Runs `work`: at once for a fast model, else when a turn is free, on a thread that other requests do not need.
    ///
    /// `speed` comes from the routing that `work` uses: a swap while it waits changes neither.
    pub(super) async fn take_turn<T>(&self, speed: Speed, work: impl FnOnce() -> T) -> T {
        match speed {
            Speed::Fast => work(),
            Speed::Slow => {
                let _turn = self.app.turns.acquire().await;
                block_in_place(work)
            }
        }
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
        let (status, code) = (problem.status.as_u16(), problem.fault.code());
        self.app.metrics.unanswered(arm, status);
        self.log(status, Some(code), None);
        self.identified(problem.into_response())
    }

    /// Answers with `body` (JSON) and the headers that say who made it.
    pub(super) fn answer(
        &self,
        choice: &Choice<'_>,
        n: usize,
        first: &Prediction,
        duration: Duration,
        body: Vec<u8>,
    ) -> Response {
        let metrics = self.app.metrics.arm(choice.arm);
        metrics.answered.inc();
        metrics.seconds.observe(duration.as_secs_f64());
        if !choice.sticky {
            self.app.metrics.unsticky.inc();
        }
        let arm = arm_name(choice.arm);
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
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.reserve(5);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(X_MODEL, choice.served.reference_header.clone());
        headers.insert(X_DIGEST, choice.served.digest_header.clone());
        headers.insert(X_ARM, HeaderValue::from_static(arm));
        self.identified(response)
    }

    /// Answers with `value`, no model involved.
    pub(super) fn tell(&self, status: StatusCode, value: &impl Serialize) -> Response {
        self.app.metrics.unanswered(None, status.as_u16());
        self.log(status.as_u16(), None, None);
        self.identified(json(status, value))
    }

    fn identified(&self, mut response: Response) -> Response {
        let id = HeaderValue::from_maybe_shared(Bytes::from(self.id.to_string()))
            .expect("hex digits are a header");
        response.headers_mut().insert(X_REQUEST_ID, id);
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
            });
        }
    }
}

/// Writes `value` as a JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("an answer of ours is valid JSON");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Takes the body, once it could be read.
///
/// # Errors
/// 413 when it is too large, 400 when the connection broke.
pub(super) fn read_body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Fault::usage("BOT-6014", format!("the body is larger than {MAX_BODY_BYTES} bytes"))
                    .hint("send fewer texts a request"),
            )
        } else {
            Problem::new(
                StatusCode::BAD_REQUEST,
                Fault::usage("BOT-6012", "the body could not be read to its end"),
            )
        }
    })
}

/// Parses a JSON body, borrowing from it.
///
/// # Errors
/// 400 for what is no JSON, 422 for JSON of another shape.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                Fault::usage("BOT-6013", format!("the body does not fit: {error}")),
            )
        } else {
            Problem::new(
                StatusCode::BAD_REQUEST,
                Fault::usage("BOT-6012", format!("the body is not JSON: {error}")),
            )
        }
    })
}

/// Refuses a body whose JSON has the right shape and says nothing that can be answered.
pub(super) fn unfit(code: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Fault::usage(code, message))
}

/// Checks a text.
///
/// # Errors
/// 422 for one that is empty or too long.
pub(super) fn check_text(text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(unfit("BOT-6015", "`text` is empty"));
    }
    if text.len() > MAX_TEXT_CHARS && text.chars().nth(MAX_TEXT_CHARS).is_some() {
        return Err(unfit(
            "BOT-6015",
            format!("`text` is longer than {MAX_TEXT_CHARS} characters"),
        ));
    }
    Ok(())
}

/// Checks a conversation id.
///
/// # Errors
/// 422 for one that is empty or too long.
pub(super) fn check_conversation(id: Option<&str>) -> Result<(), Problem> {
    match id {
        Some(id) if id.is_empty() || id.len() > MAX_ID_BYTES => Err(unfit(
            "BOT-6013",
            format!("`conversation_id` has 1 to {MAX_ID_BYTES} bytes, this one {}", id.len()),
        )),
        _ => Ok(()),
    }
}

fn not_ready() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        Fault::unreachable("BOT-6019", "the model is still being loaded and tested")
            .hint("try again in a moment; `/readiness` says when it is ready"),
    )
}
