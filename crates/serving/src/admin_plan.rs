//! The forecast of a plan at the traffic of the environment.

use super::{
    admin_shared::{Admin, Shared},
    exchange::{Exchange, parse, read_body, unfit},
    pointer::Field,
    problem::Problem,
    sizes::MAX_BODY_BYTES,
};
use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::Response,
};
use botops_findings::{Fault, Result};
use botops_rollout::{FailureKind, FailureRate, PlanForecast, RolloutSpec, TrafficRates, forecast};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The most conversations in an hour that a forecast takes.
const MOST_PER_HOUR: f64 = 1e9;
/// The fewest.
const LEAST_PER_HOUR: f64 = 1e-6;

/// The body of a request for a forecast.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanRequest {
    /// The rollout plan; without it, the default one.
    #[serde(default)]
    plan: Option<RolloutSpec>,
    /// Conversations that begin in an hour; without it, those of the current or the last rollout, at all servers.
    #[serde(default)]
    #[schema(minimum = 0.000001, maximum = 1000000000)]
    conversations_per_hour: Option<f64>,
    /// How each kind fails on the champion; without it, as in the current or the last rollout.
    #[serde(default)]
    failures: Option<BTreeMap<FailureKind, FailureRate>>,
}

/// A forecast.
#[derive(Serialize, ToSchema)]
pub(super) struct PlanAnswer {
    /// The model.
    model: String,
    /// The environment.
    environment: String,
    /// The rollout whose traffic was assumed; `None` if all of it was given.
    from_rollout: Option<String>,
    /// The forecast; a plan that cannot conclude has `problems`.
    forecast: PlanForecast,
}

/// Forecasts a plan. Changes nothing.
pub(super) async fn plan(State(admin): Shared, body: Result<Bytes, BytesRejection>) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    match forecast_of(&admin, body) {
        Ok(answer) => exchange.reply(StatusCode::OK, &answer),
        Err(problem) => exchange.refuse(problem, None),
    }
}

/// Returns the forecast that a body asks for.
///
/// # Errors
/// Those of the body and of [`RolloutSpec::check`]; `BOT-6072` (exit 2) there is no traffic to forecast from.
fn forecast_of(admin: &Admin, body: Result<Bytes, BytesRejection>) -> Result<PlanAnswer, Problem> {
    let body = read_body(body, MAX_BODY_BYTES)?;
    let request: PlanRequest = if body.is_empty() { PlanRequest::default() } else { parse(&body)? };
    let PlanRequest { plan, conversations_per_hour, failures } = request;
    let plan = plan.unwrap_or_default().check()?;
    if conversations_per_hour.is_some_and(|n| !(LEAST_PER_HOUR..=MOST_PER_HOUR).contains(&n)) {
        let message = "`conversations_per_hour` must be between 0.000001 and 1,000,000,000";
        return Err(unfit("BOT-6013", Field::Named("conversations_per_hour"), message));
    }
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    let is_fit = |rate: &FailureRate| is_share(rate.rate) && is_share(rate.measured);
    if failures.as_ref().is_some_and(|failures| !failures.values().all(is_fit)) {
        let message = "`rate` and `measured` of `failures` must be between 0 and 1";
        return Err(unfit("BOT-6013", Field::Named("failures"), message));
    }
    let canary = admin.canary()?;
    let (traffic, from_rollout) = match (conversations_per_hour, failures) {
        (Some(conversations_per_hour), Some(failures)) => {
            (TrafficRates { conversations_per_hour, failures }, None)
        }
        (rate, failures) => {
            let seen = canary.read("latest", |view, _| {
                TrafficRates::of(&view.rollout).map(|seen| (seen, view.rollout.id.clone()))
            });
            let (mut traffic, id) = seen.ok().flatten().ok_or_else(|| no_traffic(admin))?;
            traffic.conversations_per_hour = rate.unwrap_or(traffic.conversations_per_hour);
            traffic.failures = failures.unwrap_or(traffic.failures);
            (traffic, Some(id))
        }
    };
    Ok(PlanAnswer {
        model: admin.app.model.clone(),
        environment: canary.environment().to_owned(),
        from_rollout,
        forecast: forecast(&plan, &traffic),
    })
}

fn no_traffic(admin: &Admin) -> Fault {
    let message = format!("no rollout of `{}` saw traffic to forecast from", admin.app.model);
    Fault::usage("BOT-6072", message)
        .hint("name the traffic: `conversations_per_hour` and `failures`")
}
