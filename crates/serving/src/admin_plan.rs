//! The forecast of a plan at the traffic of the environment.

use super::{
    admin_shared::{Admin, Shared},
    canary::Canary,
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
use botops_observation::ServerTraffic;
use botops_rollout::{FailureKind, FailureRate, PlanForecast, RolloutSpec, TrafficRates, forecast};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Instant};
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
    /// Conversations that begin in an hour; without it, those of the rollout under way at all servers, else those of the last
    /// day at this server, else those of the last rollout.
    #[serde(default)]
    #[schema(minimum = 0.000001, maximum = 1000000000)]
    conversations_per_hour: Option<f64>,
    /// How each kind fails on the champion; without it, as in the traffic of which the conversations are.
    #[serde(default)]
    failures: Option<BTreeMap<FailureKind, FailureRate>>,
}

/// A forecast.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlanAnswer {
    /// The model.
    pub model: String,
    /// The environment.
    pub environment: String,
    /// The rollout whose traffic was assumed, or a part of it; `None` if no rollout was looked at.
    pub from_rollout: Option<String>,
    /// The forecast; a plan that cannot conclude has `problems`.
    pub forecast: PlanForecast,
    /// The time up to which that rollout counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_until: Option<DateTime<Utc>>,
    /// The traffic of this server that was assumed, because no rollout is under way; `None` if it was not, or is too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_server: Option<ServerTraffic>,
}

/// Traffic, and its origin.
struct Known {
    rates: TrafficRates,
    rollout: Option<(String, DateTime<Utc>)>,
    server: Option<ServerTraffic>,
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
    let known = match (conversations_per_hour, failures) {
        (Some(conversations_per_hour), Some(failures)) => {
            let rates = TrafficRates { conversations_per_hour, failures };
            Known { rates, rollout: None, server: None }
        }
        (rate, failures) => {
            let mut known = known_traffic(admin, canary).ok_or_else(|| no_traffic(admin))?;
            let rates = &mut known.rates;
            rates.conversations_per_hour = rate.unwrap_or(rates.conversations_per_hour);
            rates.failures = failures.unwrap_or_else(|| std::mem::take(&mut rates.failures));
            known
        }
    };
    let (from_rollout, counted_until) = known.rollout.unzip();
    Ok(PlanAnswer {
        model: admin.app.model.clone(),
        environment: canary.environment().to_owned(),
        from_rollout,
        forecast: forecast(&plan, &known.rates),
        counted_until,
        from_server: known.server,
    })
}

/// Returns the traffic that is known: that of the current or the last rollout, and that of this server.
fn known_traffic(admin: &Admin, canary: &Canary) -> Option<Known> {
    let last = canary.read("latest", |view, _| {
        let rollout = &view.rollout;
        let rates = TrafficRates::of(rollout)?;
        let (id, counted_until) = (rollout.id.clone(), rollout.updated_at);
        Some(Last { rates, rollout: (id, counted_until), is_over: rollout.is_over() })
    });
    better_known(last.ok().flatten(), admin.app.traffic.rates(Instant::now()))
}

/// The traffic of the current or the last rollout.
struct Last {
    rates: TrafficRates,
    rollout: (String, DateTime<Utc>),
    is_over: bool,
}

/// Returns the traffic of the rollout under way, which all servers count; without one, that of this server in the last day,
/// with the kinds that only a rollout measures as in the last one; if that is too little, the traffic of the last rollout.
fn better_known(last: Option<Last>, live: Option<(TrafficRates, ServerTraffic)>) -> Option<Known> {
    match (last, live) {
        (None, None) => None,
        (Some(Last { rates, rollout, is_over }), live) if live.is_none() || !is_over => {
            Some(Known { rates, rollout: Some(rollout), server: None })
        }
        (last, live) => {
            let (mut rates, server) = live?;
            let n = rates.failures.len();
            let (before, rollout) = last.map(|last| (last.rates.failures, last.rollout)).unzip();
            for (kind, rate) in before.into_iter().flatten() {
                rates.failures.entry(kind).or_insert(rate);
            }
            let rollout = rollout.filter(|_| rates.failures.len() > n);
            Some(Known { rates, rollout, server: Some(server) })
        }
    }
}

fn no_traffic(admin: &Admin) -> Fault {
    let message = format!(
        "neither this server in the last day nor a rollout of `{}` saw traffic to forecast from",
        admin.app.model
    );
    Fault::usage("BOT-6072", message)
        .hint("name the traffic: `conversations_per_hour` and `failures`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_hour: f64, failures: &[(FailureKind, f64)]) -> TrafficRates {
        let rate = |&(kind, rate)| (kind, FailureRate { rate, measured: 1.0 });
        TrafficRates {
            conversations_per_hour: per_hour,
            failures: failures.iter().map(rate).collect(),
        }
    }

    fn last(is_over: bool) -> Last {
        use FailureKind::{Error, Wrong};
        let rollout = ("r1".to_owned(), DateTime::UNIX_EPOCH);
        Last { rates: rates(100.0, &[(Error, 0.5), (Wrong, 0.1)]), rollout, is_over }
    }

    #[test]
    fn live_traffic_comes_before_that_of_a_rollout_which_is_over() {
        use FailureKind::{Error, Wrong};
        let server = ServerTraffic { conversations: 480, hours: 24.0 };
        let live = || Some((rates(20.0, &[(Error, 0.02)]), server));
        // The rollout under way: all servers count, and nothing is mixed in.
        let known = better_known(Some(last(false)), live()).unwrap();
        assert_eq!((known.rates, known.server), (last(false).rates, None));
        assert_eq!(known.rollout.unwrap().0, "r1");
        let known = better_known(Some(last(true)), live()).unwrap();
        assert_eq!(known.rates, rates(20.0, &[(Error, 0.02), (Wrong, 0.1)]));
        assert_eq!((known.rollout, known.server), (Some(last(true).rollout), Some(server)));
        // Nothing of the last rollout was needed.
        let same = Last { rates: rates(100.0, &[(Error, 0.5)]), ..last(true) };
        let known = better_known(Some(same), live()).unwrap();
        assert_eq!((known.rates, known.rollout), (rates(20.0, &[(Error, 0.02)]), None));
        let known = better_known(None, live()).unwrap();
        assert_eq!((known.rollout, known.server), (None, Some(server)));
        let known = better_known(Some(last(true)), None).unwrap();
        assert_eq!((known.rates, known.server), (last(true).rates, None));
        assert!(better_known(None, None).is_none());
    }
}
