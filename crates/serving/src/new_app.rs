//! The state of a server, made from its settings.

use crate::{
    MetricsAccess, ServerSettings,
    app::App,
    clock::Clock,
    cors::Cors,
    disagreements::KeptDisagreements,
    feedback_caps::FeedbackCaps,
    knowledge_settings::AnswerRules,
    metrics::Metrics,
    outgoing::Outgoing,
    page_policy::PagePolicy,
    prediction_log::Predictions,
    redis_limits::rate_limits,
    request_id::RequestIds,
    request_log::RequestLogger,
    routing::Slot,
    shadow::{Counts, ShadowQueue},
    shedding::{QueueControl, ThreadDelay},
};
use botops_access::{FeedbackTokens, TokenKeys};
use botops_findings::Result;
use botops_observation::{Observer, TrafficMeter, UnitKey};
use botops_telemetry::Tracer;
use chrono::TimeDelta;
use std::{
    num::NonZero,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    thread::available_parallelism,
    time::Instant,
};
use tokio::sync::Semaphore;

/// Makes the state that requests share; `shadow_capacity` mirrored requests may wait for the challenger.
///
/// # Errors
/// `BOT-6018` if the logging thread cannot be started; `BOT-1098` (exit 2) the location of the shared limits cannot be used;
/// `BOT-6131` or `BOT-6132` if the token key cannot be used or made; `BOT-6292` (exit 1) or `BOT-6294` (exit 5) if the log file
/// cannot be opened.
pub(super) fn new_app(
    model: &str,
    settings: &ServerSettings,
    clock: Arc<dyn Clock>,
    shadow_capacity: usize,
) -> Result<Arc<App>> {
    let metrics = Metrics::new(model);
    let log = RequestLogger::start(
        (settings.request_log, settings.telemetry.log_file.as_ref()),
        (metrics.dropped.clone(), &metrics.log_file),
    )?;
    let traces = settings.telemetry.traces.as_ref();
    let traces = traces.map(|it| Tracer::new(it, &metrics.traces)).transpose()?;
    let unit_key = match &settings.replication.identity_key {
        Some(key) => UnitKey::new(key.expose().as_bytes()),
        None => UnitKey::alone(),
    };
    let token_keys = match &settings.replication.token_key {
        Some(key) => TokenKeys::parse(key.expose())?,
        None => TokenKeys::alone()?,
    };
    let token_lifetime =
        TimeDelta::from_std(settings.replication.feedback_lifetime).unwrap_or(TimeDelta::MAX);
    let observer = Arc::new(Observer::new(unit_key.clone()));
    let n_processors = available_parallelism().map_or(1, NonZero::get);
    let turns = Arc::new(Semaphore::new(n_processors));
    let n_long_turns = n_processors.div_ceil(2);
    let max_queue_delay = settings.public.max_queue_delay;
    let rate_limits = rate_limits(settings, &metrics, &unit_key)?;
    let predictions = settings.predictions.as_ref();
    let predictions =
        predictions.map(|it| Predictions::start(it, &settings.environment)).transpose()?;
    let disagreements = Arc::<KeptDisagreements>::default();
    let counts = Counts {
        observer: Arc::clone(&observer),
        disagreement: metrics.disagreement.clone(),
        dropped: metrics.shadow_dropped.clone(),
        kept: Arc::clone(&disagreements),
    };
    let outgoing = match &settings.actions {
        Some(actions) => Outgoing::new(actions)?,
        None => Outgoing::none(),
    };
    let answers = AnswerRules::new(&settings.knowledge.rules)?;
    let ids = RequestIds::new()?;
    let tokens = FeedbackTokens::new(token_keys, &settings.environment, model)?;
    Ok(App::share(|me| App {
        model: model.to_owned(),
        shadow: ShadowQueue::start(shadow_capacity, Arc::clone(&turns), counts),
        disagreements,
        slot: Slot::default(),
        metrics,
        log,
        observer,
        traffic: TrafficMeter::start(Instant::now()),
        unit_key,
        clock,
        ids,
        slow_bound: AtomicU64::new(0),
        degraded: Mutex::default(),
        turns,
        long_turns: Semaphore::new(n_long_turns),
        rate_limits,
        cors: Cors::new(settings.public.cors_origins.clone()),
        sizes: settings.public.sizes.clone(),
        websockets: settings.public.websockets.clone(),
        batches: settings.public.batches,
        queue: QueueControl::new(max_queue_delay, n_processors),
        long_queue: QueueControl::new(max_queue_delay, n_long_turns),
        thread_delay: ThreadDelay::new(max_queue_delay),
        open_metrics: settings.listeners.metrics == MetricsAccess::Open,
        tokens,
        token_lifetime,
        is_inside: AtomicBool::new(false),
        conversations: settings.conversations.clone(),
        answers,
        chat_page: (settings.listeners.chat_page)
            .then(|| PagePolicy::new(&settings.public.cors_origins)),
        outgoing: Arc::new(outgoing),
        turn_order: Arc::default(),
        feedback_caps: FeedbackCaps::default(),
        me,
        predictions,
        has_channels: !settings.channels.channels.is_empty(),
        channels: std::sync::OnceLock::new(),
        jobs: std::sync::OnceLock::new(),
        traces,
    }))
}
