//! Rate limits of the public API: counted here, or together with the other servers of the environment.

use crate::{limit_metrics::LimitMetrics, problem::Problem};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use botops_access::{
    Applied, Asked, OnSharedFailure, RequestLimits, SharedLimits, TrustedProxies, Verdict, take_all,
};
use botops_findings::Fault;
use botops_observation::UnitKey;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// How long a server counts alone after the shared limits did not answer, before it asks them again.
const PAUSE: Duration = Duration::from_secs(1);

/// The rate limits of the public API.
pub(super) struct RateLimiting {
    limits: RequestLimits,
    proxies: TrustedProxies,
    shared: Option<Shared>,
    metrics: Arc<LimitMetrics>,
}

/// The limits that several servers count together.
struct Shared {
    store: Arc<dyn SharedLimits>,
    on_failure: OnSharedFailure,
    /// The key under which subjects are named in the store, the same for all servers of an environment.
    names: UnitKey,
    /// The environment, a part of every name.
    environment: String,
    begun: Instant,
    /// The time since `begun`, in nanoseconds, before which the store is not asked; 0 while it answers.
    paused_until: AtomicU64,
    is_down: AtomicBool,
}

/// A change of the shared limits: a line for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// `warn` or `info`.
    pub(super) level: &'static str,
    /// The line.
    pub(super) message: String,
}

/// The decision on a request.
#[derive(Default)]
pub(super) struct Decision {
    /// The verdict of the tightest limit; `None` if none applies.
    pub(super) verdict: Option<Verdict>,
    /// The problem to refuse the request with.
    pub(super) problem: Option<Problem>,
    /// A line for the log.
    pub(super) change: Option<Change>,
}

impl RateLimiting {
    /// Makes the limits of one server.
    pub(super) fn new(
        limits: RequestLimits,
        proxies: TrustedProxies,
        metrics: Arc<LimitMetrics>,
    ) -> Self {
        Self { limits, proxies, shared: None, metrics }
    }

    /// Counts in `store` together with the other servers of `environment`.
    pub(super) fn shared(
        self,
        (store, on_failure): (Arc<dyn SharedLimits>, OnSharedFailure),
        (names, environment): (UnitKey, &str),
    ) -> Self {
        self.metrics.shared(true);
        let shared = Shared {
            store,
            on_failure,
            names,
            environment: environment.to_owned(),
            begun: Instant::now(),
            paused_until: AtomicU64::new(0),
            is_down: AtomicBool::new(false),
        };
        Self { shared: Some(shared), ..self }
    }

    /// Returns whether several servers count together.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Returns the limits.
    pub(super) fn limits(&self) -> &RequestLimits {
        &self.limits
    }

    /// Returns the address of the client that sent `headers` over a connection from `peer`.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.proxies.is_empty() {
            return peer.to_canonical();
        }
        let values = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        self.proxies.client(peer, values(X_FORWARDED_FOR), values(FORWARDED))
    }

    /// Counts a request at limits of this server alone: those that come before the caller is known.
    pub(super) fn take_here<'a>(&self, applied: impl IntoIterator<Item = Applied<'a>>) -> Decision {
        let verdict = take_all(applied);
        let problem = verdict.and_then(|verdict| self.refusal(&verdict));
        Decision { verdict, problem, change: None }
    }

    /// Counts a request: in the shared store, if there is one, else here.
    pub(super) async fn take(&self, applied: &[Applied<'_>]) -> Decision {
        let Some(shared) = &self.shared else { return self.take_here(applied.iter().copied()) };
        // An address has been counted here before.
        let others = || applied.iter().copied().filter(|it| !self.limits.is_of_address(it));
        let (answer, change) = match shared.may_ask() {
            true => shared.ask(applied).await,
            false => (None, None),
        };
        if let Some(change) = &change {
            self.metrics.shared(change.level == "info");
        }
        let decision = match answer {
            Some(verdict) => {
                let problem = verdict.and_then(|verdict| self.refusal(&verdict));
                Decision { verdict, problem, change: None }
            }
            None => {
                self.metrics.shared_failures.inc();
                match shared.on_failure {
                    OnSharedFailure::Local => self.take_here(others()),
                    OnSharedFailure::Refuse => {
                        Decision { problem: Some(unreachable()), ..Decision::default() }
                    }
                }
            }
        };
        Decision { change, ..decision }
    }

    fn refusal(&self, verdict: &Verdict) -> Option<Problem> {
        let time = verdict.retry_after?;
        self.metrics.limited(verdict.limit);
        let whose = match verdict.limit {
            "address" => "this address has",
            "conversation" => "this conversation has",
            "route" => "this caller has, on this path,",
            "total" => "all callers of this path together have",
            _ => "this caller has",
        };
        let message = format!("{whose} used up the rate of {}", verdict.rate);
        let fault = Fault::unreachable("BOT-1095", message)
            .hint("wait as long as the header `retry-after` says");
        Some(Problem::new(StatusCode::TOO_MANY_REQUESTS, fault).retry_after(time))
    }
}

impl Shared {
    /// Returns the name under which the store counts a subject. Nobody without the key can tell whose it is.
    fn asked(&self, applied: &Applied<'_>) -> Asked {
        let (limit, rate) = (applied.limit.name(), applied.limit.rate());
        let subject = self.names.of(&applied.subject.to_string());
        Asked { key: format!("botops:limit:{}:{limit}:{subject:016x}", self.environment), rate }
    }

    /// Returns whether to ask the store: always while it answers, else by one request in a while.
    fn may_ask(&self) -> bool {
        let until = self.paused_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let next = now.saturating_add(PAUSE.as_nanos() as u64);
        now >= until
            && self
                .paused_until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Asks the store. Returns the tightest verdict, or `None` if it did not answer; and the change of its state.
    async fn ask(&self, applied: &[Applied<'_>]) -> (Option<Option<Verdict>>, Option<Change>) {
        let asked: Vec<Asked> = applied.iter().map(|applied| self.asked(applied)).collect();
        match self.store.take(&asked).await {
            Ok(taken) => {
                let verdicts = applied.iter().zip(taken).map(|(applied, taken)| Verdict {
                    limit: applied.limit.name(),
                    rate: applied.limit.rate(),
                    remaining: taken.remaining,
                    retry_after: taken.retry_after,
                });
                self.paused_until.store(0, Ordering::Relaxed);
                let change = self.is_down.swap(false, Ordering::Relaxed).then(|| Change {
                    level: "info",
                    message: "the shared limits answer again".to_owned(),
                });
                (Some(verdicts.reduce(Verdict::tighter)), change)
            }
            Err(problem) => {
                let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                let until = now.saturating_add(PAUSE.as_nanos() as u64);
                self.paused_until.store(until, Ordering::Relaxed);
                let meanwhile = match self.on_failure {
                    OnSharedFailure::Local => "this server counts alone meanwhile",
                    OnSharedFailure::Refuse => "limited requests are refused meanwhile",
                };
                let change = (!self.is_down.swap(true, Ordering::Relaxed)).then(|| Change {
                    level: "warn",
                    message: format!("the shared limits did not answer: {problem}; {meanwhile}"),
                });
                (None, change)
            }
        }
    }
}

fn unreachable() -> Problem {
    let fault = Fault::unreachable("BOT-1096", "the shared limits cannot be reached")
        .hint("try again in a moment");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, fault).retry_after(PAUSE)
}

/// Writes a verdict into the headers of an answer, in the form of the IETF draft `ratelimit-headers`: the policy (`q` requests
/// in a window of `w` seconds) and the rest (`r` requests now, all of them in `t` seconds).
pub(super) fn write(verdict: &Verdict, headers: &mut HeaderMap) {
    let (name, burst, window) =
        (verdict.limit, verdict.rate.at_once(), verdict.rate.window_seconds());
    let reset = verdict.reset();
    let reset = reset.as_secs() + u64::from(reset.subsec_nanos() > 0);
    let policy = format!("\"{name}\";q={burst};w={window}");
    let rest = format!("\"{name}\";r={};t={reset}", verdict.remaining);
    for (name, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, rest)] {
        let value = HeaderValue::try_from(text).expect("names and numbers are a valid header");
        headers.insert(name, value);
    }
}
