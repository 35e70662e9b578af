//! The state that all requests of a server share.

use crate::{
    BatchSettings, WebSocketSettings,
    clock::Clock,
    conversation_settings::ConversationSettings,
    cors::Cors,
    disagreements::KeptDisagreements,
    feedback_caps::FeedbackCaps,
    job_service::JobService,
    knowledge_settings::AnswerRules,
    metrics::Metrics,
    outgoing::Outgoing,
    page_policy::PagePolicy,
    prediction_log::Predictions,
    rate_limit::RateLimiting,
    request_id::RequestIds,
    request_log::RequestLogger,
    routing::Slot,
    shadow::ShadowQueue,
    shedding::{QueueControl, ThreadDelay},
    sizes::Sizes,
    turn_order::TurnOrder,
};
use botops_access::FeedbackTokens;
use botops_channels::ChannelSet;
use botops_observation::{Observer, TrafficMeter, UnitKey};
use botops_telemetry::Tracer;
use chrono::TimeDelta;
use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// The state that all requests of a server share.
pub(super) struct App {
    /// The model's name.
    pub(super) model: String,
    /// The models that answer.
    pub(super) slot: Slot,
    /// The metrics.
    pub(super) metrics: Metrics,
    /// The request log.
    pub(super) log: RequestLogger,
    /// The observations that the judge decides on.
    pub(super) observer: Arc<Observer>,
    /// The conversations of the last day.
    pub(super) traffic: TrafficMeter,
    /// The key under which conversations are named in observations.
    pub(super) unit_key: UnitKey,
    /// The messages that the challenger classifies after their answers.
    pub(super) shadow: ShadowQueue,
    /// Those of them on which the two models disagreed.
    pub(super) disagreements: Arc<KeptDisagreements>,
    /// The clock of requests and rollouts.
    pub(super) clock: Arc<dyn Clock>,
    /// The ids of requests.
    pub(super) ids: RequestIds,
    /// The duration beyond which an answer counts as slow, in nanoseconds; 0 for no bound.
    pub(super) slow_bound: AtomicU64,
    /// The problems with which the server runs all the same, such as a damaged log.
    pub(super) degraded: Mutex<Vec<Degradation>>,
    /// The turns of slow predictions: one for each processor.
    pub(super) turns: Arc<Semaphore>,
    /// The turns of long texts on fast models: one for every two processors.
    pub(super) long_turns: Semaphore,
    /// The rate limits of the public API.
    pub(super) rate_limits: RateLimiting,
    /// The other web sites whose pages may call the public API.
    pub(super) cors: Cors,
    /// The limits on the size of a request.
    pub(super) sizes: Sizes,
    /// The queue for `turns`.
    pub(super) queue: QueueControl,
    /// The queue for `long_turns`.
    pub(super) long_queue: QueueControl,
    /// The delay of the threads that serve connections.
    pub(super) thread_delay: ThreadDelay,
    /// Whether everyone may read the metrics.
    pub(super) open_metrics: bool,
    /// The tokens of answers, with which feedback comes back.
    pub(super) tokens: FeedbackTokens,
    /// How long feedback on an answer counts.
    pub(super) token_lifetime: TimeDelta,
    /// Whether all callers are inside, as in a rehearsal: their feedback is that of the system.
    pub(super) is_inside: AtomicBool,
    /// The WebSockets.
    pub(super) websockets: WebSocketSettings,
    /// The limits of a batch of lines.
    pub(super) batches: BatchSettings,
    /// The conversations; `None` for a server that keeps none.
    pub(super) conversations: Option<ConversationSettings>,
    /// The rules of answers from documents.
    pub(super) answers: AnswerRules,
    /// The calls that dialogues ask for.
    pub(super) outgoing: Arc<Outgoing>,
    /// This state, for work that outlives a request.
    pub(super) me: Weak<Self>,
    /// The order of the messages of each conversation.
    pub(super) turn_order: Arc<TurnOrder>,
    /// The verdicts of callers.
    pub(super) feedback_caps: FeedbackCaps,
    /// The chat page of the public listener; `None` for a server without one.
    pub(super) chat_page: Option<PagePolicy>,
    /// The prediction log; `None` for a server that keeps none.
    pub(super) predictions: Option<Predictions>,
    /// Whether the public listener has the path of channels.
    pub(super) has_channels: bool,
    /// The messaging channels; empty before the server is ready.
    pub(super) channels: OnceLock<Arc<ChannelSet>>,
    /// The background jobs; empty for a server without a store, and before it is ready.
    pub(super) jobs: OnceLock<Arc<JobService>>,
    /// The traces; `None` for a server without them.
    pub(super) traces: Option<Arc<Tracer>>,
}

/// A problem with which the server runs all the same.
#[derive(Debug, Clone)]
pub(super) struct Degradation {
    /// Its code.
    pub(super) code: &'static str,
    /// The problem in words, with places in the store: not for the public.
    pub(super) problem: String,
}

impl App {
    /// Returns `app`, which nobody else has yet, with a change that a test needs.
    #[cfg(test)]
    pub(super) fn changed(app: Arc<Self>, change: impl FnOnce(&mut Self)) -> Arc<Self> {
        let mut app = Arc::into_inner(app).expect("somebody else has it");
        change(&mut app);
        Arc::new_cyclic(|me| Self { me: me.clone(), ..app })
    }

    /// Shares the state that `make` makes.
    pub(super) fn share(make: impl FnOnce(Weak<Self>) -> Self) -> Arc<Self> {
        Arc::new_cyclic(|me| make(me.clone()))
    }

    /// Returns this state, for work that outlives a request.
    pub(super) fn shared(&self) -> Arc<Self> {
        self.me.upgrade().expect("whoever holds a reference keeps the state")
    }

    /// Notes a problem with which the server runs all the same; the log, the metrics and the readiness report it.
    pub(super) fn degrade(&self, code: &'static str, problem: String) {
        self.log.event(self.clock.now(), "error", "degraded", format!("{code}: {problem}"));
        self.metrics.degraded(code);
        let mut degraded = self.degraded.lock().unwrap_or_else(PoisonError::into_inner);
        degraded.push(Degradation { code, problem });
    }

    /// Returns the problems with which the server runs.
    pub(super) fn degradations(&self) -> Vec<Degradation> {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether there is a bound on the latency.
    pub(super) fn has_slow_bound(&self) -> bool {
        self.slow_bound.load(Ordering::Relaxed) != 0
    }

    /// Returns whether an answer that took `duration` is slow.
    pub(super) fn is_slow(&self, duration: Duration) -> bool {
        let bound = self.slow_bound.load(Ordering::Relaxed);
        bound != 0 && duration.as_nanos() > u128::from(bound)
    }
}
