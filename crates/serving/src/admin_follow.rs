//! Requests of the admin API that follow what happens: the audit trail, and the wait for the next state of a rollout.

use super::{
    admin_shared::{Shared, reply_with_rollout},
    canary::Canary,
    exchange::Exchange,
    problem::Problem,
};
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use botops_findings::{Fault, Result};
use botops_registry::Deployment;
use botops_store::Entry;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};
use utoipa::ToSchema;

/// The most entries on one page of the audit trail.
const PAGE: usize = 100;

/// The longest wait for the next state of a rollout.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The query of the audit trail.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// The number of the last entry that the client has; 0 for none.
    #[serde(default)]
    since: u64,
}

/// A page of the audit trail.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// The environment.
    environment: String,
    /// The entries of the deployment log after `since`, the oldest first, at most 100.
    entries: Vec<Entry<Deployment>>,
    /// `since` of the next page; `None` if this is the last one.
    next: Option<u64>,
}

/// Shows entries of the deployment log.
pub(super) async fn audit(
    State(admin): Shared,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let Query(AuditQuery { since }) = query
            .map_err(|why| not_valid(&why, "the only key is `since`, such as `?since=120`"))?;
        let canary = admin.canary()?;
        let entries = canary.entries_after(since, PAGE).await?;
        let last = entries.last().map(|entry| entry.seq);
        let next = last.filter(|last| *last < canary.shown().seq);
        let environment = canary.environment().to_owned();
        Ok(exchange.reply(StatusCode::OK, &AuditPage { environment, entries, next }))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// The query of a rollout.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RolloutQuery {
    /// How long to wait for another revision, such as `30s`; at most 60 s.
    wait: Option<String>,
    /// The revision that the client has; without it, the one at the time of the request.
    since: Option<u64>,
}

/// Shows a rollout, with `wait` as soon as its revision is another one than `since` or it is over, or when the time is over.
pub(super) async fn rollout(
    State(admin): Shared,
    Path(id): Path<String>,
    query: Result<Query<RolloutQuery>, QueryRejection>,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let hint = "the keys are `wait` and `since`, such as `?wait=30s&since=7`";
        let Query(RolloutQuery { wait, since }) = query.map_err(|why| not_valid(&why, hint))?;
        let wait = wait.as_deref().map(read_wait).transpose()?;
        let canary = admin.canary()?;
        // The rollout that `latest` names now, also if another one is started meanwhile.
        let (id, revision) =
            canary.read(&id, |view, _| (view.rollout.id.clone(), view.rollout.revision))?;
        // Without a free place it is answered at once.
        let place = Arc::clone(&admin.waiting).try_acquire_owned();
        if let (Some(wait), Ok(_place)) = (wait, place) {
            let stop = admin.stop.clone();
            let another = another_revision(canary, &id, since.unwrap_or(revision), stop);
            // The end of the wait is no failure: the answer has the same revision then.
            timeout(wait, another).await.ok();
        }
        reply_with_rollout(&exchange, canary, &id, StatusCode::OK).await
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Waits until the rollout `id` has another revision than `since`, is over, or is no longer shown, or the server stops.
async fn another_revision(canary: &Canary, id: &str, since: u64, mut stop: watch::Receiver<bool>) {
    let mut events = canary.events();
    loop {
        events.borrow_and_update();
        match canary.read(id, |view, _| (view.rollout.revision, view.rollout.is_over())) {
            // A rollout that is over stays as it is.
            Ok((revision, false)) if revision == since => {}
            _ => return,
        }
        tokio::select! {
            changed = events.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Reads a wait: whole seconds, such as `30s`, at most 60.
///
/// # Errors
/// `BOT-6041`.
fn read_wait(text: &str) -> Result<Duration> {
    let seconds = text.strip_suffix('s').filter(|text| text.bytes().all(|it| it.is_ascii_digit()));
    let wait = seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    wait.filter(|wait| *wait <= LONGEST_WAIT).ok_or_else(|| {
        let message = format!("`wait` is `{}`", botops_text::display(text, 40));
        Fault::usage("BOT-6041", message).hint("it is 0 to 60 whole seconds, such as `wait=30s`")
    })
}

fn not_valid(rejection: &QueryRejection, hint: &'static str) -> Fault {
    let why = rejection.body_text();
    let why = why.trim_start_matches("Failed to deserialize query string: ");
    let why = botops_text::display(why, 200);
    Fault::usage("BOT-6041", format!("the query of the URL is not valid: {why}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_at_most_60_whole_seconds() {
        for (text, seconds) in [("0s", 0), ("30s", 30), ("60s", 60)] {
            assert_eq!(read_wait(text).unwrap(), Duration::from_secs(seconds));
        }
        for text in ["", "s", "30", "61s", "1m", "-1s", "+1s", "1.5s", "99999999999999999999s"] {
            assert_eq!(read_wait(text).unwrap_err().code(), "BOT-6041", "{text}");
        }
    }
}
