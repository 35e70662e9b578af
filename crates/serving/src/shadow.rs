//! Shadow traffic: the challenger classifies a message after it has been answered.
//!
//! In: messages that the primary answered while the rollout mirrors them. Out: shadow units and
//! disagreements in the [`Observer`], and the messages that they disagree on, for review.
//!
//! - one worker takes the requests from a bounded queue, in order; a request that finds the queue
//!   full is dropped and its messages are counted in `botops_shadow_dropped_total`
//! - a slow challenger takes a turn as any other request does, so shadow traffic adds at most one
//!   prediction at a time to the load of the processors
//! - a waiting request does not keep a withdrawn challenger alive, and adds nothing to another rollout

use crate::{
    disagreements::{Disagreement, KeptDisagreements, ShadowPrediction},
    routing::Served,
    speed::Speed,
};
use botops_observation::Observer;
use botops_telemetry::{Kind, Link};
use chrono::{DateTime, Utc};
use prometheus_client::metrics::counter::Counter;
use std::sync::{Arc, Weak};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::spawn_blocking,
};

/// The most requests that wait in a server. Each holds the texts of one body, at most 64 KiB.
pub(super) const CAPACITY: usize = 256;
/// The capacity in a rehearsal, which drops nothing: its decision must depend on its input alone.
pub(super) const UNBOUNDED: usize = Semaphore::MAX_PERMITS;

/// One request whose messages the challenger classifies.
pub(super) struct Mirrored {
    /// The rollout, by [`Observer::epoch`].
    pub(super) epoch: u64,
    /// The id of the rollout.
    pub(super) rollout: String,
    /// When it was answered.
    pub(super) at: DateTime<Utc>,
    /// The id of the conversation.
    pub(super) conversation_id: String,
    /// The challenger.
    pub(super) challenger: Weak<Served>,
    /// The messages.
    pub(super) messages: Vec<MirroredMessage>,
    /// The trace of the request; `None` without one.
    pub(super) trace: Option<Link>,
}

/// One message and the primary's answer to it.
pub(super) struct MirroredMessage {
    /// The text.
    pub(super) text: String,
    /// The intent that the primary predicted.
    pub(super) predicted: Arc<str>,
    /// Its probability, in [0, 1].
    pub(super) confidence: f64,
    /// Whether the primary fell back.
    pub(super) fallback: bool,
}

enum Entry {
    Mirrored(Mirrored),
    Flush(oneshot::Sender<()>),
}

/// The counters of the worker.
pub(super) struct Counts {
    /// Shadow units and disagreements, by conversation.
    pub(super) observer: Arc<Observer>,
    /// Messages on which the two models disagree.
    pub(super) disagreement: Counter,
    /// Messages dropped because the queue was full.
    pub(super) dropped: Counter,
    /// The messages on which they disagree, for review.
    pub(super) kept: Arc<KeptDisagreements>,
}

/// The sender of mirrored requests to the worker. Dropping it ends the worker.
pub(super) struct ShadowQueue {
    sender: mpsc::Sender<Entry>,
    dropped: Counter,
}

impl ShadowQueue {
    /// Starts the worker of a queue in which `capacity` requests may wait.
    ///
    /// `turns` are those that slow predictions take.
    pub(super) fn start(capacity: usize, turns: Arc<Semaphore>, counts: Counts) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        let dropped = counts.dropped.clone();
        tokio::spawn(work(receiver, turns, counts));
        Self { sender, dropped }
    }

    /// Queues a request, or drops it and counts its messages when the queue is full. Never waits.
    pub(super) fn push(&self, mirrored: Mirrored) {
        let n = mirrored.messages.len() as u64;
        if self.sender.try_send(Entry::Mirrored(mirrored)).is_err() {
            self.dropped.inc_by(n);
        }
    }

    /// Waits until every request queued before has been counted.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Entry::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

async fn work(mut receiver: mpsc::Receiver<Entry>, turns: Arc<Semaphore>, counts: Counts) {
    while let Some(entry) = receiver.recv().await {
        match entry {
            Entry::Mirrored(mirrored) => classify(mirrored, &turns, &counts).await,
            Entry::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

async fn classify(mirrored: Mirrored, turns: &Semaphore, counts: &Counts) {
    let Mirrored { epoch, rollout, at, conversation_id, challenger, messages, trace } = mirrored;
    let mut span = trace.map(|trace| trace.child("shadow", Kind::Internal));
    for message in messages {
        let Some(speed) = challenger.upgrade().map(|challenger| challenger.speed()) else { return };
        let _turn = match speed {
            Speed::Fast => None,
            Speed::Slow => turns.acquire().await.ok(),
        };
        // It may have been withdrawn while this waited for a turn.
        let Some(challenger) = challenger.upgrade() else { return };
        if counts.observer.epoch() != epoch {
            return;
        }
        let Ok(found) = spawn_blocking(move || compare(&challenger, message, at)).await else {
            return;
        };
        let differs = found.is_some();
        if let Some(found) = found {
            counts.disagreement.inc();
            if let Some(span) = &mut span {
                span.set("botops.disagrees", true);
            }
            counts.kept.keep(&rollout, found);
        }
        counts.observer.mirrored(epoch, &conversation_id, differs);
    }
}

/// Returns the disagreement of the challenger with the primary's answer, if there is one; a prediction that panics is one.
fn compare(
    challenger: &Served,
    message: MirroredMessage,
    at: DateTime<Utc>,
) -> Option<Disagreement> {
    let predicted = challenger.classify(&message.text, |_, _| ()).ok().map(|(prediction, ())| {
        ShadowPrediction {
            intent: challenger.intents[prediction.intent].to_string(),
            confidence: prediction.confidence,
            fallback: prediction.fallback,
        }
    });
    let MirroredMessage { text, predicted: intent, confidence, fallback } = message;
    let is_same =
        predicted.as_ref().is_some_and(|it| *it.intent == *intent && it.fallback == fallback);
    let primary = ShadowPrediction { intent: intent.to_string(), confidence, fallback };
    (!is_same).then_some(Disagreement { at, text, primary, challenger: predicted })
}
