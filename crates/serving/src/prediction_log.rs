//! The prediction log of a server: a record for each message that a model classified, and every verdict on one.

use crate::{app::App, attempt::Attempt, metrics::arm_name, routing::Served};
use botops_findings::{Fault, Result};
use botops_models::Prediction;
use botops_predictions::{
    Likely, LogCounts, PredictionLog, PredictionLogSettings, RawRecord, Record, Verdict,
    record_verdicts, ship, six_digits,
};
use botops_store::Store;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use std::{
    sync::{Arc, Mutex, PoisonError, mpsc as threads},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};

/// How often full segments are moved to the store, and the counts of the log are read.
const SHIPPING: Duration = Duration::from_secs(2);
/// The time that verdicts gather before they are stored together.
const GATHERING: Duration = Duration::from_millis(50);
/// The most verdicts that are stored together.
const MOST_TOGETHER: usize = 10_000;
/// The longest time that the end of a server waits for its last segments to reach the store.
const LAST_SHIPPING: Duration = Duration::from_secs(5);

/// The prediction log of a server.
#[derive(Clone)]
pub struct PredictionSettings {
    /// How records are written.
    pub log: PredictionLogSettings,
    /// The store that full segments and verdicts go to.
    pub store: Store,
}

impl std::fmt::Debug for PredictionSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictionSettings").field("log", &self.log).finish_non_exhaustive()
    }
}

/// A verdict, and where the outcome of storing it is awaited.
type Awaited = (Verdict, oneshot::Sender<bool>);

/// The prediction log of a running server.
pub(super) struct Predictions {
    log: PredictionLog,
    store: Store,
    environment: String,
    verdicts: mpsc::Sender<Awaited>,
    /// Taken by [`run`].
    incoming: Mutex<Option<mpsc::Receiver<Awaited>>>,
    /// What the writing thread reports.
    events: Mutex<threads::Receiver<String>>,
}

/// What a model said of a text besides its prediction.
#[derive(Debug, Clone, Default)]
pub(super) struct Details {
    /// The next likely intents.
    pub(super) others: Vec<Likely>,
    /// The score that was compared with the threshold of the fallback.
    pub(super) score: f64,
    /// The language that was guessed.
    pub(super) guessed: Option<String>,
    /// The language that the request declared.
    pub(super) declared: Option<String>,
    /// The kinds of the entities in the text.
    pub(super) entities: Vec<String>,
}

impl Predictions {
    /// Opens the local folder and starts the writing thread.
    ///
    /// # Errors
    /// Those of [`PredictionLog::start`].
    pub(super) fn start(settings: &PredictionSettings, environment: &str) -> Result<Self> {
        let (said, events) = threads::channel();
        let replica = ulid::Ulid::generate().to_string();
        let log = PredictionLogSettings { replica, ..settings.log.clone() };
        let log = PredictionLog::start(&log, move |event| {
            let _ = said.send(event);
        })?;
        let (verdicts, incoming) = mpsc::channel(MOST_TOGETHER);
        Ok(Self {
            log,
            store: settings.store.clone(),
            environment: environment.to_owned(),
            verdicts,
            incoming: Mutex::new(Some(incoming)),
            events: Mutex::new(events),
        })
    }

    /// Logs the text number `index` of a request, which `endpoint` answered.
    pub(super) fn add(
        &self,
        attempt: &Attempt<'_>,
        (endpoint, index, text): (&str, usize, &str),
        (prediction, details): (&Prediction, Details),
        duration: Duration,
    ) {
        let served = attempt.choice.served;
        let mut entities = details.entities;
        entities.sort_unstable();
        entities.dedup();
        let record = Record {
            at: attempt.exchange.app.clock.now().timestamp_millis(),
            request_id: attempt.exchange.id.to_string(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            endpoint: endpoint.to_owned(),
            conversation: attempt.conversation().map(str::to_owned),
            language: details.declared,
            guessed: details.guessed,
            digest: served.digest_text.clone(),
            arm: arm_name(attempt.choice.arm).to_owned(),
            intent: served.intents[prediction.intent].to_string(),
            confidence: six_digits(prediction.confidence),
            others: details.others,
            oos: details.score.is_finite().then(|| six_digits(details.score)),
            fallback: prediction.fallback,
            latency_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            entities,
            ..Record::default()
        };
        self.log.add(RawRecord { record, text: text.to_owned() });
    }

    /// Stores a verdict, and returns once it is durable.
    ///
    /// # Errors
    /// `BOT-6214` (exit 7) the store cannot be reached, or the server is about to end.
    pub(super) async fn judge(&self, verdict: Verdict) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        let is_stored = match self.verdicts.try_send((verdict, done)) {
            Ok(()) => is_done.await.unwrap_or(false),
            Err(_) => false,
        };
        if is_stored {
            return Ok(());
        }
        Err(Fault::unreachable("BOT-6214", "the feedback could not be stored, and does not count")
            .hint("send it again later"))
    }
}

/// Returns the two next likely intents of a text, and its score.
pub(super) fn details_of(served: &Served, prediction: &Prediction, proba: &[f64]) -> Details {
    // The three likeliest, without sorting all: there may be hundreds of intents.
    let mut best: [Option<(usize, f64)>; 2] = [None; 2];
    for (intent, &p) in proba.iter().enumerate() {
        if intent == prediction.intent {
            continue;
        }
        if best[0].is_none_or(|(_, first)| p > first) {
            best = [Some((intent, p)), best[0]];
        } else if best[1].is_none_or(|(_, second)| p > second) {
            best[1] = Some((intent, p));
        }
    }
    let likely = |(intent, p): (usize, f64)| Likely {
        intent: served.intents[intent].to_string(),
        p: six_digits(p),
    };
    let others = best.into_iter().flatten().map(likely).collect();
    Details { others, score: prediction.score, ..Details::default() }
}

/// The metrics of the log.
pub(super) struct PredictionMetrics {
    written: Counter,
    lost: Counter,
    sampled_out: Counter,
    waiting_bytes: Gauge,
    shipped: Counter,
    shipping_failed: Counter,
    verdicts: Counter,
}

impl PredictionMetrics {
    /// Makes the metrics, and registers them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counter = |registry: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let waiting_bytes = Gauge::default();
        let help = "Bytes of predictions that wait for the store";
        registry.register("predictions_waiting_bytes", help, waiting_bytes.clone());
        Self {
            written: counter(registry, "predictions_logged", "Predictions on the disk"),
            lost: counter(registry, "predictions_lost", "Predictions that could not be logged"),
            sampled_out: counter(
                registry,
                "predictions_sampled_out",
                "Predictions left out because the store was out of reach for long",
            ),
            waiting_bytes,
            shipped: counter(registry, "prediction_segments_shipped", "Segments in the store"),
            shipping_failed: counter(
                registry,
                "prediction_shipping_failed",
                "Tries to move segments to the store that failed",
            ),
            verdicts: counter(registry, "verdicts_stored", "Verdicts that were stored"),
        }
    }

    /// Adds what has happened since the counts `before`.
    fn count(&self, before: LogCounts, now: LogCounts) {
        self.written.inc_by(now.written - before.written);
        let lost = |counts: LogCounts| counts.dropped + counts.refused;
        self.lost.inc_by(lost(now) - lost(before));
        self.sampled_out.inc_by(now.sampled_out - before.sampled_out);
        self.waiting_bytes.set(i64::try_from(now.waiting_bytes).unwrap_or(i64::MAX));
    }
}

/// Moves segments and verdicts to the store until `stopped`; then what is left, as far as a few seconds allow.
pub(super) async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let Some(predictions) = &app.predictions else { return };
    let taken = predictions.incoming.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(incoming) = taken else { return };
    let storing = store_verdicts(&app, predictions, incoming);
    tokio::pin!(storing);
    let mut shipping =
        Shipping { app: &app, predictions, counted: LogCounts::default(), fails: false };
    loop {
        tokio::select! {
            () = &mut storing => return,
            () = tokio::time::sleep(SHIPPING) => shipping.once().await,
            () = async { let _ = stopped.wait_for(|stopped| *stopped).await; } => break,
        }
    }
    let app_of_flush = Arc::clone(&app);
    let flushed = tokio::task::spawn_blocking(move || {
        if let Some(predictions) = &app_of_flush.predictions {
            predictions.log.flush(true);
        }
    });
    let last = async {
        let _ = flushed.await;
        shipping.once().await;
    };
    // Verdicts are stored as long as requests may still be under way.
    tokio::select! {
        () = storing => {}
        _ = tokio::time::timeout(LAST_SHIPPING, last) => {}
    }
}

struct Shipping<'a> {
    app: &'a App,
    predictions: &'a Predictions,
    counted: LogCounts,
    /// Whether the last try failed: a trouble is reported once.
    fails: bool,
}

impl Shipping<'_> {
    async fn once(&mut self) {
        let Self { app, predictions, .. } = *self;
        let now = predictions.log.counts();
        let metrics = &app.metrics.predictions;
        metrics.count(self.counted, now);
        self.counted = now;
        {
            let events = predictions.events.lock().unwrap_or_else(PoisonError::into_inner);
            for event in events.try_iter() {
                app.log.event(app.clock.now(), "warning", "predictions", event);
            }
        }
        let shipped = ship(&predictions.store, &predictions.environment, predictions.log.folder());
        match shipped.await {
            Ok(shipped) => {
                metrics.shipped.inc_by(shipped.segments);
                if std::mem::take(&mut self.fails) {
                    let message = "predictions reach the store again".to_owned();
                    app.log.event(app.clock.now(), "info", "predictions", message);
                }
            }
            Err(fault) => {
                metrics.shipping_failed.inc();
                if !std::mem::replace(&mut self.fails, true) {
                    let message = format!(
                        "{}: predictions wait for the store: {}",
                        fault.code(),
                        fault.message()
                    );
                    app.log.event(app.clock.now(), "warning", "predictions", message);
                }
            }
        }
    }
}

/// Stores the verdicts that come, those of a moment together.
async fn store_verdicts(
    app: &App,
    predictions: &Predictions,
    mut incoming: mpsc::Receiver<Awaited>,
) {
    let mut together: Vec<Awaited> = Vec::new();
    let mut fails = false;
    while incoming.recv_many(&mut together, MOST_TOGETHER).await > 0 {
        let until = Instant::now() + GATHERING;
        while together.len() < MOST_TOGETHER {
            let left = until.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, incoming.recv()).await {
                Ok(Some(next)) => together.push(next),
                _ => break,
            }
        }
        let (verdicts, waiting): (Vec<Verdict>, Vec<_>) = together.drain(..).unzip();
        let now = app.clock.now();
        let stored =
            record_verdicts(&predictions.store, &predictions.environment, &verdicts, now).await;
        match &stored {
            Ok(()) => {
                app.metrics.predictions.verdicts.inc_by(verdicts.len() as u64);
                fails = false;
            }
            Err(fault) if !std::mem::replace(&mut fails, true) => {
                let message = format!("{}: feedback is refused: {}", fault.code(), fault.message());
                app.log.event(now, "error", "predictions", message);
            }
            Err(_) => {}
        }
        for waiting in waiting {
            let _ = waiting.send(stored.is_ok());
        }
    }
}
