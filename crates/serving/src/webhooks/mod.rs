//! Webhooks: every change of an environment, sent to the receivers that its servers name.
//!
//! In: the entries of the deployment log, as the server follows it. Out: signed requests, and the position of each
//! receiver in the store.
//!
//! - [`receiver`] checks the settings, and [`sending`] signs as Standard Webhooks does
//! - each receiver has a task of its own ([`delivery`]): one that hangs delays no other, and no rollout
//! - the position is objects of the store ([`position`]), so that another server continues. Servers take turns by claims
//!   there; each event is delivered at least once, and in the order of the log

mod delivery;
mod pace;
mod position;
mod receiver;
mod sending;
#[cfg(test)]
mod tests;

pub(super) use delivery::EventSource;
pub(super) use pace::Pace;
pub(super) use receiver::{Receiver, check};

use crate::app::App;
use botops_findings::Result;
use botops_store::Store;
use delivery::Delivery;
use position::Position;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};

/// The receivers of a server, each with its task.
pub(super) struct Webhooks {
    app: Arc<App>,
    events: Arc<dyn EventSource>,
    store: Store,
    threads: Handle,
    pace: Pace,
    /// Becomes true when the server stops.
    stop: watch::Receiver<bool>,
    running: Mutex<BTreeMap<String, Running>>,
}

/// The task of one receiver.
struct Running {
    receiver: Receiver,
    /// Dropping it ends the task.
    _end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Webhooks {
    /// Makes the webhooks of a server, without a receiver. Their tasks run on `threads` until `stop`.
    pub(super) fn new(
        app: Arc<App>,
        (events, store): (Arc<dyn EventSource>, Store),
        (threads, pace): (Handle, Pace),
        stop: watch::Receiver<bool>,
    ) -> Self {
        let running = Mutex::default();
        Self { app, events, store, threads, pace, stop, running }
    }

    /// Delivers to `receivers` from now on, and to no others. A receiver that stays as it was is not interrupted.
    ///
    /// # Errors
    /// `BOT-1018` (exit 1) the root certificates of the system cannot be read; nothing has changed then.
    pub(super) fn replace(&self, receivers: Vec<Receiver>) -> Result<()> {
        let http = sending::client(&self.pace)?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = |id: &String, now: &Running| {
            receivers.iter().any(|wanted| wanted.id() == id && *wanted == now.receiver)
        };
        running.retain(|id, now| is_kept(id, now));
        for receiver in receivers {
            if running.contains_key(receiver.id()) {
                continue;
            }
            let position =
                Position::new(self.store.clone(), self.events.environment(), receiver.id());
            let delivery = Delivery::new(
                (Arc::clone(&self.app), Arc::clone(&self.events)),
                (receiver.clone(), position),
                (http.clone(), self.pace),
            );
            let (end, ended) = watch::channel(false);
            let task = self.threads.spawn(delivery.run(ended, self.stop.clone()));
            let id = receiver.id().to_owned();
            running.insert(id, Running { receiver, _end: end, task });
        }
        drop(running);
        Ok(())
    }

    /// Waits until the server stops, and then for the tasks, which note their position and end.
    pub(super) async fn until_stopped(self: Arc<Self>) {
        let mut stop = self.stop.clone();
        let _ = stop.wait_for(|stop| *stop).await;
        let running =
            std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        // The senders live until the tasks have ended by themselves.
        for running in running.into_values() {
            let _ = running.task.await;
        }
    }
}
