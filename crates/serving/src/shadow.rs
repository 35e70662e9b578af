//! Shadow traffic: the challenger classifies a message after it has been answered.
//!
//! In: messages that the primary answered while the rollout mirrors them. Out: shadow units and
//! disagreements in the [`Observer`].
//!
//! - one worker takes the requests from a bounded queue, in order; a request that finds the queue
//!   full is dropped and its messages are counted in `botops_shadow_dropped_total`
//! - a slow challenger takes a turn as any other request does, so shadow traffic adds at most one
//!   prediction at a time to the load of the processors
//! - a waiting request does not keep a withdrawn challenger alive, and adds nothing to another rollout

use crate::{
    observe::Observer,
    routing::{Served, Speed},
};
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
    /// The id of the conversation.
    pub(super) conversation_id: String,
    /// The challenger.
    pub(super) challenger: Weak<Served>,
    /// The messages.
    pub(super) messages: Vec<MirroredMessage>,
}

/// One message and the primary's answer to it.
pub(super) struct MirroredMessage {
    /// The text.
    pub(super) text: String,
    /// The intent that the primary predicted.
    pub(super) predicted: Arc<str>,
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
    let Mirrored { epoch, conversation_id, challenger, messages } = mirrored;
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
        let Ok(differs) = spawn_blocking(move || differs(&challenger, &message)).await else {
            return;
        };
        if differs {
            counts.disagreement.inc();
        }
        counts.observer.mirrored(epoch, &conversation_id, differs);
    }
}

/// Returns whether the challenger answers otherwise than the primary did; a prediction that panics does.
fn differs(challenger: &Served, message: &MirroredMessage) -> bool {
    match challenger.classify(&message.text, |_, _| ()) {
        Ok((prediction, ())) => {
            challenger.intents[prediction.intent] != message.predicted
                || prediction.fallback != message.fallback
        }
        Err(_) => true,
    }
}
