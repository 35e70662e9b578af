//! The parts that the handlers of the admin API share: the server, its rollouts, and the answer with a rollout.

use crate::{
    RolloutStatus,
    app::App,
    canary::{Canary, no_rollouts, no_rollouts_of},
    exchange::Exchange,
    problem::{Problem, internal},
    reload::Reloading,
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use botops_findings::{Fault, Result};
use botops_rollout::{Decision, Rollout};
use botops_text::shell_line;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{Semaphore, watch};

/// The most requests that wait for a change at the same time, on all streams and long polls of a server.
const WAITING: usize = 64;

/// The server behind the admin API.
pub(super) struct Admin {
    /// The server.
    pub(super) app: Arc<App>,
    /// Its rollouts; `None` if it serves a file, or one version.
    pub(super) canary: Option<Arc<Canary>>,
    /// The places of requests that wait for a change.
    pub(super) waiting: Arc<Semaphore>,
    /// Becomes true when the server stops: requests that wait are answered then.
    pub(super) stop: watch::Receiver<bool>,
    /// The settings that can change while the server runs.
    pub(super) reloading: Option<Arc<Reloading>>,
}

/// The server, as a handler gets it.
pub(super) type Shared = State<Arc<Admin>>;

impl Admin {
    /// Makes the server behind the admin API, which waits for no change after `stop`.
    pub(super) fn new(
        app: Arc<App>,
        canary: Option<Arc<Canary>>,
        stop: watch::Receiver<bool>,
        reloading: Option<Arc<Reloading>>,
    ) -> Self {
        Self { app, canary, waiting: Arc::new(Semaphore::new(WAITING)), stop, reloading }
    }

    /// Checks that the server serves `model`.
    ///
    /// # Errors
    /// `BOT-6036`.
    pub(super) fn check_model(&self, model: &str) -> Result<()> {
        if model == self.app.model {
            return Ok(());
        }
        Err(Fault::usage(
            "BOT-6036",
            format!(
                "this server serves `{}`, not `{}`",
                self.app.model,
                botops_text::display(model, 80)
            ),
        ))
    }

    /// Returns the rollouts of the server.
    ///
    /// # Errors
    /// The server has no rollouts.
    pub(super) fn canary(&self) -> Result<&Arc<Canary>> {
        self.canary.as_ref().ok_or_else(|| {
            let model = self.app.model.as_str();
            match model.ends_with(".botops") {
                true => no_rollouts("a server of one file").hint(format!(
                    "first register the file, from its folder: `{}`",
                    shell_line([
                        "botops",
                        "push",
                        model,
                        "--name",
                        model.trim_end_matches(".botops")
                    ])
                )),
                // The name of the model is known.
                false => no_rollouts_of("a server of one version", model),
            }
        })
    }
}

/// Runs `work` to its end, even if the client disconnects before. It begins at once.
pub(super) async fn run_to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(|_| internal())?
}

/// Returns the `ETag` of a revision, for `If-Match`.
pub(super) fn tag_of(revision: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("digits are a valid header")
}

/// Answers a repeated request with the rollout as the first one left it, and the `ETag` of then.
pub(super) fn reply_as_before(
    exchange: &Exchange<'_>,
    canary: &Canary,
    rollout: Rollout,
    status: StatusCode,
) -> Response {
    let shown = canary.read(&rollout.id, |view, decision| (decision.transitions, view.driven));
    // Of a rollout that was replaced since, only its entries are left.
    let (mut transitions, driven) = shown.unwrap_or_default();
    transitions.retain(|transition| transition.at <= rollout.updated_at);
    let status_then = RolloutStatus {
        weight_percent: rollout.weight_percent(),
        decision: Decision::new(&rollout, transitions, false),
        rollout,
        durable: true,
        driven,
        lost: BTreeMap::new(),
    };
    tagged(exchange, &status_then, status)
}

/// Answers with the rollout `id` and its `ETag`.
pub(super) async fn reply_with_rollout(
    exchange: &Exchange<'_>,
    canary: &Canary,
    id: &str,
    status: StatusCode,
) -> Result<Response, Problem> {
    let rollout = canary.read(id, |view, decision| RolloutStatus {
        weight_percent: view.weight_percent(),
        rollout: view.rollout.clone(),
        decision,
        durable: view.durable,
        driven: view.driven,
        lost: canary.lost_units(),
    })?;
    Ok(tagged(exchange, &rollout, status))
}

fn tagged(exchange: &Exchange<'_>, rollout: &RolloutStatus, status: StatusCode) -> Response {
    let tag = tag_of(rollout.rollout.revision);
    let mut response = exchange.reply(status, rollout);
    response.headers_mut().insert(header::ETAG, tag);
    response
}
