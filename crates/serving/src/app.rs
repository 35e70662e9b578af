//! The state that all requests of a server share.

use crate::{
    clock::Clock, metrics::Metrics, observe::Observer, request_id::RequestIds,
    request_log::RequestLogger, routing::Slot, shadow::ShadowQueue,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
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
    /// The messages that the challenger classifies after their answers.
    pub(super) shadow: ShadowQueue,
    /// The clock of requests and rollouts.
    pub(super) clock: Arc<dyn Clock>,
    /// The ids of requests.
    pub(super) ids: RequestIds,
    /// The duration beyond which an answer counts as slow, in nanoseconds; 0 for no bound.
    pub(super) slow_bound: AtomicU64,
    /// The turns of slow predictions: one for each processor.
    pub(super) turns: Arc<Semaphore>,
    /// The turns of long texts on fast models: one for every two processors.
    pub(super) long_turns: Semaphore,
}

impl App {
    /// Returns whether an answer that took `duration` is slow.
    pub(super) fn is_slow(&self, duration: Duration) -> bool {
        let bound = self.slow_bound.load(Ordering::Relaxed);
        bound != 0 && duration.as_nanos() > u128::from(bound)
    }
}
