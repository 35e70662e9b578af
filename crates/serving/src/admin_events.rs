//! The events of a rollout, as a stream of server-sent events.

use super::{
    admin_shared::{Admin, Shared},
    canary::Canary,
    exchange::{Exchange, X_REQUEST_ID},
    problem::Problem,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use botops_findings::{Fault, Result};
use botops_registry::Deployment;
use botops_rollout::Rollout;
use botops_store::Entry;
use chrono::{DateTime, Utc};
use futures::{Stream, stream};
use serde::Serialize;
use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};

/// The time between two signs of life on a stream without events.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The longest stream. The client connects again, so that a key which was revoked does not read on.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The most entries that are read at once.
const PAGE: usize = 100;

/// One event: a decision about a rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct RolloutEvent {
    /// `botops.event/1`.
    schema: &'static str,
    /// The number of the entry of the deployment log.
    number: u64,
    /// The environment.
    environment: String,
    /// The model.
    model: String,
    /// `decision`, or `state` for the state at the begin of a stream.
    kind: &'static str,
    /// The id of the rollout.
    rollout: String,
    /// The phase.
    phase: &'static str,
    /// The revision.
    revision: u64,
    /// The share of the challenger in percent.
    weight_percent: f64,
    /// The author; empty for a state.
    actor: String,
    /// The reason; empty for a state.
    reason: String,
    /// When it was decided; for a state, when the server read it.
    at: DateTime<Utc>,
}

impl RolloutEvent {
    fn state(environment: &str, number: u64, rollout: &Rollout, at: DateTime<Utc>) -> Self {
        Self {
            schema: "botops.event/1",
            number,
            environment: environment.to_owned(),
            model: rollout.model.clone(),
            kind: "state",
            rollout: rollout.id.clone(),
            phase: rollout.phase.name(),
            revision: rollout.revision,
            weight_percent: rollout.weight_percent(),
            actor: String::new(),
            reason: String::new(),
            at,
        }
    }

    /// Returns the event of an entry; `None` if it is not about the rollout `id`, or only counted.
    fn of(environment: &str, entry: &Entry<Deployment>, id: &str) -> Option<Self> {
        let Deployment { actor, reason, at, .. } = &entry.payload;
        let rollout = entry.payload.rollout().filter(|rollout| rollout.id == id)?;
        let is_decided = !reason.is_empty() || rollout.revision == 0;
        is_decided.then(|| Self {
            kind: "decision",
            actor: actor.clone(),
            reason: reason.clone(),
            ..Self::state(environment, entry.seq, rollout, *at)
        })
    }

    fn sent(&self) -> Event {
        let data = serde_json::to_string(self).expect("an event can be written as JSON");
        Event::default().id(self.number.to_string()).event(self.kind).data(data)
    }
}

/// A stream of the events of one rollout.
struct Following {
    canary: Arc<Canary>,
    id: String,
    /// The number of the last entry that was looked at.
    after: u64,
    ready: VecDeque<RolloutEvent>,
    events: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

/// Streams the events of a rollout until it is over.
pub(super) async fn events(
    State(admin): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    match follow(&admin, &id, &headers) {
        Ok(following) => {
            let heartbeat = KeepAlive::new().interval(HEARTBEAT);
            let mut response = Sse::new(streamed(following)).keep_alive(heartbeat).into_response();
            let request_id = HeaderValue::from_str(&exchange.id.to_string())
                .expect("hexadecimal digits are a valid header");
            response.headers_mut().insert(X_REQUEST_ID, request_id);
            response
        }
        Err(problem) => exchange.refuse(problem, None),
    }
}

/// Begins a stream: after the entry that `Last-Event-ID` names, else with the state as it is now.
///
/// # Errors
/// `BOT-6034` there is no such rollout; `BOT-6013` the header is no number; `BOT-6074` (exit 7) too many requests wait.
fn follow(admin: &Admin, id: &str, headers: &HeaderMap) -> Result<Following, Problem> {
    let canary = admin.canary()?;
    let last = headers.get("last-event-id").map(|value| {
        let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| {
            Fault::usage("BOT-6013", "`Last-Event-ID` is not the number of an event")
                .hint("send the `id` of the last event, or leave the header out")
        })
    });
    let last: Option<u64> = last.transpose()?;
    let place = Arc::clone(&admin.waiting).try_acquire_owned().map_err(|_| {
        Fault::unreachable("BOT-6074", "too many requests wait for events of this server")
            .hint("close other streams, or ask `GET /admin/v1/rollouts/{id}` again and again")
    })?;
    // Subscribed before the state is read, so that no entry between the two is missed.
    let events = canary.events();
    let tip = canary.shown().seq;
    let rollout = canary.read(id, |view, _| view.rollout.clone())?;
    let ready = match last {
        Some(_) => VecDeque::new(),
        None => {
            let now = admin.app.clock.now();
            [RolloutEvent::state(canary.environment(), tip, &rollout, now)].into()
        }
    };
    Ok(Following {
        canary: Arc::clone(canary),
        id: rollout.id,
        after: last.unwrap_or(tip),
        ready,
        events,
        stop: admin.stop.clone(),
        until: Instant::now() + LONGEST,
        _place: place,
    })
}

fn streamed(following: Following) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok(event.sent()), following))
    })
}

impl Following {
    /// Returns the next event; `None` at the end: the rollout is over, the server stops, the log cannot be read, or the
    /// stream is as old as it may be. The client connects again, with the number of its last event.
    async fn next(&mut self) -> Option<RolloutEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let tip = *self.events.borrow_and_update();
            if self.after < tip {
                let entries = self.canary.entries_after(self.after, PAGE).await.ok()?;
                self.after = entries.last()?.seq;
                let environment = self.canary.environment();
                let of = |entry| RolloutEvent::of(environment, entry, &self.id);
                self.ready = entries.iter().filter_map(of).collect();
                continue;
            }
            // A rollout that is no longer shown was replaced.
            if self.canary.read(&self.id, |view, _| view.rollout.is_over()).unwrap_or(true) {
                return None;
            }
            tokio::select! {
                changed = self.events.changed() => changed.ok()?,
                _ = self.stop.wait_for(|stop| *stop) => return None,
                () = sleep_until(self.until) => return None,
            }
        }
    }
}
