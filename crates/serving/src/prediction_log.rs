//! The prediction log of a server: a record for each message that a model classified, and every verdict on one.

use crate::{knowledge_answer::KnowledgeRecord, routing::Served};
use botops_findings::{Fault, Result};
use botops_models::Prediction;
use botops_predictions::{
    Likely, PredictionLog, PredictionLogSettings, RawRecord, Verdict, six_digits,
};
use botops_store::Store;
use chrono::TimeDelta;
use std::sync::{Mutex, mpsc as threads};
use tokio::sync::{mpsc, oneshot};

/// The most verdicts that are stored together.
pub(super) const MOST_TOGETHER: usize = 10_000;

/// The prediction log of a server.
#[derive(Clone)]
pub struct PredictionSettings {
    /// How records are written.
    pub log: PredictionLogSettings,
    /// The store that full segments and verdicts go to.
    pub store: Store,
    /// How long records are kept in the store; `None` if this server removes none.
    pub retention: Option<TimeDelta>,
}

impl std::fmt::Debug for PredictionSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictionSettings").field("log", &self.log).finish_non_exhaustive()
    }
}

/// A verdict, and where the outcome of storing it is awaited.
pub(super) type Awaited = (Verdict, oneshot::Sender<bool>);

/// The prediction log of a running server.
pub(super) struct Predictions {
    pub(super) log: PredictionLog,
    pub(super) store: Store,
    pub(super) environment: String,
    /// How long records are kept in the store.
    pub(super) retention: Option<TimeDelta>,
    verdicts: mpsc::Sender<Awaited>,
    /// Taken by [`run`].
    pub(super) incoming: Mutex<Option<mpsc::Receiver<Awaited>>>,
    /// The reports of the writing thread.
    pub(super) events: Mutex<threads::Receiver<String>>,
}

/// The words of a model about a text besides its prediction.
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
    /// Whether the conversation is with a person after the message.
    pub(super) handed_off: bool,
    /// Whether the message leaves its conversation unresolved.
    pub(super) unresolved: bool,
    /// The part of knowledge in the answer.
    pub(super) knowledge: KnowledgeRecord,
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
            retention: settings.retention,
            verdicts,
            incoming: Mutex::new(Some(incoming)),
            events: Mutex::new(events),
        })
    }

    /// Logs a message.
    pub(super) fn add(&self, record: RawRecord) {
        self.log.add(record);
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
    let unresolved = prediction.fallback;
    Details { others, score: prediction.score, unresolved, ..Details::default() }
}
