//! The request of the admin API that reads the settings again.

use super::{
    admin_request::Asked,
    admin_shared::{Shared, run_to_end},
    canary::Mode,
    exchange::{Exchange, parse},
    problem::Problem,
};
use axum::{extract::State, http::StatusCode, response::Response};
use botops_findings::{Fault, Result};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The body of a request to read the settings again.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReloadRequest {
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    actor: Option<String>,
    /// The reason, for the audit trail.
    #[serde(default)]
    reason: String,
}

/// Reads the settings again, and applies those that need no restart.
pub(super) async fn reload(State(admin): Shared, asked: Asked) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let asking = asked.read()?;
        let request: ReloadRequest =
            if asking.body.is_empty() { ReloadRequest::default() } else { parse(&asking.body)? };
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        let reloading = admin.reloading.clone().ok_or_else(|| {
            Fault::conflict("BOT-6088", "this server was started without a file of settings")
        })?;
        let reloading = Arc::clone(&reloading);
        let dry_run = matches!(asking.mode, Mode::Dry);
        let told = run_to_end(async move {
            reloading.reload((&requester.by, &requester.reason), dry_run).await
        });
        Ok(exchange.reply(StatusCode::OK, &told.await?))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}
