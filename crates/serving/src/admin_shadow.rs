//! Requests of the admin API about shadow traffic: a version on mirror only, and the disagreements found.

use super::{
    admin_changes::reply_to_start,
    admin_request::Asked,
    admin_shared::Shared,
    canary::StartRequest as Start,
    disagreements::Disagreements,
    exchange::{Exchange, parse},
    problem::Problem,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use botops_findings::Result;
use botops_rollout::{RolloutSpec, ShadowSpec, Strategy, UNTIL_DEADLINE};
use serde::Deserialize;
use utoipa::ToSchema;

/// The duration of a shadow run if the request does not say.
const DURATION: &str = "24h";

/// The body of a request for a version on mirror only.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShadowRequest {
    /// The version, such as `support@3`.
    version: String,
    /// The share of conversations to mirror, in percent, in (0, 100]; 100 if left out.
    #[serde(default)]
    percent: Option<f64>,
    /// The duration, such as `24h`, which is the default.
    #[serde(default, rename = "for")]
    duration: Option<String>,
    /// The number of conversations after which the run ends before that.
    #[serde(default)]
    min_units: Option<u64>,
    /// Whether a rollout that is under way is rolled back first.
    #[serde(default)]
    supersede: bool,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    actor: Option<String>,
    /// The reason, for the audit trail.
    #[serde(default)]
    reason: String,
}

/// Returns the plan of a shadow run. Without traffic, it ends with its time all the same.
fn plan(percent: Option<f64>, duration: Option<String>, min_units: Option<u64>) -> RolloutSpec {
    RolloutSpec {
        strategy: Strategy::Shadow,
        shadow: Some(ShadowSpec {
            min_units: min_units.unwrap_or(UNTIL_DEADLINE),
            deadline: duration.unwrap_or_else(|| DURATION.to_owned()),
            mirror: percent,
        }),
        steps: Vec::new(),
        interval: "10s".to_owned(),
        stale_after: "366d".to_owned(),
        ..RolloutSpec::default()
    }
}

/// Puts a version on mirror only, or joins the run of that version.
pub(super) async fn shadow(
    State(admin): Shared,
    Path(name): Path<String>,
    asked: Asked,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        admin.check_model(&name)?;
        let asking = asked.read()?;
        let request: ShadowRequest = parse(&asking.body)?;
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        let ShadowRequest { version, percent, duration, min_units, supersede, .. } = request;
        let plan = plan(percent, duration, min_units);
        // Its answers reach nobody, so it may have other intents.
        let start = Start { version, plan, supersede, accept_labels: true, drill: false };
        reply_to_start((&exchange, &admin), start, requester, asking.mode).await
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Shows the messages on which the challenger of a rollout disagreed with the primary, on this server.
pub(super) async fn disagreements(State(admin): Shared, Path(id): Path<String>) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let kept = admin.canary().and_then(|canary| {
        let id = canary.read(&id, |view, _| view.rollout.id.clone())?;
        let server = canary.server().to_owned();
        Ok(Disagreements { server, ..admin.app.disagreements.of(&id) })
    });
    match kept {
        Ok(kept) => exchange.reply(StatusCode::OK, &kept),
        Err(fault) => exchange.refuse(fault.into(), None),
    }
}
