//! The events of a rollout, as a stream of server-sent events.

use super::{
    admin_shared::{Admin, Shared},
    canary::Canary,
    exchange::{Exchange, X_REQUEST_ID},
    log_event::LogEvent,
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
use futures::{Stream, stream};
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

/// Returns `event` as a stream sends it.
fn sent(event: &LogEvent) -> Event {
    Event::default().id(event.number.to_string()).event(event.kind).data(event.to_json())
}

/// A stream of the events of one rollout.
struct Following {
    canary: Arc<Canary>,
    id: String,
    /// The number of the last entry that was looked at.
    after: u64,
    ready: VecDeque<LogEvent>,
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
            [LogEvent::state(canary.environment(), tip, &rollout, now)].into()
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
        Some((Ok(sent(&event)), following))
    })
}

impl Following {
    /// Returns the next event; `None` at the end: the rollout is over, the server stops, the log cannot be read, or the
    /// stream is as old as it may be. The client connects again, with the number of its last event.
    async fn next(&mut self) -> Option<LogEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let tip = *self.events.borrow_and_update();
            if self.after < tip {
                let entries = self.canary.entries_after(self.after, PAGE).await.ok()?;
                self.after = entries.last()?.seq;
                let environment = self.canary.environment();
                let of =
                    |entry| LogEvent::of(environment, entry).filter(|event| event.is_of(&self.id));
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
