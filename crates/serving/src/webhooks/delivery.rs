//! The task of one receiver: it finds the next event, takes its turn among the servers, and sends until it succeeds.

use super::{
    pace::Pace,
    position::{Marks, Position},
    receiver::Receiver,
    sending::{message_id, send},
};
use crate::{app::App, log_event::LogEvent, request_traces::of_work};
use async_trait::async_trait;
use botops_findings::Result;
use botops_http::Client;
use botops_registry::Deployment;
use botops_store::Entry;
use botops_telemetry::Kind;
use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The most entries that are read at once.
const PAGE: usize = 100;
/// The number of entries without an event after which the position is kept, so that a restart need not read them again.
const KEEP_EVERY: u64 = 1_000;

/// The log that events come from, as the server follows it.
#[async_trait]
pub(crate) trait EventSource: Send + Sync {
    /// Returns the name of the environment.
    fn environment(&self) -> &str;
    /// Returns a receiver of the number of the newest entry.
    fn newest(&self) -> watch::Receiver<u64>;
    /// Returns up to `limit` entries after `since`, the oldest first.
    async fn after(&self, since: u64, limit: usize) -> Result<Vec<Entry<Deployment>>>;
    /// Returns whether another server ticks an open rollout: that one goes first.
    fn is_second(&self) -> bool;
}

/// The next step of a task.
enum Next {
    /// At once.
    Now,
    /// When the log has another entry.
    Entry,
    /// After a pause.
    In(Duration),
}

/// The last claim in the store, and the last entry that the receiver has.
type ClaimAndPosition = (Option<u64>, Option<u64>);

/// The delivery of events to one receiver.
pub(super) struct Delivery {
    app: Arc<App>,
    events: Arc<dyn EventSource>,
    receiver: Receiver,
    position: Position,
    http: Client,
    pace: Pace,
    /// The number of the last entry that needs no delivery any more; `None` until the store was read.
    after: Option<u64>,
    /// The position that the store has, as far as this server knows.
    kept: u64,
    /// An event that was delivered, and not noted in the store yet.
    owed: Option<u64>,
    /// The claim of this server, and when it was asked for.
    claim: Option<(u64, Instant)>,
    /// The claim and the position of another server, and when they were first seen.
    other: Option<(ClaimAndPosition, Instant)>,
    /// The attempts that failed in a row.
    failed: u32,
    /// Whether a problem was logged that has not ended.
    in_trouble: bool,
}

impl Delivery {
    /// Makes the task of `receiver`.
    pub(super) fn new(
        (app, events): (Arc<App>, Arc<dyn EventSource>),
        (receiver, position): (Receiver, Position),
        (http, pace): (Client, Pace),
    ) -> Self {
        Self {
            app,
            events,
            receiver,
            position,
            http,
            pace,
            after: None,
            kept: 0,
            owed: None,
            claim: None,
            other: None,
            failed: 0,
            in_trouble: false,
        }
    }

    /// Delivers until one of the two says so, or is dropped: the receiver is no longer wanted, or the server stops.
    pub(super) async fn run(mut self, mut end: watch::Receiver<bool>, stop: watch::Receiver<bool>) {
        let mut stop = stop;
        tokio::select! {
            () = self.deliver() => {}
            _ = end.wait_for(|end| *end) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        self.app.metrics.webhooks.forget(self.receiver.labels());
        if let Some(number) = self.owed {
            let _ = self.position.pass(number).await;
        }
        if let Some((claim, _)) = self.claim {
            self.position.release(claim).await;
        }
    }

    /// Delivers for ever; returns when the log is no longer followed.
    async fn deliver(&mut self) {
        let mut newest = self.events.newest();
        loop {
            let tip = *newest.borrow_and_update();
            let next = match self.step(tip).await {
                Ok(next) => next,
                Err(fault) => self.failed(&format!("{}: {fault}", fault.code())),
            };
            match next {
                Next::Now => {}
                Next::In(pause) => tokio::time::sleep(pause).await,
                Next::Entry => {
                    if newest.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes one step: passes entries without an event, or delivers one event.
    ///
    /// # Errors
    /// Those of the store.
    async fn step(&mut self, tip: u64) -> Result<Next> {
        if let Some(number) = self.owed {
            self.pass(number).await?;
            self.owed = None;
        }
        let after = match self.after {
            Some(after) => after,
            None => self.begin(tip).await?,
        };
        self.app.metrics.webhooks.behind(self.receiver.labels(), tip.saturating_sub(after));
        if after >= tip {
            self.recovered();
            return Ok(Next::Entry);
        }
        let entries = self.events.after(after, PAGE).await?;
        let Some(last) = entries.last() else { return Ok(Next::In(self.pace.look)) };
        let environment = self.events.environment().to_owned();
        let mut events = entries.iter().filter_map(|entry| LogEvent::of(&environment, entry));
        let Some(event) = events.find(|event| self.receiver.wants(event)) else {
            self.after = Some(last.seq);
            if last.seq - self.kept >= KEEP_EVERY {
                self.pass(last.seq).await?;
            }
            return Ok(Next::Now);
        };
        let marks = self.position.read().await?;
        if let Some(passed) = marks.passed.filter(|passed| *passed >= event.number) {
            // Another server has delivered it.
            (self.after, self.kept) = (Some(passed), passed);
            self.recovered();
            return Ok(Next::Now);
        }
        if !self.has_turn(&marks).await? {
            return Ok(Next::In(self.pace.look));
        }
        let now = self.app.clock.now().timestamp();
        let attempt = (now, of_work(&self.app, "webhook", Kind::Client));
        let sent = send(&self.http, &self.receiver, (&environment, &event), attempt).await;
        self.app.metrics.webhooks.attempted(self.receiver.labels(), sent.is_ok());
        match sent {
            Ok(()) => {
                (self.owed, self.after) = (Some(event.number), Some(event.number));
                self.recovered();
                Ok(Next::Now)
            }
            Err(problem) => {
                let id = message_id(&environment, &event);
                Ok(self.failed(&format!("{id} is not delivered: {problem}")))
            }
        }
    }

    /// Reads the position. A new receiver begins after the entry `tip`.
    async fn begin(&mut self, tip: u64) -> Result<u64> {
        let marks = self.position.read().await?;
        let after = match marks.passed {
            Some(passed) => passed,
            None => {
                self.position.pass(tip).await?;
                tip
            }
        };
        (self.after, self.kept) = (Some(after), after);
        Ok(after)
    }

    /// Notes in the store that the receiver has every event up to the entry `number`.
    async fn pass(&mut self, number: u64) -> Result<()> {
        self.position.pass(number).await?;
        self.kept = number;
        let marks = self.position.read().await?;
        self.position.tidy(&marks).await;
        Ok(())
    }

    /// Returns whether this server may send now; `marks` are what the store says.
    async fn has_turn(&mut self, marks: &Marks) -> Result<bool> {
        let now = Instant::now();
        let ours = self.claim.filter(|(claim, _)| marks.claim == Some(*claim));
        if let Some((_, at)) = ours
            && at.elapsed() < self.pace.claim
        {
            return Ok(true);
        }
        if ours.is_none() {
            let seen = (marks.claim, marks.passed);
            let since = match self.other {
                Some((known, since)) if known == seen => since,
                _ => now,
            };
            self.other = Some((seen, since));
            let patience = match marks.claim {
                Some(_) => self.pace.replace,
                None if self.events.is_second() => self.pace.courtesy,
                None => Duration::ZERO,
            };
            if since.elapsed() < patience {
                return Ok(false);
            }
        }
        let next = marks.claim.map_or(1, |claim| claim + 1);
        let has_it = self.position.claim(next).await?;
        self.claim = has_it.then_some((next, now));
        Ok(has_it)
    }

    /// Notes a failed attempt, and returns the pause after it. Trouble is logged when it begins.
    fn failed(&mut self, problem: &str) -> Next {
        if !std::mem::replace(&mut self.in_trouble, true) {
            let message =
                format!("{}: {problem}; it is tried again until it succeeds", self.name());
            self.log("error", message);
        }
        let doublings = self.failed.min(16);
        self.failed = self.failed.saturating_add(1);
        let pause = (self.pace.first_pause * (1 << doublings)).min(self.pace.longest_pause);
        // Shorter at random, so that servers do not try at the same moment.
        let draw = RandomState::new().hash_one(doublings) % 1_024;
        Next::In(pause.mul_f64(0.5 + draw as f64 / 2_048.0))
    }

    /// Notes that the last step succeeded.
    fn recovered(&mut self) {
        self.failed = 0;
        if std::mem::take(&mut self.in_trouble) {
            self.log("info", format!("{}: events are delivered again", self.name()));
        }
    }

    fn name(&self) -> String {
        format!("webhook {} ({})", self.receiver.host(), self.receiver.id())
    }

    fn log(&self, level: &'static str, message: String) {
        self.app.log.event(self.app.clock.now(), level, "webhook", message);
    }
}
